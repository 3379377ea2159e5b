"""Nonces: of other wallets, of nodes that lag, of other signers, and those that nothing ever uses."""

from pathlib import Path

import pytest

from keeper.execution.errors import (
    LaneGapError,
    OtherSignerError,
)
from keeper.model.intent import TxState
from tests.execution.conftest import effects
from tests.execution.rig import Rig
from tests.execution.simulated_chain import SIGNER, SimulatedChain


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
