"""Exact integers, and the one crossing to floats."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.units import (
    ONE,
    SECONDS_PER_YEAR,
    Wad,
    Wei,
    coins,
    floor_to_wad,
    from_raw,
    mul,
    ratio,
    to_float,
    to_raw,
    years,
)

wads = st.integers(-(10**40), 10**40).map(Wad)
decimals = st.sampled_from([0, 2, 6, 8, 18, 27, 36])


@given(st.integers(-(10**30), 10**30), st.sampled_from([0, 2, 6, 8, 18]))
def test_up_to_18_places_nothing_is_lost(raw: int, places: int) -> None:
    assert to_raw(from_raw(raw, places), places) == raw
    assert Fraction(from_raw(raw, places), ONE) == Fraction(raw, 10**places)


@given(wads, decimals)
def test_rounding_is_toward_zero_and_by_less_than_one_unit(x: Wad, places: int) -> None:
    back = from_raw(to_raw(x, places), places)
    assert abs(back) <= abs(x)
    assert abs(x - back) < max(1, 10 ** (18 - places)) if places < 18 else back == x


@given(wads, decimals)
def test_scaling_keeps_the_sign_symmetric(x: Wad, places: int) -> None:
    assert to_raw(Wad(-x), places) == -to_raw(x, places)
    assert from_raw(-x, places) == -from_raw(x, places)


@pytest.mark.parametrize("places", [-1, 37])
def test_places_out_of_range(places: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.36"):
        from_raw(1, places)
    with pytest.raises(ValueError, match=r"0\.\.36"):
        to_raw(ONE, places)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_the_greatest_wad_not_beyond_it(x: float) -> None:
    exact = Fraction(x) * ONE
    wad = floor_to_wad(x)
    assert abs(wad) <= abs(exact) < abs(wad) + 1
    assert wad == 0 or (wad > 0) == (x > 0)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_does_not_come_back(x: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        floor_to_wad(x)


@given(wads)
def test_leaving_the_exact_side_costs_at_most_half_a_bit(x: Wad) -> None:
    # to_float divides two integers, which Python rounds once.
    assert abs(Fraction(to_float(x)) - Fraction(x, ONE)) <= abs(Fraction(x, ONE)) * Fraction(1, 2**53)
    assert coins(Wei(x)) == to_float(x)


@given(wads, wads)
def test_products_round_toward_zero(a: Wad, b: Wad) -> None:
    exact = Fraction(a * b, ONE)
    assert abs(mul(a, b)) <= abs(exact) < abs(mul(a, b)) + 1
    assert mul(a, b) == mul(b, a)
    assert mul(Wad(-a), b) == -mul(a, b)


def test_health_without_a_requirement_is_infinite() -> None:
    assert ratio(ONE, Wad(0)) == math.inf
    assert ratio(Wad(-ONE), Wad(0)) == math.inf
    assert ratio(Wad(3 * ONE), Wad(2 * ONE)) == 1.5
    assert ratio(Wad(-ONE), Wad(2 * ONE)) == -0.5


def test_a_year_has_365_days() -> None:
    assert SECONDS_PER_YEAR == 365 * 24 * 3600
    assert years(SECONDS_PER_YEAR) == 1.0
