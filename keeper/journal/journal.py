"""Appending to the journal, and reading it back."""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from keeper.journal.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalUnusableError,
    JournalUnwritableError,
)
from keeper.journal.head import Head, head_path, write_head
from keeper.journal.line import UnfitLineError, from_line, kind_of, to_line, to_link
from keeper.journal.reading import read
from keeper.journal.retention import aged
from keeper.journal.rotation import Packing, begin, tidy
from keeper.journal.segments import (
    UNREADABLE,
    Closed,
    closed_segments,
    first_record,
    number_of,
    require_all,
    sync_folder,
)
from keeper.journal.tail import checked_end, cut_torn_line, first_line, pieces_from_end
from keeper.model.canonical import plain
from keeper.model.intent import Outcome
from keeper.model.margin import MarginProfile
from keeper.model.params import Params
from keeper.model.plan import Plan
from keeper.model.record import GENESIS, Orphaned, Record, RecordKind
from keeper.model.snapshot import Snapshot

__all__ = ["SEGMENT_BYTES", "Journal", "read"]

SEGMENT_BYTES: Final = 64_000_000


def _go_on(_boundary: str) -> None:
    """Crash nowhere."""


class Journal:
    """Append-only. One process at a time appends; anybody may read."""

    torn_bytes: int
    """Length of the incomplete last line that `open` cut off; 0 as a rule."""

    def __init__(
        self,
        path: Path,
        file: int,
        head_file: int,
        head: Head | None,
        torn_bytes: int,
        *,
        segment_bytes: int,
        keep_days: int,
        clock: Callable[[], float],
        crash_at: Callable[[str], None],
    ) -> None:
        self.path = path
        self.torn_bytes = torn_bytes
        self._file = file
        self._head_file = head_file
        self._head = head
        self._broken = False
        self._written: dict[RecordKind, str] = {}
        self._segment_bytes = segment_bytes
        self._keep_days = keep_days
        self._clock = clock
        self._crash_at = crash_at
        self._begun = first_record(first_line(file))
        self._packing = Packing(path, crash_at)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        keep_days: int = 0,
        clock: Callable[[], float] = time.time,
        crash_at: Callable[[str], None] = _go_on,
    ) -> Self:
        """Open for appending, and check the end of the file against `<path>.head`.

        An incomplete last line, which only a crash in the middle of `append` leaves, is cut off. However long
        the journal is, only its end and the names of its segments are read.

        A cycle that finds `segment_bytes` or more in the file begins a new one; 0: never. Segments that ended
        more than `keep_days` ago are removed then; 0: never. `clock` is the wall clock. `crash_at` is called
        with the name of every boundary in `rotation.STEPS`: a test ends the process there.

        Raises `JournalBusyError`, `JournalUnusableError`, and `JournalDamagedError` when the last record is
        unfit, the file ends before the head, or a segment is missing between others.
        """
        files: list[int] = []
        try:
            head_file = _opened(head_path(path), 0, files)
            try:
                # Not the journal's own file: that one is another after every rotation.
                fcntl.flock(head_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise JournalBusyError(path) from error
            file = _opened(path, os.O_APPEND, files)
            tidy(path, number_of(first_record(first_line(file))))
            torn_bytes = cut_torn_line(file)
            head = checked_end(path, file)
            if head is not None:
                write_head(head_file, head)
            journal = cls(
                path, file, head_file, head, torn_bytes,
                segment_bytes=segment_bytes, keep_days=keep_days, clock=clock, crash_at=crash_at,
            )  # fmt: skip
            closed = closed_segments(path)
            if closed and (head is None or closed[-1].number >= journal.segment):
                text = f"segment {closed[-1].number} is there, and segment {journal.segment} is being written"
                raise JournalDamagedError(path, 0, text)
            require_all(path, journal.segment, closed)
        except BaseException as error:
            for opened in files:
                os.close(opened)
            if isinstance(error, OSError):
                raise JournalUnusableError(path, error.strerror or str(error)) from error
            raise
        journal._packing.start(journal.segment)
        return journal

    def close(self) -> None:
        """Bring everything to disk, and let another process append."""
        if self._file >= 0:
            self._packing.wait()
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

    @property
    def segment(self) -> int:
        """Number of the segment being written, from 0."""
        return number_of(self._begun)

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
        record = self._following(kind, cycle_id, chain_time_s, plain(body))
        line, own_hash = to_line(record)
        self._write(line, durable=durable)
        self._head = Head(sequence=record.sequence, hash=own_hash)
        if durable:
            write_head(self._head_file, self._head)
        if self._begun is None:
            self._begun = record
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

        The snapshot and the parameters are written when their digest is not the one written last in this
        segment: each can be replayed without the ones before it. Only here a new segment begins.
        """
        at_s = snapshot.taken_at_s
        self._rotate(cycle_id, at_s)
        for kind, digest, value in (
            (RecordKind.PARAMS, plan.params_digest, params),
            (RecordKind.SNAPSHOT, plan.snapshot_digest, snapshot),
        ):
            if self._written.get(kind) != digest:
                self.append(kind, cycle_id, at_s, {"digest": digest, kind.value: value})
                self._written[kind] = digest
        body = {"plan_id": plan.id, "plan": plan, "profiles": tuple(profiles)}
        return self.append(RecordKind.PLAN, cycle_id, at_s, body)

    def done(self, cycle_id: str, chain_time_s: int, plan_id: str, outcomes: Sequence[Outcome]) -> Record:
        """Record what came of every intent of a cycle."""
        body = {"plan_id": plan_id, "outcomes": tuple(outcomes)}
        return self.append(RecordKind.OUTCOME, cycle_id, chain_time_s, body)

    def failed(self, cycle_id: str, chain_time_s: int, error: Exception) -> Record:
        """Record that a cycle ended in an error."""
        body = {"error": type(error).__name__, "message": str(error)}
        return self.append(RecordKind.FAILURE, cycle_id, chain_time_s, body)

    def orphaned(self, orphan: Orphaned) -> Record:
        """Record, under the cycle whose snapshot it was, that a block is no longer on its chain."""
        body = {
            "chain_id": orphan.chain_id,
            "number": orphan.number,
            "hash": orphan.hash,
            "replaced_by": orphan.replaced_by,
            "message": orphan.message,
        }
        return self.append(RecordKind.ORPHANED, orphan.cycle_id, orphan.chain_time_s, body)

    def recent(self, kinds: Collection[RecordKind]) -> Generator[Record]:
        """Yield the records of these kinds in the segment being written, the newest first."""
        wanted = {kind.value for kind in kinds}
        for line in islice(pieces_from_end(self._file), 1, None):
            if kind_of(line) in wanted:
                yield from_line(line)[0]

    def last(self, kind: RecordKind) -> Record | None:
        """Return the newest record of a kind; None where there is none.

        In an earlier segment it is looked for only where this one's first record says that it stands. Raises
        `JournalDamagedError` where it does not.
        """
        for line in islice(pieces_from_end(self._file), 1, None):
            if kind_of(line) == kind.value:
                return from_line(line)[0]
        place = self._places().get(kind.value)
        return None if place is None else self._earlier(place["segment"], place["sequence"])

    def _following(self, kind: RecordKind, cycle_id: str, chain_time_s: int, body: dict[str, Any]) -> Record:
        return Record(
            sequence=0 if self._head is None else self._head.sequence + 1,
            previous=GENESIS if self._head is None else self._head.hash,
            cycle_id=cycle_id,
            kind=kind,
            chain_time_s=chain_time_s,
            body=body,
        )

    def _places(self) -> dict[str, dict[str, int]]:
        """Return where the newest record of each kind stood when this segment began."""
        return dict(self._begun.body.get("newest", {})) if self.segment and self._begun is not None else {}

    def _earlier(self, number: int, sequence: int) -> Record | None:
        """Return a record of a closed segment, None where that was removed."""
        closed = Closed(journal=self.path, number=number)
        try:
            with closed.opened() as lines:
                for line in lines:
                    link = to_link(line.removesuffix(b"\n"))
                    if link.sequence == sequence:
                        return from_line(line.removesuffix(b"\n"))[0]
        except FileNotFoundError:
            return None
        except (UnfitLineError, *UNREADABLE) as error:
            raise JournalDamagedError(closed.shown_path, sequence, str(error)) from error
        raise JournalDamagedError(closed.shown_path, sequence, "it is not in its segment")

    def _rotate(self, cycle_id: str, chain_time_s: int) -> None:
        """Begin a new segment where this one is full, and remove those that are kept no longer."""
        full = 0 < self._segment_bytes <= os.fstat(self._file).st_size
        if self._head is None or self._broken or not full:
            return
        body = {"segment": self.segment + 1, "at_s": int(self._clock()), "newest": self._newest()}
        record = self._following(RecordKind.SEGMENT, cycle_id, chain_time_s, body)
        line, own_hash = to_line(record)
        try:
            os.fsync(self._file)
            begun = begin(self.path, self.segment, line, self._crash_at)
        except OSError as error:
            raise JournalUnwritableError(self.path, error.strerror or str(error)) from error
        os.close(self._file)
        self._file, self._begun = begun, record
        self._head = Head(sequence=record.sequence, hash=own_hash)
        self._written.clear()
        try:
            sync_folder(self.path)
        except OSError as error:
            self._broken = True
            raise JournalUnwritableError(self.path, error.strerror or str(error)) from error
        write_head(self._head_file, self._head)
        self._packing.start(self.segment)
        self._retire(cycle_id, chain_time_s)

    def _newest(self) -> dict[str, dict[str, int]]:
        """Return where the newest record of each kind stands, to be found without reading all segments."""
        found: dict[str, dict[str, int]] = {}
        for line in islice(pieces_from_end(self._file), 1, None):
            kind = kind_of(line)
            if kind not in found:
                found[kind] = {"segment": self.segment, "sequence": to_link(line).sequence}
        return self._places() | found

    def _retire(self, cycle_id: str, chain_time_s: int) -> None:
        if self._keep_days == 0:
            return
        found = aged(self.path, self._keep_days, now_s=self._clock(), chain_time_s=chain_time_s)
        if found is None:
            return
        self.append(RecordKind.REMOVED, cycle_id, chain_time_s, found.note(self._keep_days))
        self._crash_at("segment.noted")
        # What cannot be removed now is noted and tried again at the next rotation.
        with suppress(OSError):
            for closed in found.segments:
                closed.packed_path.unlink(missing_ok=True)
                self._crash_at("segment.removed")
            sync_folder(self.path)

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


def _opened(path: Path, flags: int, files: list[int]) -> int:
    """Open a file, and remember it so that it is closed when opening another one fails."""
    files.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o644))
    return files[-1]
