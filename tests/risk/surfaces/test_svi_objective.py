"""Every derivative against differences: a wrong one would only make the fit slower, and nobody would see."""

import numpy as np
import pytest
from numpy.typing import NDArray

from keeper.risk.surfaces import arbitrage
from keeper.risk.surfaces.svi import from_wings
from keeper.risk.surfaces.svi_objective import (
    PARAMETERS,
    Penalties,
    Problem,
    density_factor,
    density_gradient,
    objective,
    total_variance,
    variance_gradient,
)

CROSSING = np.array(
    [
        [0.002, 0.20, 0.15, -0.02, np.log(0.05)],
        [-0.005, 0.18, 0.30, 0.05, np.log(0.10)],
        [0.001, 0.35, 0.10, 0.30, np.log(0.02)],
    ]
)
"""Three expiries with butterflies, crossings, falling wings and steep wings: every term is active."""


def differences(values: object, at: NDArray[np.float64], step: float = 1e-6) -> NDArray[np.float64]:
    assert callable(values)
    columns = []
    for i in range(at.size):
        shift = np.zeros(at.size)
        shift[i] = step * max(abs(at.ravel()[i]), 1e-2)
        up, down = at + shift.reshape(at.shape), at - shift.reshape(at.shape)
        columns.append((values(up) - values(down)) / (2.0 * shift[i]))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("row", range(3))
def test_gradients_of_variance_and_density(row: int) -> None:
    p, k = CROSSING[row], np.linspace(-0.6, 0.6, 13)
    np.testing.assert_allclose(
        variance_gradient(p, k), differences(lambda q: total_variance(q, k), p), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(
        density_gradient(p, k), differences(lambda q: density_factor(q, k), p), rtol=1e-5, atol=1e-5
    )


def test_both_density_factors_are_one() -> None:
    a, left, right, m, log_sigma = CROSSING.T
    k = np.linspace(-0.6, 0.6, 13)
    slices = from_wings(a, left, right, m, np.exp(log_sigma))
    np.testing.assert_allclose(
        density_factor(CROSSING[:, None], k), arbitrage.density_factor(slices[:, None], k), rtol=1e-9
    )


def problem() -> Problem:
    n, w_money = 7, np.array([0.012, 0.02, 0.03])
    k = np.tile(np.linspace(-0.3, 0.4, n), 3)
    half = np.tile([0.001, 0.002, 0.0, 0.001, 0.004, 0.0, 0.002], 3)
    return Problem(
        row=np.repeat(np.arange(3), n),
        starts=np.array([0, n, 2 * n, 3 * n]),
        k=k,
        mid=0.02 + 0.1 * k**2,
        half=half,
        scale=np.where(half > 0.0, half, 0.003),
        pull=np.tile([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], 3),
        w_money=w_money,
        unit=np.array([0.001, 0.002, 0.002]),
        density_nodes=np.tile(np.sinh(np.linspace(-4, 4, 17)), (3, 1)),
        calendar_nodes=np.sqrt(w_money[1:, None]) * np.linspace(-5, 5, 15),
    )


@pytest.mark.parametrize("penalties", [Penalties(0.0, 0.0), Penalties(30.0, 0.0), Penalties(0.0, 1.0)])
def test_gradient_is_half_that_of_the_cost(penalties: Penalties) -> None:
    model = objective(CROSSING, problem(), penalties)
    by_difference = differences(lambda q: np.array(objective(q, problem(), penalties).cost), CROSSING)
    np.testing.assert_allclose(2.0 * model.gradient, by_difference, rtol=1e-5, atol=1e-4 * model.cost)


def test_normal_matrix_is_a_sum_of_squares() -> None:
    model = objective(CROSSING, problem(), Penalties(30.0, 1.0))
    assert model.normal.shape == (3 * PARAMETERS, 3 * PARAMETERS)
    np.testing.assert_allclose(model.normal, model.normal.T, rtol=1e-12)
    eigenvalues = np.linalg.eigvalsh(model.normal)
    assert eigenvalues[0] >= -1e-9 * eigenvalues[-1]
    without = objective(CROSSING, problem(), Penalties(0.0, 0.0)).normal
    assert not without[:PARAMETERS, PARAMETERS:].any()  # only calendars couple expiries
