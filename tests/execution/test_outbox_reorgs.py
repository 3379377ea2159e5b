"""Blocks that are taken back: what they held lands again, and what must not have happened halts."""

import pytest

from keeper.execution.errors import (
    ChainBehindError,
    DroppedLandedError,
    HaltedError,
)
from keeper.model.intent import TxState
from tests.execution.conftest import effects
from tests.execution.rig import FINAL_AFTER, Rig
from tests.execution.simulated_chain import SimulatedChain


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


def test_a_chain_that_lost_final_transactions_halts(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    chain.mine(FINAL_AFTER)
    rig.cycle()
    chain.reorg(len(chain.blocks), keep=False)
    with pytest.raises(ChainBehindError, match="counts 0 transactions"):
        rig.cycle()
    with pytest.raises(HaltedError):
        rig.cycle()
