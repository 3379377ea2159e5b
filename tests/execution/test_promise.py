"""A broken promise is never sent, whatever it is broken by; a kept one is not held up."""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.simulation import Rehearsal
from keeper.chain.transactions import Tx
from keeper.execution.errors import HaltedError, UnpromisedTransferError
from keeper.execution.promise import prove
from keeper.model.errors import TripwireError
from keeper.model.intent import Simulation, TxState
from keeper.model.plan import TxAction
from keeper.model.promise import Checked, Figure, Outflow, Promise, Term, Transfer, unpromised
from keeper.model.reads import Address, Call, Failed, Reads
from keeper.model.venue import Venue
from keeper.store.store import Mode
from tests.execution.bell import BELL, TWO_STEPS, Bell, call_of, decision
from tests.execution.local_chain import CHAIN_ID, LocalChain, local_chain
from tests.execution.rig import LIMITS, PACE, Killed, Rig, killed_at, never
from tests.execution.simulated_chain import GENESIS_S, SIGNER, SimulatedChain
from tests.execution.test_kill import ended, fork

READ: Final = Call("erc20/ERC20", BELL, "balanceOf", ("0x" + "0" * 40,))
FINE: Final = (Simulation(ok=True, gas=1, error=None),)
OURS, OTHER, THIEF = (Address("0x" + digit * 40) for digit in "abc")
BLOCK_S: Final = 2
TOKENS: Final = tuple(Address("0x" + digit * 40) for digit in "12")

amounts = st.integers(-(10**30), 10**30)
bounds = st.none() | amounts


def figure(least: int | None, most: int | None, *, priced: bool = False, terms: int = 1) -> Figure:
    return Figure(
        name="it",
        terms=tuple(Term(read=replace(READ, args=(f"0x{i:040x}",))) for i in range(terms)),
        unit="BELL",
        decimals=18,
        least=least,
        most=most,
        priced=priced,
    )


def found(change: int, *, start: int = 0) -> Rehearsal:
    read = figure(0, 0).terms[0].read
    return Rehearsal(simulations=FINE, before={read: start}, after={read: start + change}, transfers=())


def kept(promised: Figure, change: int, tolerance_bps: int) -> bool:
    proof = prove(Promise(figures=(promised,), holders=()), found(change), tolerance_bps)
    assert bool(proof.broken) != proof.lines[0].kept
    return proof.lines[0].kept


# Figures


@given(bounds, bounds, amounts, st.integers(0, 9_999))
def test_what_is_exact_has_no_tolerance(least: int | None, most: int | None, change: int, bps: int) -> None:
    inside = (least is None or least <= change) and (most is None or change <= most)
    assert kept(figure(least, most), change, bps) == inside


@given(st.integers(1, 10**30), amounts, st.integers(0, 9_999))
def test_what_follows_a_price_may_fall_short_by_the_tolerance_only(
    promised: int, change: int, bps: int
) -> None:
    """Both directions are mirror images; more than an upper bound, or another sign, is never kept."""
    at_least = promised - promised * bps // 10_000
    assert kept(figure(promised, None, priced=True), change, bps) == (change > 0 and change >= at_least)
    assert kept(figure(promised, promised, priced=True), change, bps) == (
        0 < change <= promised and change >= at_least
    )
    assert kept(figure(-promised, -promised, priced=True), -change, bps) == (
        0 < change <= promised and change >= at_least
    )


@given(st.integers(1, 10**30), st.integers(0, 10**30), st.integers(0, 9_999), st.booleans())
def test_another_sign_is_never_kept(promised: int, other: int, bps: int, priced: bool) -> None:
    assert not kept(figure(promised, None, priced=priced), -other, bps)
    assert not kept(figure(None, -promised, priced=priced), other, bps)


@given(st.lists(st.tuples(amounts, amounts, st.integers(-3, 3)), min_size=1, max_size=5))
def test_a_figure_is_the_weighted_sum_of_its_terms(rows: list[tuple[int, int, int]]) -> None:
    change = sum(weight * (after - before) for before, after, weight in rows)
    plain = figure(change, change, terms=len(rows))
    terms = tuple(
        replace(t, weight=w, path=("it", 0)) for t, (_, _, w) in zip(plain.terms, rows, strict=True)
    )
    reads = [t.read for t in terms]
    sides = [{r: {"it": [row[i]]} for r, row in zip(reads, rows, strict=True)} for i in range(2)]
    rehearsal = Rehearsal(simulations=FINE, before=sides[0], after=sides[1], transfers=())
    promise = Promise(figures=(replace(plain, terms=terms),), holders=())
    assert promise.reads == tuple(dict.fromkeys(reads))
    assert prove(promise, rehearsal, 0).broken == ""


@pytest.mark.parametrize("lost", [{}, {READ: Failed("it", "reverted")}, {READ: None}])
def test_what_cannot_be_read_is_not_kept(lost: dict[Call, object]) -> None:
    promise = Promise(figures=(figure(0, 0),), holders=())
    for rehearsal in (replace(found(0), before=lost), replace(found(0), after=lost)):
        proof = prove(promise, rehearsal, 0)
        assert proof.broken == "it cannot be read, 0 BELL was promised"
        assert proof.lines[0].found is None


def test_a_node_that_shows_less_is_not_taken_for_a_broken_promise() -> None:
    promise = Promise(figures=(figure(0, 0),), holders=())
    unanswered = prove(promise, Rehearsal(simulations=FINE), 0)
    assert (unanswered.checked, unanswered.broken, unanswered.lines[0].found) == (Checked.NOT, "", None)
    unseen = prove(promise, replace(found(0), transfers=None), 0)
    assert (unseen.checked, unseen.broken) == (Checked.FIGURES, "")


def test_a_refusal_names_promise_finding_and_tolerance() -> None:
    promise = Promise(figures=(figure(2 * 10**18, None, priced=True),), holders=())
    assert prove(promise, found(10**18), 500).broken == (
        "it changes by 1 BELL, at least 2 BELL was promised, tolerance 0.1 BELL"
    )


# Tokens

transfers = st.lists(
    st.builds(
        Transfer,
        token=st.sampled_from(TOKENS),
        giver=st.sampled_from((OURS, OTHER)),
        taker=st.sampled_from((OURS, THIEF)),
        amount=st.integers(0, 5),
        item=st.booleans(),
    ),
    max_size=8,
)


@given(
    transfers,
    st.dictionaries(st.sampled_from(TOKENS), st.integers(0, 20), max_size=2),
    st.sets(st.integers(0, 5)),
)
def test_no_more_leaves_a_wallet_than_was_named(
    moved: list[Transfer], most: dict[Address, int], items: set[int]
) -> None:
    outflows = [Outflow(token=t, holder=OURS, most=m) for t, m in most.items()]
    outflows += [Outflow(token=t, holder=OURS, most=i, item=True) for t in TOKENS for i in items]
    gone = [t for t in moved if t.giver == OURS and t.taker != OURS]
    sums = {token: sum(t.amount for t in gone if t.token == token and not t.item) for token in TOKENS}
    fine = all(sums[token] <= most.get(token, 0) for token in TOKENS)
    fine = fine and all(t.amount in items for t in gone if t.item)
    assert (unpromised(moved, (OURS,), outflows) == "") == fine


def test_addresses_are_compared_without_their_checksums() -> None:
    lower, mixed = Address("0x" + "ab" * 20), Address("0x" + "Ab" * 20)
    transfer = Transfer(token=mixed, giver=mixed, taker=THIEF, amount=3)
    assert "were promised" in unpromised((transfer,), (lower,), ())
    assert unpromised((transfer,), (lower,), (Outflow(token=lower, holder=lower, most=3),)) == ""
    assert unpromised((replace(transfer, taker=lower),), (lower,), ()) == ""


def test_a_token_that_leaves_breaks_the_promise_though_every_figure_is_kept() -> None:
    promise = Promise(figures=(figure(0, 0),), holders=(OURS,))
    stolen = Transfer(token=TOKENS[0], giver=OURS, taker=THIEF, amount=1)
    proof = prove(promise, replace(found(0), transfers=(stolen,)), 9_999)
    assert f"1 of token {TOKENS[0]} leave {OURS}" in proof.broken


# Rests


class Boasting(Bell):
    """Promises that each number is counted so many times, and that the sender is paid for each."""

    counts = 1
    priced = False
    pays: int | None = None

    def promise(self, venue: Venue, action: TxAction, sender: Address) -> Reads[Promise]:
        honest = yield from super().promise(venue, action, sender)
        counted = tuple(replace(f, least=self.counts, most=None, priced=self.priced) for f in honest.figures)
        paid = tuple(
            replace(f, name="pay", least=self.pays, most=self.pays, wallet=(TOKENS[0], sender))
            for f in honest.figures[-1:]
            if self.pays is not None
        )
        return replace(honest, figures=(*counted, *paid))


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr("tests.execution.rig.Bell", Boasting)
    monkeypatch.setattr(Boasting, "counts", 1)
    monkeypatch.setattr(Boasting, "priced", False)
    monkeypatch.setattr(Boasting, "pays", None)
    rig = Rig(tmp_path, chain, pace=replace(PACE, cool_down_s=120))
    yield rig
    rig.stop()


def rest_s(rig: Rig) -> int:
    """Let time pass until the subject is tried again; return how long it was left alone."""
    start_s = now_s = rig.chain.pin().timestamp_s
    while (rest := re.match(r"cooling down until (\d+)", rig.cycle([1])[0].reason)) is not None:
        assert int(rest[1]) > now_s
        # The last block before its end, then the first one after it.
        rig.chain.mine(max(1, (int(rest[1]) - now_s - 1) // BLOCK_S))
        now_s = rig.chain.pin().timestamp_s
    return now_s - start_s


def test_what_should_be_impossible_rests_longer_each_time(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Boasting, "counts", 100)
    (outcome,) = rig.cycle([1])
    assert (outcome.state, outcome.success) == (TxState.DROPPED, None)
    assert outcome.reason == "not as promised: count of 1 changes by 1, at least 100 was promised"
    assert outcome.simulation is not None
    assert outcome.simulation.promise is not None
    assert outcome.simulation.promise.lines[0].found == 1
    (resting,) = rig.cycle([1])
    assert resting.intent_id == ""
    assert "after a broken promise: count of 1 changes by 1" in resting.reason
    assert rig.cycle([2])[0].simulation is not None, "others are not left alone"
    assert [rest_s(rig) for _ in range(7)] == [120, 240, 480, 960, 1920, 3840, 3840]
    assert chain.broadcasts == []
    monkeypatch.setattr(Boasting, "counts", 1)
    assert rest_s(rig) == 3840
    assert chain.effects(BELL) == {call_of(1, chain.chain_id): 1}
    rig.audit()


def test_a_price_that_moved_is_tried_again_at_once_then_rests(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Boasting, "counts", 100)
    monkeypatch.setattr(Boasting, "priced", True)
    assert "tolerance 5" in rig.cycle([1])[0].reason
    assert [rest_s(rig) for _ in range(5)] == [0, 16, 30, 60, 120], "of 15 s, a block is 2 s"
    monkeypatch.setattr(Boasting, "counts", 1)
    assert rest_s(rig) == 240
    assert chain.effects(BELL) == {call_of(1, chain.chain_id): 1}
    monkeypatch.setattr(Boasting, "counts", 100)
    rig.chain.mine(200)
    assert "not as promised" in rig.cycle([1])[0].reason
    assert rest_s(rig) == 0, "a promise that was kept forgives those before"
    rig.audit()


def rests(rig: Rig) -> tuple[int, int]:
    """The subject rests: return how often in a row its promise was broken, and until when."""
    (outcome,) = rig.cycle([1])
    found = re.match(r"cooling down until (\d+) after (a|\d+) broken promises?", outcome.reason)
    assert found is not None, outcome.reason
    return 1 if found[2] == "a" else int(found[2]), int(found[1])


@pytest.mark.parametrize("mode", ["live", "dry-run"])
def test_a_rest_goes_on_after_a_restart(
    tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    monkeypatch.setattr("tests.execution.rig.Bell", Boasting)
    monkeypatch.setattr(Boasting, "counts", 100)
    rig = Rig(tmp_path, chain, mode=mode, pace=replace(PACE, cool_down_s=120))
    for times, doubled in enumerate((120, 240, 480, 960, 1920, 3840, 3840), start=1):
        now_s = chain.pin().timestamp_s
        assert "not as promised" in rig.cycle([1])[0].reason
        rig.restart()
        assert rests(rig) == (times, now_s + doubled)
        rig.restart()
        chain.mine(doubled // BLOCK_S - 1)
        assert rests(rig) == (times, now_s + doubled), "nor does the last second before its end"
        chain.mine()
    assert chain.broadcasts == []
    rig.stop()


def test_a_promise_that_was_kept_is_not_forgotten_either(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what could not be checked nor what reverts in its simulation changes anything about a rest."""
    monkeypatch.setattr(Boasting, "counts", 100)
    rig.cycle([1])
    chain.mine(60)
    rig.cycle([1])
    chain.mine(120)
    chain.refusing = True
    for _ in range(3):
        assert rig.cycle([1])[0].reason == "closed"
    chain.refusing = False
    rig.restart()
    now_s = chain.pin().timestamp_s
    rig.cycle([1])
    assert rests(rig) == (3, now_s + 480)
    chain.mine(240)
    monkeypatch.setattr(Boasting, "counts", 1)
    assert rig.cycle([1])[0].success is True
    rig.restart()
    monkeypatch.setattr(Boasting, "counts", 100)
    now_s = chain.pin().timestamp_s
    rig.cycle([1])
    rig.restart()
    assert rests(rig) == (1, now_s + 120)
    assert "not as promised" in rig.cycle([2])[0].reason, "others are not left alone"
    rig.audit()


def test_what_could_not_be_checked_does_not_forgive(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Boasting, "counts", 100)
    now_s = chain.pin().timestamp_s
    rig.cycle([1])
    chain.mine(60)
    plain = SimulatedChain.rehearse
    rig.limits = replace(LIMITS, require_promise=True)
    rig.restart()
    monkeypatch.setattr(
        SimulatedChain,
        "rehearse",
        lambda self, sender, txs, *_: Rehearsal(simulations=self.simulate_bundle(sender, txs)),
    )
    assert "cannot be checked" in rig.cycle([1])[0].reason
    monkeypatch.setattr(SimulatedChain, "rehearse", plain)
    rig.restart()
    rig.cycle([1])
    assert rests(rig) == (2, now_s + 120 + 240)


@pytest.mark.parametrize("boundary", ["planned.before", "planned.after", "dropped.written", "dropped.after"])
def test_a_rest_is_written_down_with_what_it_follows_from(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch, boundary: str
) -> None:
    """Killed before that, the next start finds the breach again; the rests before it still count."""
    monkeypatch.setattr(Boasting, "counts", 100)
    rig.cycle([1])
    chain.mine(60)
    rig.crash_at = killed_at(boundary)
    with pytest.raises(Killed):
        rig.cycle([1])
    rig.crash_at = never
    rig.restart()
    if boundary != "dropped.after":
        assert "not as promised" in rig.cycle([1])[0].reason
    assert rests(rig) == (2, chain.pin().timestamp_s + 240)
    assert chain.broadcasts == []


def test_a_rest_outlives_kill_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.execution.rig.Bell", Boasting)
    monkeypatch.setattr(Boasting, "counts", 100)
    pace = replace(PACE, cool_down_s=120)

    def keeper() -> None:
        rig = Rig(tmp_path, SimulatedChain(), pace=pace)
        for _ in range(3):
            assert "not as promised" in rig.cycle([1])[0].reason
            rig.chain.mine(120)
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(fork(keeper)) == -signal.SIGKILL
    rig = Rig(tmp_path, SimulatedChain(), pace=pace)
    try:
        rig.chain.mine(360)
        assert rests(rig) == (3, GENESIS_S + 2 * 240 + 480)
        assert rig.chain.broadcasts == []
    finally:
        rig.stop()


def test_what_the_node_cannot_check_is_sent_only_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rehearse(self: SimulatedChain, sender: Address, txs: Sequence[Tx], *_: object) -> Rehearsal:
        return Rehearsal(simulations=self.simulate_bundle(sender, txs))

    monkeypatch.setattr(SimulatedChain, "rehearse", rehearse)
    for required in (True, False):
        folder = tmp_path / str(required)
        folder.mkdir()
        rig = Rig(folder, SimulatedChain(), limits=replace(LIMITS, require_promise=required))
        try:
            (outcome,) = rig.cycle([1])
            assert outcome.simulation is not None
            assert outcome.simulation.promise is not None
            assert outcome.simulation.promise.checked is Checked.NOT
            assert (outcome.success is True) != required
            if required:
                assert "set limits.require_promise = false" in outcome.reason
                assert rig.cycle([1])[0].intent_id != "", "a node that can may be there at any time"
            rig.audit()
        finally:
            rig.stop()


def test_one_endpoint_of_a_quorum_that_finds_otherwise_is_enough(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SimulatedChain.rehearse

    def rehearse(self: SimulatedChain, *args: Any) -> Rehearsal:
        own = plain(self, *args)
        return replace(own, others=(own, replace(own, after=own.before)))

    monkeypatch.setattr(SimulatedChain, "rehearse", rehearse)
    (outcome,) = rig.cycle([1])
    assert outcome.reason == (
        "not as promised: by another endpoint of the quorum, count of 1 changes by 0, at least 1 was promised"
    )
    assert chain.broadcasts == []


def test_a_later_step_that_breaks_the_promise_keeps_the_first_one_back(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are those of the whole action, so they are held against all of its steps at once."""
    monkeypatch.setattr(Boasting, "counts", 2)
    outcomes = rig.cycle([TWO_STEPS])
    assert [o.state for o in outcomes] == [TxState.DROPPED] * 2
    assert all(
        "step 2 of 2 fails: not as promised" in o.reason or "not as promised" in o.reason for o in outcomes
    )
    assert chain.broadcasts == []


# What lands


def theft(chain: SimulatedChain) -> None:
    chain.moving = (Transfer(token=TOKENS[0], giver=SIGNER, taker=THIEF, amount=7),)


def test_what_lands_otherwise_halts_and_a_person_resumes(rig: Rig, chain: SimulatedChain) -> None:
    theft(chain)
    with pytest.raises(UnpromisedTransferError, match=f"7 of token {TOKENS[0]} leave {SIGNER}"):
        rig.cycle([1])
    assert rig.only().state is TxState.CONFIRMED
    assert rig.only().success is True
    halt = rig.store.halted()
    assert halt is not None
    assert "moved what it did not promise" in halt.reason
    with pytest.raises(HaltedError):
        rig.cycle([2])
    rig.restart()
    assert rig.store.halted() is not None
    rig.store.resume(by="a person")
    chain.moving = ()
    assert rig.cycle([2])[0].success is True
    rig.audit()


@pytest.mark.parametrize("boundary", ["confirmed.before", "confirmed.written", "confirmed.after"])
def test_a_crash_does_not_hide_it(rig: Rig, chain: SimulatedChain, boundary: str) -> None:
    theft(chain)
    rig.crash_at = killed_at(boundary)
    with pytest.raises(Killed):
        rig.cycle([1])
    rig.crash_at = never
    rig.stop()
    noted = boundary == "confirmed.after"
    with nullcontext() if noted else pytest.raises(UnpromisedTransferError):
        rig.start()
    rig.restart()
    assert rig.store.halted() is not None
    assert rig.only().state is TxState.CONFIRMED


def test_what_others_move_and_what_reverts_or_cancels_is_no_breach(rig: Rig, chain: SimulatedChain) -> None:
    chain.moving = (
        Transfer(token=TOKENS[0], giver=THIEF, taker=SIGNER, amount=7),
        Transfer(token=TOKENS[0], giver=OTHER, taker=THIEF, amount=7),
        Transfer(token=TOKENS[0], giver=SIGNER, taker=THIEF, amount=0),
        Transfer(token=TOKENS[0], giver=SIGNER, taker=SIGNER, amount=7),
    )
    assert rig.cycle([1])[0].success is True
    theft(chain)
    chain.reverting = True
    assert rig.cycle([2])[0].success is False
    assert rig.store.halted() is None
    rig.audit()


def pay(amount: int) -> Transfer:
    return Transfer(token=TOKENS[0], giver=OTHER, taker=SIGNER, amount=amount)


@pytest.mark.parametrize(
    ("shown", "landed", "halts"), [(1, 1, False), (1, 0, True), (1, 2, True), (0, 2, False)]
)
def test_an_exact_payment_is_held_to_what_the_token_told_in_the_simulation(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch, shown: int, landed: int, halts: bool
) -> None:
    """A token that does not tell of it, here by showing nothing, is not held to it."""
    monkeypatch.setattr(Boasting, "pays", 1)
    plain = SimulatedChain.rehearse

    def rehearse(self: SimulatedChain, *args: Any) -> Rehearsal:
        return replace(plain(self, *args), transfers=(pay(shown),))

    monkeypatch.setattr(SimulatedChain, "rehearse", rehearse)
    chain.moving = (pay(landed),)
    if halts:
        with pytest.raises(UnpromisedTransferError, match=f"pay changes by {landed}, 1 was promised"):
            rig.cycle([1])
    else:
        assert rig.cycle([1])[0].success is True
    assert (rig.store.halted() is not None) == halts


def test_a_step_before_the_last_is_not_held_to_what_the_last_one_pays(
    rig: Rig, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Boasting, "pays", 1)
    plain = SimulatedChain.rehearse

    def rehearse(self: SimulatedChain, *args: Any) -> Rehearsal:
        return replace(plain(self, *args), transfers=(pay(1),))

    monkeypatch.setattr(SimulatedChain, "rehearse", rehearse)
    receipts: list[int] = []
    receipt = SimulatedChain.receipt

    def counted(self: SimulatedChain, tx_hash: str) -> Any:
        found = receipt(self, tx_hash)
        if found is not None:
            receipts.append(found.block_number)
            found = replace(found, transfers=(pay(1),) if found.block_number == 2 else ())
        return found

    monkeypatch.setattr(SimulatedChain, "receipt", counted)
    outcomes = rig.cycle([TWO_STEPS])
    assert [o.success for o in outcomes] == [True, True]
    assert set(receipts) == {1, 2}
    assert rig.store.halted() is None


THIEVING: Final = (
    "0x36602414601f57"
    "5f54601b57"
    "60243580546001019055"
    "3a602a5700"
    "5b5f5ffd"
    "5b600435545f5260205ff3"
    "5b60075f52"
    "61dead33"
    f"7f{keccak(text='Transfer(address,address,uint256)').hex()}"
    "60205fa300"
)
"""The bell's code; and while gas has a price, which no simulation gives it, 7 of itself leave the caller."""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with local_chain(tmp_path) as chain:
        yield chain


@pytest.mark.devnet
def test_a_contract_that_behaves_only_while_it_is_simulated(local: LocalChain) -> None:
    limits = replace(LIMITS, require_promise=True)
    local.node.rpc("anvil_setCode", BELL, THIEVING)
    with pytest.raises(TripwireError, match=f"7 of token {BELL} leave {local.signer}"):
        local.carry_out((decision(1, CHAIN_ID),), limits)
    assert local.effects(1) == 1
    with pytest.raises(HaltedError):
        local.carry_out((decision(2, CHAIN_ID),), limits)
    assert local.sent() == 1


@pytest.mark.devnet
def test_a_contract_that_takes_openly_is_not_called(local: LocalChain) -> None:
    local.node.rpc("anvil_setCode", BELL, THIEVING.replace("3a602a57", "58602a57"))
    (outcome,) = local.carry_out((decision(1, CHAIN_ID),), LIMITS)
    assert outcome.state is TxState.DROPPED
    assert f"7 of token {BELL} leave {local.signer}" in outcome.reason
    assert local.sent() == 0
