"""The databases that a store may be kept in, and which of them a place names."""

from pathlib import Path

from keeper.store.database import BUSY_S, Database
from keeper.store.place import Place


def database_at(place: Place, *, busy_s: float = BUSY_S) -> Database:
    """Return the database of a place. Raises `DriverMissingError`.

    Each loads its driver, so only the one that is needed is loaded.
    """
    if isinstance(place, Path):
        from keeper.store.sqlite import Sqlite

        return Sqlite(place, busy_s=busy_s)
    from keeper.store.postgres import Postgres

    return Postgres(place, busy_s=busy_s)
