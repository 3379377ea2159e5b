"""Herfindahl, depth, size weights."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.concentration import (
    asset_weight,
    concentration_addon_usd,
    herfindahl,
    liability_weight,
    share_of_depth,
)

amounts = st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), max_size=12)


def test_herfindahl_by_hand() -> None:
    assert herfindahl([50.0, 30.0, 20.0]) == pytest.approx(0.38)
    assert herfindahl([7.0] * 5) == pytest.approx(0.2)
    assert herfindahl([0.0, -3.0]) == 1.0
    assert herfindahl([]) == herfindahl([0.0]) == 0.0


@given(amounts, st.floats(1e-6, 1e6))
def test_herfindahl_is_a_share_without_unit_or_order(sizes: list[float], unit: float) -> None:
    index = herfindahl(sizes)
    held = sum(1 for size in sizes if size)
    assert index <= 1.0 + 1e-12
    if held:
        assert index >= 1.0 / held - 1e-12
    assert herfindahl([unit * size for size in reversed(sizes)]) == pytest.approx(index, abs=1e-9)


@given(amounts.filter(lambda sizes: sum(map(bool, sizes)) >= 2))
def test_moving_everything_to_one_place_concentrates(sizes: list[float]) -> None:
    assert herfindahl([sum(map(abs, sizes))]) >= herfindahl(sizes) - 1e-12


def test_share_of_depth() -> None:
    assert share_of_depth([-5.0, 0.0, 1.0], [10.0, 0.0, 0.0]).tolist() == [0.5, 0.0, math.inf]


def test_addon_starts_beyond_the_free_share() -> None:
    charge = concentration_addon_usd([10.0, -30.0, 0.0], 100.0, free_share=0.1, rate=0.5)
    assert charge.tolist() == pytest.approx([0.0, 30.0 * 0.5 * 0.2, 0.0])


def test_a_market_without_volume_charges_everything() -> None:
    assert float(concentration_addon_usd(-7.0, 0.0, free_share=0.1, rate=0.5)) == 7.0
    assert float(concentration_addon_usd(0.0, 0.0, free_share=0.1, rate=0.5)) == 0.0
    assert float(concentration_addon_usd(7.0, 0.0, free_share=0.1, rate=0.0)) == 0.0


@given(st.floats(0.0, 1e9), st.floats(1.0, 1e9), st.floats(0.0, 1.0), st.floats(0.0, 10.0))
def test_addon_grows_with_size_and_never_beyond_it(
    size_usd: float, volume_usd: float, free: float, rate: float
) -> None:
    charge = float(concentration_addon_usd(size_usd, volume_usd, free_share=free, rate=rate))
    assert 0.0 <= charge <= size_usd
    double = float(concentration_addon_usd(2.0 * size_usd, volume_usd, free_share=free, rate=rate))
    assert double >= 2.0 * charge * (1.0 - 1e-12)


def test_size_weights() -> None:
    # Source: Drift protocol v2: max(w, 0.8 w + imf sqrt(size)), min(w, 1.1 / (1 + imf sqrt(size))).
    assert liability_weight([1.1, 1.1], [0.0, 10_000.0], imf=0.003).tolist() == pytest.approx([1.1, 1.18])
    assert asset_weight([0.9, 0.9], [0.0, 10_000.0], imf=0.003).tolist() == pytest.approx([0.9, 1.1 / 1.3])


@given(st.floats(0.0, 2.0), st.floats(0.0, 1e9), st.floats(0.0, 0.1))
def test_size_only_makes_weights_worse(weight: float, size: float, imf: float) -> None:
    assert float(liability_weight(weight, size, imf=imf)) >= weight
    assert float(asset_weight(weight, size, imf=imf)) <= weight


def test_unfit_input_is_refused() -> None:
    with pytest.raises(UnfitValueError, match="depth_base"):
        share_of_depth(1.0, -1.0)
    with pytest.raises(UnfitValueError, match="rate"):
        concentration_addon_usd(1.0, 1.0, free_share=0.0, rate=-1.0)
    with pytest.raises(UnfitValueError, match="free_share"):
        concentration_addon_usd(1.0, 1.0, free_share=math.inf, rate=1.0)
    with pytest.raises(UnfitValueError, match="size"):
        liability_weight(1.0, -1.0, imf=0.1)
    with pytest.raises(UnfitValueError, match="amounts"):
        herfindahl([math.nan])
