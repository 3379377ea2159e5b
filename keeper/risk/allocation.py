"""Who causes the tail: risk split into parts that add up to it exactly.

Euler's rule gives each part the derivative of the total with respect to its own size. Because ES and
the standard deviation are homogeneous, the parts sum to the total, and a part that hedges the rest is
negative: it is credited with the netting benefit that it creates.

Source: Tasche, "Capital allocation to business units and sub-portfolios: the Euler principle" (2008).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import Floats, finite
from keeper.risk.tail import (
    normal_es_multiple,
    normal_var_multiple,
    standard_deviation,
    tail_weights,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A total and its parts."""

    total_usd: float
    """Risk of the whole, USD."""

    parts_usd: tuple[float, ...]
    """One per part, in the order given; they sum to `total_usd` up to rounding."""


def euler_es(pnl_usd: ArrayLike, level: float, *, probability: ArrayLike | None = None) -> Allocation:
    """Split the ES of a sum over its rows:  C_a = - sum_s w_s P[a, s],  w the tail weights of the sum.

    Parameters
    ----------
    pnl_usd
        Profit of part a in scenario s, shape (A, S), USD: accounts, venues or underlyings.
    level
        Confidence of the ES, above 0 and below 1.
    probability
        Of each scenario, as in `tail_weights`.

    Raises
    ------
    UnfitValueError
        As `tail_weights`.

    Notes
    -----
    With scenarios tied at the boundary ES has a kink, and the derivative is the mean over the ties.

    Examples
    --------
    >>> euler_es([[-4.0, 1.0], [-2.0, 3.0]], 0.5)
    Allocation(total_usd=6.0, parts_usd=(4.0, 2.0))
    """
    parts = finite("pnl_usd", pnl_usd, shape=(None, None))
    weights = tail_weights(parts.sum(axis=0), level, probability=probability)
    shares = -(parts @ weights)
    return Allocation(total_usd=float(shares.sum()), parts_usd=tuple(shares.tolist()))


def euler_var(delta_usd: ArrayLike, covariances: ArrayLike, level: float) -> Allocation:
    """Split the parametric VaR of a linear book over its factors:  C_i = z g_i (S g)_i / sqrt(g' S g).

    Parameters and errors as in `tail.parametric_var`. A book without risk gives zeros.

    Examples
    --------
    >>> cov = [[0.02**2, 0.3 * 0.02 * 0.01], [0.3 * 0.02 * 0.01, 0.01**2]]
    >>> [round(part) for part in euler_var([10e6, 5e6], cov, 0.99).parts_usd]
    [454226, 58099]
    """
    return _linear(delta_usd, covariances, normal_var_multiple(level))


def euler_parametric_es(delta_usd: ArrayLike, covariances: ArrayLike, level: float) -> Allocation:
    """Split the parametric ES of a linear book over its factors, as `euler_var` does with VaR."""
    return _linear(delta_usd, covariances, normal_es_multiple(level))


def group_pnl(pnl_usd: ArrayLike, group: Sequence[str]) -> tuple[tuple[str, ...], Floats]:
    """Sum rows that share a name, for example accounts by venue or by chain.

    Parameters
    ----------
    pnl_usd
        Shape (A, S).
    group
        Name of each row's group, length A.

    Returns
    -------
    tuple
        The G names in order of first appearance, and their sums, shape (G, S).

    Raises
    ------
    UnfitValueError
        If there is not one name a row.
    """
    parts = finite("pnl_usd", pnl_usd, shape=(len(group), None))
    names = tuple(dict.fromkeys(group))
    index = {name: g for g, name in enumerate(names)}
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, [index[name] for name in group], parts)
    return names, sums


def _linear(delta_usd: ArrayLike, covariances: ArrayLike, multiple: float) -> Allocation:
    sd = standard_deviation(delta_usd, covariances)
    g, S = np.asarray(delta_usd, dtype=np.float64), np.asarray(covariances, dtype=np.float64)
    parts = multiple * g * (S @ g) / sd if sd > 0.0 else np.zeros_like(g)
    return Allocation(total_usd=float(parts.sum()), parts_usd=tuple(parts.tolist()))
