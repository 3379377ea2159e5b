"""Basis: what is left of a hedge when the two legs do not move as one."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import Floats, finite, require
from keeper.risk.tail import standard_deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeRatio:
    """The hedge that leaves the least variance."""

    ratio: float
    """Units of hedge to sell per unit held, signed; negative where the two move against each other."""

    hedged_share: float
    """Share of the variance that the hedge removes, rho^2, in 0..1."""


def minimum_variance_ratio(correlation: float, vol_spot: float, vol_hedge: float) -> HedgeRatio:
    """Return h = rho sS / sF and rho^2.

    Parameters
    ----------
    correlation
        Of the moves of position and hedge over the hedging period, in -1..1.
    vol_spot, vol_hedge
        Standard deviations of those moves in the same unit; the first at least 0, the second above 0.

    Raises
    ------
    UnfitValueError
        Not finite or out of those ranges.

    Notes
    -----
    Source: Hull, minimum variance hedge ratio: 0.928 x 0.0263 / 0.0313 = 0.78.

    Examples
    --------
    >>> round(minimum_variance_ratio(0.928, 0.0263, 0.0313).ratio, 2)
    0.78
    """
    require("correlation", correlation, -1.0 <= correlation <= 1.0, "in -1..1")
    require("vol_spot", vol_spot, 0.0 <= vol_spot < math.inf, "finite and at least 0")
    require("vol_hedge", vol_hedge, 0.0 < vol_hedge < math.inf, "finite and above 0")
    return HedgeRatio(ratio=correlation * vol_spot / vol_hedge, hedged_share=correlation**2)


def hedge_ratio_of(moves: ArrayLike, hedge_moves: ArrayLike) -> HedgeRatio:
    """Return the minimum variance ratio of two recorded series of moves, shape (T,) each, T >= 2.

    Means are taken out. A position that does not move needs no hedge: ratio 0, share 0.

    Raises
    ------
    UnfitValueError
        Shapes differ, not finite, fewer than two rows, or a hedge that does not move.
    """
    hedge = finite("hedge_moves", hedge_moves, shape=(None,))
    position = finite("moves", moves, shape=(len(hedge),))
    require("moves", len(hedge), len(hedge) >= 2, "at least 2 rows")
    y, x = position - position.mean(), hedge - hedge.mean()
    xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
    require("hedge_moves", xx, xx > 0.0, "a sum of squares above 0")
    if yy == 0.0:
        return HedgeRatio(ratio=0.0, hedged_share=0.0)
    return HedgeRatio(ratio=xy / xx, hedged_share=min(1.0, xy / xx * xy / yy))


def hedge_ratios(covariances: ArrayLike, target: int) -> Floats:
    """Return the units of every other factor to sell per unit of factor `target`, shape (U,).

    Least squares on the covariance, h = S_hh^-1 S_ht, with 0 at the target itself: a perp hedged by the
    spot and the dated future together. Collinear hedges share the position (least norm).

    Parameters
    ----------
    covariances
        Of the moves, shape (U, U), symmetric positive semidefinite.
    target
        Index of the factor that is held, in 0..U-1.

    Raises
    ------
    UnfitValueError
        No such matrix or index.
    """
    matrix = finite("covariances", covariances, shape=(None, None))
    require("target", target, 0 <= target < len(matrix), f"in 0..{len(matrix) - 1}")
    # Refuses what is no covariance.
    standard_deviation(np.eye(len(matrix))[target], matrix)
    others = np.arange(len(matrix)) != target
    ratios = np.zeros(len(matrix))
    if others.any():
        block, column = matrix[np.ix_(others, others)], matrix[others, target]
        ratios[others] = np.linalg.pinv(block, rcond=1e-12, hermitian=True) @ column
    return ratios


def basis_charge_usd(hedged_base: ArrayLike, price_usd: ArrayLike, *, rate: ArrayLike = 0.01) -> Floats:
    """Return rate x hedged x price: the charge on amounts that stand against themselves, USD, >= 0.

    Parameters
    ----------
    hedged_base
        `NetExposure.hedged` by underlying, in units of it, shape (U,), at least 0.
    price_usd
        At least 0, scalar or shape (U,).
    rate
        Fraction, at least 0; house default 1 %.

    Raises
    ------
    UnfitValueError
        Not finite or negative.

    Examples
    --------
    >>> float(basis_charge_usd(9.0, 60_000.0))
    5400.0
    """
    parts = []
    for field, values in (("hedged_base", hedged_base), ("price_usd", price_usd), ("rate", rate)):
        array = finite(field, values)
        require(field, array, array >= 0.0, "at least 0")
        parts.append(array)
    charge: Floats = np.asarray(parts[0] * parts[1] * parts[2])
    return charge
