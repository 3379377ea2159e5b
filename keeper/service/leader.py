"""What a keeper does while another one leads on its store: it stays connected, and waits for its turn."""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from keeper.journal.errors import JournalBusyError
from keeper.model.errors import KeeperError
from keeper.model.snapshot import BlockRef
from keeper.service.daemon import Stop
from keeper.store.place import Place
from keeper.store.store import Store

TRY_S: Final = 0.5
"""How often the store is asked for."""

SHOW_S: Final = 5.0
"""How often the chains are asked for their heads, and the store told that somebody waits."""

SETTLE_S: Final = 20.0
"""How long the leader before may take to let go of the journal, when it ran on the same machine."""

log = structlog.get_logger()
T = TypeVar("T")


class Turn:
    """Called by `Store.open` between two attempts; True to try again.

    The heads are asked for in a thread, since a slow node must not delay the turn; never beside another use
    of the same clients.
    """

    def __init__(
        self,
        place: Place,
        stop: Stop,
        heads: Callable[[], Mapping[int, BlockRef]],
        *,
        try_s: float = TRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.heads: Mapping[int, BlockRef] = {}
        """Newest blocks by chain id, as last seen."""

        self._place = place
        self._stop = stop
        self._ask = heads
        self._try_s = try_s
        self._clock = clock
        self._told = ""
        self._shown_s = float("-inf")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="standby")
        self._asking: Future[None] | None = None

    def __call__(self, trouble: KeeperError) -> bool:
        """Wait a moment. False when an end was asked for."""
        if str(trouble) != self._told:
            log.info("standing by", why=str(trouble))
            self._told = str(trouble)
        if self._clock() - self._shown_s >= SHOW_S and (self._asking is None or self._asking.done()):
            self._asking = self._thread.submit(self._show)
            self._shown_s = self._clock()
        return self._stop.pause(self._try_s)

    def end(self) -> None:
        """Leave the chains to others."""
        if self._told:
            log.info("taking over", heads={str(k): head.number for k, head in self.heads.items()})
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _show(self) -> None:
        self.heads = self._ask()
        with contextlib.suppress(KeeperError), Store.attach(self._place) as store:
            store.leaders.stand_by()


def opened_in_turn(make: Callable[[], T], stop: Stop, *, waits: bool) -> T:
    """Return what `make` opens; who `waits` does so until the leader before has let go of the journal.

    The kernel frees the locks of a killed process one after the other. Raises `JournalBusyError` when that
    takes longer than `SETTLE_S`, and what else `make` raises.
    """
    give_up_s = time.monotonic() + (SETTLE_S if waits else 0.0)
    while True:
        try:
            return make()
        except JournalBusyError:
            if time.monotonic() > give_up_s or not stop.pause(0.05):
                raise
