"""What can be wrong with a store, one class for each remedy."""

from pathlib import Path

from keeper.model.errors import ConfigError, TransientError, TripwireError
from keeper.model.intent import TxState


class StoreMissingError(ConfigError):
    """There is no store where the configuration says."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no store at {path}: run a cycle first, or correct store.path")
        self.path = path


class StoreUnreadableError(ConfigError):
    """The file cannot be opened, or is no database of ours."""

    path: Path

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"the store {path} cannot be used: {problem}")
        self.path = path


class StoreNewerError(ConfigError):
    """A later version of the keeper has written this store."""

    path: Path
    found: str
    """Schema revision of the file."""

    known: str
    """Schema revision of this program."""

    def __init__(self, path: Path, *, found: str, known: str) -> None:
        super().__init__(
            f"the store {path} has schema {found}, this version knows up to {known}: "
            "update the keeper, or use another store"
        )
        self.path = path
        self.found = found
        self.known = known


class StoreOlderError(ConfigError):
    """An earlier version has written this store, and a reader may not migrate it."""

    path: Path

    def __init__(self, path: Path, *, found: str, known: str) -> None:
        super().__init__(
            f"the store {path} has schema {found}, this version needs {known}: "
            "start `keeper run` once to migrate it"
        )
        self.path = path


class StoreModeError(ConfigError):
    """A store belongs to one mode: a rehearsed transaction must never pass for a sent one."""

    path: Path
    found: str
    wanted: str

    def __init__(self, path: Path, *, found: str, wanted: str) -> None:
        super().__init__(
            f"the store {path} belongs to {found} mode and cannot be used in {wanted} mode: "
            "set store.path to another file"
        )
        self.path = path
        self.found = found
        self.wanted = wanted


class StoreBusyError(ConfigError):
    """Another keeper owns this store."""

    path: Path
    holder: str
    """What the lock file says about the owner: its process id."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"another keeper (process {holder}) runs on the store {path}: stop it, or use another store"
        )
        self.path = path
        self.holder = holder


class StoreLockedError(TransientError):
    """Somebody else held the database's write lock for longer than we wait."""

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(f"the store {path} stayed locked by another program for {waited_s:g} s: try again")


class StoreFullError(TransientError):
    """The move could not be written, so the step was not taken."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no space left to write the store {path}: nothing was sent; free some space")


class IllegalMoveError(TripwireError):
    """A move that the table of moves does not know: our own records contradict each other."""

    intent_id: str
    found: TxState | None
    """State in the store; None for an unknown intent."""

    wanted: TxState

    def __init__(self, intent_id: str, *, found: TxState | None, wanted: TxState) -> None:
        state = "unknown" if found is None else found.value
        super().__init__(f"intent {intent_id[:12]} is {state} and cannot become {wanted.value}")
        self.intent_id = intent_id
        self.found = found
        self.wanted = wanted
