"""Who leads: the one keeper whose writes count, told apart by its term.

A lock says who may lead, and can be lost without its holder's knowledge. The term is checked in the same
transaction as every write, and a new leader's first write is the next term: what an earlier one commits, it
commits before that, where the new one finds it; afterwards it commits nothing.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from keeper.store import tables
from keeper.store.database import Database
from keeper.store.errors import LeadershipLostError
from keeper.store.prepared import Prepared
from keeper.store.told import Leader, Standby

__all__ = ["Leader", "Leaders", "Standby"]

_TERM: Final = "term"
_LEADER: Final = "leader"
_STANDBYS: Final = "standbys"
_FORGOTTEN_S: Final = 3600.0

_TERM_NOW: Final = Prepared(select(tables.meta.c.value).where(tables.meta.c.key == _TERM))
"""Asked in every write."""

_VALUE: Final = {
    key: select(tables.meta.c.value).where(tables.meta.c.key == key) for key in (_TERM, _LEADER, _STANDBYS)
}


class Leaders:
    """Writes and reads who leads."""

    def __init__(self, database: Database, clock: Callable[[], float], name: str) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._term: str | None = None

    def claim(self, connection: Connection) -> None:
        """Begin the next term, in a transaction of the caller's, and let no other write from then on."""
        term = 1 + int(_read(connection, _TERM) or 0)
        _write(connection, _TERM, str(term))
        leader = {"name": self._name, "since_s": self._clock(), "until_s": None}
        _write(connection, _LEADER, json.dumps(leader))
        standbys = json.loads(_read(connection, _STANDBYS) or "{}")
        if standbys.pop(self._name, None) is not None:
            _write(connection, _STANDBYS, json.dumps(standbys))
        self._term = str(term)
        self._database.fence = self._require_term

    def give_up(self) -> None:
        """Note that this process leads no more. Raises `LeadershipLostError` when it did not any longer."""
        with self._database.writing() as connection:
            leader = json.loads(_read(connection, _LEADER) or "{}")
            _write(connection, _LEADER, json.dumps(leader | {"until_s": self._clock()}))

    def leads(self) -> bool:
        """Whether the term is still the one that this process began."""
        with self._database.reading() as connection:
            return _read(connection, _TERM) == self._term

    def stand_by(self) -> None:
        """Note that this process waits for its turn."""
        now_s = self._clock()
        with self._database.writing(anybody=True) as connection:
            known: dict[str, float] = json.loads(_read(connection, _STANDBYS) or "{}")
            recent = {name: seen_s for name, seen_s in known.items() if now_s - seen_s < _FORGOTTEN_S}
            _write(connection, _STANDBYS, json.dumps(recent | {self._name: now_s}))

    def leader(self) -> Leader | None:
        """Return who leads, or led last; None before the first."""
        with self._database.reading(at_once=True) as connection:
            term, leader = _read(connection, _TERM), _read(connection, _LEADER)
        if term is None or leader is None:
            return None
        return Leader(term=int(term), **json.loads(leader))

    def standbys(self) -> tuple[Standby, ...]:
        """Return who waits or waited within the last hour, sorted by name."""
        with self._database.reading() as connection:
            known = json.loads(_read(connection, _STANDBYS) or "{}")
        return tuple(Standby(name=name, seen_s=known[name]) for name in sorted(known))

    def _require_term(self, connection: Connection) -> None:
        if _TERM_NOW.scalar(connection, {}) != self._term:
            leader = json.loads(_read(connection, _LEADER) or "{}")
            raise LeadershipLostError(self._database.place, str(leader.get("name", "")))


def _read(connection: Connection, key: str) -> str | None:
    found: str | None = connection.execute(_VALUE[key]).scalar()
    return found


def _write(connection: Connection, key: str, value: str) -> None:
    row: dict[str, Any] = {"key": key, "value": value}
    connection.execute(delete(tables.meta).where(tables.meta.c.key == key))
    connection.execute(insert(tables.meta), [row])
