"""Distance to the venue's line: closed forms for perps, the collateral twin for shorts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account
from keeper.policy.barrier import Line, line_of
from keeper.policy.venue_rule import market_of
from tests.support.books import curie_account, lyra_short, snapshot


def line(account: Account) -> Line | None:
    return line_of(account, market_of(snapshot([account])))


@given(st.floats(1.0, 50.0), st.floats(0.07, 0.6))
def test_a_long_perp_fails_where_equity_meets_maintenance(size: float, margin: float) -> None:
    cash = round(size * 1800.0 * margin, 6)
    got = line(curie_account(size=round(size, 6), cash=cash))
    assert got is not None
    # E + q (S' - S) = mm q S'
    price = (size * 1800.0 - cash) / (size * (1 - 0.0625))
    assert got.price_usd == pytest.approx(price, rel=1e-5)
    assert got.distance == pytest.approx(1 - price / 1800.0, abs=2e-6)


def test_a_short_perp_fails_above() -> None:
    got = line(curie_account(size=-10.0, cash=5_000.0))
    assert got is not None
    assert got.price_usd == pytest.approx((18_000 + 5_000) / (10 * 1.0625), rel=1e-5)


def test_an_account_that_fails_now_is_at_distance_zero() -> None:
    got = line(curie_account(size=10.0, cash=1_000.0))
    assert got is not None
    assert got.distance == 0.0


def test_a_fully_collateralised_put_has_no_line() -> None:
    assert line(lyra_short(size=-8.0, collateral=12_800.0)) is None


def test_a_partially_collateralised_put_fails_below_spot() -> None:
    got = line(lyra_short(size=-8.0, collateral=6_000.0))
    assert got is not None
    assert got.price_usd < 1800.0


def test_no_position_or_no_requirement_no_line() -> None:
    assert line(curie_account(size=0.0)) is None
    assert line(lyra_short(size=5.0, needed=0.0, collateral=0.0)) is None
