"""How much a requirement swings with the market while the positions stand still."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import finite, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Procyclicality:
    """Swings of a requirement with constant positions."""

    peak_to_trough: float
    """Greatest requirement over the least, at least 1; inf where the least is 0."""

    greatest_rise: float
    """Greatest relative rise over `steps`, at least 0."""

    steps: int
    """Steps over which the rise was measured."""


def procyclicality(requirement_usd: ArrayLike, *, steps: int) -> Procyclicality:
    """Measure the swings of a requirement series over constant positions.

    Parameters
    ----------
    requirement_usd
        In time order, shape (T,), T > steps, each at least 0.
    steps
        Length of the rise, for example 5 days, at least 1.

    Raises
    ------
    UnfitValueError
        Series too short, not finite or negative.

    Notes
    -----
    Source: Murphy, Vasios, Vause, "An investigation into the procyclicality of risk-based initial
    margin models", Bank of England FSP 29 (2014): peak-to-trough and n-day measures.
    """
    series = finite("requirement_usd", requirement_usd, shape=(None,))
    require("requirement_usd", series, series >= 0.0, "at least 0")
    require("steps", steps, 1 <= steps < len(series), f"in 1..{len(series) - 1}")
    low, high = float(series.min()), float(series.max())
    before, after = series[:-steps], series[steps:]
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.where(after > before, after / before - 1.0, 0.0)
    return Procyclicality(
        peak_to_trough=high / low if low > 0.0 else (float("inf") if high > 0.0 else 1.0),
        greatest_rise=float(rise.max()),
        steps=steps,
    )
