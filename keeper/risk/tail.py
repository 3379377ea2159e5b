"""Value at risk and expected shortfall of a vector of scenario results.

Results are profits: a loss is negative, VaR and ES come back as positive losses, and are negative
where even the tail makes money. Whole conventions, with N equally likely scenarios at level a:

    VaR = the loss of rank ceil(a N) from below
    ES  = mean of the worst (1 - a) N losses, the last of them with the fraction that is left

Source: Acerbi and Tasche, "On the coherence of expected shortfall" (2002); Hull, ch. "Value at risk
and expected shortfall".
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from keeper.model.errors import UnfitValueError
from keeper.risk.covariance import covariance
from keeper.risk.inputs import Floats, finite, require

_RANK_SLACK: Final = 1e-9
"""Relative distance from a whole number within which (1 - a) N counts as that number: 0.07 x 100
is 7.000000000000001 in binary, and must not become rank 8."""


def value_at_risk(pnl_usd: ArrayLike, level: float) -> Floats:
    """Return the loss of rank ceil(level N) from below, along the last axis, USD.

    Parameters
    ----------
    pnl_usd
        Profits, shape (..., N), N >= 1 equally likely scenarios.
    level
        Confidence, above 0 and below 1, for example 0.99.

    Returns
    -------
    Floats
        Shape (...), a scalar array for one vector.

    Raises
    ------
    UnfitValueError
        No scenario, a NaN, or a level outside 0..1.

    Examples
    --------
    >>> float(value_at_risk(-np.arange(1.0, 1001.0), 0.99))
    990.0
    """
    losses = -_profits(pnl_usd)
    rank = max(1, _whole(_level(level) * losses.shape[-1], math.ceil))
    return np.asarray(np.partition(losses, rank - 1, axis=-1)[..., rank - 1])


def expected_shortfall(pnl_usd: ArrayLike, level: float) -> Floats:
    """Return the mean of the worst (1 - level) N losses along the last axis, USD.

    The boundary scenario counts with the fraction that is left; below one scenario in the tail, ES is
    the worst loss. Coherent: subadditive, homogeneous, monotone and translation invariant.
    Parameters and errors as in `value_at_risk`.

    Examples
    --------
    >>> float(expected_shortfall(-np.arange(1.0, 1001.0), 0.99))
    995.5
    """
    profits = _profits(pnl_usd)
    N = profits.shape[-1]
    tail = (1.0 - _level(level)) * N
    whole = min(N - 1, _whole(tail, math.floor))
    left = tail - whole
    fraction = left if whole == 0 or left > _RANK_SLACK * tail else 0.0
    ordered = np.partition(profits, whole, axis=-1)
    total = ordered[..., :whole].sum(axis=-1) + fraction * ordered[..., whole]
    return np.asarray(-total / (whole + fraction))


def tail_weights(pnl_usd: ArrayLike, level: float, *, probability: ArrayLike | None = None) -> Floats:
    """Return weights w, shape (N,), with sum 1 and  ES = - sum_s w[s] pnl[s].

    Scenarios tied at the boundary share its weight in proportion to their probability, so the order of
    scenarios does not matter, and whatever is linear in the scenarios (accounts, venues) can be
    allocated with the same weights.

    Parameters
    ----------
    pnl_usd
        Profits, shape (N,).
    level
        Confidence, above 0 and below 1.
    probability
        Of each scenario, shape (N,), at least 0, with sum 1; absent: 1 / N each. Unequal
        probabilities serve age weighting and the share of stressed observations that rules demand.

    Raises
    ------
    UnfitValueError
        Wrong shape, NaN, level outside 0..1, probabilities negative or not adding to 1 within 1e-9.
    """
    profits = finite("pnl_usd", pnl_usd, shape=(None,))
    N = len(profits)
    if not N:
        raise UnfitValueError("pnl_usd", "no scenarios, expected at least one")
    p = np.full(N, 1.0 / N) if probability is None else finite("probability", probability, shape=(N,))
    require("probability", p, p >= 0.0, "at least 0")
    require("probability", p.sum(), abs(p.sum() - 1.0) <= 1e-9, "a sum of 1")

    tail = 1.0 - _level(level)
    values, group = np.unique(profits, return_inverse=True)
    mass = np.bincount(group, weights=p, minlength=len(values))
    before = np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    taken = np.clip(tail - before, 0.0, mass)
    taken[taken < _RANK_SLACK * tail] = 0.0
    share = np.divide(taken, mass, out=np.zeros_like(mass), where=mass > 0.0)
    taken_from = share[group] * p
    weights: Floats = taken_from / taken_from.sum()
    return weights


def normal_var_multiple(level: float) -> float:
    """Return the VaR of a standard normal loss: its quantile, 2.32635 at 99 %."""
    return float(ndtri(_level(level)))


def normal_es_multiple(level: float) -> float:
    """Return the ES of a standard normal loss, phi(z) / (1 - level): 2.66521 at 99 %."""
    z = normal_var_multiple(level)
    return math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi) / (1.0 - level)


def standard_deviation(delta_usd: ArrayLike, covariances: ArrayLike) -> float:
    """Return sqrt(g' S g), the standard deviation of a linear book, USD, at least 0.

    Parameters
    ----------
    delta_usd
        Profit per relative move of each factor, shape (U,), USD.
    covariances
        Of the relative moves over the horizon, shape (U, U).

    Raises
    ------
    UnfitValueError
        Shapes that differ, or a g' S g below 0: the matrix is not a covariance, see
        `covariance.nearest_covariance`.
    """
    g = finite("delta_usd", delta_usd, shape=(None,))
    S = covariance("covariances", covariances, size=len(g))
    variance = float(g @ S @ g)
    scale = float(np.abs(g) @ np.abs(S) @ np.abs(g))
    require("covariances", variance, variance >= -1e-12 * scale, "positive semidefinite along the book")
    return math.sqrt(max(0.0, variance))


def parametric_var(
    delta_usd: ArrayLike, covariances: ArrayLike, level: float, *, horizon_steps: float = 1.0
) -> float:
    """Return z sqrt(h g' S g), the VaR of a linear book under normal moves, USD.

    `covariances` are per step; the horizon scales them by `horizon_steps`, at least 0. Other parameters
    and errors as in `standard_deviation`.

    Notes
    -----
    Source: Hull, model-building approach (two stocks, correlation 0.3: 512,325 over a day at 99 %).

    Examples
    --------
    >>> cov = [[0.02**2, 0.3 * 0.02 * 0.01], [0.3 * 0.02 * 0.01, 0.01**2]]
    >>> round(parametric_var([10e6, 5e6], cov, 0.99))
    512325
    """
    return normal_var_multiple(level) * _horizon_sd(delta_usd, covariances, horizon_steps)


def parametric_es(
    delta_usd: ArrayLike, covariances: ArrayLike, level: float, *, horizon_steps: float = 1.0
) -> float:
    """Return the ES of a linear book under normal moves, USD. Parameters as in `parametric_var`."""
    return normal_es_multiple(level) * _horizon_sd(delta_usd, covariances, horizon_steps)


def _horizon_sd(delta_usd: ArrayLike, covariances: ArrayLike, horizon_steps: float) -> float:
    require("horizon_steps", horizon_steps, horizon_steps >= 0.0, "at least 0")
    return math.sqrt(horizon_steps) * standard_deviation(delta_usd, covariances)


def _profits(pnl_usd: ArrayLike) -> Floats:
    profits = finite("pnl_usd", pnl_usd)
    if profits.ndim == 0 or profits.shape[-1] == 0:
        raise UnfitValueError("pnl_usd", f"shape is {profits.shape}, expected at least one scenario")
    return profits


def _level(level: float) -> float:
    require("level", level, 0.0 < level < 1.0, "above 0 and below 1")
    return level


def _whole(x: float, rounding: Callable[[float], int]) -> int:
    nearest = round(x)
    return nearest if abs(x - nearest) <= _RANK_SLACK * max(1.0, x) else rounding(x)
