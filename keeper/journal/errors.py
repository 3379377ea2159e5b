"""What can be wrong with a journal."""

from pathlib import Path

from keeper.model.errors import ConfigError, DataError, TransientError, TripwireError


class JournalMissingError(ConfigError):
    """There is no journal where the configuration says."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no journal at {path}: run a cycle first, or correct journal.path")
        self.path = path


class JournalUnusableError(ConfigError):
    """The journal cannot be opened for writing."""

    path: Path

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"the journal {path} cannot be opened: {problem}")
        self.path = path


class JournalBusyError(ConfigError):
    """Another process appends to this journal."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"another keeper writes the journal {path}: stop it, or set journal.path to another file"
        )
        self.path = path


class JournalUnwritableError(TransientError):
    """A record could not be written, so what it announces must not be done."""

    path: Path

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"the journal {path} could not be written: {problem}; nothing was done without it")
        self.path = path


class JournalDamagedError(TripwireError):
    """The journal was changed since it was written."""

    path: Path
    sequence: int
    """Sequence number at which the damage begins."""

    def __init__(self, path: Path, sequence: int, problem: str) -> None:
        super().__init__(
            f"the journal {path} is damaged at record {sequence}: {problem}. "
            "Keep the file, see `keeper journal verify`, and start a new journal"
        )
        self.path = path
        self.sequence = sequence


class UnreadableRecordError(DataError):
    """A record's body is not what its kind promises: written by another version, or not by us."""

    sequence: int

    def __init__(self, sequence: int, problem: str) -> None:
        super().__init__(f"record {sequence} cannot be read back: {problem}")
        self.sequence = sequence
