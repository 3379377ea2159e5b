"""What must hold for every adapter on the bytecode that it claims to speak to."""

import dataclasses
from typing import Any

import pytest

from keeper.chain.abi import function
from keeper.model.canonical import digest
from keeper.model.reads import Call, Failed
from keeper.model.snapshot import VenueState
from keeper.protocols.adapter import Found
from tests.conformance.subject import Subject, swap
from tests.support.fake_chain import drive

pytestmark = pytest.mark.devnet


def numbers(value: Any) -> list[object]:
    """Every number inside a frozen value."""
    if dataclasses.is_dataclass(value):
        return [n for f in dataclasses.fields(value) for n in numbers(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, int | float) else []


def test_the_wiring_is_proven(subject: Subject) -> None:
    findings = subject.run(subject.adapter.check(subject.venue))
    assert len(findings) >= len(subject.adapter.contracts)
    assert [f for f in findings if not f.ok] == []


def test_a_wrong_address_is_found_with_a_remedy(subject: Subject) -> None:
    nowhere = subject.actor("anna")
    for name in sorted(subject.adapter.contracts):
        bad = [f for f in subject.run(subject.adapter.check(swap(subject.venue, name, nowhere))) if not f.ok]
        assert bad, f"{name} may be anything"
        assert all(f.remedy and f.found and f.expected for f in bad)
        assert any(name in f.subject + f.remedy for f in bad)


def test_a_wrong_address_never_looks_like_an_empty_venue(subject: Subject) -> None:
    whole = subject.read()
    found = subject.discover()
    for name in sorted(subject.adapter.contracts):
        at = subject.client.head()
        venue = swap(subject.venue, name, subject.actor("anna"))
        state = subject.client.run(subject.adapter.read(venue, found, subject.wallets, at), at)
        assert state == whole or state.gaps or state.wallets != whole.wallets, name


def test_two_readings_of_a_block_are_the_same_bytes(subject: Subject) -> None:
    first = subject.read()
    assert digest(first) == digest(subject.read())
    assert not [n for n in numbers(first) if isinstance(n, float)]
    assert first.gaps == ()


def test_ids_are_unique_and_outlive_the_block(moved: Subject) -> None:
    before = moved.read()
    moved.chains.warp(3_600)
    after = moved.read()
    for state in (before, after):
        accounts = [a.id for a in state.accounts]
        instruments = [i.id for i in state.instruments]
        assert len(set(accounts)) == len(accounts) > 5
        assert len(set(instruments)) == len(instruments)
        assert {p.instrument for a in state.accounts for p in a.positions} <= set(instruments)
        for account in state.accounts:
            assert account.id == f"{moved.venue.id}:{account.key}"
            assert (account.protocol, account.chain_id) == (moved.adapter.name, moved.venue.chain_id)
            assert account.liquidation_mode is moved.adapter.liquidation_mode
            assert account.settlement_mode is moved.adapter.settlement_mode
    assert [(a.id, a.owner) for a in before.accounts] == [(a.id, a.owner) for a in after.accounts]
    assert [i.id for i in before.instruments] == [i.id for i in after.instruments]


def test_the_order_of_keys_wallets_and_markets_does_not_matter(moved: Subject) -> None:
    whole, found = moved.read(), moved.discover()
    turned = Found(keys=tuple(reversed(found.keys)), next_block=found.next_block)
    other = dataclasses.replace(
        moved, venue=dataclasses.replace(moved.venue, underlyings=moved.venue.underlyings[::-1])
    )
    assert digest(other.read(turned, wallets=moved.wallets[::-1])) == digest(whole)


def test_requirements_shortfalls_and_bounties_have_their_signs(moved: Subject) -> None:
    state = moved.read()
    assert any(a.liquidatable for a in state.accounts)
    for account in state.accounts:
        assert account.venue.initial >= 0
        assert account.venue.maintenance >= 0
        assert (account.bounty is not None) == account.liquidatable
        assert account.withdrawable is None or account.withdrawable >= 0
        if account.bounty is not None:
            assert account.venue.equity < account.venue.maintenance
            held = {p.instrument: p.size for p in account.positions}
            size = held[account.bounty.instrument]
            assert account.bounty.reward_usd > 0
            assert 0 < account.bounty.size / size <= 1
    for quote in state.quotes:
        assert 10**20 < quote.price < 10**23  # between 100 and 100,000 USD, whatever the venue's own places


def test_no_lost_answer_changes_what_is_reported(moved: Subject) -> None:
    """Withhold every single answer in turn: what is still reported is the same, and the rest is a gap."""
    found, at, whole, recorder = moved.record()
    accounts = {a.id: a for a in whole.accounts}
    assert len(recorder.answers) > 50
    for read in recorder.answers:
        lost: dict[Any, object] = {**recorder.answers, read: Failed(str(read), "withheld")}
        state: VenueState = drive(moved.adapter.read(moved.venue, found, moved.wallets, at), lost)
        missing = set(accounts) - {a.id for a in state.accounts}
        gaps = {(g.what, g.key) for g in state.gaps}
        assert all(accounts[a.id] == a for a in state.accounts), read
        assert ("venue", moved.venue.id) in gaps or missing == {k for w, k in gaps if w == "account"}, read
        for name in ("quotes", "surfaces", "funding", "pools", "terms", "wallets", "boards"):
            kept, had = getattr(state, name), getattr(whole, name)
            assert set(kept) <= set(had), (read, name)
            assert kept == had or gaps, (read, name)


def test_lost_events_are_an_error_not_a_smaller_venue(subject: Subject) -> None:
    at = subject.client.head()
    for known in (Found(), subject.discover()):
        reads = subject.adapter.discover(subject.venue, known, at)
        asked = next(reads)
        with pytest.raises(Exception, match="could not be discovered") as caught:
            reads.send([Failed(str(read), "withheld") for read in asked])
        assert type(caught.value).__name__ == "DiscoveryError"


def test_following_events_finds_what_starting_over_finds(subject: Subject) -> None:
    known = subject.discover()
    subject.chains.move()
    _new_account(subject)
    followed, afresh = subject.discover(known), subject.discover()
    assert set(afresh.keys) <= set(followed.keys)
    assert len(followed.keys) == len(known.keys) + 1
    assert followed.next_block == afresh.next_block == subject.client.head().number + 1
    longer = Found(keys=("0x0",), next_block=subject.client.head().number + 10_000)
    assert subject.discover(longer) == afresh, "what is known of another chain is forgotten"


def _new_account(subject: Subject) -> None:
    chains = subject.chains
    if subject.adapter.name == "curie":
        chains.curie.deposit(chains.actor("anna"), 10)
    else:
        chains.lyra.fund(chains.actor("iris"), quote=10**24, base=0)  # type: ignore[arg-type]
        chains.lyra.open(chains.actor("iris"), 0, 8, 10**18, 0)  # type: ignore[arg-type]


def test_what_may_be_sent_is_in_the_abi_and_changes_state(subject: Subject) -> None:
    for contract, name in subject.adapter.sends:
        assert function(contract, name).changes_state
    assert set(dict(subject.venue.contracts)) == subject.adapter.contracts


def test_every_view_that_is_asked_for_is_a_view(moved: Subject) -> None:
    """Only what proves a liquidation changes state, and that stays in its own simulation."""
    _, _, _, recorder = moved.record()
    for read in recorder.answers:
        assert isinstance(read, Call)
        if function(read.contract, read.fn).changes_state:
            assert read.sender is not None
            assert (read.contract, read.fn) in moved.adapter.sends
