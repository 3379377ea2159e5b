"""From a record's JSON back to the values that were journaled."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keeper.journal.errors import UnreadableRecordError
from keeper.model.intent import Outcome
from keeper.model.params import Params
from keeper.model.plan import Plan
from keeper.model.record import Orphaned, Record, RecordKind
from keeper.model.snapshot import Snapshot


def snapshot_of(record: Record) -> Snapshot:
    """Return the snapshot of a SNAPSHOT record.

    Raises `UnreadableRecordError`, also when the snapshot has not the digest that the record states.
    """
    snapshot: Snapshot = _decode(record, RecordKind.SNAPSHOT, "snapshot")
    _require(record, "digest", snapshot.digest)
    return snapshot


def params_of(record: Record) -> Params:
    """Return the parameters of a PARAMS record. Raises as `snapshot_of` does."""
    params: Params = _decode(record, RecordKind.PARAMS, "params")
    _require(record, "digest", params.digest)
    return params


def plan_of(record: Record) -> Plan:
    """Return the plan of a PLAN record.

    Raises `UnreadableRecordError`, also when the plan has not the id that the record states.
    """
    plan: Plan = _decode(record, RecordKind.PLAN, "plan")
    _require(record, "plan_id", plan.id)
    return plan


def outcomes_of(record: Record) -> tuple[Outcome, ...]:
    """Return the outcomes of an OUTCOME record. Raises `UnreadableRecordError`."""
    outcomes: tuple[Outcome, ...] = _decode(record, RecordKind.OUTCOME, "outcomes")
    return outcomes


def orphaned_of(record: Record) -> Orphaned:
    """Return what an ORPHANED record tells. Raises `UnreadableRecordError`."""
    if record.kind is not RecordKind.ORPHANED:
        raise UnreadableRecordError(record.sequence, f"it is of kind {record.kind}, expected orphaned")
    try:
        return Orphaned(
            cycle_id=record.cycle_id,
            chain_time_s=record.chain_time_s,
            chain_id=record.body["chain_id"],
            number=record.body["number"],
            hash=record.body["hash"],
            replaced_by=record.body["replaced_by"],
        )
    except KeyError as missing:
        raise UnreadableRecordError(record.sequence, f"its body has no {missing}") from None


@cache
def _adapters() -> dict[RecordKind, TypeAdapter[Any]]:
    return {
        RecordKind.SNAPSHOT: TypeAdapter(Snapshot),
        RecordKind.PARAMS: TypeAdapter(Params),
        RecordKind.PLAN: TypeAdapter(Plan),
        RecordKind.OUTCOME: TypeAdapter(tuple[Outcome, ...]),
    }


def _decode(record: Record, kind: RecordKind, key: str) -> Any:
    if record.kind is not kind:
        raise UnreadableRecordError(record.sequence, f"it is of kind {record.kind}, expected {kind}")
    if key not in record.body:
        raise UnreadableRecordError(record.sequence, f"its body has no {key!r}")
    try:
        return _adapters()[kind].validate_python(record.body[key])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = f"{where}: {first['msg']} ({error.error_count()} in all)"
        raise UnreadableRecordError(record.sequence, text) from error


def _require(record: Record, key: str, found: str) -> None:
    """Check an identity that the body states beside the value. A body that states none is accepted."""
    stated = record.body.get(key, found)
    if stated != found:
        raise UnreadableRecordError(record.sequence, f"its {key} is {found}, it states {stated}")
