"""A node that loses, forgets, delays or refuses: what is sent takes effect once all the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.execution.limits import Pace
from keeper.model.intent import TxState
from tests.execution.conftest import effects
from tests.execution.rig import Rig
from tests.execution.simulated_chain import GWEI, Clock, SimulatedChain


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
