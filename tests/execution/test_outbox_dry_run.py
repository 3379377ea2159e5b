"""Dry-run proves every transaction by simulation, and has nothing to send it with."""

from pathlib import Path

import pytest

from keeper.execution.errors import (
    SignerMismatchError,
)
from keeper.execution.executor import Executor
from keeper.journal.journal import Journal
from keeper.model.intent import TxState
from keeper.store.errors import StoreModeError
from keeper.store.store import Store
from tests.execution.bell import TWO_STEPS
from tests.execution.rig import LIMITS, Rig
from tests.execution.simulated_chain import SIGNER, PlainSigner, SimulatedChain


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
