"""Reverse stress: the most likely shock that consumes the buffer, and how far away it is.

For a linear book the answer is closed: with buffer B, deltas g and covariance S of the factors

    x* = - S g B / (g' S g),   distance = B / sqrt(g' S g),   P(breach) = Phi(-distance)

For any other book the point of the surface buffer = 0 that is nearest to today, in standard deviations,
is searched with full revaluation (first-order reliability method).

Source: Hasofer and Lind, "Exact and invariant second-moment code format" (1974); Rackwitz and Fiessler
(1978); Studer, maximum loss (1997).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from keeper.risk.covariance import factor
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.tail import standard_deviation

Buffer: TypeAlias = Callable[[Floats], Floats]
"""Buffer in USD after each of n shocks: shape (n, U) in, shape (n,) out. Negative is a breach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseStress:
    """The nearest shock that leaves nothing."""

    shock: tuple[float, ...]
    """Move of each factor, in the unit of the covariance."""

    distance_sd: float
    """How many standard deviations away, negative where the buffer is gone already."""

    breach_probability: float
    """Phi(-distance): exact for a linear book and normal moves, else first order."""


_BEYOND_EVERY_MARKET_SD: Final = 1e9
"""A distance at which no move changes the book."""


def reverse_stress(buffer_usd: float, delta_usd: ArrayLike, covariances: ArrayLike) -> ReverseStress | None:
    """Return the nearest breaching shock of a linear book, or None where no move changes it.

    Parameters
    ----------
    buffer_usd
        Equity less maintenance requirement.
    delta_usd
        g, profit per relative move, shape (U,).
    covariances
        S, of the moves over the horizon, shape (U, U).

    Raises
    ------
    UnfitValueError
        Not finite, shapes that differ, or S not a covariance.

    Examples
    --------
    >>> cov = [[0.035**2, 0.8 * 0.035 * 0.045], [0.8 * 0.035 * 0.045, 0.045**2]]
    >>> found = reverse_stress(60_000.0, [600_000.0, 150_000.0], cov)
    >>> [round(100 * x, 3) for x in found.shock], round(found.distance_sd, 5)
    ([-7.772, -8.913], 2.24645)
    """
    finite("buffer_usd", buffer_usd)
    sd_usd = standard_deviation(delta_usd, covariances)
    distance = buffer_usd / sd_usd if sd_usd > 0.0 else np.inf
    if abs(distance) > _BEYOND_EVERY_MARKET_SD:
        return None
    g, S = np.asarray(delta_usd, dtype=np.float64), np.asarray(covariances, dtype=np.float64)
    shock = -(S @ (g / sd_usd)) * distance
    return ReverseStress(
        shock=tuple(shock.tolist()), distance_sd=distance, breach_probability=float(ndtr(-distance))
    )


_RAY_POINTS: Final = 65
_ZOOM_POINTS: Final = 33
_ZOOMS: Final = 10
"""Each looks 32 times closer, in one batch: a revaluation of 33 shocks costs hardly more than one of one."""


def reverse_stress_revalued(
    buffer: Buffer, covariances: ArrayLike, *, reach_sd: float = 8.0, rounds: int = 50
) -> ReverseStress | None:
    """Return the nearest breaching shock of any book, or None where none lies within `reach_sd`.

    Looks along both directions of every principal axis and of the steepest descent for the first
    breach, then turns each of these rays towards the surface's own normal until it no longer comes
    nearer, and keeps the nearest. A straddle therefore finds both its sides.

    Parameters
    ----------
    buffer
        Buffer after shocks, by full revaluation; called with batches.
    covariances
        Of the moves over the horizon, shape (U, U). With logarithmic moves no shock takes a price below
        zero.
    reach_sd
        Greatest distance that is searched, above 0.
    rounds
        Greatest number of turns per ray, at least 1.

    Returns
    -------
    ReverseStress or None
        Shock 0 at distance 0 where the buffer is negative already.

    Raises
    ------
    UnfitValueError
        No covariance, limits out of range, or a buffer that is not finite.

    Notes
    -----
    Local minima that no start ray leads to are missed: the distance is an upper bound.
    """
    require("reach_sd", reach_sd, reach_sd > 0.0, "above 0")
    require("rounds", rounds, rounds >= 1, "at least 1")
    lower = factor(covariances)
    U = len(lower)

    def at(u: Floats) -> Floats:
        return finite("buffer", buffer(u @ lower.T), shape=(len(u),))

    if float(at(np.zeros((1, U)))[0]) < 0.0:
        return ReverseStress(shock=(0.0,) * U, distance_sd=0.0, breach_probability=0.5)
    axes = np.linalg.svd(lower)[2] if U else np.empty((0, 0))
    rays = [*axes, *-axes]
    descent = _descent(at, np.zeros(U))
    if descent is not None:
        rays += [descent, -descent]
    nearest: Floats | None = None
    for ray in rays:
        point = _first_breach(at, ray, reach_sd)
        if point is not None:
            point = _turned(at, point, reach_sd, rounds)
            if nearest is None or np.linalg.norm(point) < np.linalg.norm(nearest):
                nearest = point
    if nearest is None:
        return None
    distance = float(np.linalg.norm(nearest))
    return ReverseStress(
        shock=tuple((lower @ nearest).tolist()),
        distance_sd=distance,
        breach_probability=float(ndtr(-distance)),
    )


def _descent(at: Buffer, u: Floats, step: float = 1e-4) -> Floats | None:
    """Return the unit direction in which the buffer falls fastest at `u`, or None on flat ground."""
    bumps = step * np.eye(len(u))
    values = at(np.vstack([u + bumps, u - bumps]))
    gradient = values[: len(u)] - values[len(u) :]
    size = float(np.linalg.norm(gradient))
    return -gradient / size if size > 0.0 else None


def _first_breach(at: Buffer, ray: Floats, reach_sd: float) -> Floats | None:
    """Return the first point along `ray` where the buffer is gone, or None within reach."""
    lengths = np.linspace(0.0, reach_sd, _RAY_POINTS)
    gone = np.flatnonzero(at(lengths[:, None] * ray) < 0.0)
    if not gone.size:
        return None
    # The start is no breach, so the first breach has a healthy neighbour before it.
    healthy, breached = lengths[gone[0] - 1], lengths[gone[0]]
    for _ in range(_ZOOMS):
        closer = np.linspace(healthy, breached, _ZOOM_POINTS)
        first = int((at(closer[:, None] * ray) < 0.0).argmax())
        if not first:
            break
        healthy, breached = closer[first - 1], closer[first]
    point: Floats = breached * ray
    return point


def _turned(at: Buffer, point: Floats, reach_sd: float, rounds: int) -> Floats:
    """Turn the ray through `point` towards the surface's normal as long as that comes nearer."""
    for _ in range(rounds):
        normal = _descent(at, point)
        if normal is None:
            break
        ray = point / np.linalg.norm(point)
        for share in (1.0, 0.5, 0.25, 0.125):
            turned = (1.0 - share) * ray + share * normal
            size = float(np.linalg.norm(turned))
            candidate = _first_breach(at, turned / size, reach_sd) if size > 1e-9 else None
            if candidate is not None and np.linalg.norm(candidate) < np.linalg.norm(point) * (1.0 - 1e-10):
                point = candidate
                break
        else:
            break
    return point
