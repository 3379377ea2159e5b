"""Reverse stress: the published example, and full revaluation against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import ndtr

from keeper.model.errors import UnfitValueError
from keeper.risk.reverse_stress import reverse_stress, reverse_stress_revalued

Floats = NDArray[np.float64]
DELTA_USD = np.array([600_000.0, 150_000.0])
COVARIANCE = np.array([[0.035**2, 0.8 * 0.035 * 0.045], [0.8 * 0.035 * 0.045, 0.045**2]])


def test_two_coins() -> None:
    # Source: own worked example `reverse_stress`: sd 26,708.85, d 2.24645, (-7.772 %, -8.913 %), 1.234 %.
    found = reverse_stress(60_000.0, DELTA_USD, COVARIANCE)
    assert found is not None
    assert found.distance_sd == pytest.approx(2.2464466676286623, rel=1e-12)
    assert found.shock == pytest.approx((-0.07771644850969878, -0.08913420596120485), rel=1e-12)
    assert found.breach_probability == pytest.approx(0.012337705996564807, rel=1e-10)
    assert 60_000.0 / found.distance_sd == pytest.approx(26_708.846848937526)


def test_revaluation_of_a_linear_book_finds_the_same() -> None:
    found = reverse_stress_revalued(lambda x: 60_000.0 + x @ DELTA_USD, COVARIANCE)
    assert found is not None
    assert found.distance_sd == pytest.approx(2.2464466676286623, rel=1e-8)
    assert found.shock == pytest.approx((-0.07771644850969878, -0.08913420596120485), rel=1e-4)
    assert found.breach_probability == pytest.approx(float(ndtr(-found.distance_sd)))


sizes_usd = st.just(0.0) | st.floats(1.0, 1e6) | st.floats(-1e6, -1.0)
deltas = arrays(np.float64, 3, elements=sizes_usd)


@given(deltas, st.floats(1e3, 1e6), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_the_linear_shock_consumes_the_buffer_and_no_likelier_one_does(
    delta: Floats, buffer_usd: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3)) * 0.03
    covariance = root @ root.T
    found = reverse_stress(buffer_usd, delta, covariance)
    if found is None:
        assert not delta.any()
        return
    assert float(np.dot(found.shock, delta)) == pytest.approx(-buffer_usd, rel=1e-6)
    # Any other move, rescaled to breach, is at least as many standard deviations away.
    other = root @ rng.standard_normal(3)
    loss = -float(other @ delta)
    if loss != 0.0 and abs(loss) > 1e-6 * np.abs(delta).max():
        scaled = other * buffer_usd / loss
        away = math.sqrt(float(scaled @ np.linalg.lstsq(covariance, scaled, rcond=None)[0]))
        assert away >= found.distance_sd * (1.0 - 1e-6)


def test_a_short_straddle_breaches_on_its_nearer_side() -> None:
    def buffer(x: Floats) -> Floats:
        return 1_000.0 - np.where(x[:, 0] > 0.0, 20_000.0, 10_000.0) * np.abs(x[:, 0])

    found = reverse_stress_revalued(buffer, [[0.03**2]])
    assert found is not None
    assert found.shock[0] == pytest.approx(0.05, rel=1e-9)
    assert found.distance_sd == pytest.approx(0.05 / 0.03, rel=1e-9)


def test_a_curved_book_finds_the_nearest_point_of_an_ellipse() -> None:
    # Short gamma in both coins, flat delta: breach on an ellipse; nearest along the sharper axis.
    found = reverse_stress_revalued(
        lambda x: 1.0 - (x[:, 0] / 0.2) ** 2 - (x[:, 1] / 0.1) ** 2, np.diag([0.03**2, 0.03**2])
    )
    assert found is not None
    assert found.distance_sd == pytest.approx(0.1 / 0.03, rel=1e-6)
    assert abs(found.shock[1]) == pytest.approx(0.1, rel=1e-5)


def test_a_correlated_curved_book_agrees_with_a_dense_search() -> None:
    def buffer(x: Floats) -> Floats:
        curved = 4e6 * x[:, 0] ** 2 + 3e6 * (x[:, 1] - 0.3 * x[:, 0]) ** 2
        return np.asarray(50_000.0 + x @ DELTA_USD - curved)

    found = reverse_stress_revalued(buffer, COVARIANCE)
    assert found is not None
    angles = np.linspace(0.0, 2.0 * math.pi, 20_001)
    rays = np.column_stack([np.cos(angles), np.sin(angles)]) @ np.linalg.cholesky(COVARIANCE).T
    radii = np.linspace(0.01, 4.0, 400)
    nearest = min(r for r in radii if (buffer(r * rays) < 0.0).any())
    assert found.distance_sd == pytest.approx(nearest, abs=0.011)
    assert float(buffer(np.array([found.shock]))[0]) == pytest.approx(0.0, abs=1e-3)


def test_no_shock_within_reach_is_no_answer() -> None:
    assert reverse_stress_revalued(lambda x: np.full(len(x), 5.0), COVARIANCE) is None
    assert reverse_stress_revalued(lambda x: 1e9 + x @ DELTA_USD, COVARIANCE) is None
    assert reverse_stress(1.0, [0.0, 0.0], COVARIANCE) is None
    assert reverse_stress(1.0, [1e-200, 0.0], COVARIANCE) is None


def test_a_book_that_is_gone_already_is_at_distance_zero_or_less() -> None:
    found = reverse_stress_revalued(lambda x: -1.0 + x @ DELTA_USD, COVARIANCE)
    assert found is not None
    assert (found.distance_sd, found.shock) == (0.0, (0.0, 0.0))
    linear = reverse_stress(-60_000.0, DELTA_USD, COVARIANCE)
    assert linear is not None
    assert linear.distance_sd < 0.0
    assert linear.breach_probability > 0.5


def test_unfit_input_is_refused() -> None:
    with pytest.raises(UnfitValueError, match="buffer"):
        reverse_stress_revalued(lambda x: np.full(len(x), np.nan), COVARIANCE)
    with pytest.raises(UnfitValueError, match="buffer"):
        reverse_stress_revalued(lambda x: np.zeros(1), COVARIANCE)
    with pytest.raises(UnfitValueError, match="buffer_usd"):
        reverse_stress(math.nan, DELTA_USD, COVARIANCE)
    with pytest.raises(UnfitValueError, match="reach_sd"):
        reverse_stress_revalued(lambda x: x[:, 0], COVARIANCE, reach_sd=0.0)
