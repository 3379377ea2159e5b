"""Pricing a snapshot: values by hand, Greeks by bumping, and no account that is silently worth less."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account, Position
from keeper.model.errors import UnfitValueError
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad, to_float
from keeper.policy.valuation import Valuation, value
from tests.support.books import (
    CALL_ID,
    NOW_S,
    PERP_ID,
    PUT_ID,
    curie_account,
    lyra_short,
    snapshot,
    wad,
)


def worth(valuation: Valuation, account: Account) -> float:
    row = valuation.book.accounts.index(account.id)
    held = slice(valuation.book.indptr[row], valuation.book.indptr[row + 1])
    sizes, prices = valuation.book.sizes_base[held], valuation.unit.price_usd[valuation.book.indices[held]]
    return float(sizes @ prices + valuation.book.cash_usd[row])


def unit(valuation: Valuation, instrument: str, field: str) -> float:
    return float(getattr(valuation.unit, field)[valuation.columns.ids.index(instrument)])


@given(st.floats(-50, 50), st.floats(1000, 3000), st.floats(-1e5, 1e5))
def test_a_perp_account_is_worth_what_its_venue_says(size: float, entry: float, cash: float) -> None:
    account = curie_account(size=round(size, 6), entry=round(entry, 6), cash=round(cash, 6))
    got = worth(value(snapshot([account])), account)
    assert got == pytest.approx(to_float(account.venue.equity), abs=1e-6)


def test_an_option_is_priced_on_its_own_venues_spot_surface_and_rate() -> None:
    valuation = value(snapshot([lyra_short()]))
    T, r, s, K, S = 30 / 365, 0.05, 0.9, 1600.0, 1800.0
    d1 = (math.log(S / K) + (r + s * s / 2) * T) / (s * math.sqrt(T))
    d2 = d1 - s * math.sqrt(T)

    def cdf(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    assert unit(valuation, PUT_ID, "price_usd") == pytest.approx(
        K * math.exp(-r * T) * cdf(-d2) - S * cdf(-d1), rel=1e-12
    )
    assert unit(valuation, PUT_ID, "delta_base") == pytest.approx(cdf(d1) - 1.0, rel=1e-12)


@pytest.mark.parametrize("instrument", [PUT_ID, CALL_ID])
def test_greeks_are_the_slopes_of_the_price(instrument: str) -> None:
    def price(*, spot: float = 1800.0, later_s: int = 0) -> float:
        return unit(
            value(snapshot([lyra_short()], spot=spot, timestamp_s=NOW_S + later_s)), instrument, "price_usd"
        )

    at = value(snapshot([lyra_short()]))
    h = 0.5
    delta = (price(spot=1800 + h) - price(spot=1800 - h)) / (2 * h)
    gamma = (price(spot=1800 + h) - 2 * price() + price(spot=1800 - h)) / h**2
    theta = (price(later_s=60) - price(later_s=-60)) / 120 * 86_400
    assert unit(at, instrument, "delta_base") == pytest.approx(delta, rel=1e-5)
    assert unit(at, instrument, "gamma_base_per_usd") == pytest.approx(gamma, rel=1e-4)
    assert unit(at, instrument, "theta_usd_per_day") == pytest.approx(theta, rel=1e-4)


def test_collateral_in_kind_counts_as_delta_and_dollars_as_cash() -> None:
    account = lyra_short(instrument=CALL_ID, size=-4.0, collateral=1.5, needed=1.0, in_base=True)
    valuation = value(snapshot([account]))
    assert unit(valuation, "spot:ETH", "delta_base") == 1.0
    assert worth(valuation, account) == pytest.approx(
        1.5 * 1800.0 - 4.0 * unit(valuation, CALL_ID, "price_usd")
    )


def test_an_expired_option_is_worth_its_intrinsic_value() -> None:
    late = snapshot([lyra_short()], timestamp_s=NOW_S + 31 * 86_400, spot=1500.0)
    assert unit(value(late), PUT_ID, "price_usd") == 100.0


@pytest.mark.parametrize(
    ("without", "account", "why"),
    [
        ("reference", curie_account(), "no trusted price of ETH"),
        ("mark", curie_account(), f"no mark of {PERP_ID}"),
        ("index", lyra_short(), "no index of ETH at lyra:10"),
        ("surface", lyra_short(), "no vol surface of ETH at lyra:10"),
    ],
)
def test_what_cannot_be_priced_is_named_and_left_out(without: str, account: Account, why: str) -> None:
    valuation = value(snapshot([account], without=[without]))
    assert valuation.unpriced == {account.id: why}
    assert account.id not in valuation.book.accounts


def test_an_undescribed_position_and_a_lost_entry_are_unpriced() -> None:
    stranger = dataclasses.replace(
        curie_account(), positions=(Position(instrument="curie:42161:0xother", size=wad(1), entry=wad(1)),)
    )
    lost = dataclasses.replace(
        curie_account(), positions=(Position(instrument=PERP_ID, size=wad(1), entry=None),)
    )
    for account in (stranger, lost):
        assert account.id in value(snapshot([account])).unpriced


def test_a_negative_price_is_refused() -> None:
    broken: Snapshot = snapshot([curie_account()])
    quotes = tuple(dataclasses.replace(q, price=Wad(-q.price)) for q in broken.quotes)
    with pytest.raises(UnfitValueError, match="forward_usd"):
        value(dataclasses.replace(broken, quotes=quotes))


def test_an_empty_snapshot_is_an_empty_book() -> None:
    empty = value(Snapshot(blocks=(), accounts=(), instruments=(), quotes=()))
    assert len(empty.book) == 0
    assert np.asarray(empty.unit.price_usd).shape == (0,)
