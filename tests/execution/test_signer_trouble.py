"""Signers that do not answer, refuse, or sign something else, under the whole of execution."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from keeper.execution.errors import HaltedError
from keeper.execution.signer import Signed
from keeper.execution.signer.errors import SignedOtherwise, SignerRefused, SignerUnreachable
from keeper.model.errors import KeeperError
from keeper.model.intent import TxState
from keeper.store.store import Store
from tests.execution import rig as rigs
from tests.execution.bell import BELL
from tests.execution.rig import PACE, Rig
from tests.execution.simulated_chain import PlainSigner, SimulatedChain


class Moody(PlainSigner):
    """Signs, except when told to raise."""

    troubles: list[Callable[[], KeeperError]]
    asked: int

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        Moody.asked += 1
        if Moody.troubles:
            raise Moody.troubles.pop(0)()
        return super().sign(tx)


def gone() -> KeeperError:
    return SignerUnreachable("https://signer", "no answer within 5 s")


def unwilling() -> KeeperError:
    return SignerRefused("https://signer", "request denied (-32000)")


def forged() -> KeeperError:
    return SignedOtherwise("https://signer", ("to is 0x66, asked 0xbe",))


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(rigs, "PlainSigner", Moody)
    Moody.troubles, Moody.asked = [], 0
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


@pytest.mark.parametrize("trouble", [gone, unwilling])
def test_what_is_not_signed_takes_no_nonce(
    rig: Rig, chain: SimulatedChain, trouble: Callable[[], KeeperError]
) -> None:
    for _ in range(3):
        Moody.troubles = [trouble]
        (outcome,) = rig.cycle([1])
        assert (outcome.state, outcome.success) == (TxState.DROPPED, None)
        assert str(trouble()) in outcome.reason
        assert rig.store.intents.next_nonce((chain.chain_id, PlainSigner.address)) == 0
    assert chain.broadcasts == []
    (outcome,) = rig.cycle([1])
    assert outcome.success is True
    assert [tx["nonce"] for tx in chain.broadcasts] == [0]


@pytest.mark.parametrize("trouble", [gone, unwilling])
def test_a_dearer_version_waits_for_the_signer(
    rig: Rig, chain: SimulatedChain, trouble: Callable[[], KeeperError]
) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.base_fee_wei *= 10
    chain.mine(PACE.bump_after_blocks)
    Moody.troubles = [trouble] * 2
    rig.cycle()
    rig.restart()  # not even a start fails for it
    assert Moody.troubles == []
    assert len(chain.broadcasts) == 1
    chain.mine(PACE.bump_after_blocks)
    rig.cycle()
    chain.mine()
    rig.cycle()
    assert sum(chain.effects(BELL).values()) == 1
    assert [tx["nonce"] for tx in chain.broadcasts] == [0, 0]


def test_a_forgery_halts_for_good(rig: Rig, chain: SimulatedChain) -> None:
    Moody.troubles = [forged]
    with pytest.raises(SignedOtherwise):
        rig.cycle([1])
    assert chain.broadcasts == []
    asked = Moody.asked
    for _ in range(2):
        with pytest.raises(HaltedError, match="signed something else"):
            rig.cycle([1])
        rig.restart()
    assert Moody.asked == asked
    assert chain.broadcasts == []
    assert {stored.state for stored in rig.store.intents.within(list(TxState))} == {TxState.DROPPED}


def test_a_forged_replacement_halts_and_the_first_version_stays(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.base_fee_wei *= 10
    chain.mine(PACE.bump_after_blocks)
    Moody.troubles = [forged]
    with pytest.raises(SignedOtherwise):
        rig.cycle()
    assert rig.store.halted() is not None
    chain.base_fee_wei //= 10
    chain.mine()
    rig.restart()
    assert rig.only().state is TxState.CONFIRMED
    assert len(chain.broadcasts) == 1


def test_a_halt_while_it_signs_keeps_the_bytes_back(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halting(self: Moody, tx: Mapping[str, Any]) -> Signed:
        with Store.attach(rig.folder / "keeper.sqlite") as other:
            other.halt("enough", by="a person")
        return PlainSigner.sign(self, tx)

    monkeypatch.setattr(Moody, "sign", halting)
    rig.cycle([1])
    assert (rig.only().state, chain.broadcasts) == (TxState.SIGNED, [])
    rig.restart()
    assert (rig.only().state, chain.broadcasts) == (TxState.SIGNED, [])
    rig.store.resume(by="a person")
    rig.cycle()
    rig.cycle()
    assert rig.only().state is TxState.CONFIRMED
    assert sum(chain.effects(BELL).values()) == 1
