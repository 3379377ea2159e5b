"""A journal record: what happened, chained by hash to what happened before."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from keeper.model.canonical import digest

RECORD_SCHEMA = "keeper.record/1"
GENESIS: Final = "0" * 64
"""`previous` of the first record."""


class RecordKind(StrEnum):
    """What a record tells."""

    OPENED = "opened"
    """A journal begins: mode, program version."""

    SNAPSHOT = "snapshot"
    PARAMS = "params"
    """Written when they first appear and whenever their digest changes."""

    PLAN = "plan"
    """Plan, and the risk figures that replay compares."""

    TRANSITION = "transition"
    """One move of one intent."""

    OUTCOME = "outcome"
    """End of a cycle: what came of every intent."""

    FAILURE = "failure"
    """A cycle that ended in an error: its kind and message."""

    SEGMENT = "segment"
    """First record of every file of the journal but the first: its number, and where the newest record of
    each kind stands."""

    ORPHANED = "orphaned"
    """A reorg has taken a block that the snapshot of this record's cycle rests on."""

    REMOVED = "removed"
    """The oldest files of the journal are about to be removed, as the configuration asks: up to which
    record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the journal."""

    schema: str = RECORD_SCHEMA
    sequence: int
    """0, 1, 2 ... without a hole."""

    previous: str
    """`hash` of the record before."""

    cycle_id: str
    kind: RecordKind
    chain_time_s: int
    """Chain time of the snapshot; 0 before the first."""

    body: dict[str, Any]

    @property
    def hash(self) -> str:
        """sha256 over all other fields, hexadecimal."""
        return digest(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphaned:
    """A block that a journaled snapshot rests on, and that is no longer on its chain."""

    cycle_id: str
    """Whose snapshot it is."""

    chain_time_s: int
    """Of that snapshot."""

    chain_id: int
    number: int
    hash: str
    replaced_by: str
    """Hash of the block that has its number now."""

    @property
    def message(self) -> str:
        """What happened, for people."""
        return (
            f"block {self.number} ({self.hash[:18]}...) of chain {self.chain_id}, on which it was decided, "
            f"was taken by a reorg: {self.replaced_by[:18]}... has its place"
        )
