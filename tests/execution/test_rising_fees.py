"""The base fee rises block by block, at worst faster than a bid allows for: a rescue keeps up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from keeper.model.intent import TxState
from keeper.store.rows import Attempt
from tests.execution.bell import BELL
from tests.execution.rig import PACE, Rig
from tests.execution.simulated_chain import GWEI, SimulatedChain
from tests.execution.test_emergency import SPIKE, TIGHT, cycle, rescue

STEP: Final = 1.165
"""Per block; in twenty blocks twentyfold."""

JUMP: Final = 2.2
"""Per block: more than twice the base fee, which a first bid allows. In four blocks more than twentyfold."""


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain(automine=False)


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain) -> Iterator[Rig]:
    rig = Rig(tmp_path, chain, limits=TIGHT)
    yield rig
    rig.stop()


def versions(rig: Rig) -> tuple[Attempt, ...]:
    return rig.store.intents.attempts(rig.only().intent.id)


def test_a_rescue_in_a_steady_rise_lands_at_once(rig: Rig, chain: SimulatedChain) -> None:
    cycle(rig, rescue(1))
    chain.base_fee_wei = int(chain.base_fee_wei * STEP)
    chain.mine()
    cycle(rig)
    assert chain.effects(BELL) != {}
    assert len(chain.broadcasts) == 1


def test_a_rescue_chases_a_rise_that_outruns_every_bid(rig: Rig, chain: SimulatedChain) -> None:
    cycle(rig, rescue(1))
    quiet = chain.base_fee_wei
    while chain.base_fee_wei < SPIKE * quiet:
        chain.base_fee_wei = int(chain.base_fee_wei * JUMP)
        chain.mine()
        cycle(rig)
    assert chain.effects(BELL) == {}, "else it was never outrun"
    for _ in range(2 * PACE.bump_after_blocks):
        chain.mine()
        cycle(rig)
    assert len(chain.effects(BELL)) == 1
    assert rig.only().state in (TxState.CONFIRMED, TxState.FINALIZED)
    assert len(versions(rig)) > 1
    for version in versions(rig):
        assert version.fee_per_gas <= TIGHT.emergency_max_fee_per_gas
        assert version.worst_fee <= TIGHT.emergency_max_gas_wei_per_day
    landed = max(v.fee_per_gas for v in versions(rig))
    assert landed > TIGHT.max_fee_per_gas


@pytest.mark.parametrize("start", range(1, 21, 3))
def test_a_rescue_decided_at_any_height_of_the_rise_is_sent(
    rig: Rig, chain: SimulatedChain, start: int
) -> None:
    for _ in range(start):
        chain.base_fee_wei = int(chain.base_fee_wei * STEP)
        chain.mine()
    (outcome,) = cycle(rig, rescue(1))
    assert outcome.state is TxState.SENT
    for _ in range(20 - start + 2 * PACE.bump_after_blocks):
        chain.base_fee_wei = min(int(chain.base_fee_wei * STEP), SPIKE * GWEI)
        chain.mine()
        cycle(rig, rescue(1)) if not chain.effects(BELL) else cycle(rig)
    assert chain.effects(BELL) != {}
    assert set(chain.effects(BELL).values()) == {1}
    assert max(tx["maxFeePerGas"] for tx in chain.broadcasts) <= TIGHT.emergency_max_fee_per_gas
