"""EWMA against published numbers and a direct sum; nearest correlation against Higham's example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.covariance import (
    ewma_covariances,
    ewma_variances,
    factor,
    nearest_correlation,
    nearest_covariance,
)

Floats = NDArray[np.float64]
returns = arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.integers(1, 4)),
    elements=st.floats(-0.5, 0.5, allow_subnormal=False),
)


def test_ewma_gives_hulls_volatility() -> None:
    # Source: Hull, EWMA example: decay 0.9, vol 1 %, return 2 % -> 1.140 %.
    variance = ewma_variances([[0.02]], decay=0.9, seed=0.01**2)
    assert variance[-1, 0] == pytest.approx(0.00013, rel=1e-12)
    assert np.sqrt(variance[-1, 0]) == pytest.approx(0.01140175425099138, rel=1e-12)


def test_riskmetrics_weights_reach_99_percent_in_74_observations() -> None:
    weights = 0.06 * 0.94 ** np.arange(1000)
    # Source: RiskMetrics (1996): 74.4 observations hold 99 % of the weight, half-life 11.2 days.
    assert weights[:74].sum() < 0.99 < weights[:75].sum()
    impulse = np.zeros((13, 1))
    impulse[0] = 1.0
    decayed = ewma_variances(impulse, seed=0.0)[1:, 0]
    assert decayed[11] / decayed[0] > 0.5 > decayed[12] / decayed[0]


@given(returns)
def test_recursion_equals_the_weighted_sum(rows: Floats) -> None:
    T = len(rows)
    seed = np.mean(rows**2, axis=0)
    weights = 0.06 * 0.94 ** np.arange(T)[::-1]
    direct = 0.94**T * seed + weights @ rows**2
    np.testing.assert_allclose(ewma_variances(rows)[-1], direct, rtol=1e-12, atol=1e-300)


@given(returns)
def test_variances_are_the_diagonal_of_the_covariances(rows: Floats) -> None:
    matrices = ewma_covariances(rows)
    np.testing.assert_allclose(
        np.diagonal(matrices, axis1=1, axis2=2), ewma_variances(rows), rtol=1e-12, atol=1e-300
    )
    assert (np.linalg.eigvalsh(matrices) > -1e-15).all()


def test_forecast_does_not_look_at_its_own_day() -> None:
    calm, shocked = np.full((10, 1), 0.01), np.full((10, 1), 0.01)
    shocked[6] = 0.3
    a, b = (ewma_variances(rows, seed=1e-4)[:, 0] for rows in (calm, shocked))
    np.testing.assert_array_equal(a[:7], b[:7])
    assert b[7] > a[7]


def test_nearest_correlation_is_highams() -> None:
    # Source: Higham (2002), the 3 x 3 example; digits from the paper, 0.7607 and 0.1573.
    nearest = nearest_correlation([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    printed = [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]]
    np.testing.assert_allclose(nearest, printed, atol=5e-5)


symmetric = st.integers(2, 5).flatmap(
    lambda n: arrays(np.float64, (n, n), elements=st.floats(-1.0, 1.0, allow_subnormal=False))
)


@given(symmetric)
def test_nearest_correlation_is_a_correlation_and_leaves_correlations_alone(raw: Floats) -> None:
    matrix = (raw + raw.T) / 2.0
    np.fill_diagonal(matrix, 1.0)
    nearest = nearest_correlation(matrix, tolerance=1e-9)
    assert (nearest.diagonal() == 1.0).all()
    assert np.linalg.eigvalsh(nearest)[0] > 0.0
    np.testing.assert_allclose(nearest_correlation(nearest, tolerance=1e-9), nearest, atol=1e-7)


@given(symmetric, st.integers(0, 2**32 - 1))
def test_no_other_correlation_is_nearer(raw: Floats, seed: int) -> None:
    matrix = (raw + raw.T) / 2.0
    np.fill_diagonal(matrix, 1.0)
    nearest = nearest_correlation(matrix, tolerance=1e-9)
    x = np.random.default_rng(seed).standard_normal((len(matrix), len(matrix)))
    other = x @ x.T
    other /= np.sqrt(np.outer(other.diagonal(), other.diagonal()))
    # The set is convex, so a step from the nearest point towards any other member cannot come nearer.
    step = nearest + 0.01 * (other - nearest)
    assert np.linalg.norm(step - matrix) >= np.linalg.norm(nearest - matrix) - 1e-7


def test_nearest_covariance_keeps_variances_and_still_factors() -> None:
    bad = np.array([[4.0, 2.0, 0.0, 0.0], [2.0, 1.0, 3.0, 0.0], [0.0, 3.0, 9.0, 0.0], [0.0] * 4])
    nearest = nearest_covariance(bad)
    np.testing.assert_allclose(nearest.diagonal(), bad.diagonal(), rtol=1e-12)
    lower = factor(bad)
    np.testing.assert_allclose(lower @ lower.T, nearest, atol=1e-12)
    assert not lower[3].any()


def test_a_good_covariance_comes_back_unchanged() -> None:
    good = np.array([[4.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(nearest_covariance(good), good)
    np.testing.assert_allclose(factor(good), np.linalg.cholesky(good))


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        ([[1.0, np.nan], [np.nan, 1.0]], "finite"),
        ([[1.0, 0.5], [0.4, 1.0]], "transpose"),
        ([[1.0, 0.5]], "shape"),
        ([[-1.0]], "at least 0"),
    ],
)
def test_what_is_no_covariance_is_refused(matrix: list[list[float]], problem: str) -> None:
    with pytest.raises(UnfitValueError, match=problem):
        factor(matrix)


@pytest.mark.parametrize(
    ("rows", "keywords", "field"),
    [
        ([[np.nan]], {}, "returns"),
        (np.empty((0, 2)), {}, "returns"),
        ([[0.1]], {"decay": 1.0}, "decay"),
        ([[0.1]], {"seed": -1.0}, "seed"),
        ([[0.1]], {"seed": [1.0, 2.0]}, "seed"),
    ],
)
def test_bad_returns_are_refused(rows: Floats, keywords: dict[str, float], field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        ewma_variances(rows, **keywords)
    assert caught.value.field == field


def test_no_returns_leave_the_seed() -> None:
    assert ewma_variances(np.empty((0, 1)), seed=0.25).tolist() == [[0.25]]


@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1.0, 1e6])
def test_a_factor_exists_at_every_scale(scale: float) -> None:
    matrix = scale * np.array([[4.0, 1.0], [1.0, 2.0]])
    lower = factor(matrix)
    np.testing.assert_allclose(lower @ lower.T, matrix, rtol=1e-12)


def test_no_memory_is_the_last_square() -> None:
    assert ewma_variances([[0.1], [0.2]], decay=0.0)[1:, 0].tolist() == pytest.approx([0.01, 0.04])
    assert ewma_covariances([[0.1], [0.2]], decay=0.0)[1:, 0, 0].tolist() == pytest.approx([0.01, 0.04])
    for bad in (-0.1, 1.0):
        with pytest.raises(UnfitValueError, match="decay"):
            ewma_covariances([[0.1]], decay=bad)
    with pytest.raises(UnfitValueError, match="no rows"):
        ewma_covariances(np.empty((0, 2)))
