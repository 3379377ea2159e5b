"""Bringing a store to the schema of this program."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from keeper.store.database import Database
from keeper.store.errors import StoreNewerError, StoreOlderError, StoreUnreadableError
from keeper.store.place import Place

SCHEMA: Final = "v0004"
"""Newest revision under `migrations/versions`."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Create the tables, or bring them to `SCHEMA`, in one transaction.

    Raises `StoreNewerError` for a revision that this program does not know, and `StoreUnreadableError`
    for a database that is not ours.
    """
    with database.writing() as connection:
        found = revision(connection, database.place)
        if found == SCHEMA:
            return
        _refuse_newer(found, database.place)
        # Imported where it is needed: a store that is up to date opens without it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current(database: Database) -> None:
    """Check the revision without changing anything.

    Raises `StoreNewerError`, `StoreOlderError`, `StoreUnreadableError`.
    """
    with database.reading() as connection:
        found = revision(connection, database.place)
        if found == SCHEMA:
            return
        _refuse_newer(found, database.place)
        raise StoreOlderError(database.place, found=found or "none", known=SCHEMA)


def revision(connection: Connection, place: Place) -> str | None:
    """Return the store's revision; None for an empty database.

    Raises `StoreUnreadableError` for a database with tables that are not ours.
    """
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])
    if tables:
        raise StoreUnreadableError(place, f"it is another program's database (tables {sorted(tables)[:3]})")
    return None


def _refuse_newer(found: str | None, place: Place) -> None:
    known = {script.stem.split("_")[0] for script in (_SCRIPTS / "versions").glob("v*.py")}
    if found is not None and found not in known:
        raise StoreNewerError(place, found=found, known=SCHEMA)
