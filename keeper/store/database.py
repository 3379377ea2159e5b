"""Connections to a database, whichever it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy import Connection

from keeper.store.owner import Owner
from keeper.store.place import Place

BUSY_S: Final = 5.0
"""How long a writer waits for another one."""

Fence = Callable[[Connection], None]
"""Raises where the transaction's owner may not write any more."""


class Database(ABC):
    """One database. Connections open at first use; any thread may ask for one."""

    place: Place
    fence: Fence | None = None
    """Asked in every transaction that writes, unless it says that anybody may."""

    @contextmanager
    def writing(self, *, anybody: bool = False, at_leisure: bool = False) -> Generator[Connection]:
        """Give one transaction that writes: committed whole at the end, or not at all.

        One writes at a time; the next waits until it may look, so what it reads is not changed before it
        writes. `anybody`: also who does not lead. `at_leisure`: power loss may take it, until the next
        transaction that is not is committed; the end of this process may not.

        Raises `StoreLockedError`, `StoreFullError`, `StoreFailingError`, `StoreUnreachableError`,
        `CommitUnknownError`, `StoreUnreadableError`, `StoreReplacedError`, `LeadershipLostError`.
        """
        with self.translated(), self.transaction(at_leisure=at_leisure) as connection:
            if self.fence is not None and not anybody:
                self.fence(connection)
            yield connection

    @contextmanager
    def reading(self, *, at_once: bool = False) -> Generator[Connection]:
        """Look: each statement sees what was committed when it began, or all see the same with `at_once`.

        Raises as `writing` does.
        """
        with self.translated(), self.look(at_once=at_once) as connection:
            yield connection

    @abstractmethod
    def transaction(self, *, at_leisure: bool) -> AbstractContextManager[Connection]:
        """Give a transaction that nobody else writes beside, as `writing` says."""

    @abstractmethod
    def look(self, *, at_once: bool) -> AbstractContextManager[Connection]:
        """Give a connection that reads."""

    @abstractmethod
    def translated(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into ours."""

    @abstractmethod
    def own(self, *, lease_s: float | None) -> Owner:
        """Take the right to send from here; with `lease_s`, from one who has shown no life for so long.

        Raises `StoreBusyError`, and as `reading` does.
        """

    @abstractmethod
    def require_there(self) -> None:
        """Check what can be checked without opening. Raises `StoreMissingError`, `StoreUnreadableError`."""

    @abstractmethod
    def settle_in(self) -> None:
        """Prepare what is only the owner's to prepare."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
