"""One owner for each store: a lock that dies with its process."""

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from keeper.store.errors import StoreBusyError, StoreUnreadableError

_LONGEST_HOST: Final = 40


class Owner(Protocol):
    """Holds the right to send from a store."""

    on_lost: Callable[[], None]
    """Called, from a thread, when another process has taken it."""

    leads: Callable[[], bool]
    """Asked, from a thread, whether nobody else has begun a term meanwhile."""

    @property
    def lost(self) -> bool:
        """Whether another process holds it now."""
        ...

    def release(self) -> None:
        """Let another keeper own the store."""
        ...


def own_name() -> str:
    """Return what this process is called among keepers: `host:process id`."""
    return f"{socket.gethostname()[:_LONGEST_HOST]}:{os.getpid()}"


class FileOwner:
    """An advisory lock on a file beside the store."""

    lost: bool = False
    """The kernel takes such a lock from nobody."""

    def __init__(self, path: Path) -> None:
        """Take the lock file beside `path`.

        Raises `StoreBusyError` when another process holds it, `StoreUnreadableError` when it cannot be
        written.
        """
        lock = path.with_name(path.name + ".owner")
        try:
            self._file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnreadableError(path, error.strerror or "cannot be opened") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StoreBusyError(path, holder) from error
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())
        except OSError as error:
            os.close(self._file)
            raise StoreUnreadableError(path, error.strerror or "cannot be written") from error
        self.on_lost: Callable[[], None] = lambda: None
        self.leads: Callable[[], bool] = lambda: True

    def release(self) -> None:
        """Let another keeper own the store."""
        os.close(self._file)
