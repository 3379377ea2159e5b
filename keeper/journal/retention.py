"""Removing the oldest segments, after the journal itself has said so."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from keeper.journal.segments import UNREADABLE, Closed, closed_segments, first_record
from keeper.model.record import Record, RecordKind

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """The oldest segments that are kept no longer."""

    segments: tuple[Closed, ...]
    following: Record
    """First record of the segment after them."""

    def note(self, keep_days: int) -> dict[str, Any]:
        """Return the body of the record that announces their removal."""
        return {
            "segments": [closed.number for closed in self.segments],
            "through": {
                "segment": self.segments[-1].number,
                "sequence": self.following.sequence - 1,
                "hash": self.following.previous,
            },
            "keep_days": keep_days,
        }


def aged(journal: Path, keep_days: int, *, now_s: float, chain_time_s: int) -> Aged | None:
    """Return the segments that ended more than `keep_days` ago, None where there is none.

    Two clocks must say so, the machine's and the chains', so that neither can empty a journal by a jump. One
    that is still to be compressed, or that cannot be read, is kept, and all after it.
    """
    limit_s = keep_days * _DAY_S
    old: list[Closed] = []
    following: Record | None = None
    segments = closed_segments(journal)
    for closed, after in pairwise(segments):
        first = _first(after)
        if first is None or closed.path.exists() or after.number != closed.number + 1:
            break
        if now_s - int(first.body["at_s"]) <= limit_s or chain_time_s - first.chain_time_s <= limit_s:
            break
        old.append(closed)
        following = first
    return Aged(segments=tuple(old), following=following) if following is not None else None


def removed_to(note: Record) -> int:
    """Return the last record whose removal a REMOVED record announces, -1 where it says nothing."""
    through = note.body.get("through")
    sequence = through.get("sequence") if isinstance(through, dict) else None
    return sequence if isinstance(sequence, int) else -1


def _first(closed: Closed) -> Record | None:
    try:
        record = first_record(closed.first_line())
    except (FileNotFoundError, *UNREADABLE):
        return None
    return record if record is not None and record.kind is RecordKind.SEGMENT else None
