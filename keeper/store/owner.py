"""One owner for each store: an advisory lock that dies with its process."""

import fcntl
import os
from pathlib import Path

from keeper.store.errors import StoreBusyError, StoreUnreadableError


class Owner:
    """Holds the right to send from a store."""

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
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another keeper own the store."""
        os.close(self._file)
