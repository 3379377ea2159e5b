"""Static arbitrage of slices, against published figures, brute force, and the quartic of crossings."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.arbitrage import (
    SurfaceArbitrageError,
    density_factor,
    least_calendar_gap,
    least_density_factor,
    require_no_arbitrage,
)
from keeper.risk.surfaces.svi import RawSvi, joined, raw_svi
from tests.risk.surfaces.test_svi import VOGT, slices
from tests.support.shared import vectors

VOGT_SLICE = raw_svi([VOGT[0]], *VOGT[1:])


def test_vogt_slice_has_the_published_butterfly() -> None:
    # g(0.9) = -0.03268513071: public C++ test of the slice; the minimum: dense grid, worked example.
    assert float(density_factor(VOGT_SLICE, 0.9)[0]) == pytest.approx(-0.03268513071, abs=1e-11)
    least = least_density_factor(VOGT_SLICE)
    assert float(least.least[0]) == pytest.approx(-0.0328635, abs=2e-7)
    assert float(least.at[0]) == pytest.approx(0.879, abs=1e-3)
    k = np.arange(-2.0, 3.0, 0.001)
    negative = k[density_factor(VOGT_SLICE[:, None], k)[0] < 0.0]
    assert negative[[0, -1]] == pytest.approx([0.643, 1.256], abs=1.1e-3)


def test_reference_densities() -> None:
    reference = json.loads(vectors("svi/reference.json").read_text())
    for raw, figures in (
        (reference["vogt_raw"], reference["points"]),
        (reference["raw_sigma1"]["raw"], reference["raw_sigma1"]),
    ):
        for k, g in figures["g"].items():
            assert float(density_factor(raw_svi(**raw), float(k))) == pytest.approx(g, rel=1e-8)
    wide = raw_svi(**{name: [value] for name, value in reference["raw_sigma1"]["raw"].items()})
    assert least_density_factor(wide).least[0] > 0.0


def test_density_is_the_second_derivative_of_the_call() -> None:
    """g n(d2) / sqrt(w) is the density of k: differences of call prices know nothing of the formula."""
    slice_ = raw_svi([0.02], 0.15, -0.4, 0.05, 0.2)

    def call(k: NDArray[np.float64]) -> NDArray[np.float64]:
        sd = np.sqrt(slice_.total_variance(k))
        d1 = -k / sd + 0.5 * sd
        return ndtr(d1) - np.exp(k) * ndtr(d1 - sd)

    k, h = np.linspace(-1.0, 1.0, 41), 1e-3
    K = np.exp(k)
    low, high = np.log(K - h), np.log(K + h)
    by_difference = (call(low) - 2.0 * call(k) + call(high)) / h**2 * K
    w = slice_.total_variance(k)
    d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    by_factor = density_factor(slice_[:, None], k)[0] * np.exp(-0.5 * d2**2) / np.sqrt(2 * np.pi * w)
    np.testing.assert_allclose(by_factor, by_difference, atol=2e-4)


@given(slices())
def test_the_minimum_is_at_least_as_low_as_any_dense_grid(slice_: RawSvi) -> None:
    found = least_density_factor(slice_)
    m, sigma = float(slice_.m[0]), float(slice_.sigma[0])
    k = np.concatenate(
        [m + sigma * np.sinh(np.linspace(-9, 9, 4001)), slice_.least_at + np.linspace(-1, 1, 4001)]
    )
    lowest = float(density_factor(slice_[:, None], k).min())
    assert float(found.least[0]) <= lowest + 1e-6 * max(1.0, abs(lowest))
    if np.isfinite(found.at[0]):
        assert float(density_factor(slice_, found.at)[0]) == pytest.approx(float(found.least[0]), abs=1e-9)


@given(st.floats(0.05, 3.9), st.floats(-0.95, 0.95))
def test_wings_beyond_the_bound_are_found(b: float, rho: float) -> None:
    slice_ = raw_svi([5.0], b, rho, 0.0, 0.5)  # so much variance that only the wings can offend
    steepest = b * (1.0 + abs(rho))
    least = least_density_factor(slice_)
    assert (least.least[0] < 0.0) == (steepest > 2.0)


def test_a_wing_just_too_steep_offends_at_infinity() -> None:
    for rho, side in ((0.5, 1.0), (-0.5, -1.0)):
        least = least_density_factor(raw_svi([500.0], 1.34, rho, 0.0, 0.5))
        assert float(least.least[0]) == pytest.approx((1.0 - 2.01**2 / 4.0) / 4.0)
        assert float(least.at[0]) == side * np.inf


def crossings(one: RawSvi, two: RawSvi) -> NDArray[np.float64]:
    """Roots of w_one = w_two: the quartic that squaring twice leaves (arXiv:1204.0646, section 3.1)."""
    # u + b1 r1 = b2 r2 with u linear; squared: u**2 + 2 b1 u r1 + b1**2 r1**2 - b2**2 r2**2 = 0; once more.
    (a1, b1, rho1, m1, s1), (a2, b2, rho2, m2, s2) = (
        [float(getattr(x, name)[0]) for name in ("a", "b", "rho", "m", "sigma")] for x in (one, two)
    )
    poly = np.polynomial.Polynomial
    u = poly([a1 - a2 - b1 * rho1 * m1 + b2 * rho2 * m2, b1 * rho1 - b2 * rho2])
    r1, r2 = poly([m1**2 + s1**2, -2 * m1, 1.0]), poly([m2**2 + s2**2, -2 * m2, 1.0])
    rest = u**2 + b1**2 * r1 - b2**2 * r2
    quartic = rest**2 - 4 * b1**2 * u**2 * r1
    # A leading coefficient that is only rounding would put a root where no strike is.
    roots = quartic.trim(1e-14 * float(np.abs(quartic.coef).max())).roots()
    real = np.sort(roots.real[np.abs(roots.imag) < 1e-6 * (1 + np.abs(roots.real))])
    gap = two.total_variance(real) - one.total_variance(real)
    return np.asarray(real[np.abs(gap) < 1e-6 * one.total_variance(real)])


@given(slices(), slices())
def test_calendar_verdict_agrees_with_the_quartic(one: RawSvi, two: RawSvi) -> None:
    """Between two crossings the order of slices is constant, so one point in each interval decides."""
    found = least_calendar_gap(one, two)
    at = crossings(one, two)
    ends = (
        np.concatenate([[at[0] - 1.0], 0.5 * (at[:-1] + at[1:]), [at[-1] + 1.0]]) if at.size else np.zeros(1)
    )
    far = np.concatenate([ends, [-1e4, 1e4]])
    rise = float((two.total_variance(far) / one.total_variance(far) - 1.0).min())
    if rise < -1e-6:
        assert float(found.least[0]) < 0.0
    if float(found.least[0]) < -1e-6:
        assert rise < 0.0
    assert float(found.least[0]) <= rise + 1e-7 * max(1.0, abs(rise))


def test_a_surface_in_order_passes() -> None:
    require_no_arbitrage(raw_svi([0.01, 0.02, 0.03], [0.05, 0.06, 0.06], -0.3, 0.0, 0.2))


def test_every_offence_is_named() -> None:
    falling = joined([raw_svi([0.03], 0.05, 0.0, 0.0, 0.2), raw_svi([0.01], 0.06, 0.0, 0.0, 0.2), VOGT_SLICE])
    with pytest.raises(SurfaceArbitrageError) as refusal:
        require_no_arbitrage(falling)
    ((row, k, g),) = refusal.value.butterflies
    assert (row, round(k, 2), round(g, 3)) == (2, 0.88, -0.033)
    assert [row for row, _, _ in refusal.value.calendars] == [1, 2]
    assert "rows 0 and 1" in str(refusal.value)
    assert "g(0.879" in str(refusal.value)


def test_flatter_wings_later_are_a_calendar_spread_at_infinity() -> None:
    with pytest.raises(SurfaceArbitrageError) as refusal:
        require_no_arbitrage(raw_svi([0.01, 1.0], [0.10, 0.09], 0.0, 0.0, 0.2))
    ((row, k, rise),) = refusal.value.calendars
    assert row == 1
    assert np.isinf(k)
    assert rise == pytest.approx(-0.1)


def test_equal_slices_are_in_order_however_they_were_built() -> None:
    one = raw_svi([0.01, 0.01], 0.1, -0.3, 0.02, 0.2)
    require_no_arbitrage(one)


def test_flat_slices_are_compared_too() -> None:
    flat = raw_svi([0.02, 0.01], 0.0, 0.0, 0.0, 0.2)
    assert float(least_calendar_gap(flat[:1], flat[1:]).least[0]) == pytest.approx(-0.5)
    assert float(least_density_factor(flat).least.min()) == pytest.approx(0.25)


def test_one_slice_has_no_calendar() -> None:
    assert least_calendar_gap(VOGT_SLICE[:0], VOGT_SLICE[1:]).least.size == 0
    with pytest.raises(UnfitValueError):
        require_no_arbitrage(VOGT_SLICE[:0])
