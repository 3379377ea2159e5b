"""Finding what was done to a journal after it was written."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from keeper.journal.errors import JournalMissingError
from keeper.journal.head import Head, read_head
from keeper.journal.line import UnfitLineError, from_line
from keeper.journal.retention import removed_to
from keeper.journal.segments import UNREADABLE, Closed, closed_segments, first_record, number_of
from keeper.model.record import GENESIS, Record, RecordKind


class Damage(StrEnum):
    """What happened to a record, or to a whole segment."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    TRUNCATED = "truncated"
    TORN = "torn"
    """An incomplete last line: a crash while it was written. Harmless, and mended by the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding."""

    damage: Damage
    sequence: int
    """The record that is not as it was."""

    line: int
    """Line of the segment, from 1, where it shows; 0 for a segment as a whole."""

    text: str
    segment: int = 0
    """The file it shows in: that of the closed segment of this number, or the one being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What `verify` found."""

    records: int
    """Lines that are fit records."""

    head: str
    """Hash of the last one."""

    anchored: bool
    """Whether the end could be compared with the head kept beside the journal."""

    problems: tuple[Problem, ...]
    segments: int = 1
    """Files that were read, the one being written included."""

    begins_at: int = 0
    """First segment that is there. Above 0, earlier ones were removed on purpose, or `problems` says not."""

    @property
    def ok(self) -> bool:
        """True when every record is there, in order and as it was written."""
        return all(problem.damage is Damage.TORN for problem in self.problems)


@dataclass(slots=True)
class _Walk:
    """How far the check got."""

    hashes: dict[int, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    expected: int = 0
    previous: str | None = GENESIS
    """None after a record whose hash cannot be trusted."""

    segment: int = 0
    segment_expected: int = 0
    line: int = 0
    lost: bool = False
    """The rest of the segment before cannot be read: which records it held shows with the next one."""

    removed_to: int = -1
    """Last record whose removal was announced."""

    def note(self, damage: Damage, sequence: int, text: str, *, whole: bool = False) -> None:
        line = 0 if whole else self.line
        self.problems.append(
            Problem(damage=damage, sequence=sequence, line=line, text=text, segment=self.segment)
        )


def verify(path: Path) -> Verdict:
    """Check every line, every link and the end of a journal, through all its segments.

    A changed record is named by its own sequence number; a link that does not fit names the record whose
    `previous` is wrong; missing records are named one by one, a missing segment as a whole. A journal whose
    oldest segments were removed after a record announced it is whole. Raises `JournalMissingError`.
    """
    if not path.exists():
        raise JournalMissingError(path)
    kept = read_head(path)  # first: a keeper that writes meanwhile moves it on
    walk = _Walk()
    with path.open("rb") as writing:
        number = _number_being_written(path, writing.readline())
        writing.seek(0)
        closed = list(_in_order(walk, path, number, writing.fileno()))
        begins = _begins(closed[0][1] if closed else path, number)
        for at, segment in closed:
            _closed(walk, at, segment)
        _begin(walk, number)
        torn = _lines(walk, writing)
    last = max(walk.hashes, default=-1)
    if torn:
        walk.note(Damage.TORN, walk.expected, f"{torn} bytes of an incomplete record at the end")
    if begins is not None:
        _check_beginning(walk, begins)
    if kept is not None:
        _check_end(walk, kept, last, torn=torn > 0)
    return Verdict(
        records=len(walk.hashes),
        head=walk.hashes.get(last, GENESIS),
        anchored=kept is not None,
        problems=tuple(_without_moved(walk.problems, walk.hashes)),
        segments=len(closed) + 1,
        begins_at=0 if begins is None else number_of(begins),
    )


def _number_being_written(path: Path, line: bytes) -> int:
    """Return the number of the segment being written: after all others where it does not say."""
    first = first_record(line)
    if first is not None:
        return number_of(first)
    return max((closed.number + 1 for closed in closed_segments(path)), default=0)


def _in_order(walk: _Walk, path: Path, writing: int, file: int) -> Iterator[tuple[int, Closed]]:
    """Yield the closed segments in the order that their first records say, with the number they say."""
    found: list[tuple[int, Closed]] = []
    listed = closed_segments(path)
    rotated = not os.path.samestat(os.fstat(file), path.stat())
    for closed in listed:
        if closed.number >= writing:
            # Those of a rotation that takes place meanwhile are none of this look's business.
            if not rotated and not (closed.path.exists() and closed.path.samefile(path)):
                text = f"segment {closed.number} is there, and segment {writing} is being written"
                walk.segment = closed.number
                walk.note(Damage.DUPLICATED, 0, text, whole=True)
            continue
        try:
            first = first_record(closed.first_line())
        except (FileNotFoundError, *UNREADABLE):
            first = None
        said = closed.number if first is None else number_of(first)
        if first is not None and said != closed.number:
            walk.segment = closed.number
            text = f"the file of segment {closed.number} holds segment {said}"
            walk.note(Damage.REORDERED, first.sequence, text, whole=True)
        found.append((said, closed))
    yield from sorted(found, key=lambda pair: (pair[0], pair[1].number))


def _begins(first: Closed | Path, writing: int) -> Record | None:
    """Return the first record of a journal that does not begin with its first segment, else None."""
    if isinstance(first, Path) and writing == 0:
        return None
    try:
        with first.open("rb") if isinstance(first, Path) else first.opened() as lines:
            record = first_record(lines.readline())
    except (FileNotFoundError, *UNREADABLE):
        return None
    return record if number_of(record) > 0 else None


def _closed(walk: _Walk, number: int, segment: Closed) -> None:
    _begin(walk, number)
    try:
        with segment.opened() as lines:
            torn = _lines(walk, lines)
    except FileNotFoundError:
        walk.lost = True  # removed just now: the beginning will tell
        return
    except UNREADABLE as problem:
        text = f"segment {number} cannot be read from record {walk.expected} on: {problem}"
        walk.note(Damage.CHANGED, walk.expected, text, whole=True)
        walk.lost = True
        return
    if torn or walk.line == 0:
        text = (
            f"segment {number} is cut off in record {walk.expected}" if torn else f"segment {number} is empty"
        )
        walk.note(Damage.TRUNCATED, walk.expected, text)
        walk.lost = True


def _begin(walk: _Walk, number: int) -> None:
    """Go on to another segment, and note those that are missing before it."""
    after = walk.segment_expected
    walk.segment, walk.line = number, 0
    if number > after and walk.hashes:
        named = f"segment {after} is" if number == after + 1 else f"segments {after} to {number - 1} are"
        walk.segment = after
        walk.note(Damage.MISSING, walk.expected, f"{named} missing", whole=True)
        walk.segment = number
        walk.lost = True
    elif number > after:
        walk.lost = True
    walk.segment_expected = number + 1


def _lines(walk: _Walk, lines: Iterable[bytes]) -> int:
    """Check the lines of a segment. Returns the length of an incomplete last one."""
    for line in lines:
        walk.line += 1
        if not line.endswith(b"\n"):
            return len(line)
        _check(walk, line[:-1])
    return 0


def _check(walk: _Walk, line: bytes) -> None:
    try:
        record, own_hash = from_line(line)
    except UnfitLineError as error:
        sequence = walk.expected if error.sequence is None else error.sequence
        walk.note(Damage.CHANGED, sequence, f"record {sequence} {error}")
        walk.hashes.setdefault(sequence, "")
        walk.expected, walk.previous, walk.lost = sequence + 1, None, False
        return
    sequence = record.sequence
    if record.kind is RecordKind.REMOVED:
        walk.removed_to = max(walk.removed_to, removed_to(record))
    if sequence in walk.hashes:
        if walk.hashes[sequence] == own_hash:
            walk.note(Damage.DUPLICATED, sequence, f"record {sequence} stands here a second time")
        else:
            walk.note(Damage.CHANGED, sequence, f"another record {sequence} stands here")
        return
    if walk.lost and sequence >= walk.expected:
        walk.expected, walk.previous = sequence, None
    walk.lost = False
    if sequence < walk.expected:
        walk.note(Damage.REORDERED, sequence, f"record {sequence} stands after record {walk.expected - 1}")
    else:
        for missing in range(walk.expected, sequence):
            walk.note(Damage.MISSING, missing, f"record {missing} is missing before record {sequence}")
        if sequence == walk.expected and walk.previous not in (None, record.previous):
            text = f"record {sequence} does not follow the record before it"
            walk.note(Damage.CHANGED, sequence, text)
        walk.expected, walk.previous = sequence + 1, own_hash
    walk.hashes[sequence] = own_hash


def _check_beginning(walk: _Walk, begins: Record) -> None:
    """Accept a journal that begins late only where one of its records announced that."""
    if walk.removed_to >= begins.sequence - 1:
        return
    number = number_of(begins)
    named = "segment 0 is" if number == 1 else f"segments 0 to {number - 1} are"
    text = f"{named} missing (records 0 to {begins.sequence - 1}), and no record says that they were removed"
    problem = Problem(damage=Damage.MISSING, sequence=0, line=0, text=text)
    walk.problems.insert(0, problem)


def _check_end(walk: _Walk, kept: Head, last: int, *, torn: bool) -> None:
    if last < kept.sequence:
        cause = "cut off in the middle" if torn else "missing at the end"
        for sequence in range(last + 1, kept.sequence + 1):
            walk.note(Damage.TRUNCATED, sequence, f"record {sequence} is {cause}")
    elif walk.hashes.get(kept.sequence, kept.hash) not in ("", kept.hash):
        walk.note(Damage.CHANGED, kept.sequence, f"record {kept.sequence} is not the one that was written")


def _without_moved(problems: list[Problem], found: dict[int, str]) -> Iterator[Problem]:
    """Leave out what was missing where it belongs but stands elsewhere: it is reported as reordered."""
    for problem in problems:
        if problem.damage is not Damage.MISSING or problem.line == 0 or problem.sequence not in found:
            yield problem
