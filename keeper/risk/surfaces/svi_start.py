"""Where a calibration starts: the quasi-explicit fit of each slice on a grid of (m, sigma).

With m and sigma fixed, raw SVI is linear in three numbers. Written with its wing slopes L and R,

    w = a + L (r - x) / 2 + R (r + x) / 2,    x = k - m,  r = sqrt(x**2 + sigma**2),

the conditions on b and rho are a box: 0 <= L, R <= 2. So the inner problem is least squares in a box,
solved exactly by trying which of the two bounds hold: nine linear systems of size three or less, for all
grid nodes and expiries at once. The outer problem is only two-dimensional, and a coarse grid on the scale
of each expiry's standard deviation finds the valley without random restarts.

Source: De Marco and Martini, "Quasi-explicit calibration of Gatheral's SVI model", Zeliade white paper,
2009; there the linear numbers are a, b rho sigma and b sigma, whose conditions are a box turned by 45
degrees.
"""

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.surfaces.svi_lift import STEEPEST

_CENTRES: Final = np.linspace(-1.6, 1.6, 9)
"""m in standard deviations at the money."""

_WIDTHS: Final = np.geomspace(0.1, 4.0, 8)
"""sigma in standard deviations at the money."""

_RIDGE: Final = 1e-12


def quasi_explicit(k: Floats, w: Floats, weight: Floats, w_money: Floats) -> Floats:
    """Return the best (a, L, R, m, sigma) on the grid for each expiry, shape (E, 5).

    Parameters
    ----------
    k, w, weight
        Log-moneyness, total variance and weight (at least 0; 0 pads a row) of the quotes, shape (E, n).
    w_money
        Total variance at the money, above 0, shape (E,): the scale of the grid.
    """
    E = k.shape[0]
    scale = np.sqrt(w_money)[:, None]
    m, sigma = (scale * axis.ravel() for axis in np.meshgrid(_CENTRES, _WIDTHS, indexing="ij"))
    x = k[:, None, :] - m[:, :, None]
    r = np.sqrt(x * x + sigma[:, :, None] ** 2)
    design = np.stack([np.ones_like(x), 0.5 * (r - x), 0.5 * (r + x)], axis=2)
    weighted = design * weight[:, None, None, :]
    normal = weighted @ design.transpose(0, 1, 3, 2)
    normal += _RIDGE * np.trace(normal, axis1=2, axis2=3)[..., None, None] * np.eye(3)
    moments = (weighted @ w[:, None, :, None])[..., 0]
    linear, cost = box_least_squares(normal, moments)
    a, left, right = np.moveaxis(linear, -1, 0)
    cost = np.where(a + sigma * np.sqrt(left * right) > 0.0, cost, np.inf)
    best = cost.argmin(axis=1)
    rows = np.arange(E)
    chosen = (a, left, right, m, sigma)
    return np.stack([values[rows, best] for values in chosen], axis=1)


def box_least_squares(normal: Floats, moments: Floats) -> tuple[Floats, Floats]:
    """Return the minimisers z = (a, L, R) of z' N z - 2 z' y over 0 <= L, R <= 2, and the minima.

    Parameters
    ----------
    normal, moments
        N, positive definite, shape (..., 3, 3), and y, shape (..., 3).
    """
    best: Floats = np.linalg.solve(normal, moments[..., None])[..., 0].astype(np.float64, copy=False)
    cost = np.where(_in_box(best), _value(normal, moments, best), np.inf)
    outside = np.isinf(cost)
    if outside.any():
        best[outside], cost[outside] = _on_the_edge(normal[outside], moments[outside])
    return best, cost


def _on_the_edge(normal: Floats, moments: Floats) -> tuple[Floats, Floats]:
    """Return minimisers and minima over the faces and corners of the box, for problems of shape (n,)."""
    best, cost = np.zeros(moments.shape), np.full(moments.shape[:-1], np.inf)
    bounds = (None, 0.0, STEEPEST)
    for fixed in list(product(bounds, bounds))[1:]:
        z = np.zeros(moments.shape)
        free = [0] + [i for i, value in enumerate(fixed, start=1) if value is None]
        for i, value in enumerate(fixed, start=1):
            if value is not None:
                z[:, i] = value
        rest = moments[:, free] - (normal[:, free] @ z[..., None])[..., 0]
        z[:, free] = np.linalg.solve(normal[:, free][:, :, free], rest[..., None])[..., 0]
        found = _value(normal, moments, z)
        better = _in_box(z) & (found < cost)
        best[better], cost[better] = z[better], found[better]
    return best, cost


def _in_box(z: Floats) -> NDArray[np.bool_]:
    inside = (z[..., 1:] >= 0.0) & (z[..., 1:] <= STEEPEST)
    return np.logical_and(inside[..., 0], inside[..., 1])


def _value(normal: Floats, moments: Floats, z: Floats) -> Floats:
    value: Floats = (((normal @ z[..., None])[..., 0] - 2.0 * moments) * z).sum(axis=-1)
    return value
