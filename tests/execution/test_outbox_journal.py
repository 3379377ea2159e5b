"""Every move of a transaction is in the journal once, whatever came between."""

import pytest

from keeper.journal.journal import read
from keeper.journal.verify import verify
from keeper.model.intent import TxState
from keeper.model.record import RecordKind
from tests.execution.bell import TWO_STEPS
from tests.execution.rig import Killed, Rig, killed_at, never
from tests.execution.simulated_chain import SimulatedChain


def test_every_move_is_in_the_journal_once_and_in_order(rig: Rig, chain: SimulatedChain) -> None:
    chain.reverting = True
    rig.cycle([1, TWO_STEPS])
    rig.restart()
    told = [r.body for r in read(rig.folder / "journal.jsonl") if r.kind is RecordKind.TRANSITION]
    kept = rig.store.intents.transitions()
    assert [t["transition"] for t in told] == [t.id for t in kept]
    assert [(t["before"], t["after"]) for t in told] == [(t.before, t.after) for t in kept]
    assert verify(rig.folder / "journal.jsonl").ok
    assert all("intent" in t for t in told if t["before"] is None)


def test_moves_that_a_crash_kept_out_of_the_journal_are_added_at_the_next_start(
    rig: Rig, chain: SimulatedChain
) -> None:
    rig.cycle([1])
    moved = rig.store.intents.move(rig.only().intent.id, TxState.FINALIZED)
    rig.restart()
    assert rig.report is not None
    assert rig.report.recorded == 1
    last = rig.journal.last(RecordKind.TRANSITION)
    assert last is not None
    assert last.body["transition"] == moved.id


def test_moves_of_what_ended_in_the_very_first_cycle_are_not_lost(rig: Rig, chain: SimulatedChain) -> None:
    """Nothing had left yet, so that the journal had not been told of anything."""
    chain.balance_wei = 0
    rig.crash_at = killed_at("planned.before", times=2)
    with pytest.raises(Killed):
        rig.cycle([1, 2])
    rig.crash_at = never
    assert [t.after for t in rig.store.intents.transitions()][-1] is TxState.DROPPED
    assert rig.journal.last(RecordKind.TRANSITION) is None
    rig.restart()
    rig.audit().require()


def test_a_new_journal_repeats_only_what_is_under_way(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    chain.automine = False
    rig.cycle([2])
    rig.stop()
    for name in ("journal.jsonl", "journal.jsonl.head"):
        (rig.folder / name).rename(rig.folder / f"old-{name}")
    rig.start()
    told = [r.body["intent_id"] for r in read(rig.folder / "journal.jsonl")]
    (running,) = rig.store.intents.within([TxState.SENT])
    assert told == [running.intent.id] * 4
