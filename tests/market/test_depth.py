"""Depth of a pool against exact fractions, a step-by-step swap, and published constants."""

from fractions import Fraction
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.market.depth import LEVELS, MAX_TICK, depth, sqrt_price_x96
from keeper.model.quote import Level, PoolState
from keeper.model.units import ONE, Wad

Q96 = 2**96

# Uniswap v3 core, TickMath.sol: MIN_SQRT_RATIO and MAX_SQRT_RATIO.
MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342


def pool(
    *, tick: int = 76_012, liquidity: int = 10**22, within: float = 0.5, reach: int = 1000, nets: object = ()
) -> PoolState:
    low, high = sqrt_price_x96(tick), sqrt_price_x96(tick + 1)
    return PoolState(
        instrument="curie:42161:0xETH",
        sqrt_price_x96=low + int((high - low) * within),
        tick=tick,
        liquidity=liquidity,
        tick_spacing=60,
        fee=Wad(10**15),
        max_tick_move=reach,
        nets=nets,  # type: ignore[arg-type]
        chain_id=42161,
        source="test",
        observed_at_s=1,
    )


def test_square_root_prices_at_the_ends_are_the_published_ones() -> None:
    assert abs(sqrt_price_x96(-MAX_TICK) - MIN_SQRT_RATIO) <= 1
    assert abs(sqrt_price_x96(MAX_TICK) / MAX_SQRT_RATIO - 1) < 1e-15
    assert abs(Fraction(sqrt_price_x96(MAX_TICK), MAX_SQRT_RATIO) - 1) < Fraction(1, 10**19)
    assert sqrt_price_x96(0) == Q96
    with pytest.raises(ValueError, match="within"):
        sqrt_price_x96(MAX_TICK + 1)


@given(st.integers(-3000, 3000))
def test_square_root_prices_are_rounded_down_powers(tick: int) -> None:
    ratio = Fraction(10001, 10000) ** tick
    exact = isqrt(ratio.numerator * Q96 * Q96 // ratio.denominator)
    assert exact - 1 <= sqrt_price_x96(tick) <= exact


@given(st.integers(-MAX_TICK, MAX_TICK - 1))
def test_square_root_prices_ascend(tick: int) -> None:
    assert sqrt_price_x96(tick) < sqrt_price_x96(tick + 1)


def swap(state: PoolState, base: int, direction: int) -> Fraction:
    """Return the quote for `base` by walking the curve in exact fractions from tick to tick."""
    at = Fraction(state.sqrt_price_x96, Q96)
    liquidity, quote, left = state.liquidity, Fraction(0), Fraction(base)
    ticks = [t for t, _ in state.nets if (t > state.tick if direction > 0 else t <= state.tick)]
    nets = dict(state.nets)
    for tick in [*sorted(ticks, reverse=direction < 0), None]:
        end = None if tick is None else Fraction(sqrt_price_x96(tick), Q96)
        if liquidity > 0:
            here = None if end is None else abs(liquidity * (1 / at - 1 / end))
            if here is None or here >= left:
                to = 1 / (1 / at - direction * left / liquidity)
                return quote + abs(liquidity * (to - at))
            quote += abs(liquidity * (end - at))  # type: ignore[operator]
            left -= here
        assert end is not None, "the pool is exhausted"
        assert tick is not None
        at, liquidity = end, liquidity + direction * nets[tick]
    raise AssertionError


nets = st.lists(
    st.tuples(st.integers(-15, 15).map(lambda n: 76_012 // 60 * 60 + 60 * n), st.integers(-(10**20), 10**20)),
    max_size=8,
    unique_by=lambda n: n[0],
).map(lambda found: tuple(sorted(found)))


@given(nets, st.floats(0.0, 0.99), st.integers(1, 1200))
def test_levels_add_up_to_a_real_swap(ticks: tuple[tuple[int, int], ...], within: float, reach: int) -> None:
    state = pool(nets=ticks, within=within, reach=reach)
    found = depth(state)
    for direction, levels in ((1, found.asks), (-1, found.bids)):
        base = quote = 0
        for level in levels:
            base += level.size
            quote += level.size * level.price
        if base == 0:
            continue
        exact = swap(state, base, direction)
        # Rounded against the trader, by less than one part in 10**12 over all levels.
        error = (Fraction(quote, ONE) - exact) / exact * direction
        assert abs(error) < Fraction(1, 10**12)
        assert error >= 0


@given(nets, st.floats(0.0, 0.99), st.integers(0, 1200))
def test_the_best_price_comes_first_and_sides_do_not_cross(
    ticks: tuple[tuple[int, int], ...], within: float, reach: int
) -> None:
    state = pool(nets=ticks, within=within, reach=reach)
    found = depth(state)
    asks, bids = [x.price for x in found.asks], [x.price for x in found.bids]
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    if asks and bids:
        mid = Fraction(state.sqrt_price_x96, Q96) ** 2 * ONE
        assert bids[0] <= mid <= asks[0]
    assert all(x.size > 0 and x.price > 0 for x in (*found.asks, *found.bids))


def test_twice_the_liquidity_is_twice_the_size_at_the_same_price() -> None:
    once, twice = depth(pool()), depth(pool(liquidity=2 * 10**22))
    for one, two in zip((*once.asks, *once.bids), (*twice.asks, *twice.bids), strict=True):
        assert two.size == pytest.approx(2 * one.size, abs=2)
        assert two.price == pytest.approx(one.price, rel=1e-15)


def test_levels_reach_as_far_as_the_venue_lets_one_trade_go() -> None:
    found = depth(pool(reach=1000))
    assert len(found.asks) == len(found.bids) == LEVELS
    # 1.0001**1000 = 1.105: the last average lies within the last step of it.
    mid = float(Fraction(pool().sqrt_price_x96, Q96) ** 2)
    assert 1.0001**975 < found.asks[-1].price / ONE / mid < 1.0001**1000
    assert 1.0001**-1000 < found.bids[-1].price / ONE / mid < 1.0001**-975


def test_a_hole_in_the_liquidity_is_walked_over() -> None:
    """Nothing between two ticks: trading goes on beyond, at the price there."""
    state = pool(liquidity=10**22, nets=((76_080, -(10**22)), (76_320, 10**21)))
    asks = depth(state).asks
    edge = Fraction(sqrt_price_x96(76_320), Q96) ** 2
    beyond = [x for x in asks if x.price > edge * ONE]
    before = [x for x in asks if x.price <= Fraction(sqrt_price_x96(76_080), Q96) ** 2 * ONE]
    assert len(beyond) + len(before) == len(asks)
    assert beyond[0].size < before[0].size


def test_no_liquidity_no_levels() -> None:
    assert depth(pool(liquidity=0)).asks == ()
    assert depth(pool(reach=0)).bids == ()


def test_a_tick_that_the_price_stands_on_is_crossed_on_the_way_down_only() -> None:
    state = pool(tick=76_020, within=0.0, liquidity=10**22, nets=((76_020, 9 * 10**21),))
    found = depth(state)
    thin = pool(tick=76_020, within=0.0, liquidity=10**21)
    assert found.bids[0] == Level(price=depth(thin).bids[0].price, size=depth(thin).bids[0].size)
    assert found.asks == depth(pool(tick=76_020, within=0.0, liquidity=10**22)).asks


def test_what_the_pool_says_of_itself_is_kept() -> None:
    found = depth(pool())
    assert (found.instrument, found.fee, found.source) == ("curie:42161:0xETH", 10**15, "test")
    assert (found.chain_id, found.observed_at_s) == (42161, 1)
