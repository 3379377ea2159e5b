"""Every cycle is decided again from the journal alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.journal.errors import JournalDamagedError, JournalMissingError
from keeper.journal.journal import Journal
from keeper.model.canonical import plain
from keeper.model.errors import DataError
from keeper.model.params import Params
from keeper.model.record import RecordKind
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import Decided, decide
from keeper.replay.compare import TOLERANCE, differences
from keeper.replay.errors import UnknownCycleError
from keeper.replay.replay import replay
from tests.support import books

PARAMS = books.params()
SNAPSHOTS = [
    books.snapshot([books.lyra_short(), books.curie_account()], spot=spot)
    for spot in (1800.0, 1700.0, 1500.0)
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as journal:
        journal.opened("dry-run", "0.1.0")
        for i, snapshot in enumerate(SNAPSHOTS):
            decided = decide(snapshot, PARAMS)
            journal.decided(f"c{i}", snapshot, PARAMS, decided.plan, decided.profiles)
            journal.done(f"c{i}", snapshot.taken_at_s, decided.plan.id, ())
    return path


def test_every_cycle_comes_out_the_same(path: Path) -> None:
    found = replay(path)
    assert [r.cycle_id for r in found] == ["c0", "c1", "c2"]
    assert all(r.ok and r.worst == 0.0 and r.recorded_id == r.recomputed_id for r in found)
    assert len({r.recorded_id for r in found}) == 3


def test_one_cycle_by_its_id(path: Path) -> None:
    (found,) = replay(path, "c1")
    assert (found.cycle_id, found.ok, found.chain_time_s) == ("c1", True, SNAPSHOTS[1].taken_at_s)
    with pytest.raises(UnknownCycleError, match="no plan of cycle c9"):
        replay(path, "c9")


def test_another_decision_is_found(path: Path) -> None:
    def bolder(snapshot: Snapshot, params: Params) -> Decided:
        decided = decide(snapshot, params)
        return replace(decided, plan=replace(decided.plan, actions=()))

    found = replay(path, policy=bolder)
    assert not any(r.ok for r in found)
    assert all(r.recorded_id != r.recomputed_id for r in found)
    assert any(d.where == "plan.actions" for d in found[0].differences)


@pytest.mark.parametrize(("factor", "ok"), [(1 + 1e-12, True), (1 + 1e-7, False)])
def test_risk_figures_are_compared_to_nine_places(path: Path, factor: float, ok: bool) -> None:
    def nearly(snapshot: Snapshot, params: Params) -> Decided:
        decided = decide(snapshot, params)
        first, *others = decided.profiles
        moved = replace(first, equity_usd=first.equity_usd * factor)
        return replace(decided, profiles=(moved, *others))

    found = replay(path, policy=nearly)
    assert [r.ok for r in found] == [ok] * 3
    assert 0.0 < found[0].worst < 1e-6
    assert [d.where for d in found[0].differences] == ([] if ok else ["profiles[0].equity_usd"])


def test_a_policy_that_refuses_is_reported_with_its_cycle(path: Path) -> None:
    def refuses(snapshot: Snapshot, params: Params) -> Decided:
        raise DataError("no")

    found = replay(path, policy=refuses)
    assert [(r.ok, r.error, r.recomputed_id) for r in found] == [(False, "DataError: no", "")] * 3


def test_a_plan_without_its_inputs_is_reported(tmp_path: Path) -> None:
    decided = decide(SNAPSHOTS[0], PARAMS)
    with Journal.open(tmp_path / "j") as journal:
        body = {"plan": plain(decided.plan), "profiles": plain(decided.profiles)}
        journal.append(RecordKind.PLAN, "c", 0, body)
    (found,) = replay(tmp_path / "j")
    assert not found.ok
    assert "no snapshot with digest" in found.error


def test_a_damaged_journal_is_not_replayed(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    changed = lines[3].replace(b"curie", b"ciure", 1)
    path.write_bytes(b"".join([*lines[:3], changed, *lines[4:]]))
    with pytest.raises(JournalDamagedError):
        replay(path)
    with pytest.raises(JournalMissingError):
        replay(path.with_name("none"))


@pytest.mark.parametrize(
    ("recorded", "recomputed", "where"),
    [
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": 1}, {"a": 1.0}, "a"),
        ({"a": True}, {"a": 1}, "a"),
        ({"a": None}, {}, None),
        ({"a": [1, 2]}, {"a": [1]}, "a"),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, "a[0].b"),
        ({"a": 1.0}, {"a": None}, "a"),
        ({"a": 10**30}, {"a": 10**30 + 1}, "a"),
    ],
)
def test_what_is_no_float_counts_exactly(recorded: object, recomputed: object, where: str | None) -> None:
    found = list(differences(json.loads(json.dumps(recorded)), recomputed))
    assert [d.where for d in found] == ([] if where is None else [where])
    assert all(d.relative > TOLERANCE for d in found)
