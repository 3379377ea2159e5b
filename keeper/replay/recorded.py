"""A journaled cycle's inputs: what was seen, and the parameters it was decided with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keeper.journal.decode import params_of, plan_of, snapshot_of
from keeper.journal.journal import read
from keeper.model.params import Params
from keeper.model.record import Record, RecordKind
from keeper.model.snapshot import Snapshot
from keeper.replay.errors import InputMissingError, NoCycleError, UnknownCycleError

INPUTS: Final = (RecordKind.SNAPSHOT, RecordKind.PARAMS)
"""What a decision rests on: nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One cycle, before its decision."""

    cycle_id: str
    snapshot: Snapshot
    params: Params


def recorded(path: Path, cycle_id: str | None = None) -> Recorded:
    """Return the inputs of a cycle, or those of the last one.

    Raises `JournalMissingError`, `JournalDamagedError`, `UnknownCycleError`, `NoCycleError` for a journal
    without a plan, `InputMissingError`, and `UnreadableRecordError` for what another version wrote.
    """
    inputs: dict[RecordKind, Record] = {}
    found: tuple[Record, dict[RecordKind, Record]] | None = None
    for record in read(path, (*INPUTS, RecordKind.PLAN)):
        if record.kind in INPUTS:
            inputs[record.kind] = record
        elif record.kind is RecordKind.PLAN and cycle_id in (None, record.cycle_id):
            found = record, dict(inputs)
    if found is None:
        raise NoCycleError(path) if cycle_id is None else UnknownCycleError(path, cycle_id)
    plan_record, seen = found
    plan = plan_of(plan_record)
    for kind, digest in (
        (RecordKind.SNAPSHOT, plan.snapshot_digest),
        (RecordKind.PARAMS, plan.params_digest),
    ):
        if kind not in seen or seen[kind].body.get("digest") != digest:
            raise InputMissingError(plan_record.cycle_id, kind.value, digest)
    return Recorded(
        cycle_id=plan_record.cycle_id,
        snapshot=snapshot_of(seen[RecordKind.SNAPSHOT]),
        params=params_of(seen[RecordKind.PARAMS]),
    )
