"""A transfer in flight, at every step: what is seen of it counts once, and nothing is done for it twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from keeper.execution.urgency import holding
from keeper.model.intent import Outcome, TxState
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad
from keeper.store.rows import NOT_FINAL
from tests.execution.bell import BELL, decision, plan_of, seen
from tests.execution.rig import FINAL_AFTER, Rig
from tests.execution.simulated_chain import GWEI, SIGNER, SimulatedChain

CHAIN: Final = 10
PURSE: Final = 100
AMOUNT: Final = 60
"""More than half of the wallet: twice does not fit."""


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


def paid(chain: SimulatedChain) -> int:
    """What the venue has received by the head."""
    return sum(int(data[-64:], 16) * n for data, n in chain.effects(BELL).items())


def looked(chain: SimulatedChain) -> Snapshot:
    """What a snapshot at the head sees: the wallet less what the venue has received."""
    return seen([chain.pin()], held=Wad(PURSE - paid(chain)))


def carry_out(rig: Rig, chain: SimulatedChain, amount: int, snapshot: Snapshot) -> tuple[Outcome, ...]:
    rig.cycles += 1
    return rig.executor.execute(plan_of([amount], CHAIN, snapshot), f"cycle-{rig.cycles}", snapshot)


def top_up(rig: Rig, chain: SimulatedChain, amount: int = AMOUNT) -> tuple[Outcome, ...]:
    return carry_out(rig, chain, amount, looked(chain))


def counted_once(rig: Rig, chain: SimulatedChain) -> None:
    """Wallet and venue are what there was; what is not final counts against the caps exactly once."""
    held = holding(looked(chain), CHAIN, SIGNER, "BELL")
    assert held is not None
    assert held + paid(chain) == PURSE
    moving = [s for s in rig.store.intents.within(list(TxState)) if s.state in NOT_FINAL]
    assert sum(m.usd for m in rig.store.spending.moved(float("inf"))) == sum(s.moved_usd for s in moving)


def test_while_it_is_on_its_way_it_is_neither_done_nor_begun_again(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    (sent,) = top_up(rig, chain)
    assert (sent.state, sent.success) == (TxState.SENT, None), "submitted is not done"
    for _ in range(3):
        counted_once(rig, chain)
        (again,) = top_up(rig, chain)
        assert again.intent_id == sent.intent_id
        assert again.success is None
        assert "already on its way" in again.reason
    assert len(chain.broadcasts) == 1
    chain.mine()
    counted_once(rig, chain)
    (landed,) = rig.cycle()
    assert (landed.intent_id, landed.success) == (sent.intent_id, True)
    counted_once(rig, chain)


def test_a_plan_from_before_it_landed_does_not_spend_the_same_tokens(rig: Rig, chain: SimulatedChain) -> None:
    """The wallet as the snapshot shows it still holds what has left since."""
    stale = looked(chain)
    (first,) = top_up(rig, chain)
    assert first.success is True
    (second,) = carry_out(rig, chain, AMOUNT - 1, stale)
    assert second.state is TxState.DROPPED
    assert "of which 0.0000 are on their way or gone since" in second.reason
    assert paid(chain) == AMOUNT
    (fits,) = carry_out(rig, chain, PURSE - AMOUNT, stale)
    assert fits.success is True
    assert paid(chain) == PURSE


def test_a_wallet_that_shows_it_gone_is_not_charged_again(rig: Rig, chain: SimulatedChain) -> None:
    assert top_up(rig, chain)[0].success is True
    (second,) = top_up(rig, chain, PURSE - AMOUNT)
    assert second.success is True
    (third,) = top_up(rig, chain, 1)
    assert third.state is TxState.DROPPED
    assert paid(chain) == PURSE


@pytest.mark.parametrize("keep", [True, False])
def test_a_reorg_gives_it_back_and_it_is_on_its_way_again(
    rig: Rig, chain: SimulatedChain, keep: bool
) -> None:
    top_up(rig, chain)
    chain.automine = False
    chain.reorg(1, keep=keep)
    counted_once(rig, chain)
    assert paid(chain) == 0
    chain.mine(0 if keep else 2)
    top_up(rig, chain)
    counted_once(rig, chain)
    chain.mine()
    top_up(rig, chain)
    assert paid(chain) == AMOUNT
    counted_once(rig, chain)


def test_a_replacement_moves_nothing_more(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    top_up(rig, chain)
    chain.base_fee_wei = 20 * GWEI
    chain.mine(rig.pace.bump_after_blocks)
    rig.cycle()
    assert len(chain.broadcasts) == 2
    counted_once(rig, chain)
    chain.mine()
    rig.cycle()
    counted_once(rig, chain)
    assert paid(chain) == AMOUNT


def test_once_it_is_final_it_counts_for_what_it_moved(rig: Rig, chain: SimulatedChain) -> None:
    top_up(rig, chain)
    chain.reverting = True
    (reverted,) = top_up(rig, chain, 7)
    assert reverted.success is False
    assert sum(m.usd for m in rig.store.spending.moved(float("inf"))) == AMOUNT + 7
    chain.mine(FINAL_AFTER)
    rig.cycle()
    assert [m.usd for m in rig.store.spending.moved(0.0)] == [AMOUNT]
    counted_once(rig, chain)


def test_ten_cycles_over_one_account_with_changing_amounts_send_one_transaction(
    rig: Rig, chain: SimulatedChain
) -> None:
    """The amount follows the price, so each cycle decides another action for the same subject."""
    chain.automine = False
    told: list[str] = []
    for i in range(10):
        (outcome,) = rig.carry_out(replace(decision(AMOUNT + i, CHAIN), subject="bell:10:one"))
        told.append(outcome.reason)
    assert len(chain.broadcasts) == 1
    assert all("already on its way" in reason for reason in told[1:])
