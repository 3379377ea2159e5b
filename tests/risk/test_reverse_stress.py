"""Reverse stress: the published example, and full revaluation against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import NonlinearConstraint, minimize
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


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("factor", [0, 1])
def test_a_loss_that_starts_far_out_is_found_on_its_only_side(side: float, factor: int) -> None:
    # Flat today, like a far option: no slope leads there.
    def buffer(x: Floats) -> Floats:
        return np.asarray(100.0 - 10_000.0 * np.maximum(0.0, side * x[:, factor] - 0.05))

    found = reverse_stress_revalued(buffer, np.diag([0.03**2, 0.04**2]))
    assert found is not None
    assert found.shock[factor] == pytest.approx(side * 0.06, rel=1e-9)
    assert found.distance_sd == pytest.approx(0.06 / (0.03, 0.04)[factor], rel=1e-9)
    assert reverse_stress_revalued(buffer, np.diag([0.03**2, 0.04**2]), reach_sd=1.0) is None


def squared_distance(u: Floats, *_: object) -> float:
    return float(u @ u)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_no_optimiser_finds_a_nearer_breach_of_a_curved_book(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(np.cov(rng.standard_normal((3, 12))) * 0.03**2)
    slope = rng.normal(0.0, 1.0, 3) / 0.03
    bend = rng.standard_normal((3, 3))
    bend = (bend @ bend.T + np.eye(3)) * 0.1 / 0.03**2  # short gamma all round

    def buffer(x: Floats) -> Floats:
        return np.asarray(4.0 + x @ slope - np.einsum("ni,ij,nj->n", x, bend, x))

    found = reverse_stress_revalued(buffer, root @ root.T)
    assert found is not None
    assert float(buffer(np.array([found.shock]))[0]) == pytest.approx(0.0, abs=1e-6)
    starts = rng.standard_normal((12, 3)) * found.distance_sd
    nearest = found.distance_sd
    for start in starts:
        other = minimize(
            squared_distance,
            start,
            method="SLSQP",
            constraints=NonlinearConstraint(lambda u: buffer((root @ u)[None, :])[0], -np.inf, 0.0),
            tol=1e-12,
        )
        if other.success and float(buffer((root @ other.x)[None, :])[0]) <= 1e-6:
            nearest = min(nearest, float(np.linalg.norm(other.x)))
    assert found.distance_sd == pytest.approx(nearest, rel=1e-4)


def test_the_edge_of_the_buffer_is_no_breach_yet() -> None:
    found = reverse_stress_revalued(lambda x: x[:, 0], [[0.01]])
    assert found is not None
    assert 0.0 < found.distance_sd < 1e-9
    assert reverse_stress_revalued(lambda x: np.zeros(len(x)), [[0.01]]) is None


def test_a_book_in_many_standard_deviations_has_an_answer_in_closed_form() -> None:
    found = reverse_stress(1e6, [1.0], [[1.0]])
    assert found is not None
    assert found.distance_sd == 1e6


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
    with pytest.raises(UnfitValueError, match="rounds"):
        reverse_stress_revalued(lambda x: x[:, 0], COVARIANCE, rounds=0)
    with pytest.raises(UnfitValueError, match="reach_sd"):
        reverse_stress_revalued(lambda x: x[:, 0], COVARIANCE, reach_sd=0.0)
