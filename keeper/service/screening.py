"""Screened looks at every head, a full read behind them, and what happens when they disagree.

| what is found | what follows |
| --- | --- |
| the first look, a venue with few accounts | all accounts are read |
| a reorg took the block that was carried | all accounts are read, in the same look |
| a price or a funding that accounts are measured with is missing | all accounts are read, in the same look |
| an account that was asked for cannot be read, a price is not trusted | doubt |
| a full read in the background says something else than what was carried | doubt |
| no full read has agreed for three times its interval | doubt |

While a venue is in doubt, all of its accounts are read at every look, and each look is held against the one
before; the snapshot says so by a gap of kind `screen`, which health shows. The doubt ends with a look that
agrees.

The full read runs in a thread and on connections of its own, at the very block that a screened look was made
at, so that what both say of prices, positions and requirements must be the same.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from keeper.model.errors import KeeperError
from keeper.model.snapshot import BlockRef, Gap, Snapshot
from keeper.snapshot.carried import Carried
from keeper.snapshot.observe import Observer
from keeper.snapshot.venue import Seen, Step

_PATIENCE: Final = 3
"""Intervals without a full read that agreed, after which nothing is screened any more."""

_SHOWN: Final = 3
_JOIN_S: Final = 5.0
"""For a full read that runs when the keeper ends; it reads only."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRules:
    """When what is screened, and how often it is checked."""

    full_read_s: float
    """Between full reads in the background."""

    min_accounts: int
    """A venue with fewer is read whole at every look: that takes no longer."""


class Screening:
    """Observes for the cycle. One caller at a time; the thread only fills a queue."""

    def __init__(
        self,
        front: Observer,
        back: Observer,
        rules: ScreenRules,
        *,
        due: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read.

        The two observers share nothing, and `back` discovers for itself. `due` asks for a look, from
        another thread: a disagreement does not wait for the next head.
        """
        self._front = front
        self._back = back
        self._rules = rules
        self._clock = clock
        self._carried: Mapping[str, Carried] = {}
        self._doubts: dict[str, str] = {}
        self._due = due
        self._agreed_s: dict[str, float] = {}
        self._agreed_at: dict[str, BlockRef] = {}
        """The block of the last full read that agreed."""

        self._audited: Mapping[str, BlockRef] = {}
        """Where the thread has read last."""

        self._audits: SimpleQueue[Mapping[str, Seen | Gap]] = SimpleQueue()
        self._stop = threading.Event()

    @property
    def doubts(self) -> Mapping[str, str]:
        """Why a venue is read whole, by its id."""
        return dict(self._doubts)

    def observe(self) -> Snapshot:
        """Return a snapshot of everything, or of what may matter where the rest is carried without doubt.

        Raises as `Observer.follow`.
        """
        self._hear_audits()
        before = {v: c for v, c in self._carried.items() if self._pays(c)}
        for venue, carried in before.items():
            if self._agreed_at.get(venue) == carried.at:
                self._agreed_s[venue] = self._clock()  # nothing has been screened since
            age_s = self._clock() - self._agreed_s[venue]
            if age_s > _PATIENCE * self._rules.full_read_s:
                self._doubt(venue, f"no full read has agreed for {age_s:.0f} s")
        sight = self._front.follow(
            {v: Step(carried=c, screened=v not in self._doubts) for v, c in before.items()},
            [
                Gap(what="screen", key=venue, reason=reason, chain_id=self._carried[venue].at.chain_id)
                for venue, reason in self._doubts.items()
            ],
        )
        for venue, seen in sight.seen.items():
            self._go_on(venue, seen, _missing(venue, seen, before.get(venue), sight.snapshot.gaps))
        return sight.snapshot

    def audit(self) -> None:
        """Read everything that is screened, at the blocks of the last look, for the next look to hear of."""
        carried = {v: c for v, c in self._carried.items() if self._pays(c) and self._is_news(v, c)}
        if not carried:
            return
        try:
            audits = self._back.audit(carried)
        except KeeperError as error:
            log.warning("full read failed", error=str(error))
            return
        read = {v: c.at for v, c in carried.items() if isinstance(audits[v], Seen)}
        self._audited = {**self._audited, **read}
        self._audits.put(audits)
        if any(isinstance(audit, Seen) and audit.differences for audit in audits.values()):
            self._due()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read everything every `full_read_s`, in a thread, for the length of a `with` block."""
        thread = threading.Thread(target=self._run, name="full-read", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._stop.wait(self._rules.full_read_s):
            self.audit()

    def _is_news(self, venue: str, carried: Carried) -> bool:
        """Whether a full read at the block that was carried to would tell anything."""
        return venue not in self._doubts and self._audited.get(venue) != carried.at

    def _pays(self, carried: Carried) -> bool:
        return len(carried.accounts) >= self._rules.min_accounts

    def _go_on(self, venue: str, seen: Seen, missing: str) -> None:
        """Go on from a look at a venue, in which something may have been missing."""
        if seen.carried is not None:
            self._carried = {**self._carried, venue: seen.carried}
        if missing and self._pays(self._carried[venue]):
            self._doubt(venue, missing)
        elif seen.differences:
            self._doubt(venue, _said(seen.differences))
        elif seen.compared and self._doubts.pop(venue, None) is not None:
            log.info("screen agrees with what was read", venue=venue)
        if seen.screen is None and seen.carried is not None:
            self._agree(venue, seen.carried)

    def _hear_audits(self) -> None:
        while True:
            try:
                audits = self._audits.get_nowait()
            except Empty:
                return
            for venue, audit in audits.items():
                if isinstance(audit, Gap):
                    log.warning("full read failed", venue=venue, why=audit.reason)
                elif audit.differences:
                    self._doubt(venue, _said(audit.differences))
                elif audit.carried is not None and venue not in self._doubts:
                    # All of it was just read; what happened since is followed again.
                    self._carried = {**self._carried, venue: audit.carried}
                    self._agree(venue, audit.carried)
                    log.info("full read agrees", venue=venue, accounts=len(audit.carried.accounts))

    def _agree(self, venue: str, read: Carried) -> None:
        self._agreed_s[venue], self._agreed_at[venue] = self._clock(), read.at

    def _doubt(self, venue: str, reason: str) -> None:
        if self._doubts.get(venue) != reason:
            log.error("screen in doubt: all accounts are read", venue=venue, why=reason)
        self._doubts[venue] = reason


def _missing(venue: str, seen: Seen, before: Carried | None, gaps: Sequence[Gap]) -> str:
    """Return what could not be read that the measure of accounts may depend on; empty where nothing is.

    Of accounts, only those that a full read could read.
    """
    if before is None or seen.carried is None:
        return ""
    unread = seen.carried.unread - before.unread if seen.screen is not None else frozenset()
    if unread:
        return f"{len(unread)} accounts could not be read, {min(unread)} among them"
    priced = before.prices.indices_usd.keys() | before.prices.marks_usd.keys()
    unpriced = next((g for g in gaps if g.what == "quote" and g.key in priced), None)
    return f"no trusted price of {unpriced.key}: {unpriced.reason}" if unpriced else ""


def _said(differences: tuple[str, ...]) -> str:
    more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return f"a full read disagrees with what was carried: {', '.join(differences[:_SHOWN])}{more}"
