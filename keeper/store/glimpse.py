"""What health is told by, read from an SQLite file with the driver alone.

The same as `keeper.service.health.look_into` reads through the store: a test holds the one against the
other. Whatever is unusual (another schema, a lock, a file that is none) is left to the store, which has the
words for it.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from keeper.model.intent import OPEN, TxState
from keeper.model.snapshot import Gap
from keeper.model.units import Wei
from keeper.store.errors import StoreMissingError
from keeper.store.place import Place
from keeper.store.told import Beat, ChainBeat, Halt, Leader, Look, ProfileBeat, Standby

_BUSY_S: Final = 1.0
_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


def glimpse(place: Place) -> Look | None:
    """Return what a store tells, all of it as of one moment; None where it takes the store itself to tell.

    Raises `StoreMissingError`.
    """
    if not isinstance(place, Path):
        return None
    if not place.exists():
        raise StoreMissingError(place)
    try:
        with closing(sqlite3.connect(place, timeout=_BUSY_S, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return _look(connection)
    except sqlite3.Error:
        return None


def _look(connection: sqlite3.Connection) -> Look | None:
    if _rows(connection, "SELECT version_num FROM alembic_version") != [{"version_num": _newest()}]:
        return None
    meta = {row["key"]: row["value"] for row in _rows(connection, "SELECT key, value FROM meta")}
    counts = {
        row["state"]: row["n"]
        for row in _rows(connection, "SELECT state, count(*) AS n FROM intents GROUP BY state")
    }
    standing = 'SELECT reason, "by", at_s FROM halts WHERE resumed_at_s IS NULL ORDER BY id LIMIT 1'
    halts = [Halt(**row) for row in _rows(connection, standing)]
    return Look(
        mode="live" if meta.get("mode") == "live" else "dry-run",
        beat=_beat(connection),
        halt=halts[0] if halts else None,
        outbox={state: counts.get(state.value, 0) for state in TxState},
        oldest_open_s=_oldest_open_s(connection),
        leader=_leader(meta),
        standbys=_standbys(meta),
    )


def _newest() -> str:
    """Return the schema that this program knows."""
    return max(script.stem.split("_")[0] for script in _VERSIONS.glob("v*.py"))


def _beat(connection: sqlite3.Connection) -> Beat | None:
    cycles = _rows(connection, "SELECT * FROM cycles")
    if not cycles:
        return None
    columns = {name: value for name, value in cycles[0].items() if name != "id"}
    columns["gaps"] = tuple(Gap(**gap) for gap in json.loads(columns["gaps"]))
    return Beat(
        **columns,
        chains=tuple(_chain(row) for row in _rows(connection, "SELECT * FROM heads ORDER BY chain_id")),
        profiles=tuple(
            ProfileBeat(**row) for row in _rows(connection, "SELECT * FROM profiles ORDER BY name")
        ),
    )


def _chain(row: dict[str, Any]) -> ChainBeat:
    held = {name: _exact(row[name]) for name in ("native", "urgent_native")}
    return ChainBeat(**{**row, **held, "endpoints": tuple(json.loads(row["endpoints"]))})


def _oldest_open_s(connection: sqlite3.Connection) -> float | None:
    marks = ", ".join("?" * len(OPEN))
    query = f"SELECT min(changed_at_s) AS at_s FROM intents WHERE state IN ({marks})"  # noqa: S608 - marks
    oldest: float | None = _rows(connection, query, *(state.value for state in OPEN))[0]["at_s"]
    return oldest


def _leader(meta: dict[str, str]) -> Leader | None:
    if "term" not in meta or "leader" not in meta:
        return None
    return Leader(term=int(meta["term"]), **json.loads(meta["leader"]))


def _standbys(meta: dict[str, str]) -> tuple[Standby, ...]:
    known = json.loads(meta.get("standbys", "{}"))
    return tuple(Standby(name=name, seen_s=known[name]) for name in sorted(known))


def _exact(text: str | None) -> Wei | None:
    return None if text is None else Wei(int(text))


def _rows(connection: sqlite3.Connection, query: str, *values: object) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query, values)]
