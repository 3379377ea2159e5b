"""A journaled cycle's inputs come back as they went in, and its decision with a price history replays."""

import dataclasses
from pathlib import Path

import pytest

from keeper.journal.errors import JournalMissingError, UnreadableRecordError
from keeper.journal.journal import Journal
from keeper.model.errors import ConfigError
from keeper.model.record import RecordKind
from keeper.policy.decide import decide
from keeper.replay.errors import InputMissingError, NoCycleError, UnknownCycleError
from keeper.replay.recorded import recorded
from keeper.replay.replay import replay
from tests.support import books

BEFORE = books.params()
AFTER = books.params(history=books.price_history("ETH", "BTC"))
MARKETS = [
    books.snapshot([books.lyra_short(), books.curie_account()], spot=spot)
    for spot in (1800.0, 1700.0, 1600.0)
]
CYCLES = (("c0", MARKETS[0], BEFORE), ("c1", MARKETS[1], AFTER), ("c2", MARKETS[2], AFTER))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as journal:
        for name, snapshot, params in CYCLES:
            decided = decide(snapshot, params)
            journal.decided(name, snapshot, params, decided.plan, decided.profiles)
    return path


@pytest.mark.parametrize(("asked", "at"), [("c0", 0), ("c1", 1), (None, 2)])
def test_inputs_come_back_with_the_parameters_of_their_time(path: Path, asked: str | None, at: int) -> None:
    found = recorded(path, asked)
    assert (found.cycle_id, found.snapshot, found.params) == CYCLES[at]


def test_cycles_with_a_price_history_replay_to_the_same_figures(path: Path) -> None:
    found = replay(path)
    assert [(r.cycle_id, r.ok, r.worst) for r in found] == [(name, True, 0.0) for name, _, _ in CYCLES]
    assert all(p.house.es_usd is not None for p in decide(MARKETS[1], AFTER).profiles if p.accounts)


def test_a_cycle_that_is_not_there(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownCycleError, match="no plan of cycle c9"):
        recorded(path, "c9")
    empty = tmp_path / "empty.jsonl"
    Journal.open(empty).close()
    with pytest.raises(NoCycleError, match="holds no cycle"):
        recorded(empty)
    with pytest.raises(JournalMissingError):
        recorded(tmp_path / "none.jsonl")
    assert issubclass(UnknownCycleError, ConfigError)


def test_a_plan_without_its_snapshot_is_refused(tmp_path: Path) -> None:
    decided = decide(MARKETS[0], BEFORE)
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as journal:
        journal.decided("c0", MARKETS[0], BEFORE, decided.plan, decided.profiles)
        plan = journal.last(RecordKind.PLAN)
        assert plan is not None
        other = dataclasses.replace(decided.plan, snapshot_digest="0" * 64)
        journal.append(RecordKind.PLAN, "c1", 0, {**plan.body, "plan_id": other.id, "plan": other})
        journal.append(RecordKind.PLAN, "c2", 0, {"plan_id": "x"})
    with pytest.raises(InputMissingError):
        recorded(path, "c1")
    with pytest.raises(UnreadableRecordError):
        recorded(path, "c2")
    assert recorded(path, "c0").snapshot == MARKETS[0]
