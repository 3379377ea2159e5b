"""Appending to the journal, and reading it back."""

import fcntl
import os
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from keeper.journal.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalMissingError,
    JournalUnusableError,
    JournalUnwritableError,
)
from keeper.journal.head import Head, head_path, read_head, write_head
from keeper.journal.line import UnfitLineError, from_line, to_line
from keeper.model.canonical import plain
from keeper.model.intent import Outcome
from keeper.model.margin import MarginProfile
from keeper.model.params import Params
from keeper.model.plan import Plan
from keeper.model.record import GENESIS, Record, RecordKind
from keeper.model.snapshot import Snapshot

_BLOCK: Final = 1 << 16


class Journal:
    """Append-only. One process at a time appends; anybody may read."""

    torn_bytes: int
    """Length of the incomplete last line that `open` cut off; 0 as a rule."""

    def __init__(self, path: Path, file: int, head_file: int, head: Head | None, torn_bytes: int) -> None:
        self.path = path
        self.torn_bytes = torn_bytes
        self._file = file
        self._head_file = head_file
        self._head = head
        self._broken = False
        self._written: dict[RecordKind, str] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for appending, and check the end of the file against `<path>.head`.

        An incomplete last line, which only a crash in the middle of `append` leaves, is cut off.

        Raises `JournalBusyError`, `JournalUnusableError`, and `JournalDamagedError` when the last record
        is unfit or the file ends before the head.
        """
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalUnusableError(path, error.strerror or "unknown") from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise JournalBusyError(path) from error
            torn_bytes = _cut_torn_line(file)
            head = _check_end(path, file)
            head_file = os.open(head_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if head is not None:
                write_head(head_file, head)
        except BaseException:
            os.close(file)
            raise
        return cls(path, file, head_file, head, torn_bytes)

    def close(self) -> None:
        """Bring everything to disk, and let another process append."""
        if self._file >= 0:
            os.fsync(self._file)
            if self._head is not None:
                write_head(self._head_file, self._head)
            os.close(self._head_file)
            os.close(self._file)
            self._file = self._head_file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def empty(self) -> bool:
        """True before the first record."""
        return self._head is None

    def append(
        self,
        kind: RecordKind,
        cycle_id: str,
        chain_time_s: int,
        body: dict[str, Any],
        *,
        durable: bool = True,
    ) -> Record:
        """Write one record; it is on disk when this returns, with all before it.

        One that is not `durable` follows with the next that is. Power loss may take it until then: only what
        is also kept elsewhere may be written so.

        Raises `JournalUnwritableError`; the file then ends as it did before, or refuses further records.
        Raises `ValueError` for NaN and infinities in the body.
        """
        if self._broken:
            raise JournalUnwritableError(self.path, "an earlier write failed half way: restart the keeper")
        record = Record(
            sequence=0 if self._head is None else self._head.sequence + 1,
            previous=GENESIS if self._head is None else self._head.hash,
            cycle_id=cycle_id,
            kind=kind,
            chain_time_s=chain_time_s,
            body=plain(body),
        )
        line, own_hash = to_line(record)
        self._write(line, durable=durable)
        self._head = Head(sequence=record.sequence, hash=own_hash)
        if durable:
            write_head(self._head_file, self._head)
        return record

    def opened(self, mode: str, version: str) -> Record:
        """Record that a keeper starts to write here, and what `open` had to cut off."""
        body = {"mode": mode, "version": version, "torn_bytes": self.torn_bytes}
        return self.append(RecordKind.OPENED, "", 0, body)

    def decided(
        self,
        cycle_id: str,
        snapshot: Snapshot,
        params: Params,
        plan: Plan,
        profiles: Sequence[MarginProfile],
    ) -> Record:
        """Record what was seen and what will be done about it. Returns the record of the plan.

        The snapshot and the parameters are written when their digest is not the one written last.
        """
        at_s = snapshot.taken_at_s
        for kind, digest, value in (
            (RecordKind.PARAMS, plan.params_digest, params),
            (RecordKind.SNAPSHOT, plan.snapshot_digest, snapshot),
        ):
            if self._written.get(kind) != digest:
                self.append(kind, cycle_id, at_s, {"digest": digest, kind.value: plain(value)})
                self._written[kind] = digest
        body = {"plan_id": plan.id, "plan": plain(plan), "profiles": plain(tuple(profiles))}
        return self.append(RecordKind.PLAN, cycle_id, at_s, body)

    def done(self, cycle_id: str, chain_time_s: int, plan_id: str, outcomes: Sequence[Outcome]) -> Record:
        """Record what came of every intent of a cycle."""
        body = {"plan_id": plan_id, "outcomes": plain(tuple(outcomes))}
        return self.append(RecordKind.OUTCOME, cycle_id, chain_time_s, body)

    def failed(self, cycle_id: str, chain_time_s: int, error: Exception) -> Record:
        """Record that a cycle ended in an error."""
        body = {"error": type(error).__name__, "message": str(error)}
        return self.append(RecordKind.FAILURE, cycle_id, chain_time_s, body)

    def last(self, kind: RecordKind) -> Record | None:
        """Return the newest record of a kind; None where there is none."""
        marker = f'"kind":"{kind.value}"'.encode()
        for line in islice(_pieces_from_end(self._file), 1, None):
            if marker in line:
                record = from_line(line)[0]
                if record.kind is kind:
                    return record
        return None

    def _write(self, line: bytes, *, durable: bool) -> None:
        end = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
            if durable:
                os.fsync(self._file)
        except OSError as error:
            try:
                os.ftruncate(self._file, end)
            except OSError:
                self._broken = True
            raise JournalUnwritableError(self.path, error.strerror or "unknown") from error


def read(path: Path) -> Generator[Record]:
    """Yield the records of a journal in order, checking each against the one before.

    An incomplete last line is left out. Raises `JournalMissingError` and `JournalDamagedError`.
    """
    if not path.exists():
        raise JournalMissingError(path)
    expected, previous = 0, GENESIS
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                record, own_hash = from_line(line[:-1])
            except UnfitLineError as error:
                raise JournalDamagedError(path, expected, str(error)) from error
            if record.sequence != expected or record.previous != previous:
                raise JournalDamagedError(path, expected, f"record {record.sequence} stands in its place")
            yield record
            expected, previous = expected + 1, own_hash


def _cut_torn_line(file: int) -> int:
    size = os.fstat(file).st_size
    torn = len(next(_pieces_from_end(file)))
    if torn:
        os.ftruncate(file, size - torn)
        os.fsync(file)
    return torn


def _check_end(path: Path, file: int) -> Head | None:
    """Return the end of the chain, which must be at or just after the head kept beside it."""
    kept = read_head(path)
    line = next(islice(_pieces_from_end(file), 1, None), None)
    if line is None:
        if kept is not None:
            raise JournalDamagedError(path, 0, f"all {kept.sequence + 1} records are missing")
        return None
    try:
        record, own_hash = from_line(line)
    except UnfitLineError as error:
        raise JournalDamagedError(path, error.sequence or 0, f"the last record {error}") from error
    if kept is not None:
        if record.sequence < kept.sequence:
            raise JournalDamagedError(
                path, record.sequence + 1, f"records up to {kept.sequence} are missing at the end"
            )
        behind = record.sequence - kept.sequence
        # Of a head further behind, the links between are for `verify` to follow.
        joined = {0: own_hash, 1: record.previous}.get(behind, kept.hash)
        if joined != kept.hash:
            raise JournalDamagedError(path, kept.sequence, "it is not the record that was written")
    return Head(sequence=record.sequence, hash=own_hash)


def _pieces_from_end(file: int) -> Generator[bytes]:
    """Yield what stands between newlines, last first: the torn line (as a rule empty), then each line."""
    position = os.fstat(file).st_size
    rest = b""
    while position > 0:
        length = min(max(_BLOCK, len(rest)), position)
        position -= length
        rest, *lines = (os.pread(file, length, position) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest
