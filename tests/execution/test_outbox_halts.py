"""A halt, before a cycle, within one and over a restart."""

import pytest

from keeper.execution.ending import Reaction
from keeper.execution.errors import (
    HaltedError,
)
from keeper.model.intent import TxState
from tests.execution.rig import LIMITS, Rig
from tests.execution.simulated_chain import SimulatedChain


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
