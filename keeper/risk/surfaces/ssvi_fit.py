"""SSVI for all expiries of an underlying from few quotes: arbitrage-free by construction.

Unknowns are the variances at the money as positive increments, rho, gamma, and eta as a share in (0, 1) of
the steepest value that is free of butterflies: inside the box, every surface is free of both kinds of
arbitrage, so nothing has to be checked or repaired afterwards. A grid over the three shape numbers gives
the start, bounded least squares finishes.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, sections 4 and 5.2.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy.optimize import least_squares

from keeper.risk.inputs import Floats
from keeper.risk.surfaces.fit_problem import dense_quotes, fit_problem
from keeper.risk.surfaces.smile_quotes import SmileQuotes
from keeper.risk.surfaces.ssvi import Ssvi, ssvi, steepest_eta
from keeper.risk.surfaces.svi_objective import PULL, Problem

_RHO: Final = np.linspace(-0.8, 0.8, 9)
_GAMMA: Final = np.linspace(0.1, 0.9, 5)
_SHARE: Final = np.geomspace(0.03, 0.9, 7)
_LOWEST: Final = np.array([-0.999, 0.0, 1e-4])
_HIGHEST: Final = np.array([0.999, 1.0, 1.0])
_LEAST_RISE: Final = 1e-6
_MOST_STEPS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SsviFit:
    """One surface over E of the expiries that were quoted."""

    expiry_y: Floats
    """Years to expiry, rising, shape (E,)."""

    forward_usd: Floats
    """Shape (E,)."""

    surface: Ssvi
    """Free of butterfly and calendar arbitrage."""

    left_out_y: tuple[float, ...]
    """Expiries with too few strikes."""


def fit_ssvi(quotes: SmileQuotes) -> SsviFit:
    """Return the arbitrage-free power-law SSVI surface nearest to the quotes.

    The loss is that of `svi_fit` without its linear tail: distance from each band in half widths, and a
    tenth of the distance from its middle.

    Raises
    ------
    SparseSmileError
        If no expiry has enough strikes; see `fit_problem`.
    """
    dense, _, left_out_y = dense_quotes(quotes)
    problem = fit_problem(dense)
    theta = np.maximum.accumulate(problem.w_money)
    rises = np.maximum(np.diff(theta, prepend=0.0), _LEAST_RISE * theta)
    first = np.concatenate([_best_shape(problem, theta), np.log(rises)])
    E = theta.size
    free = np.full(E, np.inf)

    def misses(unknowns: Floats) -> Floats:
        return _misses(_surface(unknowns), problem)

    solved = least_squares(
        misses,
        first,
        bounds=(np.concatenate([_LOWEST, -free]), np.concatenate([_HIGHEST, free])),
        x_scale=np.concatenate([[0.1, 0.1, 0.1], np.full(E, 0.1)]),
        ftol=1e-8,
        max_nfev=_MOST_STEPS,
    )
    return SsviFit(
        expiry_y=dense.expiry_y,
        forward_usd=dense.forward_usd,
        surface=_surface(solved.x),
        left_out_y=left_out_y,
    )


def _surface(unknowns: Floats) -> Ssvi:
    """Return the surface of (rho, gamma, share of the steepest eta, logs of the rises of theta)."""
    rho, gamma, share = unknowns[:3].tolist()
    theta = np.cumsum(np.exp(unknowns[3:]))
    return ssvi(theta, rho, share * float(steepest_eta(theta, rho, gamma)), gamma)


def _misses(surface: Ssvi, problem: Problem) -> Floats:
    """Return residuals, shape (2 N,): distance from the bands, and from their middles."""
    slices = surface.slices()[problem.row]
    z = (slices.total_variance(problem.k) - problem.mid) / problem.scale
    outside = np.maximum(np.abs(z) - problem.half / problem.scale, 0.0)
    return np.concatenate([np.copysign(outside, z), np.sqrt(PULL) * problem.pull * z])


def _best_shape(problem: Problem, theta: Floats) -> Floats:
    """Return the (rho, gamma, share) on the grid that misses the quotes least."""
    shapes = np.array(list(product(_RHO, _GAMMA, _SHARE)))
    rises = np.log(np.maximum(np.diff(theta, prepend=0.0), _LEAST_RISE * theta))
    losses = [np.sum(_misses(_surface(np.concatenate([shape, rises])), problem) ** 2) for shape in shapes]
    best: Floats = shapes[int(np.argmin(losses))]
    return best
