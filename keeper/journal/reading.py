"""Reading a journal through all its segments, each record checked against the one before."""

from collections.abc import Collection, Generator
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from keeper.journal.errors import JournalDamagedError, JournalMissingError
from keeper.journal.line import UnfitLineError, from_line, to_link
from keeper.journal.retention import removed_to
from keeper.journal.segments import UNREADABLE, closed_segments, first_record, number_of
from keeper.model.record import GENESIS, Record, RecordKind

_NEEDED: Final = frozenset({RecordKind.SEGMENT.value, RecordKind.REMOVED.value})
"""Kinds that are looked at whatever is asked for: they say where the journal begins."""


def read(path: Path, kinds: Collection[RecordKind] | None = None) -> Generator[Record]:
    """Yield the records of a journal in order through all its segments, checking each against the one before.

    With `kinds` only those are yielded; of the others the hashes alone are checked, which is much faster. An
    incomplete last line is left out. Raises `JournalMissingError` and `JournalDamagedError`, the latter at
    the end where the beginning is missing and no record says that it was removed.
    """
    if not path.exists():
        raise JournalMissingError(path)
    chosen = None if kinds is None else {kind.value for kind in kinds}
    walk = _Chain()
    with path.open("rb") as writing:
        first = writing.readline()
        number = number_of(first_record(first))
        for closed in closed_segments(path):
            if closed.number < number:
                try:
                    with closed.opened() as lines:
                        yield from walk.through(lines, closed.shown_path, chosen)
                except FileNotFoundError:
                    continue  # it has just been removed; whether rightly is seen by what follows
                except UNREADABLE as error:
                    raise JournalDamagedError(closed.shown_path, walk.expected, str(error)) from error
        writing.seek(0)
        yield from walk.through(writing, path, chosen)
    walk.require_beginning(path)


class _Chain:
    """Follows the links from line to line, over the ends of segments."""

    def __init__(self) -> None:
        self.expected = 0
        self._previous = GENESIS
        self._begins: Record | None = None
        """First record of all, where that is not the first of the journal."""

        self._removed_to = -1

    def through(self, lines: BufferedIOBase, path: Path, chosen: Collection[str] | None) -> Generator[Record]:
        """Yield the chosen records of one segment. Raises `JournalDamagedError`."""
        for line in lines:
            if not line.endswith(b"\n"):
                return
            try:
                link = to_link(line[:-1])
                wanted = chosen is None or link.kind in chosen or link.kind in _NEEDED
                record = from_line(line[:-1])[0] if wanted else None
            except UnfitLineError as error:
                raise JournalDamagedError(path, self.expected, str(error)) from error
            if self.expected == 0 and record is not None and record.kind is RecordKind.SEGMENT:
                self._begins = record
            elif (link.sequence, link.previous) != (self.expected, self._previous):
                text = f"record {link.sequence} stands in its place"
                raise JournalDamagedError(path, self.expected, text)
            if record is not None and record.kind is RecordKind.REMOVED:
                self._removed_to = max(self._removed_to, removed_to(record))
            if record is not None and (chosen is None or link.kind in chosen):
                yield record
            self.expected, self._previous = link.sequence + 1, link.hash

    def require_beginning(self, path: Path) -> None:
        """Raise `JournalDamagedError` when the journal begins late, and not because that was asked for."""
        if self._begins is not None and self._removed_to < self._begins.sequence - 1:
            last = self._begins.sequence - 1
            raise JournalDamagedError(path, 0, f"records 0 to {last} are missing, and nothing says why")
