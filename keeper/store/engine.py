"""Connections to the database, and what its driver's errors mean for us."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from keeper.store.errors import StoreFullError, StoreLockedError, StoreUnreadableError

BUSY_S: Final = 5.0
"""How long a writer waits for another one."""


def connect(path: Path, *, busy_s: float = BUSY_S) -> Engine:
    """Return an engine on the SQLite file; connections open at first use.

    Writers begin with `BEGIN IMMEDIATE`: a transaction that reads and then writes would otherwise fail
    when another one wrote in between, instead of waiting for it.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": busy_s})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("keeper_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def use_wal(engine: Engine, path: Path) -> None:
    """Let readers look while one writes. The file remembers it, so only its owner says it."""
    with translated(path), engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.execute("PRAGMA journal_mode = WAL")


@contextmanager
def writing(engine: Engine, path: Path) -> Generator[Connection]:
    """One transaction that writes: committed whole at the end, or not at all.

    Raises `StoreLockedError`, `StoreFullError`, `StoreUnreadableError`.
    """
    with translated(path), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine, path: Path) -> Generator[Connection]:
    """One consistent look. Raises as `writing` does."""
    with translated(path), engine.execution_options(keeper_reads=True).begin() as connection:
        yield connection


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF  # the rest of the code is detail
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreLockedError(path, BUSY_S) from error
        if primary == sqlite3.SQLITE_FULL:
            raise StoreFullError(path) from error
        if primary in (
            sqlite3.SQLITE_NOTADB,
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        ):
            raise StoreUnreadableError(path, str(error.orig)) from error
        raise
