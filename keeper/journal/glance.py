"""A look at a journal that takes no longer for a long one: its size, its end, and the names of its files."""

import os
from dataclasses import dataclass
from pathlib import Path

from keeper.journal.errors import JournalMissingError
from keeper.journal.segments import closed_segments, first_record, number_of, require_all
from keeper.journal.tail import checked_end, first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a glance shows."""

    segments: int
    """Files, the one being written included."""

    size_bytes: int
    """Of all of them, as they lie on the disk."""

    last: int | None
    """Sequence number of the last record; None before the first."""


def glance(path: Path) -> Glance:
    """Look at the end of a journal and at the names of its files.

    Raises `JournalMissingError`, and `JournalDamagedError` as opening it for writing would.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise JournalMissingError(path) from error
    try:
        size = os.fstat(file).st_size
        begun = first_record(first_line(file))
        head = checked_end(path, file)
    finally:
        os.close(file)
    closed = [segment for segment in closed_segments(path) if segment.number < number_of(begun)]
    require_all(path, number_of(begun), closed)
    return Glance(
        segments=len(closed) + 1,
        size_bytes=size + sum(segment.shown_path.stat().st_size for segment in closed),
        last=None if head is None else head.sequence,
    )
