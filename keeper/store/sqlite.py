"""An SQLite file in WAL mode."""

import os
import sqlite3
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from keeper.store.database import Database
from keeper.store.errors import (
    StoreFailingError,
    StoreFullError,
    StoreLockedError,
    StoreMissingError,
    StoreReplacedError,
    StoreUnreadableError,
)
from keeper.store.owner import FileOwner, Owner

_WRITES: Final = "keeper_writes"
_SYNCHRONOUS: Final = "keeper_synchronous"

_UNREADABLE: Final = (
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)


class Sqlite(Database):
    """One file of one machine."""

    place: Path

    def __init__(self, path: Path, *, busy_s: float) -> None:
        self.place = path
        self._busy_s = busy_s
        self._identity: tuple[int, int] | None = None
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(url, connect_args={"timeout": busy_s})
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._connections = _Connections(self._engine)

    @contextmanager
    def transaction(self, *, at_leisure: bool) -> Generator[Connection]:
        """Give a transaction that holds the write lock from its beginning.

        One `at_leisure` is not synchronised: power loss may take it, with all after it, until the next that
        is. The end of the process takes nothing.
        """
        self._require_same()
        with self._connections.lent() as connection:
            _synchronise(connection, "NORMAL" if at_leisure else "FULL")
            info = connection.connection.info
            info[_WRITES] = True
            try:
                with connection.begin():
                    yield connection
            finally:
                info[_WRITES] = False

    @contextmanager
    def look(self, *, at_once: bool) -> Generator[Connection]:
        """Give a connection; writers do not keep it waiting."""
        self._require_same()
        with self._connections.lent() as connection:
            if at_once:
                connection.exec_driver_sql("BEGIN")
            yield connection

    def own(self, *, lease_s: float | None) -> Owner:
        """Lock the file beside the store. Raises `StoreBusyError`, `StoreUnreadableError`."""
        if not self.place.parent.is_dir():
            raise StoreUnreadableError(self.place, f"the folder {self.place.parent} does not exist")
        return FileOwner(self.place)

    def require_there(self) -> None:
        """Raise `StoreMissingError` or `StoreUnreadableError` where there is nothing to look into."""
        if not self.place.exists():
            raise StoreMissingError(self.place)
        if not os.access(self.place, os.R_OK):
            raise StoreUnreadableError(self.place, "permission denied")

    def settle_in(self) -> None:
        """Let readers look while one writes: the file remembers it. And know the file again."""
        with self.translated(), self._engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.execute("PRAGMA journal_mode = WAL")
        self._identity = _identity(self.place)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()
        self._engine.dispose()

    @contextmanager
    def translated(self) -> Generator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            told = error.orig if isinstance(error, DBAPIError) else error
            code = getattr(told, "sqlite_errorcode", None)
            primary = None if code is None else code & 0xFF  # the rest of the code is detail
            if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreLockedError(self.place, self._busy_s) from error
            if primary == sqlite3.SQLITE_FULL:
                raise StoreFullError(self.place) from error
            if primary == sqlite3.SQLITE_IOERR:
                raise StoreFailingError(self.place, str(told)) from error
            if primary in _UNREADABLE:
                raise StoreUnreadableError(self.place, str(told)) from error
            raise

    def _require_same(self) -> None:
        """Check that the path still leads to the file that was opened.

        An open file outlives its name: what is written to it then is gone when the process ends.
        """
        if self._identity is not None and _identity(self.place) != self._identity:
            raise StoreReplacedError(self.place)


class _Connections:
    """Connections that stay open between uses: to take one from the pool costs more than most statements.

    The one used last is lent first, to readers and writers alike: what another connection writes empties a
    connection's own memory of the file.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[Connection] = deque()

    @contextmanager
    def lent(self) -> Generator[Connection]:
        """Lend one that nobody else uses meanwhile; what it leaves open ends. One that failed is closed."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            yield connection
            if connection.in_transaction():
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """Give those that are idle back."""
        while self._idle:
            self._idle.pop().close()


def _synchronise(connection: Connection, level: str) -> None:
    driver = connection.connection
    if driver.info.get(_SYNCHRONOUS) != level:
        driver.cursor().execute(f"PRAGMA synchronous = {level}")
        driver.info[_SYNCHRONOUS] = level


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    """Begin as a writer.

    A transaction that reads first and writes then would otherwise fail when another one wrote in between,
    instead of waiting for it.
    """
    if connection.connection.info.get(_WRITES, False):
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.execute("BEGIN IMMEDIATE")
