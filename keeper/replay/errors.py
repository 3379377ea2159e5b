"""What keeps a cycle from being replayed."""

from pathlib import Path

from keeper.model.errors import ConfigError, DataError


class UnknownCycleError(ConfigError):
    """The journal has no plan of this cycle: its id was mistyped, or it is another journal's."""

    cycle_id: str

    def __init__(self, path: Path, cycle_id: str) -> None:
        super().__init__(f"the journal {path} has no plan of cycle {cycle_id}: see `keeper replay` for all")
        self.cycle_id = cycle_id


class NoCycleError(ConfigError):
    """The journal has no plan at all."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(f"the journal {path} holds no cycle: run one first")
        self.path = path


class InputMissingError(DataError):
    """A plan's snapshot or parameters are not in the journal before it."""

    cycle_id: str

    def __init__(self, cycle_id: str, what: str, digest: str) -> None:
        super().__init__(f"the journal has no {what} with digest {digest} before the plan of {cycle_id}")
        self.cycle_id = cycle_id
