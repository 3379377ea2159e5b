"""Quotes as the terms of a calibration: which expiries can be fitted, and what a miss of each quote costs.

A band counts in units of its half width, but not of less than a twentieth of a vol point: quotes narrower
than that do not count for more. A mark has no band; a miss counts in units of one vol point at the money,
scaled by vega, so equal misses are equal in price, and at most ten times less than at the money, so the
wings are not forgotten.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.model.errors import DataError
from keeper.risk.inputs import Floats
from keeper.risk.surfaces.smile_quotes import SmileQuotes, rows_of
from keeper.risk.surfaces.svi_objective import CALENDAR_NODES, DENSITY_NODES, Problem

LEAST_STRIKES: Final = 3
"""Distinct strikes, with a bid and an ask that bound the vol, that an expiry needs to be fitted."""

_VOL_POINT: Final = 0.01
_NARROWEST: Final = 0.0005
_MARK_REACH: Final = 10.0
_FARTHEST: Final = 30.0
_NEAREST: Final = 4


class SparseSmileError(DataError):
    """No expiry has enough strikes for a smile."""

    strikes: tuple[int, ...]
    """Distinct usable strikes of each expiry."""

    def __init__(self, strikes: tuple[int, ...]) -> None:
        super().__init__(
            f"expiries have {list(strikes)} distinct strikes with a bid and an ask, expected at least "
            f"{LEAST_STRIKES} in one of them"
        )
        self.strikes = strikes


def dense_quotes(quotes: SmileQuotes) -> tuple[SmileQuotes, NDArray[np.int64], tuple[float, ...]]:
    """Return the quotes that bound a vol, their number of strikes per expiry, and the expiries left out."""
    usable = np.isfinite(quotes.w_low) & np.isfinite(quotes.w_high) & (quotes.w_high > 0.0)
    two_sided = usable & (quotes.w_low > 0.0)
    counts = np.array(
        [
            np.unique(quotes.strike_usd[two_sided & (quotes.expiry == row)]).size
            for row in range(quotes.expiry_y.size)
        ]
    )
    enough = counts >= LEAST_STRIKES
    if not enough.any():
        raise SparseSmileError(tuple(counts.tolist()))
    kept = rows_of(quotes, usable & enough[quotes.expiry])
    return kept, counts[enough], tuple(quotes.expiry_y[~enough].tolist())


def fit_problem(quotes: SmileQuotes) -> Problem:
    """Return the quotes with their scales, and the penalties on their first nodes."""
    E = quotes.expiry_y.size
    mid, half = 0.5 * (quotes.w_low + quotes.w_high), 0.5 * (quotes.w_high - quotes.w_low)
    pull = quotes.w_low > 0.0
    T = quotes.expiry_y[quotes.expiry]
    sd = np.sqrt(mid)
    d1 = np.minimum(np.abs(0.5 * sd - quotes.k / sd), _FARTHEST)
    vega_ratio = np.maximum(np.exp(-0.5 * d1 * d1), 1.0 / _MARK_REACH)
    one_vol = 2.0 * np.sqrt(mid * T)
    scale = np.where(half > 0.0, np.maximum(half, one_vol * _NARROWEST), one_vol * _VOL_POINT / vega_ratio)
    w_money = _at_the_money(quotes, mid, pull)
    return Problem(
        row=quotes.expiry,
        starts=np.searchsorted(quotes.expiry, np.arange(E + 1)),
        k=quotes.k,
        mid=mid,
        half=half,
        scale=scale,
        pull=pull.astype(np.float64),
        w_money=w_money,
        unit=np.array([np.median(scale[pull & (quotes.expiry == row)]) for row in range(E)]),
        density_nodes=np.broadcast_to(DENSITY_NODES, (E, DENSITY_NODES.size)),
        calendar_nodes=np.sqrt(w_money[1:, None]) * CALENDAR_NODES,
    )


def _at_the_money(quotes: SmileQuotes, mid: Floats, pull: NDArray[np.bool_]) -> Floats:
    """Return each expiry's total variance at the money: the mean of its four nearest quotes."""
    w = np.empty(quotes.expiry_y.size)
    for row in range(w.size):
        rows = np.flatnonzero(pull & (quotes.expiry == row))
        nearest = rows[np.argsort(np.abs(quotes.k[rows]), kind="stable")[:_NEAREST]]
        w[row] = mid[nearest].mean()
    return w
