"""Concentration: how much hangs on one venue, one asset, or one market's depth."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import Floats, finite, require


def herfindahl(amounts: ArrayLike) -> float:
    """Return sum_i (|a_i| / sum |a|)^2: 1 where all lies in one place, 1 / n where spread evenly over n.

    Nothing at all has no concentration: 0. `amounts` has shape (n,), any unit, signs ignored.

    Raises
    ------
    UnfitValueError
        Not finite.

    Notes
    -----
    Source: Herfindahl-Hirschman index, here as a fraction (10,000 times less than in points).

    Examples
    --------
    >>> herfindahl([50.0, 30.0, 20.0])
    0.38
    """
    sizes = np.abs(finite("amounts", amounts, shape=(None,)))
    largest = float(sizes.max(initial=0.0))
    if largest == 0.0:
        return 0.0
    shares = sizes / largest
    return float(np.sum(shares**2) / np.sum(shares) ** 2)


def share_of_depth(size_base: ArrayLike, depth_base: ArrayLike) -> Floats:
    """Return |size| / depth: 1 takes the whole book up to the slippage that `depth_base` was measured at.

    A position in a market without depth has share inf, no position has share 0. Arguments broadcast;
    depth is at least 0.

    Raises
    ------
    UnfitValueError
        Not finite, or a negative depth.
    """
    size, depth = np.abs(finite("size_base", size_base)), finite("depth_base", depth_base)
    require("depth_base", depth, depth >= 0.0, "at least 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(size > 0.0, size / depth, 0.0))


def concentration_addon_usd(
    position_usd: ArrayLike, daily_volume_usd: ArrayLike, *, free_share: float, rate: float
) -> Floats:
    """Return |Q| min(1, rate max(0, |Q| / ADV - free_share)): what it costs to be too large, USD, at least 0.

    Parameters
    ----------
    position_usd
        Q, signed notional, any shape.
    daily_volume_usd
        ADV, average daily volume, at least 0; where it is 0, the whole notional is charged.
    free_share
        Share of a day's volume that is free of charge, at least 0.
    rate
        Charge per unit of share beyond, as a fraction of notional, at least 0.

    Raises
    ------
    UnfitValueError
        Not finite or out of those ranges.

    Notes
    -----
    Source: SPAN 2 concentration charge (a threshold on the share of daily volume); linear beyond it.
    """
    position = np.abs(finite("position_usd", position_usd))
    volume = finite("daily_volume_usd", daily_volume_usd)
    require("daily_volume_usd", volume, volume >= 0.0, "at least 0")
    require("free_share", free_share, 0.0 <= free_share < np.inf, "finite and at least 0")
    require("rate", rate, 0.0 <= rate < np.inf, "finite and at least 0")
    beyond = np.maximum(0.0, share_of_depth(position, volume) - free_share)
    with np.errstate(invalid="ignore"):
        charge = np.where(beyond > 0.0, rate * beyond, 0.0) if rate > 0.0 else np.zeros_like(beyond)
    return np.asarray(position * np.minimum(1.0, charge))


_LIABILITY_SHARE: Final = 0.8
_ASSET_LEAST: Final = 1.1


def liability_weight(weight: ArrayLike, size: ArrayLike, *, imf: float) -> Floats:
    """Return max(w, 0.8 w + imf sqrt(size)): a larger debt counts for more.

    `weight` at least 0, `size` at least 0 in whole units of the asset, `imf` at least 0; they broadcast.

    Raises
    ------
    UnfitValueError
        Not finite or negative.

    Notes
    -----
    Source: Drift protocol v2, size-dependent liability weight.
    """
    w, root = _weight_inputs(weight, size, imf)
    return np.asarray(np.maximum(w, _LIABILITY_SHARE * w + imf * root))


def asset_weight(weight: ArrayLike, size: ArrayLike, *, imf: float) -> Floats:
    """Return min(w, 1.1 / (1 + imf sqrt(size))): a larger holding counts for less.

    Parameters and errors as `liability_weight`. Source: Drift protocol v2, size-dependent asset weight.
    """
    w, root = _weight_inputs(weight, size, imf)
    return np.asarray(np.minimum(w, _ASSET_LEAST / (1.0 + imf * root)))


def _weight_inputs(weight: ArrayLike, size: ArrayLike, imf: float) -> tuple[Floats, Floats]:
    w, units = finite("weight", weight), finite("size", size)
    require("weight", w, w >= 0.0, "at least 0")
    require("size", units, units >= 0.0, "at least 0")
    require("imf", imf, 0.0 <= imf < np.inf, "finite and at least 0")
    return w, np.asarray(np.sqrt(units))
