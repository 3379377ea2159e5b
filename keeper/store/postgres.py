"""A PostgreSQL database: what several machines can share.

Writers take their turn by an advisory lock, so that a transaction reads nothing that changes before it
writes, as on SQLite. A connection that is lost during a commit leaves open whether it was written: the
server is asked by the transaction's number, which it remembers also across a restart.

Source: PostgreSQL 18 documentation, 9.28 (`pg_xact_status`, advisory locks), appendix A (error codes).
"""

import threading
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NoReturn

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from keeper.model.errors import KeeperError
from keeper.store.database import Database
from keeper.store.errors import (
    CommitUnknownError,
    DriverMissingError,
    StoreFailingError,
    StoreFullError,
    StoreLockedError,
    StoreUnreachableError,
    StoreUnreadableError,
)
from keeper.store.owner import Owner, own_name
from keeper.store.session import SessionOwner

PATIENCE_S: Final = 10.0
"""How long the server may take to come back and say what became of a commit."""

FROZEN_S: Final = 10.0
"""A transaction that says nothing for so long is ended by the server: the others wait for it."""

_WRITER: Final = 7_301
"""First half of the advisory lock of writers; the second is the schema, so that schemas are stores."""

_DEFAULTS: Final = {
    # Milliseconds without an acknowledgement, and seconds: a partition must not hang the keeper.
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}

_BEGIN: Final = text(
    "SELECT pg_advisory_xact_lock(:writer, hashtext(current_schema())),"
    " pg_backend_pid(), pg_current_xact_id()::text"
)
_STATUS: Final = text("SELECT pg_xact_status(CAST(:number AS xid8))")
_END_SESSION: Final = text("SELECT pg_terminate_backend(:pid)")

_LOCKED: Final = ("55P03", "40001", "40P01", "57014")
_FULL: Final = ("53100",)
_FAILING: Final = ("58030", "53200")
_GONE: Final = ("08", "57P", "25P03", "25P04", "25006", "53300")
"""Of sessions that ended, or cannot begin, or have met a server that only reads."""


class _New(threading.local):
    """The connection that a thread is just making: nobody else closes it when its first queries fail."""

    connection: Any = None


class Postgres(Database):
    """One database of a server."""

    place: str

    def __init__(self, url: str, *, busy_s: float, patience_s: float = PATIENCE_S) -> None:
        self.place = url
        self._busy_s = busy_s
        self._patience_s = patience_s
        self._url = _with_driver(url)
        self._new = _New()
        self._engine = self._new_engine(pool_pre_ping=True)
        self._plain = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._at_once = self._engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def transaction(self, *, at_leisure: bool) -> Generator[Connection]:
        """Give a transaction that nobody else writes beside; its commit is certain when this returns.

        Also one `at_leisure`: a server may crash while this process lives on and remembers what it committed.
        """
        with self._engine.connect() as connection:
            transaction = connection.begin()
            _, pid, number = connection.execute(_BEGIN, {"writer": _WRITER}).one()
            yield connection
            try:
                transaction.commit()
            except DBAPIError as error:
                if not _is_gone(error):
                    raise
                connection.invalidate()
                self._settle(pid, number, error)

    def look(self, *, at_once: bool) -> AbstractContextManager[Connection]:
        """Give a connection; writers do not keep it waiting."""
        return (self._at_once if at_once else self._plain).connect()

    def own(self, *, lease_s: float | None) -> Owner:
        """Take the session lock of owners. Raises `StoreBusyError`, and as `reading` does."""
        with self.translated():
            engine = self._new_engine(poolclass=NullPool)
            return SessionOwner(self.place, engine, self.translated, lease_s=lease_s)

    def require_there(self) -> None:
        """Whether the server is there shows when it is asked."""

    def settle_in(self) -> None:
        """Nothing is only the owner's to prepare."""

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def translated(self) -> Generator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except DBAPIError as error:
            if self._new.connection is not None:
                self._new.connection.close()
                self._new.connection = None
            self._refuse(error)

    def _refuse(self, error: DBAPIError) -> NoReturn:
        state, told = _state(error), _told(error)
        if state in _LOCKED:
            raise StoreLockedError(self.place, self._busy_s) from error
        if state in _FULL:
            raise StoreFullError(self.place) from error
        if state in _FAILING:
            raise StoreFailingError(self.place, told) from error
        if _is_gone(error):
            raise StoreUnreachableError(self.place, told) from error
        if state.startswith(("28", "3D", "3F", "42501", "XX")):
            raise StoreUnreadableError(self.place, told) from error
        raise error

    def _settle(self, pid: int, number: str, lost: DBAPIError) -> None:
        """Return when the transaction was committed after all.

        Raises `StoreUnreachableError` when it was not, `CommitUnknownError` when nobody can say in time.
        """
        give_up_s = time.monotonic() + self._patience_s
        while True:
            try:
                with self.reading() as connection:
                    status = connection.execute(_STATUS, {"number": number}).scalar()
                    if status == "in progress":
                        # Its session has not noticed yet that nobody listens: it would wait for us.
                        connection.execute(_END_SESSION, {"pid": pid})
            except KeeperError:
                status = None
            if status == "committed":
                return
            if status == "aborted":
                raise StoreUnreachableError(self.place, _told(lost)) from lost
            if time.monotonic() > give_up_s:
                raise CommitUnknownError(self.place) from lost
            time.sleep(0.05)

    def _new_engine(self, **options: Any) -> Engine:
        try:
            engine = create_engine(self._url, connect_args=self._arguments(), **options)
        except ModuleNotFoundError as error:
            raise DriverMissingError from error
        event.listen(engine, "do_connect", self._dial)
        event.listen(engine, "connect", self._connected)
        return engine

    def _arguments(self) -> dict[str, str]:
        defaults = {name: value for name, value in _DEFAULTS.items() if name not in self._url.query}
        settings = {
            "lock_timeout": max(1, int(self._busy_s * 1000)),
            "idle_in_transaction_session_timeout": int(FROZEN_S * 1000),
            # A server may be set to acknowledge before the disk has it: not to us.
            "synchronous_commit": "on",
        }
        given = self._url.query.get("options", "")
        ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return {
            **defaults,
            "application_name": f"keeper {own_name()}",
            "options": f"{given if isinstance(given, str) else ' '.join(given)} {ours}",
        }

    def _dial(self, dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        self._new.connection = dialect.connect(*arguments, **named)
        return self._new.connection

    def _connected(self, _connection: Any, _record: Any) -> None:
        self._new.connection = None


def _with_driver(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


def _state(error: DBAPIError) -> str:
    """Return the five characters of the server's verdict; empty where the connection failed."""
    return getattr(error.orig, "sqlstate", None) or ""


def _told(error: DBAPIError) -> str:
    return str(error.orig).strip() or type(error.orig).__name__


def _is_gone(error: DBAPIError) -> bool:
    """Whether the connection is lost, or was never made."""
    state = _state(error)
    if state:
        return state.startswith(_GONE)
    return error.connection_invalidated or type(error.orig).__name__ in (
        "OperationalError",
        "ConnectionTimeout",
    )
