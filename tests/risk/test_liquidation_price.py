"""Liquidation prices: closed forms, non-monotone books, grids of accounts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk import black76
from keeper.risk.liquidation_price import (
    BufferAtPrice,
    grid_crossings_usd,
    linear_liquidation_price_usd,
    liquidation_prices,
)
from keeper.risk.reverse_stress import reverse_stress_revalued

Floats = NDArray[np.float64]


def perp(size: float, equity_usd: float, rate: float, spot_usd: float = 50_000.0) -> BufferAtPrice:
    def buffer(price: Floats) -> Floats:
        return equity_usd + size * (price - spot_usd) - rate * abs(size) * price

    return buffer


@pytest.mark.parametrize(("size", "price"), [(1.0, 41025.64102564102), (-1.0, 58536.58536585366)])
def test_hyperliquids_long_and_short(size: float, price: float) -> None:
    # Source: own worked example `hl_liq`: price 50,000, equity 10,000, maintenance leverage 40.
    rate = 1.0 / 40.0
    buffer_usd = 10_000.0 - rate * 50_000.0
    closed = linear_liquidation_price_usd(50_000.0, buffer_usd, size, maintenance_rate=rate)
    assert float(closed) == pytest.approx(price, rel=1e-12)
    buffer = perp(size, 10_000.0, rate)
    found = liquidation_prices(buffer, 50_000.0)
    assert found.crossings_usd == pytest.approx((price,), rel=1e-12)
    assert (found.below_usd is None) == (size < 0.0)
    assert (found.above_usd is None) == (size > 0.0)


@given(
    st.floats(-100.0, 100.0).filter(lambda q: abs(q) > 1e-3),
    st.floats(0.001, 0.5),
    st.floats(0.05, 0.9),
    st.floats(1.0, 1e5),
)
def test_search_and_closed_form_agree(size: float, rate: float, cushion: float, spot_usd: float) -> None:
    buffer_usd = cushion * abs(size) * spot_usd
    closed = float(linear_liquidation_price_usd(spot_usd, buffer_usd, size, maintenance_rate=rate))
    slope = size - rate * abs(size)
    found = liquidation_prices(lambda p: buffer_usd + slope * (p - spot_usd), spot_usd)
    nearest = found.below_usd if size > 0.0 else found.above_usd
    if 1e-3 * spot_usd < closed < 10.0 * spot_usd:
        assert nearest == pytest.approx(closed, rel=1e-9)
    else:
        assert nearest is None


def test_a_short_straddle_dies_on_both_sides() -> None:
    found = liquidation_prices(lambda p: 30.0 - np.abs(p - 100.0), 100.0)
    assert not found.liquidatable
    assert found.below_usd == pytest.approx(70.0)
    assert found.above_usd == pytest.approx(130.0)


def test_a_book_may_die_in_between_and_live_again() -> None:
    # Healthy at 100, dead between 60 and 80, healthy below.
    found = liquidation_prices(lambda p: (p - 60.0) * (p - 80.0), 100.0)
    assert found.crossings_usd == pytest.approx((60.0, 80.0))
    assert found.below_usd == pytest.approx(80.0)
    assert found.above_usd is None


@given(st.floats(2e-3, 0.95) | st.floats(1.05, 9.0), st.floats(1e-4, 0.05))
def test_a_narrow_dip_is_found(centre: float, width: float) -> None:
    spot = 1_000.0
    dip, half = centre * spot, width * centre * spot
    found = liquidation_prices(lambda p: (p - dip) ** 2 - half**2, spot)
    inside = abs(spot - dip) < half
    assert found.liquidatable == inside
    assert len(found.crossings_usd) == 2
    assert found.crossings_usd == pytest.approx((dip - half, dip + half), rel=1e-6)


def test_a_dip_at_a_strike_is_found_by_its_kink() -> None:
    def buffer(price: Floats) -> Floats:
        return np.minimum(1.0, np.abs(price - 73.123) * 1e4 - 1e-3)

    found = liquidation_prices(buffer, 100.0, kinks_usd=[73.123])
    assert found.crossings_usd == pytest.approx((73.123, 73.123), rel=1e-8)


def test_an_account_that_is_liquidatable_names_its_recoveries() -> None:
    found = liquidation_prices(lambda p: p - 120.0, 100.0)
    assert found.liquidatable
    assert (found.below_usd, found.above_usd) == (None, None)
    assert found.crossings_usd == pytest.approx((120.0,))


def test_a_safe_account_has_no_price() -> None:
    found = liquidation_prices(lambda p: np.ones_like(p), 100.0)
    assert found.crossings_usd == ()
    assert (found.liquidatable, found.below_usd, found.above_usd) == (False, None, None)


def test_the_named_price_is_still_healthy() -> None:
    buffer = perp(1.0, 10_000.0, 0.025)
    below = liquidation_prices(buffer, 50_000.0).below_usd
    assert below is not None
    at, beyond = buffer(np.array([below, below * (1.0 - 1e-9)]))
    assert at >= 0.0 > beyond


def test_linear_edges() -> None:
    prices = linear_liquidation_price_usd(
        100.0, [50.0, 500.0, 0.0, 50.0], [0.0, 1.0, 1.0, -1.0], maintenance_rate=0.0
    )
    assert prices.tolist() == [math.inf, 0.0, 100.0, 150.0]


# Many accounts on one grid


def test_grid_and_search_agree() -> None:
    prices = np.linspace(10.0, 300.0, 2_901)
    books = np.vstack([40.0 + (prices - 100.0), 30.0 - np.abs(prices - 100.0), np.full(len(prices), 1.0)])
    below, above = grid_crossings_usd(prices, books, 100.0)
    assert below.tolist() == pytest.approx([60.0, 70.0, 0.0])
    assert above.tolist() == pytest.approx([math.inf, 130.0, math.inf])


@given(st.floats(20.0, 180.0), st.integers(0, 2**32 - 1))
def test_grid_crossings_bracket_the_healthy_region(spot_usd: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    prices = np.sort(rng.uniform(10.0, 200.0, 30))
    prices = np.concatenate([[5.0], prices, [250.0]])
    books = rng.normal(1.0, 2.0, (5, len(prices)))
    below, above = grid_crossings_usd(prices, books, spot_usd)
    for row, low, high in zip(books, below, above, strict=True):
        now = float(np.interp(spot_usd, prices, row))
        if now < 0.0:
            assert low == high == spot_usd
            continue
        assert low <= spot_usd <= high
        inside = prices[(prices > low) & (prices < high)]
        assert (np.interp(inside, prices, row) >= 0.0).all()
        for edge in (low, high):
            if 0.0 < edge < math.inf:
                assert float(np.interp(edge, prices, row)) == pytest.approx(0.0, abs=1e-9)


def test_a_spot_on_the_edge_of_the_grid() -> None:
    below, above = grid_crossings_usd([1.0, 2.0], [[1.0, -1.0], [-1.0, 1.0]], 1.0)
    assert below.tolist() == [0.0, 1.0]
    assert above.tolist() == [1.5, 1.0]
    below, above = grid_crossings_usd([1.0, 2.0], [[1.0, -1.0], [-1.0, 1.0]], 2.0)
    assert below.tolist() == [2.0, 1.5]
    assert above.tolist() == [2.0, math.inf]


@pytest.mark.parametrize(
    ("prices", "spot", "field"),
    [([1.0], 1.0, "prices_usd"), ([2.0, 1.0], 1.5, "prices_usd"), ([1.0, 2.0], 3.0, "spot_usd")],
)
def test_unfit_grids_are_refused(prices: list[float], spot: float, field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        grid_crossings_usd(prices, np.ones((1, len(prices))), spot)
    assert caught.value.field == field


def test_unfit_searches_are_refused() -> None:
    with pytest.raises(UnfitValueError, match="spot_usd"):
        liquidation_prices(lambda p: p, 0.0)
    with pytest.raises(UnfitValueError, match="buffer_usd"):
        liquidation_prices(lambda p: np.full_like(p, np.nan), 100.0)
    with pytest.raises(UnfitValueError, match="lowest"):
        liquidation_prices(lambda p: p, 100.0, lowest=1.5)
    with pytest.raises(UnfitValueError, match="maintenance_rate"):
        linear_liquidation_price_usd(1.0, 1.0, 1.0, maintenance_rate=1.0)


# A book of options, by full revaluation

SPOT_USD = 3_000.0
STRIKES_USD = np.array([0.85, 1.15]) * SPOT_USD


def strangle(price: Floats) -> Floats:
    """Buffer of ten short 15 % strangles of 20 days at 60 % vol, with 4,000 USD and 1 % of notional due."""
    calls = np.array([False, True])
    sold = black76.price(SPOT_USD, STRIKES_USD, 20 / 365, 0.6, call=calls)
    now = black76.price(price[:, None], STRIKES_USD, 20 / 365, 0.6, call=calls)
    return np.asarray(4_000.0 - 10.0 * (now - sold).sum(axis=1) - 0.01 * 20.0 * price)


def test_a_short_strangle_agrees_with_a_dense_walk() -> None:
    found = liquidation_prices(strangle, SPOT_USD)
    walk = np.linspace(1_000.0, 6_000.0, 500_001)
    healthy = walk[strangle(walk) >= 0.0]
    assert not found.liquidatable
    assert found.below_usd == pytest.approx(healthy.min(), abs=0.01)
    assert found.above_usd == pytest.approx(healthy.max(), abs=0.01)
    below, above = grid_crossings_usd(walk[::100], strangle(walk[::100])[None, :], SPOT_USD)
    assert below[0] == pytest.approx(found.below_usd, abs=0.01)
    assert above[0] == pytest.approx(found.above_usd, abs=0.01)


def test_its_reverse_stress_is_the_nearer_of_the_two() -> None:
    found = liquidation_prices(strangle, SPOT_USD)
    stress = reverse_stress_revalued(lambda x: strangle(SPOT_USD * np.exp(x[:, 0])), [[0.04**2]])
    assert found.below_usd is not None
    assert found.above_usd is not None
    assert stress is not None
    moves = np.log([found.below_usd / SPOT_USD, found.above_usd / SPOT_USD])
    nearer = moves[np.abs(moves).argmin()]
    assert stress.shock[0] == pytest.approx(nearer, rel=1e-8)
    assert stress.distance_sd == pytest.approx(abs(nearer) / 0.04, rel=1e-8)
