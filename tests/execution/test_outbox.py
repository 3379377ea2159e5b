"""One transaction at a time through everything that a chain and its node can do to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.execution.ending import Reaction
from keeper.execution.errors import (
    ChainBehindError,
    DroppedLandedError,
    HaltedError,
    LaneGapError,
    NotAllowedError,
    OtherSignerError,
    SignerMismatchError,
)
from keeper.execution.executor import Executor
from keeper.execution.limits import Limits, Pace
from keeper.journal.journal import Journal, read
from keeper.journal.verify import verify
from keeper.model.intent import TxState
from keeper.model.plan import Plan, action_id
from keeper.model.reads import Address
from keeper.model.record import RecordKind
from keeper.model.units import Wei
from keeper.store.errors import StoreModeError
from keeper.store.store import Store
from tests.execution.bell import BELL, TWO_STEPS, UNWILLING, Bell, bell_venue, decision, hedging, seen
from tests.execution.rig import FINAL_AFTER, LIMITS, Killed, Rig, killed_at, never
from tests.execution.simulated_chain import GWEI, SIGNER, Clock, PlainSigner, SimulatedChain


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


def effects(chain: SimulatedChain) -> list[int]:
    return sorted(chain.effects(BELL).values())


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


@pytest.mark.parametrize("fault", ["lost_broadcasts", "silent_broadcasts", "refused_broadcasts"])
def test_a_broadcast_that_fails_is_never_sent_twice(rig: Rig, chain: SimulatedChain, fault: str) -> None:
    setattr(chain.faults, fault, 1)
    rig.needed([1])
    rig.needed([1])
    chain.mine()
    rig.needed([1])
    assert effects(chain) == [1]
    assert len({str(tx) for tx in chain.broadcasts}) == 1, "the same bytes, or nothing"
    assert rig.only().state is TxState.CONFIRMED


def test_broadcasts_that_fail_again_and_again_leave_no_gap(rig: Rig, chain: SimulatedChain) -> None:
    for number in range(1, 6):
        chain.faults.lost_broadcasts = 3
        for _ in range(4):
            rig.cycle([number])
        rig.restart()
    assert effects(chain) == [1, 1, 1, 1, 1]
    assert [tx.tx["nonce"] for block in chain.blocks for tx in block.mined] == [0, 1, 2, 3, 4]


def test_a_receipt_that_comes_late_is_waited_for(rig: Rig, chain: SimulatedChain) -> None:
    chain.faults.late_receipts = 2
    (outcome,) = rig.cycle([1])
    assert outcome.success is True


def test_a_pool_that_forgets_gets_the_same_bytes_again(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.drop_pool()
    rig.cycle()
    first, second = chain.broadcasts
    assert first == second
    chain.mine()
    rig.cycle()
    assert effects(chain) == [1]


def test_a_stuck_transaction_is_replaced_at_an_eighth_more_until_its_budget_ends(
    rig: Rig, chain: SimulatedChain
) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.base_fee_wei = 200 * GWEI  # above what we ever sign
    chain.mine(rig.pace.bump_after_blocks)
    rig.cycle()
    first, second = chain.broadcasts
    assert first["nonce"] == second["nonce"]
    assert second["maxFeePerGas"] * 8 >= first["maxFeePerGas"] * 9
    assert second["maxPriorityFeePerGas"] * 8 >= first["maxPriorityFeePerGas"] * 9
    assert second["data"] == first["data"]
    for _ in range(3):
        chain.mine(rig.pace.bump_after_blocks)
        rig.cycle()
    assert max(tx["maxFeePerGas"] for tx in chain.broadcasts) <= LIMITS.max_fee_per_gas
    chain.base_fee_wei = GWEI
    chain.mine()
    rig.cycle()
    assert effects(chain) == [1]
    assert rig.only().state is TxState.CONFIRMED


def test_any_version_may_be_the_one_that_lands(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    cheap = dict(chain.pool)
    chain.base_fee_wei = 150 * GWEI
    chain.mine(rig.pace.bump_after_blocks)
    rig.cycle()
    assert len(chain.broadcasts) == 2
    chain.pool, chain.base_fee_wei = cheap, GWEI
    chain.mine()
    rig.cycle()
    stored = rig.only()
    versions = rig.store.intents.attempts(stored.intent.id)
    assert stored.tx_hash == versions[0].tx_hash
    assert stored.state is TxState.CONFIRMED


def test_what_is_not_mined_in_time_is_cancelled_by_a_transfer_to_ourselves(
    rig: Rig, chain: SimulatedChain
) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.base_fee_wei = 150 * GWEI
    chain.mine(LIMITS.valid_blocks + 1)
    rig.cycle()
    cancel = chain.broadcasts[-1]
    assert (cancel["to"], cancel["data"], cancel["value"]) == (SIGNER, "0x", 0)
    assert cancel["nonce"] == chain.broadcasts[0]["nonce"]
    chain.mine()
    (outcome,) = rig.cycle()
    assert outcome.state is TxState.DROPPED
    assert "cancelled at nonce 0" in outcome.reason
    assert outcome.success is None
    assert outcome.fee
    assert effects(chain) == []
    chain.base_fee_wei, chain.automine = GWEI, True
    (again,) = rig.cycle([1])
    assert again.success is True
    assert effects(chain) == [1]


def test_what_a_crash_kept_from_leaving_in_time_never_leaves(rig: Rig, chain: SimulatedChain) -> None:
    rig.crash_at = killed_at("sent.before")
    with pytest.raises(Killed):
        rig.cycle([1])
    rig.crash_at = never
    assert rig.only().state is TxState.SIGNED
    chain.mine(LIMITS.valid_blocks + 1)
    rig.restart()
    rig.cycle()
    assert [(tx["to"], tx["nonce"]) for tx in chain.broadcasts] == [(SIGNER, 0)]
    assert rig.only().state is TxState.DROPPED
    (again,) = rig.cycle([1])
    assert again.success is True
    assert effects(chain) == [1]


def test_a_decision_from_too_old_a_block_is_dropped_unsigned(rig: Rig, chain: SimulatedChain) -> None:
    old = chain.pin()
    chain.mine(LIMITS.valid_blocks + 1)
    chain.pin = lambda: old  # type: ignore[method-assign]
    (outcome,) = rig.cycle([1])
    assert outcome.state is TxState.DROPPED
    assert outcome.reason == f"out of date since block {LIMITS.valid_blocks}"
    assert chain.broadcasts == []


def test_a_call_that_the_adapter_does_not_declare_is_not_sent(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = bell_venue(chain.chain_id, bell=Address("0xbAd0000000000000000000000000000000000001"))
    monkeypatch.setitem(rig.executor._carrying._venues, elsewhere.id, (elsewhere, Bell()))
    (outcome,) = rig.cycle([1])
    assert "is not on the allow-list" in outcome.reason
    assert outcome.intent_id == ""
    assert chain.broadcasts == []


def test_the_lane_itself_sends_nothing_that_is_not_allowed(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    intent = replace(rig.only().intent, to=Address("0xbAd0000000000000000000000000000000000001"))
    with pytest.raises(NotAllowedError):
        rig.executor._lanes[chain.chain_id, SIGNER].send(intent)
    assert len(chain.broadcasts) == 1


def test_the_original_may_overtake_its_cancellation(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    original = dict(chain.pool)
    chain.base_fee_wei = 150 * GWEI
    chain.mine(LIMITS.valid_blocks + 1)
    rig.cycle()
    chain.pool, chain.base_fee_wei = original, GWEI
    chain.mine()
    rig.cycle()
    assert rig.only().state is TxState.CONFIRMED
    assert rig.only().success is True
    assert effects(chain) == [1]


def test_a_nonce_that_another_wallet_used_drops_the_intent(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.foreign(mined=True)
    (outcome,) = rig.cycle()
    assert outcome.state is TxState.DROPPED
    assert "nonce 0 was used by another transaction" in outcome.reason
    chain.automine = True
    (again,) = rig.cycle([1])
    assert again.success is True
    assert chain.broadcasts[-1]["nonce"] == 1
    assert effects(chain) == [1]


def test_a_late_receipt_is_not_taken_for_another_wallet(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.mine()
    chain.faults.late_receipts = 2
    (outcome,) = rig.cycle()
    assert (outcome.state, outcome.success) == (TxState.CONFIRMED, True)


def test_a_receipt_that_comes_after_we_gave_up_halts(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.mine()
    chain.faults.late_receipts = 10
    (outcome,) = rig.cycle()
    assert outcome.state is TxState.DROPPED
    chain.faults.late_receipts = 0
    with pytest.raises(DroppedLandedError):
        rig.needed([1])
    assert effects(chain) == [1]


def test_a_nonce_used_between_signing_and_sending_is_told_from_our_own(
    rig: Rig, chain: SimulatedChain
) -> None:
    broadcast = chain.broadcast

    def overtaken(raw: str) -> str:
        chain.foreign(mined=True)
        return broadcast(raw)

    chain.broadcast = overtaken  # type: ignore[method-assign]
    (outcome,) = rig.cycle([1])
    assert outcome.state is TxState.DROPPED
    assert "used by another transaction" in outcome.reason
    assert effects(chain) == []


def test_a_strangers_waiting_nonce_is_respected(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    chain.foreign(mined=False)
    rig.cycle([1])
    assert chain.broadcasts[-1]["nonce"] == 1
    chain.mine()
    rig.cycle()
    assert effects(chain) == [1]


def test_a_strangers_nonce_that_never_lands_is_filled(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    chain.foreign(mined=False)
    rig.cycle([1])
    chain.drop_pool()
    rig.cycle()
    rig.cycle()
    chain.mine()
    rig.cycle()
    assert effects(chain) == [1]
    filler = next(tx for tx in chain.broadcasts if tx["nonce"] == 0)
    assert (filler["to"], filler["data"]) == (SIGNER, "0x")
    assert rig.store.intents.lanes() == ()


def test_a_node_that_lags_does_not_make_us_use_a_nonce_again(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    nonce = chain.nonce
    chain.nonce = lambda address, tag="latest": 0  # type: ignore[method-assign]
    (outcome,) = rig.cycle([2])
    chain.nonce = nonce  # type: ignore[method-assign]
    assert outcome.success is True
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 1]


def test_a_nonce_of_our_own_is_not_filled_for_a_node_that_lags(rig: Rig, chain: SimulatedChain) -> None:
    """Or for a reorg between the look at the receipts and the look at the nonce."""
    rig.cycle([1])
    chain.automine = False
    rig.cycle([2])
    nonce = chain.nonce
    chain.nonce = lambda address, tag="latest": 0  # type: ignore[method-assign]
    rig.cycle()
    chain.nonce = nonce  # type: ignore[method-assign]
    chain.mine()
    rig.cycle()
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 1]
    rig.audit().require()


def test_a_wide_gap_halts(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    for _ in range(rig.pace.max_fill + 1):
        chain.foreign(mined=False)
    rig.cycle([1])
    chain.drop_pool()
    with pytest.raises(LaneGapError):
        rig.cycle()
    halt = rig.store.halted()
    assert halt is not None
    assert "our lowest open nonce is 5" in halt.reason


@pytest.mark.parametrize("keep", [True, False])
def test_a_reorg_reopens_and_the_same_bytes_land_again(rig: Rig, chain: SimulatedChain, keep: bool) -> None:
    rig.cycle([1])
    chain.mine(2)
    chain.automine = False
    chain.reorg(3, keep=keep)
    chain.mine(1 if keep else 4)
    rig.needed([1])
    chain.mine()
    rig.needed([1])
    assert effects(chain) == [1]
    stored = rig.only()
    assert stored.state is TxState.CONFIRMED
    reasons = [t.reason for t in rig.store.intents.transitions(intent_id=stored.intent.id)]
    assert any("a reorg took block 1" in reason for reason in reasons)


def test_a_dropped_transaction_that_a_reorg_brings_back_halts(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    ours = dict(chain.pool)
    chain.foreign(mined=True)
    rig.cycle()
    assert rig.only().state is TxState.DROPPED
    chain.reorg(1, keep=False)
    chain.pool = ours
    chain.mine(2)
    with pytest.raises(DroppedLandedError):
        rig.cycle()
    assert rig.store.halted() is not None


def test_a_chain_that_lost_final_transactions_halts(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    chain.mine(FINAL_AFTER)
    rig.cycle()
    chain.reorg(len(chain.blocks), keep=False)
    with pytest.raises(ChainBehindError, match="counts 0 transactions"):
        rig.cycle()
    with pytest.raises(HaltedError):
        rig.cycle()


def test_a_halt_stops_sending_and_survives_a_restart(rig: Rig, chain: SimulatedChain) -> None:
    rig.store.halt("a person said so", by="operator")
    rig.restart()
    with pytest.raises(HaltedError, match="halted by operator: a person said so"):
        rig.cycle([1])
    assert chain.broadcasts == []
    rig.store.resume(by="operator")
    (outcome,) = rig.cycle([1])
    assert outcome.success is True


def test_a_halt_in_mid_cycle_stops_the_next_transaction(rig: Rig, chain: SimulatedChain) -> None:
    broadcast = chain.broadcast

    def halting(raw: str) -> str:
        rig.store.halt("enough", by="operator")
        return broadcast(raw)

    chain.broadcast = halting  # type: ignore[method-assign]
    first, second = rig.cycle([1, 2])
    assert first.success is True
    assert second.state is TxState.DROPPED
    assert "halted by operator: enough" in second.reason
    assert len(chain.broadcasts) == 1


def test_a_halted_start_notes_receipts_and_sends_nothing(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    rig.store.halt("enough", by="operator")
    chain.drop_pool()
    chain.mine(LIMITS.valid_blocks + 5)
    rig.restart()
    assert rig.report is not None
    assert [line.reaction for line in rig.report.lines] == [Reaction.WAITING]
    assert len(chain.broadcasts) == 1


def test_an_empty_purse_keeps_the_transaction_until_there_are_funds(rig: Rig, chain: SimulatedChain) -> None:
    native, chain.native = chain.native, lambda address: Wei(10**20)  # type: ignore[method-assign]
    chain.balance_wei = 0
    (outcome,) = rig.cycle([1])
    assert outcome.state is TxState.SENT
    (waiting,) = rig.cycle([2])
    assert "the lane is taken" in waiting.reason
    chain.balance_wei, chain.native = 10**20, native  # type: ignore[method-assign]
    rig.cycle()
    rig.cycle()
    assert effects(chain) == [1]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(LIMITS, max_gas_wei_per_tx=Wei(10**13)), "the budget of this action is 10000000000000 wei"),
        (replace(LIMITS, max_gas_wei_per_hour=Wei(10**13)), "limits.max_gas_wei_per_hour allows"),
        (replace(LIMITS, max_gas_wei_per_day=Wei(10**13)), "limits.max_gas_wei_per_day allows"),
        (replace(LIMITS, min_native=Wei(10**21)), "limits.min_native allows"),
        (replace(LIMITS, max_fee_per_gas=Wei(GWEI // 2)), "limits.max_fee_gwei allows"),
    ],
)
def test_what_exceeds_a_limit_is_dropped_unsigned(
    tmp_path: Path, chain: SimulatedChain, limits: Limits, reason: str
) -> None:
    rig = Rig(tmp_path, chain, limits=limits)
    (outcome,) = rig.cycle([1])
    assert outcome.state is TxState.DROPPED
    assert reason in outcome.reason
    assert chain.broadcasts == []
    assert rig.store.intents.attempts(outcome.intent_id) == ()
    rig.stop()


def test_the_hour_counts_what_was_spent_and_forgets_it_after_an_hour(
    tmp_path: Path, chain: SimulatedChain
) -> None:
    one = 75_000 * (2 * GWEI + GWEI // 10)  # gas limit times fee cap: what counts until it is final
    rig = Rig(tmp_path, chain, limits=replace(LIMITS, max_gas_wei_per_hour=Wei(2 * one)))
    outcomes = rig.cycle([1, 2, 3])
    assert [o.success for o in outcomes] == [True, True, None]
    assert f"this needs {3 * one}" in outcomes[2].reason
    # An hour does not help while a reorg could still have them land later.
    rig.clock.now_s += 3601
    (early,) = rig.cycle([3])
    assert early.success is None
    chain.mine(FINAL_AFTER)
    rig.cycle()
    (later,) = rig.cycle([3])
    assert later.success is True
    rig.stop()


def test_what_is_final_counts_at_what_it_cost(tmp_path: Path, chain: SimulatedChain) -> None:
    one = 75_000 * (2 * GWEI + GWEI // 10)
    spent = 60_000 * (GWEI + GWEI // 10)
    rig = Rig(tmp_path, chain, limits=replace(LIMITS, max_gas_wei_per_hour=Wei(spent + one)))
    first, second = rig.cycle([1, 2])
    assert (first.success, second.success) == (True, None)
    chain.mine(FINAL_AFTER)
    rig.cycle()
    (again,) = rig.cycle([2])
    assert again.success is True
    rig.stop()


def test_an_unreachable_chain_is_left_alone(rig: Rig, chain: SimulatedChain) -> None:
    snapshot_at = chain.pin()
    chain.pin = lambda: snapshot_at  # type: ignore[method-assign]
    chain.faults.unreachable = 1
    (outcome,) = rig.cycle([1])
    assert outcome.reason == "simulated: timed out"
    assert chain.broadcasts == []
    (again,) = rig.cycle([1])
    assert again.success is True


@pytest.mark.parametrize("requests", range(1, 25))
def test_a_node_that_fails_at_any_request_costs_nothing(
    tmp_path: Path, chain: SimulatedChain, requests: int
) -> None:
    rig = Rig(tmp_path, chain)
    count, answer = 0, SimulatedChain._answer

    def failing(self: SimulatedChain) -> None:
        nonlocal count
        count += 1
        if count == requests:
            self.faults.unreachable = 1
        answer(self)

    snapshot_at = chain.pin()
    chain.pin = lambda: snapshot_at  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedChain, "_answer", failing)
        rig.cycle([1])
    del chain.pin
    for _ in range(3):
        if effects(chain) == []:
            rig.cycle([1])
    rig.cycle()
    assert effects(chain) == [1]
    assert rig.store.intents.lanes() == ()
    rig.stop()


def test_dry_run_simulates_and_has_nothing_to_send_with(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain, mode="dry-run")
    for _ in range(3):
        first, second, third = rig.cycle([1, TWO_STEPS])
        assert {o.state for o in (first, second, third)} == {TxState.SIMULATED}
        assert first.simulation is not None
        assert first.simulation.gas == 60_000
        assert first.data is not None
    assert chain.broadcasts == []
    assert rig.executor._lanes == {}
    rig.stop()


def test_dry_run_cannot_reach_what_signs_and_broadcasts(
    tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_made(*_args: object, **_named: object) -> None:
        raise AssertionError("dry-run made a lane")

    monkeypatch.setattr("keeper.execution.executor.Lane", never_made)
    monkeypatch.setattr(SimulatedChain, "broadcast", never_made)
    rig = Rig(tmp_path, chain, mode="dry-run")
    rig.cycle([1, 2])
    states = {t.after for t in rig.store.intents.transitions()}
    assert states == {TxState.PLANNED, TxState.SIMULATED}
    rig.restart()
    rig.cycle([1])
    assert all(s.nonce is None and s.tx_hash is None for s in rig.store.intents.within(list(TxState)))
    rig.stop()


def test_dry_run_refuses_a_signer_and_live_needs_one(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain)
    rig.stop()
    with pytest.raises(StoreModeError, match="belongs to live mode"):
        Rig(tmp_path, chain, mode="dry-run")
    with Store.open(tmp_path / "dry.sqlite", "dry-run") as store, Journal.open(tmp_path / "dry") as journal:
        for live, signer in ((True, None), (False, PlainSigner())):
            with pytest.raises(SignerMismatchError):
                Executor(
                    clients={},
                    venues=[],
                    store=store,
                    journal=journal,
                    sender=SIGNER,
                    signer=signer,
                    limits=LIMITS,
                    live=live,
                    final_after_blocks={},
                )


def test_open_transactions_of_another_signer_are_not_abandoned(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.automine = False
    rig.cycle([1])
    rig.stop()
    other = "0x0000000000000000000000000000000000000BAD"
    monkeypatch.setattr("tests.execution.rig.SIGNER", other)
    monkeypatch.setattr("tests.execution.simulated_chain.PlainSigner.address", other)
    with pytest.raises(OtherSignerError, match="1 open transactions of 0x51"):
        rig.start()


def test_a_start_reports_the_nonces_of_others(tmp_path: Path, chain: SimulatedChain) -> None:
    chain.foreign(mined=True)
    rig = Rig(tmp_path, chain)
    assert rig.report is not None
    assert "counts 1 transactions" in rig.report.notes[0]
    rig.stop()


def test_a_stop_leaves_the_rest_of_the_plan_for_later(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain)
    rig.executor._stop = lambda: bool(chain.broadcasts)
    first, second = rig.cycle([1, 2])
    assert first.success is True
    assert second.reason == "the keeper is being stopped"
    rig.stop()


def test_waiting_for_a_receipt_watches_new_blocks(tmp_path: Path, chain: SimulatedChain) -> None:
    chain.automine = False
    clock = Clock(while_waiting=chain.mine)
    rig = Rig(tmp_path, chain, clock=clock, pace=Pace(receipt_wait_s=30.0, poll_s=0.5))
    before_s = clock.now_s
    (outcome,) = rig.cycle([1])
    assert outcome.success is True
    assert clock.now_s - before_s < 2
    # The price of gas rises while the transaction is on its way: it is replaced within the same wait.
    chain.broadcast = _dearer_after(chain)  # type: ignore[method-assign, assignment]
    (slow,) = rig.cycle([2])
    assert slow.success is True
    assert len(rig.store.intents.attempts(slow.intent_id)) > 1
    rig.stop()


def _dearer_after(chain: SimulatedChain) -> Callable[[str], str]:
    broadcast = chain.broadcast

    def send(raw: str) -> str:
        taken = broadcast(raw)
        chain.base_fee_wei = 3 * GWEI
        return taken

    return send


def test_waiting_for_a_receipt_is_bounded(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    before_s = rig.clock.now_s
    (outcome,) = rig.cycle([1])
    assert (outcome.state, outcome.success) == (TxState.SENT, None)
    assert outcome.reason == "not mined yet: the next cycle goes on with it"
    assert rig.pace.receipt_wait_s <= rig.clock.now_s - before_s < 2 * rig.pace.receipt_wait_s


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


def test_a_decision_keeps_its_identity_over_cycles() -> None:
    assert action_id(decision(1, 10)) == action_id(decision(1, 10))
    assert action_id(decision(1, 10)) != action_id(decision(2, 10))
