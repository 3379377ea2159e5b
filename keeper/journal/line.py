"""One record as one line, there and back."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from keeper.model.record import Record, RecordKind

_FIELDS: Final = frozenset({"schema", "sequence", "previous", "cycle_id", "kind", "chain_time_s", "body"})
_END: Final = re.compile(
    rb'"hash":"([0-9a-f]{64})",("kind":"([a-z]+)","previous":"([0-9a-f]{64})","schema":"[^"]*","sequence":([0-9]+)})$'
)
"""How a line ends: the names are sorted, so what is free text stands before."""

_LONGEST_END: Final = 400


class UnfitLineError(ValueError):
    """A line that is no record in canonical form, or whose hash is not its own."""

    sequence: int | None
    """What it says its sequence number is; None where it says nothing."""

    def __init__(self, problem: str, sequence: int | None = None) -> None:
        super().__init__(problem)
        self.sequence = sequence


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in the chain, without its content."""

    sequence: int
    previous: str
    kind: str
    hash: str


def to_line(record: Record) -> tuple[bytes, str]:
    """Return the line, with its newline, and the record's hash.

    The body must be plain JSON values: `TypeError` for others. Raises `ValueError` for NaN and infinities.
    """
    hashed = _canonical(record)
    own_hash = hashlib.sha256(hashed).hexdigest()
    after = hashed.rindex(b'"kind":"')
    return hashed[:after] + b'"hash":"' + own_hash.encode() + b'",' + hashed[after:] + b"\n", own_hash


def to_link(line: bytes) -> Link:
    """Return the place of a line without its newline, its hash checked and its content not looked at.

    Much faster than `from_line`: for whoever passes over records. Raises `UnfitLineError`.
    """
    start = max(0, len(line) - _LONGEST_END)
    found = _END.search(line, start)
    if found is None:
        raise UnfitLineError("does not end as a record")
    sequence = int(found[5])
    hashed = hashlib.sha256(line[: found.start()])
    hashed.update(found[2])
    if hashed.hexdigest().encode() != found[1]:
        raise UnfitLineError("was changed: its hash is not that of its content", sequence)
    return Link(sequence, found[4].decode(), found[3].decode(), found[1].decode())


def kind_of(line: bytes) -> str:
    """Return the kind that a line says, unchecked; empty for a line that does not end as a record."""
    found = _END.search(line, max(0, len(line) - _LONGEST_END))
    return "" if found is None else found[3].decode()


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


def _canonical(record: Record) -> bytes:
    """Return what `canonical_json` returns, four times faster: a body from JSON need not be made plain."""
    fields = {
        "schema": record.schema,
        "sequence": record.sequence,
        "previous": record.previous,
        "cycle_id": record.cycle_id,
        "kind": record.kind.value,
        "chain_time_s": record.chain_time_s,
        "body": record.body,
    }
    return json.dumps(
        fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
