"""The audit finds what it looks for: it is not the reason why every run counts zero."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.model.intent import TxState
from tests.execution.rig import Rig
from tests.execution.simulated_chain import GWEI, SIGNER, SimulatedChain
from tests.support import tally
from tests.support.audit import Audit, Landed, audit
from tests.support.summary import block

Doctor = Callable[[Sequence[Landed]], Sequence[Landed]]


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr("tests.support.audit.tally.count", lambda *_: None)  # these findings are made up
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


def audited(rig: Rig, doctor: Doctor = list, *, foreign: int = 0) -> Audit:
    return audit(
        rig.store, rig.folder / "journal.jsonl", doctor(rig.chain.landed()), foreign=foreign, effects={}
    )


def test_an_honest_run_has_no_findings(rig: Rig) -> None:
    rig.cycle([1, 2, 3])
    found = audited(rig).require()
    assert (found.intents, found.landed) == (3, 3)


def test_two_versions_of_one_intent(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    chain.base_fee_wei = 150 * GWEI  # above what is ever signed
    chain.mine(rig.pace.bump_after_blocks)
    rig.cycle()
    first, second = (
        Landed(chain_id=chain.chain_id, sender=SIGNER, nonce=a.nonce, tx_hash=a.tx_hash, success=True)
        for a in rig.store.intents.attempts(rig.only().intent.id)
    )
    assert audited(rig, lambda _: [first]).duplicates == ()
    assert any("2 versions landed" in line for line in audited(rig, lambda _: [first, second]).duplicates)


def test_a_decision_with_two_effects_and_one_with_none(rig: Rig) -> None:
    rig.cycle([1])
    found = rig.audit(effects={1: 1, 2: 2, 3: 0})
    assert (found.duplicates, found.lost) == (("2: 2 effects",), ("3: no effect",))


def test_what_is_still_under_way_is_lost(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    rig.cycle([1])
    found = audited(rig)
    assert any("still sent" in line for line in found.lost)
    assert any("nonce 0" in line for line in found.gaps)
    with pytest.raises(AssertionError, match=r"lost: .*\n.*gaps in nonce lanes: "):
        found.require()


def test_what_the_store_believes_and_the_chain_has_not(rig: Rig) -> None:
    rig.cycle([1])
    assert any("not on the chain" in line for line in audited(rig, lambda _: []).lost)
    failed = audited(rig, lambda done: [replace(tx, success=False) for tx in done])
    assert any("success is True, on chain False" in line for line in failed.lost)


def test_what_the_chain_has_and_the_store_never_signed(rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    chain.foreign(mined=True)
    assert any("1 transactions are not in the store, 0 are" in line for line in audited(rig).untold)
    audited(rig, foreign=1).require()


def test_a_journal_that_tells_less_than_the_store(rig: Rig) -> None:
    rig.cycle([1])
    rig.store.intents.move(rig.only().intent.id, TxState.SENT)
    assert any("the journal tells" in line for line in audited(rig).untold)


def test_a_send_in_dry_run(tmp_path: Path, rig: Rig, chain: SimulatedChain) -> None:
    rig.cycle([1])
    (tmp_path / "dry").mkdir()
    dry = Rig(tmp_path / "dry", chain, mode="dry-run")
    dry.cycle([2])
    assert any(line.startswith("landed") for line in audited(dry).dry_sends)
    assert audited(dry, lambda _: []).dry_sends == ()
    dry.stop()


def test_the_block_at_the_end_of_a_run() -> None:
    counts = {tally.FAULT + "rate limits": 1200, tally.FAULT + "garbage": 3, tally.KILLS: 7, tally.LOST: 2}
    lines = block(counts, width=60)
    assert lines[0].split() == ["faults", "injected", "1,203"]
    assert lines[1].strip() == "rate limits 1,200 · garbage 3"
    assert lines[2].split() == ["kills", "7"]
    assert [line.split()[-1] for line in lines[-4:]] == ["0", "2", "0", "0"]
    assert tally.violated(counts) == [tally.LOST]
