"""Appending: what is on disk after it, what a crash leaves, and who may write."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keeper.journal.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalMissingError,
    JournalUnusableError,
    JournalUnwritableError,
)
from keeper.journal.head import head_path
from keeper.journal.journal import Journal, read
from keeper.journal.verify import verify
from keeper.model.record import GENESIS, RecordKind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write(path: Path, count: int, *, size: int = 1) -> None:
    with Journal.open(path) as journal:
        for i in range(count):
            journal.append(RecordKind.OUTCOME, f"cycle-{i}", i, {"text": "x" * size, "number": i})


def test_records_are_chained_from_the_first(path: Path) -> None:
    write(path, 3)
    records = list(read(path))
    assert [r.sequence for r in records] == [0, 1, 2]
    assert [r.previous for r in records] == [GENESIS, records[0].hash, records[1].hash]
    assert [r.body["number"] for r in records] == [0, 1, 2]


def test_another_process_goes_on_where_this_one_ended(path: Path) -> None:
    write(path, 2)
    write(path, 2)
    assert [r.sequence for r in read(path)] == [0, 1, 2, 3]
    assert verify(path).ok


@pytest.mark.parametrize("size", [10, 70_000, 400_000])
def test_the_end_is_found_behind_long_records(path: Path, size: int) -> None:
    write(path, 3, size=size)
    with Journal.open(path) as journal:
        last = journal.last(RecordKind.OUTCOME)
        assert last is not None
        assert last.body["number"] == 2
        assert journal.append(RecordKind.OPENED, "", 0, {}).sequence == 3
    assert verify(path).ok


def test_the_newest_of_a_kind(path: Path) -> None:
    with Journal.open(path) as journal:
        assert journal.last(RecordKind.PLAN) is None
        for kind in (RecordKind.PLAN, RecordKind.PLAN, RecordKind.OUTCOME):
            # The body quotes another kind, as an error message might.
            journal.append(kind, "c", 0, {"text": '"kind":"plan"'})
        plan = journal.last(RecordKind.PLAN)
        assert plan is not None
        assert plan.sequence == 1


def test_one_process_at_a_time(path: Path) -> None:
    with Journal.open(path), pytest.raises(JournalBusyError, match="another keeper writes"):
        Journal.open(path)
    Journal.open(path).close()


def test_readers_do_not_disturb(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.append(RecordKind.OPENED, "", 0, {})
        assert len(list(read(path))) == 1
        assert verify(path).ok


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_an_incomplete_last_line_is_cut_off_and_told(path: Path, cut: int) -> None:
    write(path, 3)
    whole = path.read_bytes()
    torn = whole + whole.splitlines(keepends=True)[-1][:-cut]
    path.write_bytes(torn)
    assert [r.sequence for r in read(path)] == [0, 1, 2]
    with Journal.open(path) as journal:
        assert journal.torn_bytes == len(torn) - len(whole)
        told = journal.opened("live", "0.1.0")
    assert told.body["torn_bytes"] == len(torn) - len(whole)
    assert path.read_bytes().startswith(whole)
    assert verify(path).ok


def test_a_first_line_that_is_torn_leaves_an_empty_journal(path: Path) -> None:
    path.write_bytes(b'{"body":{')
    with Journal.open(path) as journal:
        assert journal.empty
        assert journal.append(RecordKind.OPENED, "", 0, {}).previous == GENESIS


def test_a_crash_between_record_and_head_is_no_damage(path: Path) -> None:
    write(path, 2)
    behind = head_path(path).read_bytes()
    write(path, 1)
    head_path(path).write_bytes(behind)
    assert verify(path).ok
    write(path, 1)
    assert [r.sequence for r in read(path)] == [0, 1, 2, 3]


def test_records_that_may_wait_are_taken_by_power_loss_without_damage(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.append(RecordKind.PLAN, "c", 0, {})
        durable = path.stat().st_size
        for _ in range(3):
            journal.append(RecordKind.TRANSITION, "c", 0, {}, durable=False)
        head = head_path(path).read_bytes()
        whole = path.read_bytes()
    assert verify(path).ok
    for kept in (durable, durable + 30, len(whole)):  # what power loss may leave of the file
        path.write_bytes(whole[:kept])
        head_path(path).write_bytes(head)
        with Journal.open(path) as journal:
            journal.append(RecordKind.OPENED, "", 0, {})
        assert verify(path).ok


def damaged(path: Path) -> None:
    with pytest.raises(JournalDamagedError):
        Journal.open(path)


def test_a_complete_last_line_that_is_unfit_is_never_cut_off(path: Path) -> None:
    write(path, 3)
    kept = path.read_bytes() + b'{"broken":true}\n'
    path.write_bytes(kept)
    damaged(path)
    assert path.read_bytes() == kept


def test_records_missing_at_the_end_are_noticed_at_the_start(path: Path) -> None:
    write(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    damaged(path)
    path.write_bytes(b"")
    damaged(path)


def test_another_last_record_is_noticed_at_the_start(path: Path, tmp_path: Path) -> None:
    write(path, 3)
    other = tmp_path / "other.jsonl"
    write(other, 3, size=2)
    path.write_bytes(other.read_bytes())
    damaged(path)


def test_nan_is_not_written(path: Path) -> None:
    with Journal.open(path) as journal:
        with pytest.raises(ValueError, match="JSON"):
            journal.append(RecordKind.PLAN, "c", 0, {"health": float("nan")})
        assert journal.append(RecordKind.PLAN, "c", 0, {}).sequence == 0
    assert verify(path).ok


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def half(file: int, content: Any) -> int:
        if len(content) > 100:
            return real(file, content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(path, 1)
    with Journal.open(path) as journal:
        before = path.read_bytes()
        monkeypatch.setattr("keeper.journal.journal.os.write", half)
        with pytest.raises(JournalUnwritableError, match="No space left"):
            journal.append(RecordKind.PLAN, "c", 0, {"text": "x" * 30})
        assert path.read_bytes() == before
        monkeypatch.setattr("keeper.journal.journal.os.write", real)
        journal.append(RecordKind.PLAN, "c", 0, {})
    assert verify(path).ok
    assert [r.sequence for r in read(path)] == [0, 1]


def test_where_nothing_can_be_opened(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusableError, match="cannot be opened"):
        Journal.open(tmp_path / "no" / "folder")
    with pytest.raises(JournalMissingError):
        list(read(tmp_path / "none"))
    with pytest.raises(JournalMissingError):
        verify(tmp_path / "none")


def test_append_is_on_disk_when_it_returns(path: Path) -> None:
    """A process that is killed right after `append` has said so leaves the whole record."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from keeper.journal.journal import Journal\n"
        "from keeper.model.record import RecordKind\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "for i in range(5):\n"
        "    journal.append(RecordKind.OUTCOME, 'c', i, {'number': i})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -9
    assert verify(path).ok
    assert [r.body["number"] for r in read(path)] == [0, 1, 2, 3, 4]
