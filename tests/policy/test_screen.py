"""The screen against the scalar twin of each venue's rule, and what it must never leave out."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account, Balance, Position, Requirement
from keeper.model.reads import Address
from keeper.model.snapshot import VenueState
from keeper.model.units import Wad, to_float
from keeper.policy.rule import NOW
from keeper.policy.screen import (
    EXACT_USD,
    Holding,
    Measured,
    Prices,
    holding_of,
    measured,
    prices_of,
    suspects,
    unlike,
)
from keeper.policy.venue_rule import market_of, twin_of
from tests.support.books import (
    CALL,
    CALL_ID,
    CURIE,
    LYRA,
    MONTH_S,
    NOW_S,
    PERP,
    PERP_ID,
    PUT,
    PUT_ID,
    TERMS,
    curie_account,
    lyra_short,
    quotes,
    snapshot,
    wad,
)

INSTRUMENTS = {i.id: i for i in (PERP, PUT, CALL)}


def state(venue: str, accounts: Sequence[Account] = (), *, spot: float = 1_800.0) -> VenueState:
    return VenueState(
        accounts=tuple(accounts),
        instruments=(PERP,) if venue == CURIE else (PUT, CALL),
        quotes=tuple(q for q in quotes(spot) if q.source.startswith(venue)),
        terms=tuple(t for t in TERMS if t.venue == venue),
    )


def prices(venue: str, *, spot: float = 1_800.0, later_s: int = 0, paid: float | None = None) -> Prices:
    accrued = None if paid is None else {PERP_ID: paid}
    return prices_of(state(venue, spot=spot), NOW_S + later_s, accrued)


def held(account: Account, at: Prices) -> Holding:
    holding = holding_of(account, INSTRUMENTS, at)
    assert holding is not None
    return holding


perp_accounts = st.builds(
    lambda size, entry, cash: curie_account(size=round(size, 6), entry=round(entry, 4), cash=round(cash, 4)),
    st.floats(-80, 80).filter(lambda x: abs(x) > 1e-3),
    st.floats(900, 2_700),
    st.floats(-2e4, 5e4),
)
option_accounts = st.one_of(
    st.builds(
        lambda size, collateral: lyra_short(size=-round(size, 6), collateral=round(collateral, 4)),
        st.floats(0.01, 50),
        st.floats(0, 40_000),
    ),
    st.builds(
        lambda size, collateral, in_base: lyra_short(
            size=-round(size, 6), collateral=round(collateral, 4), instrument=CALL_ID, in_base=in_base
        ),
        st.floats(0.01, 50),
        st.floats(0, 100),
        st.booleans(),
    ),
    st.builds(lambda size: lyra_short(size=round(size, 6), collateral=0.0), st.floats(0.01, 50)),
)
books = st.one_of(
    st.tuples(st.just(CURIE), st.lists(perp_accounts, min_size=1, max_size=8)),
    st.tuples(st.just(LYRA), st.lists(option_accounts, min_size=1, max_size=8)),
)


@given(books, st.floats(300, 6_000), st.integers(0, MONTH_S - 1))
def test_all_at_once_is_each_on_its_own(book: tuple[str, list[Account]], spot: float, later_s: int) -> None:
    venue, accounts = book
    spot = round(spot, 4)
    found = measured(
        {str(n): held(a, prices(venue)) for n, a in enumerate(accounts)},
        prices(venue, spot=spot, later_s=later_s, paid=0.0),
    )
    market = market_of(snapshot(accounts, spot=spot, timestamp_s=NOW_S + later_s))
    assert sorted(found.keys, key=int) == [str(n) for n in range(len(accounts))]
    for n, account in enumerate(accounts):
        twin = twin_of(account, market)
        assert twin is not None
        then, at = twin(NOW), found.keys.index(str(n))
        assert found.equity_usd[at] == pytest.approx(then.equity_usd[0], rel=1e-12, abs=1e-9)
        assert found.maintenance_usd[at] == pytest.approx(then.maintenance_usd[0], rel=1e-12, abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20), st.floats(0, 0.5)
)
def test_nobody_below_his_line_is_left_out(figures: list[tuple[float, float]], margin: float) -> None:
    equity_usd, owed_usd = (np.array(column) for column in zip(*figures, strict=True))
    keys = tuple(str(n) for n in range(len(figures)))
    found = suspects(Measured(keys=keys, equity_usd=equity_usd, maintenance_usd=owed_usd), margin)
    for key, equity, owed in zip(keys, equity_usd, owed_usd, strict=True):
        if owed > 0.0 and equity < owed * (1.0 + margin):
            assert key in found
        if equity > owed * (1.0 + margin) + 2 * EXACT_USD:
            assert key not in found


def test_what_has_no_figure_is_near_and_what_owes_nothing_is_far() -> None:
    nan = math.nan
    found = Measured(
        keys=("no equity", "no requirement", "neither", "free"),
        equity_usd=np.array([nan, 1e9, nan, -5.0]),
        maintenance_usd=np.array([1.0, nan, nan, 0.0]),
    )
    assert suspects(found, 0.01) == ("no equity", "no requirement", "neither")


def without(at: Prices, **changes: object) -> Prices:
    return dataclasses.replace(at, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "at"),
    [
        (curie_account(), without(prices(CURIE), marks_usd={})),
        (curie_account(), without(prices(CURIE), accrued_usd={})),
        (curie_account(), without(prices(CURIE), terms={})),
        (lyra_short(), without(prices(LYRA), indices_usd={})),
        (lyra_short(), without(prices(LYRA), terms={})),
        (lyra_short(), prices(LYRA, later_s=MONTH_S)),
        (lyra_short(size=5.0, collateral=0.0), prices(LYRA, later_s=MONTH_S + 1)),
    ],
    ids=["no mark", "no funding", "no ratios", "no index", "no terms", "expired short", "expired long"],
)
def test_a_missing_price_or_a_past_expiry_asks_the_contract(account: Account, at: Prices) -> None:
    venue = CURIE if account.protocol == "curie" else LYRA
    assert suspects(measured({"a": held(account, prices(venue))}, at), 0.01) == ("a",)


def changed(account: Account, **changes: object) -> Account:
    return dataclasses.replace(account, **changes)  # type: ignore[arg-type]


def test_what_the_rule_does_not_cover_cannot_be_held() -> None:
    perp, put, at = curie_account(), lyra_short(), prices(CURIE)
    weth = Balance(asset="WETH", amount=wad(1.0), underlying="ETH")
    (position,) = perp.positions
    uncovered = [
        (curie_account(has_orders=True), at),
        (changed(perp, balances=(*perp.balances, weth)), at),
        (changed(perp, positions=(dataclasses.replace(position, entry=None),)), at),
        (changed(perp, positions=(Position(instrument="strange", size=wad(1.0), entry=wad(1.0)),)), at),
        (perp, without(at, accrued_usd={})),
        (perp, without(at, terms={})),
        (put, prices(LYRA, later_s=MONTH_S)),
        (changed(put, positions=()), prices(LYRA)),
        (changed(put, positions=(*put.positions, *put.positions)), prices(LYRA)),
        (changed(put, balances=(*put.balances, weth)), prices(LYRA)),
    ]
    for account, when in uncovered:
        assert holding_of(account, INSTRUMENTS, when) is None
    nothing_in_kind = changed(perp, balances=(*perp.balances, dataclasses.replace(weth, amount=Wad(0))))
    assert holding_of(nothing_in_kind, INSTRUMENTS, at) is not None


@given(perp_accounts, st.floats(-50, 50), st.floats(-50, 50), st.floats(900, 2_700))
def test_funding_is_paid_on_the_signed_size_since_the_reading(
    account: Account, before: float, paid: float, mark: float
) -> None:
    """Read when `before` had been paid per unit since the origin: only what came after counts."""
    holding = held(account, prices(CURIE, paid=before))
    still = measured({"a": holding}, prices(CURIE, spot=mark, paid=before))
    moved = measured({"a": holding}, prices(CURIE, spot=mark, paid=before + paid))
    size = to_float(account.positions[0].size)
    assert still.equity_usd[0] - moved.equity_usd[0] == pytest.approx(size * paid, rel=1e-9, abs=1e-7)
    assert still.maintenance_usd[0] == moved.maintenance_usd[0]


def test_only_what_the_contract_measures_alike_is_like() -> None:
    account = curie_account(size=10.0, cash=5_000.0)
    found = measured({"a": held(account, prices(CURIE))}, prices(CURIE))

    def against(equity: float, maintenance: float) -> tuple[str, ...]:
        venue = Requirement(equity=wad(equity), initial=wad(0), maintenance=wad(maintenance))
        return unlike(found, {"a": changed(account, venue=venue)})

    assert against(5_000.0, 1_125.0) == ()
    assert against(5_000.000_009, 1_124.999_991) == ()
    assert against(5_000.001, 1_125.0) == ("a",)
    assert against(5_000.0, 1_125.001) == ("a",)
    assert unlike(found, {}) == ("a",)


def test_an_owner_does_not_matter_to_the_measure() -> None:
    mine = held(curie_account(), prices(CURIE))
    assert mine == held(curie_account(owner=Address("0x" + "12" * 20)), prices(CURIE))
    assert measured({}, prices(CURIE)).keys == ()


def names(found: Mapping[str, object]) -> set[str]:
    return set(found)


def test_prices_are_those_of_one_venue_at_its_block() -> None:
    at = prices(CURIE, later_s=7)
    assert at.at_s == NOW_S + 7
    assert at.marks_usd == {PERP_ID: 1_800.0}
    assert names(at.terms) == {"im_ratio", "mm_ratio"}
    assert at.accrued_usd == {PERP_ID: 0.0}, "its own block is the origin"
    assert prices(CURIE, paid=3.0).accrued_usd == {PERP_ID: 3.0}
    assert prices(LYRA).indices_usd == {"ETH": 1_800.0}
    assert prices(LYRA).terms["shock_vol_point_a_s"] == 14 * 86_400
    assert PUT_ID in INSTRUMENTS
