"""Curie's arithmetic: prices out of square roots, rates out of averages, rewards out of penalties."""

from hypothesis import given
from hypothesis import strategies as st

from keeper.model.units import ONE, ZERO, Wad
from keeper.protocols.curie.contracts import ratio_to_wad
from keeper.protocols.curie.liquidations import reward
from keeper.protocols.curie.market import price_from_sqrt


def test_ratios_have_six_places() -> None:
    assert ratio_to_wad(62_500) == ONE * 625 // 10_000
    assert ratio_to_wad(1_000_000) == ONE


def test_a_square_root_of_two_is_a_price_of_four() -> None:
    assert price_from_sqrt(2 << 96) == 4 * ONE


@given(st.integers(10**10, 10**24))
def test_prices_survive_their_square_root(price: int) -> None:
    from math import isqrt

    sqrt_x96 = isqrt(price * (1 << 192) // ONE)
    assert abs(price_from_sqrt(sqrt_x96) - price) <= 2 + price // 10**14


@given(st.integers(-(10**24), 10**24), st.integers(0, 10**24), st.integers(-(10**24), 10**24))
def test_the_reward_is_half_the_penalty_or_all_of_it_below_zero(size: int, mark: int, value: int) -> None:
    penalty = ratio_to_wad(25_000)
    got = reward(Wad(size), Wad(mark), penalty, Wad(value))
    whole = reward(Wad(size), Wad(mark), penalty, Wad(-1))
    assert got == (whole if value < 0 else whole // 2)
    assert 0 <= whole * 40 <= abs(size) * mark // ONE
    assert reward(Wad(-size), Wad(mark), penalty, Wad(value)) == got
    assert reward(ZERO, Wad(mark), penalty, Wad(value)) == 0
