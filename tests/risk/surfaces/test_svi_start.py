"""The inner problem against a general solver, and the grid on slices it contains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from keeper.risk.surfaces.svi_lift import STEEPEST
from keeper.risk.surfaces.svi_start import box_least_squares, quasi_explicit

designs = arrays(np.float64, (6, 3), elements=st.floats(-2.0, 2.0).map(lambda x: round(x, 3)))
targets = arrays(np.float64, (6,), elements=st.floats(-5.0, 5.0).map(lambda x: round(x, 3)))


@given(designs, targets)
def test_box_least_squares_is_the_optimum(design: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    X = np.vstack([design, 0.1 * np.eye(3)])  # never singular
    y = np.concatenate([target, np.zeros(3)])
    found, cost = box_least_squares(X.T @ X, X.T @ y)
    wanted = lsq_linear(X, y, bounds=([-np.inf, 0, 0], [np.inf, STEEPEST, STEEPEST]), tol=1e-14)
    assert ((found[1:] >= 0.0) & (found[1:] <= STEEPEST)).all()
    assert float(cost) + float(y @ y) <= 2.0 * wanted.cost + 1e-8
    assert float(cost) == pytest.approx(float(np.sum((X @ found - y) ** 2) - y @ y), abs=1e-8)


def test_a_slice_on_the_grid_is_found_exactly() -> None:
    w_money = 0.04
    m, sigma = 0.4 * 0.2, 0.1 * 0.2 * 40.0 ** (3 / 7)  # node (5, 3)
    k = np.linspace(-0.6, 0.6, 25)
    x = k - m
    r = np.sqrt(x * x + sigma * sigma)
    w = 0.01 + 0.5 * (0.12 * (r - x) + 0.07 * (r + x))
    found = quasi_explicit(k[None], w[None], np.ones((1, 25)), np.array([w_money]))
    np.testing.assert_allclose(found[0], [0.01, 0.12, 0.07, m, sigma], rtol=1e-5)


def test_padding_has_no_say() -> None:
    k, w = np.linspace(-0.5, 0.5, 11), 0.04 + 0.1 * np.linspace(-0.5, 0.5, 11) ** 2
    padded = quasi_explicit(
        np.append(k, 9.0)[None], np.append(w, 77.0)[None], np.append(np.ones(11), 0.0)[None], np.array([0.04])
    )
    np.testing.assert_allclose(
        padded, quasi_explicit(k[None], w[None], np.ones((1, 11)), np.array([0.04])), rtol=1e-12
    )
