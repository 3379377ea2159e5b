"""The store: one database, one mode, one owner."""

import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from sqlalchemy import insert, select, update

from keeper.model.errors import KeeperError, TransientError
from keeper.protocols.adapter import Found
from keeper.store import tables
from keeper.store.database import BUSY_S, Database
from keeper.store.databases import database_at
from keeper.store.errors import LeadershipLostError, StoreBusyError, StoreModeError
from keeper.store.intents import Intents
from keeper.store.leaders import Leaders
from keeper.store.migrate import require_current, upgrade
from keeper.store.owner import Owner, own_name
from keeper.store.place import Place
from keeper.store.prepared import Prepared
from keeper.store.pulse import Pulse
from keeper.store.spending import Spending
from keeper.store.told import Halt

__all__ = ["LEASE_S", "Halt", "Mode", "Store"]

LEASE_S: Final = 15.0
"""An owner's session says something every second; one silent for so long is frozen, or cut off."""

Mode: TypeAlias = Literal["dry-run", "live"]


def _go_on(_boundary: str) -> None:
    """Crash nowhere."""


def _nothing() -> None:
    """Tell nobody."""


def _own(database: Database, wait: Callable[[KeeperError], bool] | None, lease_s: float) -> Owner:
    """Take the right to send, as soon as `wait` allows."""
    while True:
        try:
            return database.own(lease_s=None if wait is None else lease_s)
        except (StoreBusyError, TransientError) as trouble:
            if wait is None or not wait(trouble):
                raise


class Store:
    """All that survives a crash."""

    intents: Intents
    spending: Spending
    pulse: Pulse
    leaders: Leaders

    def __init__(
        self,
        database: Database,
        owner: Owner | None,
        *,
        clock: Callable[[], float],
        crash_at: Callable[[str], None],
    ) -> None:
        self.place = database.place
        self.crash_at = crash_at
        self._database = database
        self._owner = owner
        self._clock = clock
        self.intents = Intents(database, clock, crash_at)
        self.spending = Spending(database)
        self.pulse = Pulse(database)
        self.leaders = Leaders(database, clock, own_name())

    @classmethod
    def open(
        cls,
        place: Place,
        mode: Mode,
        *,
        clock: Callable[[], float] = time.time,
        crash_at: Callable[[str], None] = _go_on,
        busy_s: float = BUSY_S,
        wait: Callable[[KeeperError], bool] | None = None,
        lease_s: float = LEASE_S,
        on_lost: Callable[[], None] = _nothing,
    ) -> Self:
        """Own the store: create or migrate it, and keep every other keeper away until `close`.

        `clock` is the wall clock. `crash_at` is called with the name of every state boundary: a test ends
        the process there. `wait` is for who stands by: it is given what keeps the store from being opened,
        returns when to try again, and False to give up; an owner on PostgreSQL that has shown no life for
        `lease_s` is replaced. `on_lost` is called, from a thread, when another keeper has taken the store
        from this one.

        Raises `StoreBusyError`, `StoreModeError`, `StoreNewerError`, `StoreUnreadableError`,
        `StoreLockedError`, `StoreUnreachableError`.
        """
        database = database_at(place, busy_s=busy_s)
        try:
            owner = _own(database, wait, lease_s)
        except BaseException:
            database.close()
            raise
        try:
            owner.on_lost = on_lost
            upgrade(database)
            database.settle_in()
            store = cls(database, owner, clock=clock, crash_at=crash_at)
            store._claim(mode)
            owner.leads = store.leaders.leads
        except BaseException:
            database.close()
            owner.release()
            raise
        return store

    @classmethod
    def attach(cls, place: Place, *, clock: Callable[[], float] = time.time) -> Self:
        """Look into a store beside its owner; also to halt and resume.

        Raises `StoreMissingError`, `StoreNewerError`, `StoreOlderError`, `StoreUnreadableError`,
        `StoreUnreachableError`.
        """
        database = database_at(place)
        try:
            database.require_there()
            require_current(database)
        except BaseException:
            database.close()
            raise
        return cls(database, None, clock=clock, crash_at=_go_on)

    def close(self) -> None:
        """Close the connections and give up ownership."""
        if self._owner is not None:
            # Who cannot say good-bye is missed all the same: the lock ends with the connection.
            with contextlib.suppress(KeeperError):
                self.leaders.give_up()
        self._database.close()
        if self._owner is not None:
            self._owner.release()
            self._owner = None

    def require_leading(self) -> None:
        """Raise `LeadershipLostError` when another keeper has taken over this store."""
        if self._owner is not None and self._owner.lost:
            leader = self.leaders.leader()
            raise LeadershipLostError(self.place, "" if leader is None else leader.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def mode(self) -> Mode:
        """The mode that the store was made in."""
        with self._database.reading() as connection:
            found = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "mode"))
            return "live" if found.scalar() == "live" else "dry-run"

    def halt(self, reason: str, by: str) -> None:
        """Stop all sending, from any process. An earlier halt keeps its reason."""
        with self._database.writing(anybody=True) as connection:
            if connection.execute(_STANDING_HALT).first() is None:
                row = {"reason": reason, "by": by[:_LONGEST_NAME], "at_s": self._clock()}
                connection.execute(insert(tables.halts), [row])

    def resume(self, by: str) -> Halt | None:
        """Allow sending again. Returns the halt that this ends; None when there was none."""
        with self._database.writing(anybody=True) as connection:
            found = connection.execute(_STANDING_HALT).first()
            connection.execute(
                update(tables.halts)
                .where(tables.halts.c.resumed_at_s.is_(None))
                .values(resumed_by=by[:_LONGEST_NAME], resumed_at_s=self._clock())
            )
        return None if found is None else Halt(reason=found.reason, by=found.by, at_s=found.at_s)

    def halted(self) -> Halt | None:
        """Return the standing halt; None when sending is allowed."""
        with self._database.reading() as connection:
            found = _HALT.rows(connection, {})
        return Halt(reason=found[0][0], by=found[0][1], at_s=found[0][2]) if found else None

    def found(self, venue: str) -> Found:
        """Return the accounts of a venue found so far; nothing for a venue never read."""
        query = select(tables.found).where(tables.found.c.venue == venue)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return Found() if row is None else Found(keys=tuple(row._mapping["keys"]), next_block=row.next_block)

    def save_found(self, venue: str, found: Found) -> None:
        """Remember the accounts of a venue."""
        row = {"keys": list(found.keys), "next_block": found.next_block}
        with self._database.writing() as connection:
            changed = connection.execute(
                update(tables.found).where(tables.found.c.venue == venue).values(**row)
            )
            if changed.rowcount == 0:
                connection.execute(insert(tables.found), [{"venue": venue, **row}])

    def _claim(self, mode: Mode) -> None:
        with self._database.writing(anybody=True) as connection:
            found = connection.execute(
                select(tables.meta.c.value).where(tables.meta.c.key == "mode")
            ).scalar()
            if found is None:
                connection.execute(insert(tables.meta), [{"key": "mode", "value": mode}])
            elif found != mode:
                raise StoreModeError(self.place, found=found, wanted=mode)
            self.leaders.claim(connection)


_LONGEST_NAME = 64
_STANDING_HALT = select(tables.halts).where(tables.halts.c.resumed_at_s.is_(None)).order_by(tables.halts.c.id)
_HALT = Prepared(
    _STANDING_HALT.with_only_columns(tables.halts.c.reason, tables.halts.c.by, tables.halts.c.at_s)
)
"""Asked before and after every signature."""
