"""What is not mined is replaced at a higher fee, and cancelled when its time is over."""

import pytest

from keeper.model.intent import TxState
from tests.execution.conftest import effects
from tests.execution.rig import LIMITS, Killed, Rig, killed_at, never
from tests.execution.simulated_chain import GWEI, SIGNER, SimulatedChain


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
