"""The base fee twentyfold: rescues go on inside their own budget, housekeeping waits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from keeper.execution.errors import LimitError
from keeper.execution.limits import DAY_S, Limits, Purse, check_limits
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import Plan, TxAction
from keeper.model.units import Wei
from tests.execution.bell import BELL, decision, hedging, seen
from tests.execution.local_chain import CHAIN_ID, LocalChain, local_chain
from tests.execution.rig import FINAL_AFTER, LIMITS, PACE, Rig
from tests.execution.simulated_chain import GWEI, SimulatedChain

GAS: Final = 75_000
"""Gas limit of one ring."""

SPIKE: Final = 20
TIGHT: Final[Limits] = replace(
    LIMITS,
    max_fee_per_gas=Wei(5 * GWEI),
    max_gas_wei_per_tx=Wei(GAS * 5 * GWEI),
    max_gas_wei_per_hour=Wei(GAS * 20 * GWEI),
    max_gas_wei_per_day=Wei(GAS * 20 * GWEI),
    emergency_kinds=frozenset({"move_collateral", "liquidate"}),
    emergency_max_fee_per_gas=Wei(100 * GWEI),
    emergency_max_gas_wei_per_day=Wei(GAS * 100 * GWEI),
)


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain, limits=TIGHT)
    yield rig
    rig.stop()


def cycle(rig: Rig, *actions: TxAction) -> tuple[Outcome, ...]:
    rig.cycles += 1
    snapshot = seen([rig.chain.pin()])
    plan = Plan(snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=actions)
    return rig.executor.execute(plan, f"cycle-{rig.cycles}", snapshot)


def rescue(number: int) -> TxAction:
    return decision(number, 10)


def housekeeping(number: int) -> TxAction:
    return hedging(number, 10, counts_on=())


def test_in_quiet_times_both_are_sent(rig: Rig) -> None:
    hedged, rescued = cycle(rig, housekeeping(1), rescue(2))
    assert (hedged.success, rescued.success) == (True, True)


def test_in_a_spike_only_the_rescue_is_sent(rig: Rig, chain: SimulatedChain) -> None:
    chain.base_fee_wei *= SPIKE
    hedged, rescued = cycle(rig, housekeeping(1), rescue(2))
    assert (hedged.state, rescued.success) == (TxState.DROPPED, True)
    assert [tx["nonce"] for tx in chain.broadcasts] == [0]
    (sent,) = chain.broadcasts
    assert TIGHT.max_fee_per_gas < sent["maxFeePerGas"] <= TIGHT.emergency_max_fee_per_gas


def test_even_a_rescue_has_a_hard_cap(rig: Rig, chain: SimulatedChain) -> None:
    chain.base_fee_wei = 101 * GWEI
    (outcome,) = cycle(rig, rescue(1))
    assert outcome.state is TxState.DROPPED
    chain.base_fee_wei = 99 * GWEI
    (outcome,) = cycle(rig, rescue(1))
    assert outcome.success is True
    assert chain.broadcasts[0]["maxFeePerGas"] <= TIGHT.emergency_max_fee_per_gas


def test_rescues_have_a_budget_of_their_own(rig: Rig, chain: SimulatedChain) -> None:
    """Of 7.5 m gwei a day; a ring costs 60,000 gas at about 20 gwei, at worst 75,000 at 40."""
    chain.base_fee_wei *= SPIKE
    done: list[Outcome] = []
    for number in range(1, 12):
        done += cycle(rig, rescue(number))
    sent = [outcome for outcome in done if outcome.success]
    assert 0 < len(sent) < len(done)
    paid = sum(outcome.fee or 0 for outcome in sent)
    dearest = max(tx["gas"] * tx["maxFeePerGas"] for tx in chain.broadcasts)
    assert paid <= TIGHT.emergency_max_gas_wei_per_day < dearest * (len(sent) + 1)
    assert "limits.emergency_max_gas_wei_per_day" in done[-1].reason
    # What rescues have spent is not taken from housekeeping, nor the other way round.
    chain.base_fee_wei = GWEI
    (hedged,) = cycle(rig, housekeeping(50))
    assert hedged.success is True
    # The next day they may again.
    chain.base_fee_wei = SPIKE * GWEI
    (late,) = cycle(rig, rescue(60))
    assert late.success is not True
    rig.clock.now_s += DAY_S + 1
    chain.mine(FINAL_AFTER)
    rig.cycle()
    (again,) = cycle(rig, rescue(60))
    assert again.success is True


def test_a_rescue_at_an_ordinary_fee_has_the_ordinary_caps(rig: Rig, chain: SimulatedChain) -> None:
    chain.base_fee_wei = 2 * GWEI
    outcomes = [outcome for number in range(1, 30) for outcome in cycle(rig, rescue(number))]
    refused = [outcome for outcome in outcomes if outcome.success is None]
    assert refused
    assert "limits.max_gas_wei_per_hour" in refused[0].reason
    assert all(tx["maxFeePerGas"] <= TIGHT.max_fee_per_gas for tx in chain.broadcasts)


@pytest.mark.parametrize(("kind", "lands"), [(rescue, True), (housekeeping, False)])
def test_a_spike_after_sending(rig: Rig, chain: SimulatedChain, kind: type[TxAction], lands: bool) -> None:
    chain.automine = False
    cycle(rig, kind(1))  # type: ignore[call-arg, arg-type]
    chain.base_fee_wei *= SPIKE
    chain.mine(PACE.bump_after_blocks)
    cycle(rig)
    chain.mine()
    cycle(rig)
    assert (chain.effects(BELL) != {}) == lands
    top = max(tx["maxFeePerGas"] for tx in chain.broadcasts)
    assert (top > TIGHT.max_fee_per_gas) == lands
    assert top <= TIGHT.emergency_max_fee_per_gas


def test_without_the_class_nothing_exceeds_the_cap(tmp_path: Path, chain: SimulatedChain) -> None:
    rig = Rig(tmp_path, chain, limits=replace(TIGHT, emergency_kinds=frozenset()))
    chain.base_fee_wei *= SPIKE
    (outcome,) = cycle(rig, rescue(1))
    assert (outcome.state, chain.broadcasts) == (TxState.DROPPED, [])
    rig.stop()


def test_the_native_coin_that_must_stay_binds_rescues_too() -> None:
    with pytest.raises(LimitError, match=r"limits\.min_native"):
        check_limits(
            TIGHT,
            worst_fees=[Wei(10)],
            value=Wei(0),
            native=Wei(TIGHT.min_native + 9),
            spent=(),
            now_s=0.0,
            purse=Purse.EMERGENCY,
        )


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with local_chain(tmp_path) as local:
        yield local


@pytest.mark.devnet
@pytest.mark.faults
def test_a_spike_on_a_node(local: LocalChain) -> None:
    local.set_base_fee(GWEI)
    quiet = local.carry_out((hedging(1, CHAIN_ID, counts_on=()), decision(2, CHAIN_ID)), TIGHT)
    assert [outcome.success for outcome in quiet] == [True, True]
    local.set_base_fee(SPIKE * GWEI)
    hedged, rescued = local.carry_out((hedging(3, CHAIN_ID, counts_on=()), decision(4, CHAIN_ID)), TIGHT)
    assert (hedged.state, rescued.success) == (TxState.DROPPED, True)
    assert (local.effects(3), local.effects(4)) == (0, 1)
    assert local.sent() == 3
