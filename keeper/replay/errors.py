"""What keeps a cycle from being replayed."""

from pathlib import Path

from keeper.model.errors import DataError


class UnknownCycleError(DataError):
    """The journal has no plan of this cycle."""

    cycle_id: str

    def __init__(self, path: Path, cycle_id: str) -> None:
        super().__init__(f"the journal {path} has no plan of cycle {cycle_id}: see `keeper replay` for all")
        self.cycle_id = cycle_id


class InputMissingError(DataError):
    """A plan's snapshot or parameters are not in the journal before it."""

    cycle_id: str

    def __init__(self, cycle_id: str, what: str, digest: str) -> None:
        super().__init__(f"the journal has no {what} with digest {digest} before the plan of {cycle_id}")
        self.cycle_id = cycle_id
