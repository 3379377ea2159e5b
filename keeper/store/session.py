"""The owner of a PostgreSQL store: a session that holds an advisory lock and shows that it lives."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection, Engine, text

from keeper.model.errors import KeeperError
from keeper.store.errors import StoreBusyError, StoreUnreadableError
from keeper.store.place import Place

PING_S: Final = 1.0
"""How often the owner's session says something."""

_OWNER: Final = {"owner": 7_302}
"""First half of the advisory lock of owners; the second is the schema."""

_TRY: Final = text("SELECT pg_try_advisory_lock(:owner, hashtext(current_schema()))")
_PING: Final = text("SELECT 1")
_HOLDER: Final = text(
    "SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.state_change)"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = :owner"
    " AND l.objid = (hashtext(current_schema())::bigint & 4294967295)::oid"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_END_ALL: Final = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = :name AND usename = current_user AND datname = current_database()"
)


class SessionOwner:
    """Holds the lock for as long as its session lives, and takes it again after the server was away.

    The server frees the lock when the process or its connection ends. Whether what this process writes
    still counts is decided in each transaction, by the term: losing the lock is only the sooner notice.
    """

    def __init__(
        self,
        place: Place,
        engine: Engine,
        translated: Callable[[], AbstractContextManager[None]],
        *,
        lease_s: float | None,
    ) -> None:
        """Take the lock. `translated` turns the driver's errors into ours. Raises `StoreBusyError`."""
        self._engine = engine
        self._translated = translated
        self._ended = threading.Event()
        self._lost = threading.Event()
        self.on_lost: Callable[[], None] = lambda: None
        self.leads: Callable[[], bool] = lambda: True
        connection = self._connect()
        try:
            taken = connection.execute(_TRY, _OWNER).scalar()
            if taken is None:
                raise StoreUnreadableError(place, "its schema does not exist")
            if not taken:
                raise StoreBusyError(place, self._holder(connection, lease_s))
        except BaseException:
            connection.close()
            raise
        self._connection: Connection | None = connection
        self._thread = threading.Thread(target=self._keep, args=(PING_S,), name="store-owner", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether another process has begun a term."""
        return self._lost.is_set()

    def release(self) -> None:
        """End the session, and the lock with it."""
        self._ended.set()
        self._thread.join()
        self._drop()

    def _connect(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _holder(self, connection: Connection, lease_s: float | None) -> str:
        """Return who holds the lock; end all of its sessions when it has shown no life for too long."""
        found = connection.execute(_HOLDER, _OWNER).first()
        if found is None:
            return "unknown"
        _, name, silent_s = found
        if lease_s is not None and silent_s is not None and silent_s > lease_s:
            connection.execute(_END_ALL, {"name": name})
        return str(name).removeprefix("keeper ")

    def _keep(self, ping_s: float) -> None:
        while not self._ended.wait(ping_s):
            try:
                with self._translated():
                    if self._connection is None:
                        self._retake()
                        if not self.leads():
                            self._lost.set()
                            self.on_lost()
                            return
                    else:
                        self._connection.execute(_PING)
            except KeeperError:
                self._drop()

    def _retake(self) -> None:
        """Take the lock again after the session was lost, unless somebody else has it.

        Who has it need not have begun a term, and may never.
        """
        connection = self._connect()
        try:
            if connection.execute(_TRY, _OWNER).scalar():
                self._connection = connection
        finally:
            if self._connection is None:
                connection.close()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
