"""Connections to the database, and what its driver's errors mean for us."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError

from keeper.store.errors import StoreFullError, StoreLockedError, StoreUnreadableError

BUSY_S: Final = 5.0
"""How long a writer waits for another one."""

_READS: Final = "keeper_reads"


class Database:
    """One SQLite file. Connections open at first use; any thread may ask for one."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self.path = path
        self._busy_s = busy_s
        url = URL.create("sqlite", database=str(path))
        self._writer = create_engine(url, connect_args={"timeout": busy_s})
        self._reader = self._writer.execution_options(**{_READS: True})
        event.listen(self._writer, "connect", _prepare)
        event.listen(self._writer, "begin", _begin)

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Give one transaction that writes: committed whole at the end, or not at all.

        Raises `StoreLockedError`, `StoreFullError`, `StoreUnreadableError`.
        """
        with self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self, *, at_once: bool = False) -> Generator[Connection]:
        """Look: each statement sees what was committed when it began, or all see the same with `at_once`.

        Raises as `writing` does.
        """
        with self._translated(), self._reader.connect() as connection:
            if at_once:
                connection.exec_driver_sql("BEGIN")
            yield connection

    def use_wal(self) -> None:
        """Let readers look while one writes. The file remembers it, so only its owner says it."""
        with self._translated(), self._writer.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", None)
            primary = None if code is None else code & 0xFF  # the rest of the code is detail
            if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreLockedError(self.path, self._busy_s) from error
            if primary == sqlite3.SQLITE_FULL:
                raise StoreFullError(self.path) from error
            if primary in _UNREADABLE:
                raise StoreUnreadableError(self.path, str(error.orig)) from error
            raise


_UNREADABLE: Final = (
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    """Begin as a writer.

    A transaction that reads first and writes then would otherwise fail when another one wrote in between,
    instead of waiting for it.
    """
    if not connection.get_execution_options().get(_READS, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
