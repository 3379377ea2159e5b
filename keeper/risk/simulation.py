"""Monte Carlo moves: draws with a given covariance, alone or joined by a t copula.

Every function takes the caller's `numpy.random.Generator`: the same generator state gives the same
draws, and nothing here holds a seed of its own. A covariance that is not positive semidefinite, as
happens where its entries come from different windows, is first replaced by the nearest that is
(`covariance.nearest_covariance`).

Source: McNeil, Frey, Embrechts, Quantitative Risk Management, section 7.5 (t copula).
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr

from keeper.model.errors import UnfitValueError
from keeper.risk.covariance import factor
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.scenarios import Scenarios, scenarios


def normal_moves(covariances: ArrayLike, count: int, generator: Generator) -> Floats:
    """Return `count` joint normal draws of mean 0, shape (count, U).

    Parameters
    ----------
    covariances
        Of the moves over the horizon, shape (U, U), symmetric.
    count
        Number of draws, at least 1.
    generator
        Source of randomness; its state advances.

    Raises
    ------
    UnfitValueError
        If the matrix is not symmetric and finite, or `count` is below 1.
    """
    require("count", count, count >= 1, "at least 1")
    lower = factor(covariances)
    moves: Floats = generator.standard_normal((count, len(lower))) @ lower.T
    return moves


def t_copula(correlations: ArrayLike, count: int, generator: Generator, *, dof: float) -> Floats:
    """Return uniforms joined by a t copula, shape (count, U), each in 0..1 and never at the ends.

    One chi-squared draw scales all factors of a row, so extremes come together: the fewer the degrees
    of freedom, the more often all factors are in their tail at once. Uncorrelated factors are still
    dependent.

    Parameters
    ----------
    correlations
        Shape (U, U), symmetric, variances on the diagonal are divided out.
    count
        Number of draws, at least 1.
    generator
        Source of randomness; its state advances.
    dof
        Degrees of freedom, above 0. Crypto daily returns: 3 to 5.

    Raises
    ------
    UnfitValueError
        As `normal_moves`; a variance of 0, which has no correlation; `dof` not above 0.
    """
    require("dof", dof, dof > 0.0, "above 0")
    matrix = finite("correlations", correlations, shape=(None, None))
    variance = matrix.diagonal()
    require("correlations", variance, variance > 0.0, "above 0 on the diagonal")
    normal = normal_moves(matrix / np.sqrt(np.outer(variance, variance)), count, generator)
    shared = np.sqrt(generator.chisquare(dof, size=(count, 1)) / dof)
    edge = np.finfo(np.float64).eps
    uniforms: Floats = np.clip(stdtr(dof, normal / shared), edge, 1.0 - edge)
    return uniforms


def normal_quantiles(uniforms: ArrayLike, sd: ArrayLike) -> Floats:
    """Return normal moves of mean 0 with standard deviations `sd` (scalar or shape (U,)) at the uniforms."""
    u = _uniforms(uniforms)
    spread = finite("sd", sd)
    require("sd", spread, spread >= 0.0, "at least 0")
    moves: Floats = ndtri(u) * spread
    return moves


def empirical_quantiles(uniforms: ArrayLike, sample: ArrayLike) -> Floats:
    """Return the moves at the uniforms of each factor's own record, shape (count, U).

    Linear between the order statistics; nothing goes beyond the record, so pair it with the stress
    library.

    Parameters
    ----------
    uniforms
        Shape (count, U), each in 0..1, for example from `t_copula`.
    sample
        Recorded or filtered moves, shape (T, U), T >= 1.

    Raises
    ------
    UnfitValueError
        Shapes that differ, or no record.
    """
    u = _uniforms(uniforms)
    record = np.sort(finite("sample", sample, shape=(None, u.shape[1])), axis=0)
    T = len(record)
    if not T:
        raise UnfitValueError("sample", "no rows, expected a record")
    at = u * (T - 1)
    low = np.minimum(at.astype(np.intp), T - 1)
    high = np.minimum(low + 1, T - 1)
    below, above = np.take_along_axis(record, low, axis=0), np.take_along_axis(record, high, axis=0)
    moves: Floats = below + (at - low) * (above - below)
    return moves


def simulated_scenarios(
    underlyings: Sequence[str],
    spot_log: ArrayLike,
    *,
    vol_log: ArrayLike = 0.0,
    perp_basis_log: ArrayLike = 0.0,
    future_basis_log: ArrayLike = 0.0,
) -> Scenarios:
    """Return simulated log moves as scenarios, one row a draw.

    Parameters
    ----------
    underlyings
        Column names, length U.
    spot_log
        Log returns of the spot, shape (S, U).
    vol_log, perp_basis_log, future_basis_log
        Log returns of the vol at 30 days and of perp and forward over spot, scalar or shape (S, U).

    Raises
    ------
    UnfitValueError
        As `scenarios`.
    """
    spot = finite("spot_log", spot_log, shape=(None, len(underlyings)))
    return scenarios(
        underlyings,
        [f"simulated/{i}" for i in range(len(spot))],
        spot_move=np.expm1(spot),
        vol_move=np.expm1(finite("vol_log", vol_log)),
        perp_basis_move=np.expm1(finite("perp_basis_log", perp_basis_log)),
        future_basis_move=np.expm1(finite("future_basis_log", future_basis_log)),
    )


def _uniforms(uniforms: ArrayLike) -> Floats:
    u = finite("uniforms", uniforms, shape=(None, None))
    require("uniforms", u, (u > 0.0) & (u < 1.0), "above 0 and below 1")
    return u
