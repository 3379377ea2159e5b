"""The three figures: what must hold for every book, and a book worked by hand."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account
from keeper.model.margin import MarginProfile
from keeper.model.reads import Address
from keeper.model.units import to_float
from keeper.policy.decide import margin_profiles
from tests.support.books import (
    CALL_ID,
    DESK,
    PERP,
    PUT_ID,
    STRANGER,
    curie_account,
    lyra_short,
    params,
    snapshot,
)

sizes = st.floats(-50, 50).map(lambda x: round(x, 4))


def desk(*accounts: Account) -> MarginProfile:
    return margin_profiles(snapshot(accounts), params())[0]


def test_a_long_and_a_short_perp_net_to_nothing_but_their_basis() -> None:
    long, short = curie_account(size=10.0), curie_account(owner=STRANGER, size=-9.0)
    both = dataclasses.replace(
        params(), profiles=(dataclasses.replace(params().profiles[0], owners=(DESK, STRANGER)),)
    )
    # The short sits at another venue, in that venue's own perp.
    other = dataclasses.replace(PERP, id="curie:10:0xvETH")
    elsewhere = dataclasses.replace(
        short,
        id="curie:10:other",
        chain_id=10,
        positions=tuple(dataclasses.replace(p, instrument=other.id) for p in short.positions),
    )
    market = snapshot([long, elsewhere])
    (mark,) = (q for q in market.quotes if q.kind == "mark")
    market = dataclasses.replace(
        market,
        instruments=(*market.instruments, other),
        quotes=(*market.quotes, dataclasses.replace(mark, subject=other.id)),
    )
    profile = margin_profiles(market, both)[0]
    (eth,) = profile.exposures
    assert (eth.delta_base, eth.gross_delta_base) == (1.0, 19.0)
    assert profile.house.scan_usd == pytest.approx(0.16 * 1800.0 * 1.0)
    assert profile.house.gross_scan_usd == pytest.approx(0.16 * 1800.0 * 19.0)
    assert profile.house.basis_usd == pytest.approx(0.01 * 9.0 * 1800.0)
    # Both contracts would have to be closed: 10 units and 9.
    assert profile.house.liquidity_usd == pytest.approx(0.002 * 19.0 * 1800.0)
    assert profile.house.initial_usd == pytest.approx(
        profile.house.scan_usd + profile.house.basis_usd + profile.house.liquidity_usd
    )
    assert profile.house.maintenance_usd == pytest.approx(0.8 * profile.house.initial_usd)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes)
def test_netting_never_costs_and_the_parts_add_up(perp: float, put: float, call: float) -> None:
    accounts = [
        curie_account(size=perp),
        lyra_short("1", size=put, instrument=PUT_ID),
        lyra_short("2", size=call, instrument=CALL_ID, in_base=True, collateral=3.0, needed=1.0),
    ]
    profile = desk(*accounts)
    assert profile.house.scan_usd <= profile.house.gross_scan_usd + 1e-6
    assert profile.netting_benefit_usd == pytest.approx(
        profile.house.gross_scan_usd - profile.house.scan_usd, abs=1e-6
    )
    assert profile.equity_usd == pytest.approx(sum(a.value_usd for a in profile.accounts))
    assert profile.venue_sum.maintenance_usd == pytest.approx(
        sum(to_float(a.venue.maintenance) for a in accounts)
    )
    (eth,) = profile.exposures
    assert abs(eth.delta_base) <= eth.gross_delta_base + 1e-9
    assert eth.delta_base == pytest.approx(sum(p.delta_base for a in profile.accounts for p in a.positions))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_accounts_does_not_matter(order: list[int]) -> None:
    accounts = [
        curie_account(size=3.0),
        lyra_short("1"),
        lyra_short("2", size=-3.0),
        lyra_short("3", size=2.0),
    ]
    base = desk(*accounts)
    other = desk(*[accounts[i] for i in order])
    assert base == other


def test_an_unpriced_account_is_missing_and_said_to_be() -> None:
    snap = snapshot([curie_account(), lyra_short()], without=["surface"])
    profile = margin_profiles(snap, params())[0]
    assert profile.unpriced == ("lyra:10:1",)
    assert [a.id for a in profile.accounts] == [curie_account().id]
    assert profile.venue_sum.maintenance_usd == pytest.approx(
        1125.0 + 3000.0
    )  # the venue's own word still counts


def test_transfer_compares_the_route_with_the_line() -> None:
    near = desk(curie_account(size=10.0, cash=1_200.0)).transfer[0]
    far = desk(curie_account(size=1.0, cash=1_200.0)).transfer[0]
    assert near.distance is not None
    assert far.distance is not None
    assert near.distance < far.distance
    assert near.feasible is False
    assert far.feasible is True
    assert near.hit_probability is not None
    assert near.hit_probability > 0.01 >= (far.hit_probability or 0.0)


def test_an_empty_profile_is_all_zero_and_no_error() -> None:
    profile = margin_profiles(snapshot([curie_account(owner=Address(STRANGER))]), params())[0]
    assert (profile.members, profile.equity_usd, profile.house.initial_usd) == ((), 0.0, 0.0)
