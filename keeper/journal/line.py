"""One record as one line, there and back."""

import json
from typing import Any, Final

from keeper.model.canonical import canonical_json, plain
from keeper.model.record import Record, RecordKind

_FIELDS: Final = frozenset({"schema", "sequence", "previous", "cycle_id", "kind", "chain_time_s", "body"})


class UnfitLineError(ValueError):
    """A line that is no record in canonical form, or whose hash is not its own."""

    sequence: int | None
    """What it says its sequence number is; None where it says nothing."""

    def __init__(self, problem: str, sequence: int | None = None) -> None:
        super().__init__(problem)
        self.sequence = sequence


def to_line(record: Record) -> tuple[bytes, str]:
    """Return the line, with its newline, and the record's hash.

    Raises `ValueError` for NaN and infinities, `TypeError` for a body that has no canonical form.
    """
    own_hash = record.hash
    return canonical_json({**plain(record), "hash": own_hash}) + b"\n", own_hash


def from_line(line: bytes) -> tuple[Record, str]:
    """Return the record of a line without its newline, and its hash.

    Raises `UnfitLineError` when the line is not exactly what `to_line` would write.
    """
    try:
        fields: Any = json.loads(line)
    except ValueError as error:
        raise UnfitLineError("is not JSON") from error
    if not isinstance(fields, dict):
        raise UnfitLineError("is not an object")
    sequence = fields.get("sequence")
    named = sequence if isinstance(sequence, int) and not isinstance(sequence, bool) else None
    stated = fields.pop("hash", None)
    if set(fields) != _FIELDS or named is None or not isinstance(fields["body"], dict):
        raise UnfitLineError("has not the fields of a record", named)
    try:
        record = Record(**{**fields, "kind": RecordKind(fields["kind"])})
        again, own_hash = to_line(record)
    except (ValueError, TypeError) as error:
        raise UnfitLineError(str(error), named) from error
    if own_hash != stated:
        raise UnfitLineError("was changed: its hash is not that of its content", named)
    if again != line + b"\n":
        raise UnfitLineError("is not in canonical form", named)
    return record, own_hash
