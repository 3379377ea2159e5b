"""The files of a journal: the segment being written, and the closed ones beside it.

| file | is |
| --- | --- |
| `journal.jsonl` | the segment being written, whose first record says its number |
| `journal.jsonl.000000.gz` | a closed segment, compressed |
| `journal.jsonl.000003` | a closed segment that is still to be compressed |
| `journal.jsonl.next`, `*.part` | beginnings of a rotation that did not come about |

The chain of hashes goes through all of them, so a segment is known by its own first record, not by its name.
"""

import gzip
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from keeper.journal.errors import JournalDamagedError
from keeper.journal.line import UnfitLineError, from_line
from keeper.model.record import Record, RecordKind

UNREADABLE: Final = (gzip.BadGzipFile, EOFError, zlib.error)
"""What reading a damaged compressed file raises."""

_NAME: Final = re.compile(r"\.([0-9]{6,})(\.gz)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A closed segment, by the name of its file."""

    journal: Path
    number: int

    @property
    def path(self) -> Path:
        """Where it lies until it is compressed."""
        return self.journal.with_name(f"{self.journal.name}.{self.number:06d}")

    @property
    def packed_path(self) -> Path:
        """Where it lies compressed."""
        return self.path.with_name(self.path.name + ".gz")

    @property
    def shown_path(self) -> Path:
        """Where it lies now, for messages."""
        return self.path if self.path.exists() else self.packed_path

    def opened(self) -> BufferedIOBase:
        """Return its lines, for a `with` block. Raises `FileNotFoundError`; reading: one of `UNREADABLE`."""
        # In this order: compressing gives the one file its name before it removes the other.
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            return gzip.open(self.packed_path, "rb")

    def first_line(self) -> bytes:
        """Return its first line. Raises `FileNotFoundError`, or one of `UNREADABLE`."""
        with self.opened() as lines:
            return lines.readline()


def closed_segments(journal: Path) -> tuple[Closed, ...]:
    """Return the closed segments of a journal, by number."""
    names = (name for name in os.listdir(journal.parent) if name.startswith(journal.name))
    found = {match[1] for name in names if (match := _NAME.fullmatch(name, len(journal.name)))}
    return tuple(Closed(journal=journal, number=n) for n in sorted(int(digits) for digits in found))


def require_all(journal: Path, writing: int, closed: Sequence[Closed]) -> None:
    """Raise `JournalDamagedError` when the numbers before the segment being written have a hole."""
    numbers = [segment.number for segment in closed]
    for number in range(numbers[0] if numbers else writing, writing):
        if number not in numbers:
            raise JournalDamagedError(journal, 0, f"segment {number} is missing")


def first_record(line: bytes) -> Record | None:
    """Return the record that a segment begins with, None for a line that is none."""
    try:
        return from_line(line.removesuffix(b"\n"))[0]
    except UnfitLineError:
        return None


def number_of(first: Record | None) -> int:
    """Return the number that a segment's first record says; 0 for the first, which does not say it."""
    if first is None or first.kind is not RecordKind.SEGMENT:
        return 0
    number = first.body.get("segment")
    return number if isinstance(number, int) else 0


def next_path(journal: Path) -> Path:
    """Return where a new segment is prepared."""
    return journal.with_name(journal.name + ".next")


def sync_folder(journal: Path) -> None:
    """Bring names that were given or taken in the journal's folder to disk."""
    folder = os.open(journal.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
