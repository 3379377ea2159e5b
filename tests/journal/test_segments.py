"""Segments: one chain through several files, crash-safe at every step, and nothing lost unseen."""

import errno
import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.journal.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalUnusableError,
    JournalUnwritableError,
)
from keeper.journal.head import head_path
from keeper.journal.journal import Journal, read
from keeper.journal.rotation import STEPS
from keeper.journal.segments import Closed, closed_segments
from keeper.journal.verify import Damage, Verdict, verify
from keeper.model.record import RecordKind
from keeper.policy.decide import decide
from keeper.replay.replay import replay
from tests.journal.cycles import CYCLES, DAY_S, FIRST_S, Clock, cycle, fill, opened
from tests.service.sample import PARAMS

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def decide_again(journal: Journal, n: int) -> None:
    """Journal a cycle with its true decision, so that it can be replayed."""
    decided = decide(CYCLES[n], PARAMS)
    journal.decided(f"c{n}", CYCLES[n], PARAMS, decided.plan, decided.profiles)


def closed(path: Path, number: int) -> Path:
    return Closed(journal=path, number=number).packed_path


def numbers(path: Path) -> list[int]:
    return [segment.number for segment in closed_segments(path)]


def found(verdict: Verdict) -> list[tuple[Damage, int, int]]:
    return [(p.damage, p.segment, p.sequence) for p in verdict.problems]


def cycles(path: Path) -> list[str]:
    return [r.cycle_id for r in read(path, {RecordKind.PLAN})]


def test_the_chain_goes_on_from_file_to_file(path: Path) -> None:
    fill(path)
    assert numbers(path) == [0, 1, 2, 3]
    assert all(closed(path, n).exists() for n in range(4))
    records = list(read(path))
    assert [r.sequence for r in records] == list(range(len(records)))
    assert [r.previous for r in records[1:]] == [r.hash for r in records[:-1]]
    checked = verify(path)
    assert (checked.ok, checked.anchored, checked.segments, checked.begins_at) == (True, True, 5, 0)
    assert (checked.records, checked.head) == (len(records), records[-1].hash)


def test_every_segment_says_its_number_first_and_holds_whole_cycles(path: Path) -> None:
    fill(path)
    for n in range(1, 4):
        lines = gzip.decompress(closed(path, n).read_bytes()).splitlines()
        kinds = [line.split(b'"kind":"')[-1].split(b'"')[0].decode() for line in lines]
        assert kinds == ["segment", "params", "snapshot", "plan", "outcome"]
        assert f'"segment":{n}'.encode() in lines[0]


def test_records_of_other_kinds_are_passed_over_and_checked_all_the_same(path: Path) -> None:
    fill(path)
    assert cycles(path) == ["c0", "c1", "c2", "c3", "c4"]
    rewrite(path, 2, lambda text: text.replace(b'"sUSD"', b'"sEUR"', 1))
    with pytest.raises(JournalDamagedError, match="its hash is not that of its content"):
        cycles(path)


def test_all_cycles_are_replayed_across_segments(path: Path) -> None:
    fill(path, each=decide_again)
    again = replay(path)
    assert [(r.cycle_id, r.ok) for r in again] == [(f"c{n}", True) for n in range(5)]
    assert [r.ok for r in replay(path, "c1")] == [True]


def test_another_start_goes_on_in_the_same_segment(path: Path) -> None:
    fill(path, 2)
    with opened(path, segment_bytes=10**9) as journal:
        assert journal.segment == 1
        cycle(journal, 2)
    assert numbers(path) == [0]
    with opened(path) as journal:
        cycle(journal, 3)
        assert journal.segment == 2
    assert verify(path).ok
    assert cycles(path) == ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize("limit", [0, 10**9])
def test_a_segment_that_is_not_full_goes_on(path: Path, limit: int) -> None:
    fill(path, segment_bytes=limit)
    assert numbers(path) == []
    assert verify(path).segments == 1


def test_a_journal_from_before_segments_becomes_the_first_one(path: Path) -> None:
    with Journal.open(path) as journal:
        for n in range(3):
            journal.append(RecordKind.OUTCOME, f"old-{n}", n, {"n": n})
    with opened(path) as journal:
        cycle(journal, 0)
    assert numbers(path) == [0]
    assert [r.cycle_id for r in read(path)][:4] == ["old-0", "old-1", "old-2", "c0"]
    assert verify(path).ok


def test_a_start_reads_no_closed_segment(path: Path) -> None:
    fill(path)
    for n in range(4):
        closed(path, n).write_bytes(b"unreadable")
    with opened(path) as journal:
        assert journal.last(RecordKind.PLAN) is not None
        cycle(journal, 5)
    assert not verify(path).ok


def test_one_process_at_a_time_also_after_a_rotation(path: Path) -> None:
    with opened(path) as journal:
        cycle(journal, 0)
        cycle(journal, 1)
        with pytest.raises(JournalBusyError):
            opened(path)


def test_the_newest_of_a_kind_is_found_in_an_earlier_segment(path: Path) -> None:
    with opened(path) as journal:
        journal.append(RecordKind.TRANSITION, "c", 0, {"transition": 1})
        journal.append(RecordKind.TRANSITION, "c", 0, {"transition": 2})
        for n in range(3):
            cycle(journal, n)
        last = journal.last(RecordKind.TRANSITION)
        assert last is not None
        assert last.body == {"transition": 2}
        assert journal.last(RecordKind.FAILURE) is None
    with opened(path) as journal:
        assert journal.last(RecordKind.TRANSITION) == last
    closed(path, 0).write_bytes(b"unreadable")
    with opened(path) as journal, pytest.raises(JournalDamagedError):
        journal.last(RecordKind.TRANSITION)


def test_readers_see_a_whole_journal_while_segments_begin(path: Path) -> None:
    ended = threading.Event()
    seen: list[Verdict] = []

    def look() -> None:
        while not ended.is_set():
            if path.exists() and path.stat().st_size:
                seen.append(verify(path))
                list(read(path))

    reader = threading.Thread(target=look)
    with opened(path) as journal:
        cycle(journal, 0)
        reader.start()
        for n in range(1, 30):
            cycle(journal, n % 8)
        ended.set()
        reader.join()
    assert seen
    assert [v.problems for v in seen if not v.ok] == []


# Damage


def rewrite(path: Path, number: int, change: Callable[[bytes], bytes]) -> None:
    file = closed(path, number)
    text = gzip.decompress(file.read_bytes())
    assert change(text) != text
    file.write_bytes(gzip.compress(change(text)))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_segment_is_named_once(path: Path, number: int) -> None:
    fill(path)
    closed(path, number).unlink()
    checked = verify(path)
    assert [(p.damage, p.segment, p.text) for p in checked.problems] == [
        (Damage.MISSING, number, f"segment {number} is missing")
    ]
    with pytest.raises(JournalDamagedError):
        list(read(path))
    with pytest.raises(JournalDamagedError, match=f"segment {number} is missing"):
        opened(path)


def test_a_missing_beginning_is_named(path: Path) -> None:
    fill(path)
    closed(path, 0).unlink()
    closed(path, 1).unlink()
    checked = verify(path)
    assert [(p.damage, p.segment, p.sequence) for p in checked.problems] == [(Damage.MISSING, 0, 0)]
    assert "segments 0 to 1 are missing (records 0 to 8)" in checked.problems[0].text
    assert checked.begins_at == 2
    with pytest.raises(JournalDamagedError, match="nothing says why"):
        list(read(path))


def test_segments_that_changed_places_are_named(path: Path) -> None:
    fill(path)
    one, two = closed(path, 1).read_bytes(), closed(path, 2).read_bytes()
    closed(path, 1).write_bytes(two)
    closed(path, 2).write_bytes(one)
    checked = verify(path)
    assert [(p.damage, p.segment, p.text) for p in checked.problems] == [
        (Damage.REORDERED, 1, "the file of segment 1 holds segment 2"),
        (Damage.REORDERED, 2, "the file of segment 2 holds segment 1"),
    ]
    with pytest.raises(JournalDamagedError):
        list(read(path))


def test_a_changed_record_in_a_closed_segment_is_named(path: Path) -> None:
    fill(path)
    rewrite(path, 2, lambda text: text.replace(b'"sUSD"', b'"sEUR"', 1))
    ((damage, segment, sequence),) = found(verify(path))
    assert (damage, segment) == (Damage.CHANGED, 2)
    assert 9 < sequence < 14


def test_a_missing_record_in_a_closed_segment_is_named(path: Path) -> None:
    fill(path)
    rewrite(path, 1, lambda text: b"".join(text.splitlines(keepends=True)[:-1]))
    assert found(verify(path)) == [(Damage.MISSING, 2, 8)]


def test_a_segment_of_another_journal_does_not_fit(path: Path, tmp_path: Path) -> None:
    fill(path)
    other = tmp_path / "other" / "journal.jsonl"
    other.parent.mkdir()
    with opened(other) as journal:
        journal.opened("dry-run", "x")
        for n in range(4):
            cycle(journal, n)
    shutil.copyfile(closed(other, 2), closed(path, 2))
    checked = verify(path)
    assert not checked.ok
    assert {p.segment for p in checked.problems} <= {2, 3}


def test_a_copy_under_another_number_is_named(path: Path) -> None:
    fill(path)
    shutil.copyfile(closed(path, 2), closed(path, 9))
    checked = verify(path)
    assert [(p.damage, p.segment) for p in checked.problems] == [(Damage.DUPLICATED, 9)]
    with pytest.raises(JournalDamagedError, match="segment 9 is there"):
        opened(path)


@pytest.mark.parametrize("kept", [0, 10, 400])
def test_a_segment_that_is_cut_off_is_named(path: Path, kept: int) -> None:
    fill(path)
    closed(path, 2).write_bytes(closed(path, 2).read_bytes()[:kept])
    checked = verify(path)
    assert not checked.ok
    assert checked.problems[0].segment == 2
    assert len(checked.problems) <= 2
    with pytest.raises(JournalDamagedError):
        list(read(path))


def test_a_file_being_written_that_is_empty_beside_segments_is_damage(path: Path) -> None:
    fill(path)
    path.write_bytes(b"")
    head_path(path).unlink()
    with pytest.raises(JournalDamagedError):
        opened(path)


def test_a_first_line_that_was_changed_does_not_hide_the_segments(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes().replace(b'"at_s":', b'"at_x":', 1))
    checked = verify(path)
    assert [(p.damage, p.sequence) for p in checked.problems] == [(Damage.CHANGED, 19)]


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_of_a_closed_segment_changes_what_is_read_unseen(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "journal.jsonl"
    if not path.exists():
        fill(path, 3)
        shutil.copyfile(closed(path, 1), tmp_path / "kept")
    whole = (tmp_path / "kept").read_bytes()
    where = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[where]))
    closed(path, 1).write_bytes(whole[:where] + bytes([byte]) + whole[where + 1 :])
    try:
        same = gzip.decompress(closed(path, 1).read_bytes()) == gzip.decompress(whole)
    except Exception:  # noqa: BLE001 - whatever the library says of it, it is not the same
        same = False
    assert verify(path).ok == same


# Retention


def test_old_segments_are_removed_after_the_journal_says_so(path: Path) -> None:
    fill(path, 8, keep_days=3, each=decide_again)
    assert numbers(path)[0] > 0
    checked = verify(path)
    assert (checked.ok, checked.problems) == (True, ())
    assert checked.begins_at == numbers(path)[0]
    notes = list(read(path, {RecordKind.REMOVED}))
    first = next(iter(read(path)))
    assert notes[-1].body["through"]["sequence"] == first.sequence - 1
    assert notes[-1].body["through"]["hash"] == first.previous
    assert notes[-1].body["keep_days"] == 3
    again = replay(path)
    assert [r.cycle_id for r in again] == [f"c{n}" for n in range(checked.begins_at, 8)]
    assert all(r.ok for r in again)


def test_nothing_that_is_young_enough_is_removed(path: Path) -> None:
    fill(path, 8, keep_days=3)
    # The segment of cycle n ended with cycle n + 1.
    assert numbers(path) == [3, 4, 5, 6]


def test_more_than_was_announced_is_damage(path: Path) -> None:
    fill(path, 8, keep_days=3)
    closed(path, 3).unlink()
    assert [(p.damage, p.segment) for p in verify(path).problems] == [(Damage.MISSING, 0)]
    with pytest.raises(JournalDamagedError, match="nothing says why"):
        list(read(path))


@pytest.mark.parametrize("chains", [True, False])
def test_one_clock_that_jumps_removes_nothing(path: Path, chains: bool) -> None:
    clock = Clock()
    with opened(path, clock=clock, keep_days=3) as journal:
        for n in (0, 1, 2, 7 if chains else 2):
            cycle(journal, n)
        clock.now_s += 0 if chains else 365 * DAY_S
        cycle(journal, 7 if chains else 2)
    assert numbers(path) == [0, 1, 2, 3]


def test_the_newest_of_a_kind_may_have_been_removed(path: Path) -> None:
    clock = Clock()
    with opened(path, clock=clock, keep_days=2) as journal:
        journal.append(RecordKind.TRANSITION, "c", 0, {"transition": 1})
        for n in range(7):
            clock.now_s = FIRST_S + n * DAY_S
            cycle(journal, n)
        assert numbers(path)[0] > 0
        assert journal.last(RecordKind.TRANSITION) is None


# Crashes and full disks


def left_whole(path: Path) -> None:
    """Whatever a crash left: readable at once, mended by the next start, which goes on."""
    before = verify(path)
    assert before.ok, before.problems
    seen = len(list(read(path)))
    assert seen == before.records
    with opened(path) as journal:
        cycle(journal, 0)
    after = verify(path)
    assert (after.ok, after.problems) == (True, ())
    assert len(list(read(path))) > seen
    names = sorted(p.name for p in path.parent.iterdir())
    assert not [n for n in names if n.endswith((".part", ".next"))]
    assert len(numbers(path)) == len([n for n in names if n.startswith("journal.jsonl.0")])
    assert all(n.endswith(".gz") for n in names if n.startswith("journal.jsonl.0"))


def writer(path: Path, step: str, count: int) -> subprocess.Popen[bytes]:
    arguments = ["-m", "tests.journal.writer", str(path), step, str(count)]
    return subprocess.Popen([sys.executable, *arguments], cwd=CHECKOUT, stdout=subprocess.PIPE)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_every_step_leaves_a_whole_journal(path: Path, step: str) -> None:
    with writer(path, step, 2) as process:
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
    left_whole(path)


def test_kills_at_any_time_leave_a_whole_journal(path: Path) -> None:
    for cycles_before in (1, 3, 4, 9):
        with writer(path, "never", 0) as process:
            assert process.stdout is not None
            for _ in range(cycles_before):
                assert process.stdout.readline() == b"done\n"
            process.kill()
        left_whole(path)


@pytest.mark.parametrize("call", ["write", "fsync", "link", "open"])
def test_a_full_disk_at_a_rotation_is_a_typed_error_and_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with opened(path) as journal:
        cycle(journal, 0)
        before = path.read_bytes()

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr(f"keeper.journal.rotation.os.{call}", full)
            with pytest.raises(JournalUnwritableError, match="No space left"):
                cycle(journal, 1)
        assert path.read_bytes() == before
        assert numbers(path) == []
        cycle(journal, 1)
        assert numbers(path) == [0]
    assert verify(path).ok
    assert cycles(path) == ["c0", "c1"]


def test_a_disk_too_full_to_compress_leaves_the_segment_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("keeper.journal.rotation.gzip.GzipFile", full)
        fill(path, 3)
    assert sorted(p.suffix for p in path.parent.iterdir() if "00000" in p.name) == [".000000", ".000001"]
    assert verify(path).ok
    assert cycles(path) == ["c0", "c1", "c2"]
    opened(path).close()
    assert sorted(p.suffix for p in path.parent.iterdir() if "00000" in p.name) == [".gz", ".gz"]
    assert verify(path).ok


def test_a_compressed_segment_that_does_not_read_back_is_thrown_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("keeper.journal.rotation.shutil.copyfileobj", lambda *_: None)
        fill(path, 2)
    assert [p.name for p in path.parent.iterdir() if "00000" in p.name] == ["journal.jsonl.000000"]
    assert verify(path).ok


def test_a_folder_where_leftovers_cannot_be_removed(path: Path) -> None:
    fill(path, 2)
    (path.parent / "journal.jsonl.next").mkdir()
    with pytest.raises(JournalUnusableError, match="cannot be opened"):
        opened(path)
