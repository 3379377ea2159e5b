"""What may be sent and spent: beyond a limit nothing is signed, and the purse may be empty."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.execution.errors import (
    NotAllowedError,
)
from keeper.execution.limits import Limits
from keeper.model.intent import TxState
from keeper.model.reads import Address
from keeper.model.units import Wei
from tests.execution.bell import Bell, bell_venue
from tests.execution.conftest import effects
from tests.execution.rig import FINAL_AFTER, LIMITS, Rig
from tests.execution.simulated_chain import GWEI, SIGNER, SimulatedChain


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
    stored = rig.only()
    elsewhere = replace(stored.intent, to=Address("0xbAd0000000000000000000000000000000000001"))
    with pytest.raises(NotAllowedError):
        rig.executor._lanes[chain.chain_id, SIGNER].send(replace(stored, intent=elsewhere))
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
