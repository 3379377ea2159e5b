"""Back-tests: losses exceed their forecast as often as they should, and not in clusters.

Source: Kupiec, "Techniques for verifying the accuracy of risk measurement models" (1995);
Christoffersen, "Evaluating interval forecasts" (1998); Basel Committee, supervisory framework for
back-testing (1996).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri, xlogy

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import finite, require

TEST_SIZE: Final = 0.05
"""A likelihood ratio is rejected where its p-value is below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """A test statistic that is chi-squared if the model is right."""

    statistic: float
    """Likelihood ratio, at least 0."""

    p_value: float
    """Chance of a greater statistic if the model is right."""

    @property
    def rejected(self) -> bool:
        """Whether the model is rejected at the 5 % level."""
        return self.p_value < TEST_SIZE


class Zone(StrEnum):
    """Colour of the Basel traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """What a back-test of T forecasts found."""

    observations: int
    breaches: int
    """Losses greater than the forecast."""

    expected: float
    """(1 - level) T."""

    worst_excess: float
    """Greatest loss beyond its forecast, in the unit of the forecasts; 0 without breach."""

    kupiec: LikelihoodRatio
    """Right number of breaches?"""

    independence: LikelihoodRatio
    """Breaches without clusters?"""

    joint: LikelihoodRatio
    """Both."""


def breaches(pnl: ArrayLike, var: ArrayLike) -> NDArray[np.bool_]:
    """Return where the loss -pnl exceeds the forecast `var` made before it, shape (T,).

    Raises
    ------
    UnfitValueError
        Shapes differ or a value is not finite.
    """
    profit = finite("pnl", pnl, shape=(None,))
    forecast = finite("var", var, shape=(len(profit),))
    hit: NDArray[np.bool_] = -profit > forecast
    return hit


def kupiec(observations: int, count: int, tail: float) -> LikelihoodRatio:
    """Test the number of breaches (unconditional coverage), chi-squared with one degree of freedom.

        LR = -2 ln[ (1-p)^(T-x) p^x ] + 2 ln[ (1-x/T)^(T-x) (x/T)^x ],  0 ln 0 = 0

    Parameters
    ----------
    observations
        T, at least 1.
    count
        x, in 0..T.
    tail
        p = 1 - level, above 0 and below 1.

    Raises
    ------
    UnfitValueError
        Out of those ranges.

    Examples
    --------
    >>> round(kupiec(250, 5, 0.01).statistic, 5)
    1.95681
    """
    require("observations", observations, observations >= 1, "at least 1")
    require("count", count, 0 <= count <= observations, f"in 0..{observations}")
    require("tail", tail, 0.0 < tail < 1.0, "above 0 and below 1")
    rest = observations - count
    seen = _log_likelihood(rest, count, count / observations)
    return _ratio(_log_likelihood(rest, count, tail), seen, degrees=1)


def christoffersen(hits: ArrayLike) -> LikelihoodRatio:
    """Test that a breach today says nothing about tomorrow, chi-squared with one degree of freedom.

    Compares one chance of a breach with two, after a calm day (n01 of n00 + n01) and after a breach
    (n11 of n10 + n11). `hits` are booleans in time order, shape (T,).

    Raises
    ------
    UnfitValueError
        Fewer than two observations.
    """
    hit = np.asarray(hits, dtype=np.bool_)
    if hit.ndim != 1 or len(hit) < 2:
        raise UnfitValueError("hits", f"shape is {hit.shape}, expected two or more observations in a row")
    before, after = hit[:-1], hit[1:]
    n01, n11 = int((~before & after).sum()), int((before & after).sum())
    n00, n10 = int((~before & ~after).sum()), int((before & ~after).sum())
    one = _log_likelihood(n00 + n10, n01 + n11, (n01 + n11) / (len(hit) - 1))
    two = _log_likelihood(n00, n01, n01 / max(1, n00 + n01)) + _log_likelihood(
        n10, n11, n11 / max(1, n10 + n11)
    )
    return _ratio(one, two, degrees=1)


def backtest(pnl: ArrayLike, var: ArrayLike, level: float) -> BackTest:
    """Back-test VaR forecasts: counts, Kupiec, Christoffersen, and the joint test (two degrees of freedom).

    Parameters
    ----------
    pnl
        Profit of each step in time order, shape (T,), T >= 2, any unit.
    var
        VaR at `level` forecast before each step, shape (T,), same unit, losses positive.
    level
        Confidence of the forecasts, above 0 and below 1.

    Raises
    ------
    UnfitValueError
        Shapes differ, a value is not finite, T < 2 or a level outside 0..1.
    """
    require("level", level, 0.0 < level < 1.0, "above 0 and below 1")
    hits = breaches(pnl, var)
    excess = -np.asarray(pnl, dtype=np.float64) - np.asarray(var, dtype=np.float64)
    independence = christoffersen(hits)
    coverage = kupiec(len(hits), int(hits.sum()), 1.0 - level)
    both = coverage.statistic + independence.statistic
    return BackTest(
        observations=len(hits),
        breaches=int(hits.sum()),
        expected=(1.0 - level) * len(hits),
        worst_excess=max(0.0, float(excess.max())),
        kupiec=coverage,
        independence=independence,
        joint=LikelihoodRatio(statistic=both, p_value=float(chdtrc(2, both))),
    )


_YELLOW_1996: Final = (0.40, 0.50, 0.65, 0.75, 0.85)
"""Added to the base multiplier of 3 for 5 to 9 breaches in 250 days; 1.00 from 10 on."""


def traffic_light(count: int) -> tuple[Zone, float]:
    """Return the Basel zone of `count` breaches in 250 days at 99 %, and the addition to the multiplier 3.

    Green to 4, yellow 5 to 9, red from 10 on (framework of 1996).

    Raises
    ------
    UnfitValueError
        If the count is negative.

    Examples
    --------
    >>> traffic_light(7)
    (<Zone.YELLOW: 'yellow'>, 0.65)
    """
    require("count", count, count >= 0, "at least 0")
    if count <= 4:
        return Zone.GREEN, 0.0
    if count <= 9:
        return Zone.YELLOW, _YELLOW_1996[count - 5]
    return Zone.RED, 1.0


def critical_value(degrees: int, size: float = TEST_SIZE) -> float:
    """Return the chi-squared value that is exceeded with chance `size`: 3.8415 for one degree at 5 %."""
    return float(chdtri(degrees, size))


def _log_likelihood(misses: int, hits: int, p: float) -> float:
    return float(xlogy(misses, 1.0 - p) + xlogy(hits, p))


def _ratio(restricted: float, free: float, *, degrees: int) -> LikelihoodRatio:
    # The free model cannot fit worse; a negative difference is rounding.
    statistic = max(0.0, 2.0 * (free - restricted))
    return LikelihoodRatio(statistic=statistic, p_value=float(chdtrc(degrees, statistic)))
