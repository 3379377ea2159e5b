"""Finding what was done to a journal after it was written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from keeper.journal.errors import JournalMissingError
from keeper.journal.head import Head, read_head
from keeper.journal.line import UnfitLineError, from_line
from keeper.model.record import GENESIS


class Damage(StrEnum):
    """What happened to a record."""

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
    """Line of the file, from 1, where it shows."""

    text: str


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

    line: int = 0

    def note(self, damage: Damage, sequence: int, text: str) -> None:
        self.problems.append(Problem(damage=damage, sequence=sequence, line=self.line, text=text))


def verify(path: Path) -> Verdict:
    """Check every line, every link and the end of a journal.

    A changed record is named by its own sequence number; a link that does not fit names the record whose
    `previous` is wrong; missing records are named one by one. Raises `JournalMissingError`.
    """
    if not path.exists():
        raise JournalMissingError(path)
    walk = _Walk()
    torn = False
    for line in _lines(path):
        walk.line += 1
        if not line.endswith(b"\n"):
            torn = True
            text = f"{len(line)} bytes of an incomplete record at the end"
            walk.note(Damage.TORN, walk.expected, text)
            continue
        _check(walk, line[:-1])
    last = max(walk.hashes, default=-1)
    kept = read_head(path)
    if kept is not None:
        _check_end(walk, kept, last, torn=torn)
    return Verdict(
        records=len(walk.hashes),
        head=walk.hashes.get(last, GENESIS),
        anchored=kept is not None,
        problems=tuple(_without_moved(walk.problems, walk.hashes)),
    )


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _check(walk: _Walk, line: bytes) -> None:
    try:
        record, own_hash = from_line(line)
    except UnfitLineError as error:
        sequence = walk.expected if error.sequence is None else error.sequence
        walk.note(Damage.CHANGED, sequence, f"record {sequence} {error}")
        walk.hashes.setdefault(sequence, "")
        walk.expected, walk.previous = sequence + 1, None
        return
    sequence = record.sequence
    if sequence in walk.hashes:
        if walk.hashes[sequence] == own_hash:
            walk.note(Damage.DUPLICATED, sequence, f"record {sequence} stands here a second time")
        else:
            walk.note(Damage.CHANGED, sequence, f"another record {sequence} stands here")
        return
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
        if problem.damage is not Damage.MISSING or problem.sequence not in found:
            yield problem
