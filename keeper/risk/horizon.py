"""Liquidity horizons: how long a position takes to close, and what that does to its risk."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require

FRTB_HORIZONS_DAYS: Final = (10.0, 20.0, 40.0, 60.0, 120.0)
"""Source: Basel framework MAR33.12, the five liquidity horizons."""


def cascaded_es(
    es_usd: ArrayLike, horizons: ArrayLike = FRTB_HORIZONS_DAYS, *, base_horizon: float = 10.0
) -> float:
    """Return sqrt( sum_j ( ES_j sqrt((LH_j - LH_{j-1}) / T) )^2 ) with LH_0 = 0, USD.

    Parameters
    ----------
    es_usd
        ES over the base horizon T when only the factors of horizon LH_j or longer move, shape (J,),
        each at least 0.
    horizons
        LH_j, rising, shape (J,), in the unit of `base_horizon` (days, or hours for on-chain assets).
    base_horizon
        T, above 0.

    Raises
    ------
    UnfitValueError
        Shapes differ, horizons do not rise from above 0, or an ES is negative.

    Notes
    -----
    Source: Basel framework MAR33.4 and MAR33.5.

    Examples
    --------
    >>> round(cascaded_es([10, 8, 5, 3, 1]), 4)
    15.4272
    """
    es = finite("es_usd", es_usd, shape=(None,))
    ends = finite("horizons", horizons, shape=(len(es),))
    require("es_usd", es, es >= 0.0, "at least 0")
    require("base_horizon", base_horizon, base_horizon > 0.0, "above 0")
    steps = np.diff(ends, prepend=0.0)
    require("horizons", ends, steps > 0.0, "above the one before it")
    # Scaled by the greatest, so that no square underflows.
    largest = float(es.max(initial=0.0))
    shares = es / largest if largest > 0.0 else es
    return largest * float(np.sqrt(np.sum(shares * shares * steps / base_horizon)))


def liquidation_horizon_h(
    size_base: ArrayLike, volume_base_per_h: ArrayLike, *, participation: float, latency_h: ArrayLike = 0.0
) -> Floats:
    """Return |size| / (participation volume) + latency: hours to close a position without leading the market.

    Parameters
    ----------
    size_base
        Signed sizes, any shape.
    volume_base_per_h
        Traded volume per hour, at least 0; where it is 0 a position takes for ever (inf).
    participation
        Share of the volume that we may be, above 0 and at most 1.
    latency_h
        Time before the first trade, for example of a bridge, at least 0.

    Raises
    ------
    UnfitValueError
        Not finite, or out of the ranges above.
    """
    size = np.abs(finite("size_base", size_base))
    volume = finite("volume_base_per_h", volume_base_per_h)
    latency = finite("latency_h", latency_h)
    require("volume_base_per_h", volume, volume >= 0.0, "at least 0")
    require("latency_h", latency, latency >= 0.0, "at least 0")
    require("participation", participation, 0.0 < participation <= 1.0, "above 0, at most 1")
    try:
        size, volume, latency = np.broadcast_arrays(size, volume, latency)
    except ValueError:
        raise UnfitValueError("size_base", f"shape {size.shape} does not match {volume.shape}") from None
    with np.errstate(divide="ignore", invalid="ignore"):
        closing = np.where(size > 0.0, size / (participation * volume), 0.0)
    hours: Floats = closing + latency
    return hours
