"""One decision at a time: carried out once, step after step, and not again while it cannot succeed."""

from pathlib import Path

import pytest

from keeper.model.intent import TxState
from keeper.model.plan import Plan, action_id
from keeper.model.record import RecordKind
from tests.execution.bell import TWO_STEPS, UNWILLING, decision, hedging, seen
from tests.execution.conftest import effects
from tests.execution.rig import FINAL_AFTER, LIMITS, Rig
from tests.execution.simulated_chain import GWEI, SimulatedChain


def test_a_decision_takes_effect_and_becomes_final(rig: Rig, chain: SimulatedChain) -> None:
    (outcome,) = rig.cycle([1])
    assert (outcome.state, outcome.success, outcome.reason) == (TxState.CONFIRMED, True, "")
    assert outcome.fee == 60_000 * (GWEI + GWEI // 10)  # 75,000 gas limit, of which the chain uses 4/5
    chain.mine(FINAL_AFTER)
    assert rig.cycle() == ()
    assert rig.only().state is TxState.FINALIZED
    assert effects(chain) == [1]


def test_nothing_leaves_before_it_is_written_down(rig: Rig, chain: SimulatedChain) -> None:
    broadcast, left = chain.broadcast, []

    def watched(raw: str) -> str:
        (stored,) = rig.store.intents.within([TxState.SENT])
        (version,) = rig.store.intents.attempts(stored.intent.id)
        told = rig.journal.last(RecordKind.TRANSITION)
        assert version.raw.hex() == raw[2:]
        assert told is not None
        assert (told.body["intent_id"], told.body["after"]) == (stored.intent.id, "sent")
        left.append(raw)
        return broadcast(raw)

    chain.broadcast = watched  # type: ignore[method-assign]
    rig.cycle([1, TWO_STEPS])
    assert len(left) == 3


def test_ten_cycles_over_one_decision_send_one_transaction(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    outcomes = [rig.cycle([1]) for _ in range(10)]
    assert len(chain.broadcasts) == 1
    assert all("already on its way" in o.reason for (o,) in outcomes[1:])
    assert {o.intent_id for (o,) in outcomes} == {rig.only().intent.id}


def test_the_same_decision_twice_in_one_plan_is_one_transaction(rig: Rig, chain: SimulatedChain) -> None:
    first, second = rig.cycle([1, 1])
    assert first.success is True
    assert "before block 1 took effect" in second.reason
    assert effects(chain) == [1]


def test_a_decision_from_a_block_before_the_effect_is_not_carried_out_again(
    rig: Rig, chain: SimulatedChain
) -> None:
    old = chain.pin()
    rig.cycle([1])
    chain.mine()
    chain_pin, chain.pin = chain.pin, lambda: old  # type: ignore[method-assign]  # a node some blocks behind
    (outcome,) = rig.cycle([1])
    assert "decided at block 0, before block 1 took effect" in outcome.reason
    chain.pin = chain_pin  # type: ignore[method-assign]
    (later,) = rig.cycle([1])
    assert later.success is True
    assert effects(chain) == [2]


def test_a_revert_is_an_outcome_and_cools_down(rig: Rig, chain: SimulatedChain) -> None:
    chain.reverting = True
    (outcome,) = rig.cycle([1])
    assert (outcome.state, outcome.success, outcome.reason) == (TxState.CONFIRMED, False, "CLOSED")
    chain.reverting = False
    (cooling,) = rig.cycle([1])
    assert "cooling down" in cooling.reason
    assert "after a revert: CLOSED" in cooling.reason
    chain.mine(rig.pace.cool_down_s // 2)  # two seconds a block
    (again,) = rig.cycle([1])
    assert again.success is True


def test_reverts_in_a_row_cool_down_twice_as_long_each(rig: Rig, chain: SimulatedChain) -> None:
    chain.reverting = True
    blocks = rig.pace.cool_down_s // 2
    rig.cycle([1])
    chain.mine(blocks)
    rig.cycle([1])
    chain.mine(blocks)
    (cooling,) = rig.cycle([1])
    assert "2 reverts in a row" in cooling.reason
    chain.mine(blocks)
    (third,) = rig.cycle([1])
    assert third.success is False
    assert len(chain.broadcasts) == 3


def test_a_failed_simulation_is_tried_again_in_the_next_cycle(rig: Rig, chain: SimulatedChain) -> None:
    chain.refusing = True
    (outcome,) = rig.cycle([1])
    assert (outcome.state, outcome.reason) == (TxState.DROPPED, "closed")
    assert outcome.simulation is not None
    assert not outcome.simulation.ok
    chain.refusing = False
    (again,) = rig.cycle([1])
    assert again.success is True
    assert len(chain.broadcasts) == 1


def test_an_action_that_fails_does_not_stop_the_next(rig: Rig, chain: SimulatedChain) -> None:
    first, second = rig.cycle([UNWILLING, 2])
    assert (first.intent_id, first.state) == ("", TxState.DROPPED)
    assert "it is unwilling" in first.reason
    assert second.success is True


def test_nothing_is_sent_after_a_step_that_reverts(rig: Rig, chain: SimulatedChain) -> None:
    chain.reverting = True
    first, second = rig.cycle([TWO_STEPS])
    assert first.success is False
    assert (second.state, second.tx_hash) == (TxState.DROPPED, None)
    assert second.reason == "step 1 of 2 did not go through"
    assert len(chain.broadcasts) == 1


@pytest.mark.parametrize("reverting", [False, True])
def test_a_hedge_waits_for_the_liquidation_whose_inventory_it_counts_on(
    rig: Rig, chain: SimulatedChain, reverting: bool
) -> None:
    first = decision(1, chain.chain_id)
    hedge = hedging(2, chain.chain_id, counts_on=(action_id(first),))
    chain.reverting = reverting
    snapshot = seen([chain.pin()])
    plan = Plan(snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=(first, hedge))
    outcomes = rig.executor.execute(plan, "c", snapshot)
    assert [o.success for o in outcomes] == ([False, None] if reverting else [True, True])
    assert len(chain.broadcasts) == (1 if reverting else 2)
    if reverting:
        assert "did not go through" in outcomes[1].reason


def test_no_step_is_sent_when_one_fails_in_the_simulation(rig: Rig, chain: SimulatedChain) -> None:
    chain.refusing = True
    first, second = rig.cycle([TWO_STEPS])
    assert (first.reason, second.reason) == ("closed", "step 1 of 2 fails: closed")
    assert chain.broadcasts == []


def test_a_decision_from_too_old_a_block_is_dropped_unsigned(rig: Rig, chain: SimulatedChain) -> None:
    old = chain.pin()
    chain.mine(LIMITS.valid_blocks + 1)
    chain.pin = lambda: old  # type: ignore[method-assign]
    (outcome,) = rig.cycle([1])
    assert outcome.state is TxState.DROPPED
    assert outcome.reason == f"out of date since block {LIMITS.valid_blocks}"
    assert chain.broadcasts == []


def test_a_stop_leaves_the_rest_of_the_plan_for_later(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain)
    rig.executor._stop = lambda: bool(chain.broadcasts)
    first, second = rig.cycle([1, 2])
    assert first.success is True
    assert second.reason == "the keeper is being stopped"
    rig.stop()


def test_a_decision_keeps_its_identity_over_cycles() -> None:
    assert action_id(decision(1, 10)) == action_id(decision(1, 10))
    assert action_id(decision(1, 10)) != action_id(decision(2, 10))
