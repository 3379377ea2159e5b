"""Whatever is done to a journal is found, and named by its sequence number."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.journal.errors import JournalDamagedError
from keeper.journal.head import head_path
from keeper.journal.journal import Journal, read
from keeper.journal.line import to_line
from keeper.journal.verify import Damage, Verdict, verify
from keeper.model.record import GENESIS, Record, RecordKind

COUNT = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    fill(path)
    return path


def fill(path: Path) -> None:
    with Journal.open(path) as journal:
        for i in range(COUNT):
            journal.append(RecordKind.OUTCOME, f"cycle-{i}", i, {"amount": 10**20 + i, "ratio": i / 7})


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def verdict(path: Path, lines: Sequence[bytes]) -> Verdict:
    path.write_bytes(b"".join(lines))
    return verify(path)


def found(verdict: Verdict) -> list[tuple[Damage, int]]:
    return [(problem.damage, problem.sequence) for problem in verdict.problems]


def test_an_untouched_journal_is_whole(path: Path) -> None:
    checked = verify(path)
    assert checked.ok
    assert checked.anchored
    assert (checked.records, checked.problems) == (COUNT, ())
    assert checked.head == list(read(path))[-1].hash


@pytest.mark.parametrize("at", range(COUNT))
def test_a_changed_number_is_found(path: Path, at: int) -> None:
    lines = lines_of(path)
    lines[at] = lines[at].replace(str(10**20 + at).encode(), str(10**20 + at + 1).encode())
    checked = verdict(path, lines)
    assert found(checked) == [(Damage.CHANGED, at)]
    assert "its hash is not that of its content" in checked.problems[0].text
    assert checked.problems[0].line == at + 1
    with pytest.raises(JournalDamagedError):
        list(read(path))


@pytest.mark.parametrize("at", range(COUNT - 1))
def test_a_record_forged_with_its_own_hash_breaks_the_chain_at_the_next(path: Path, at: int) -> None:
    lines = lines_of(path)
    fields = json.loads(lines[at])
    del fields["hash"]
    fields["body"]["amount"] += 1
    forged = Record(**{**fields, "kind": RecordKind(fields["kind"])})
    lines[at] = to_line(forged)[0]
    checked = verdict(path, lines)
    assert found(checked) == [(Damage.CHANGED, at + 1)]
    assert "does not follow" in checked.problems[0].text


def test_a_last_record_forged_with_its_own_hash_is_not_the_head(path: Path) -> None:
    lines = lines_of(path)
    fields = json.loads(lines[-1])
    del fields["hash"]
    fields["body"]["amount"] += 1
    lines[-1] = to_line(Record(**{**fields, "kind": RecordKind(fields["kind"])}))[0]
    assert found(verdict(path, lines)) == [(Damage.CHANGED, COUNT - 1)]


@pytest.mark.parametrize("at", range(COUNT - 1))
def test_a_missing_record_is_found(path: Path, at: int) -> None:
    lines = lines_of(path)
    del lines[at]
    assert found(verdict(path, lines)) == [(Damage.MISSING, at)]


def test_several_missing_records_are_named_one_by_one(path: Path) -> None:
    lines = lines_of(path)
    del lines[2:5]
    assert found(verdict(path, lines)) == [(Damage.MISSING, 2), (Damage.MISSING, 3), (Damage.MISSING, 4)]


@pytest.mark.parametrize("cut", range(1, COUNT + 1))
def test_records_missing_at_the_end_are_found_by_the_head(path: Path, cut: int) -> None:
    lines = lines_of(path)
    checked = verdict(path, lines[:-cut])
    assert found(checked) == [(Damage.TRUNCATED, i) for i in range(COUNT - cut, COUNT)]


def test_without_its_head_a_journal_says_that_its_end_is_not_proven(path: Path) -> None:
    head_path(path).unlink()
    checked = verdict(path, lines_of(path)[:-2])
    assert checked.ok
    assert not checked.anchored


@pytest.mark.parametrize("at", range(COUNT - 2))
def test_records_that_changed_places_are_found(path: Path, at: int) -> None:
    lines = lines_of(path)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert found(verdict(path, lines)) == [(Damage.REORDERED, at)]


def test_a_record_that_stands_twice_is_found(path: Path) -> None:
    lines = lines_of(path)
    lines.insert(5, lines[2])
    assert found(verdict(path, lines)) == [(Damage.DUPLICATED, 2)]


def test_a_torn_last_line_is_told_and_is_no_damage(path: Path) -> None:
    lines = lines_of(path)
    checked = verdict(path, [*lines, b'{"body"'])
    assert checked.ok
    assert found(checked) == [(Damage.TORN, COUNT)]


def test_a_last_record_cut_in_the_middle_is_damage(path: Path) -> None:
    lines = lines_of(path)
    checked = verdict(path, [*lines[:-1], lines[-1][:-10]])
    assert not checked.ok
    assert (Damage.TRUNCATED, COUNT - 1) in found(checked)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'":', b'": ', 1),
        lambda line: line.replace(b"cycle-", b"cycl\\u0065-"),
        lambda line: b"[]\n",
        lambda line: b"\n",
        lambda line: b"\xff\xfe\n",
        lambda line: line.replace(b'"sequence":3', b'"sequence":"3"'),
        lambda line: line.replace(b'"kind":"outcome"', b'"kind":"rumour"'),
        lambda line: line.replace(b'"body":{', b'"body":{"extra":1,'),
        lambda line: line.replace(b'{"body"', b'{"another":1,"body"'),
    ],
)
def test_a_line_that_we_would_not_have_written_is_found(path: Path, change: object) -> None:
    assert callable(change)
    lines = lines_of(path)
    lines[3] = change(lines[3])
    assert found(verdict(path, lines)) == [(Damage.CHANGED, 3)]


def test_a_journal_of_another_keeper_is_not_this_one(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    with Journal.open(other) as journal:
        for i in range(COUNT):
            journal.append(RecordKind.OUTCOME, "c", i, {})
    assert not verdict(path, lines_of(other)).ok


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_single_byte_can_change_unseen(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "journal.jsonl"
    if not path.exists():
        fill(path)
        (tmp_path / "kept").write_bytes(path.read_bytes())
    whole = (tmp_path / "kept").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert not verify(path).ok


def test_the_hash_can_be_checked_without_our_code(path: Path) -> None:
    import hashlib

    previous = GENESIS
    for line in lines_of(path):
        fields = json.loads(line)
        stated = fields.pop("hash")
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == stated
        assert fields["previous"] == previous
        previous = stated
