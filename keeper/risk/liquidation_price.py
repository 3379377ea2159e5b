"""Liquidation price: where the spot of one underlying takes an account's buffer, all else equal.

The buffer is equity less maintenance requirement by full revaluation. It need not be monotone: a short
straddle dies on both sides, a capped spread on one, and a book of options may die in the middle and
live again beyond. So all crossings are found, and the nearest on each side is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require

BufferAtPrice: TypeAlias = Callable[[Floats], Floats]
"""Buffer in USD at each of n prices of the underlying, shape (n,) in and out. Negative: liquidatable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrices:
    """Where one account dies along one underlying."""

    liquidatable: bool
    """Whether the buffer is negative at today's spot."""

    below_usd: float | None
    """Nearest price at or below the spot where the buffer is gone; None within the range searched."""

    above_usd: float | None
    """Nearest price above the spot where the buffer is gone; None within the range searched."""

    crossings_usd: tuple[float, ...]
    """All prices where the buffer changes sign, rising."""


_BISECTIONS: Final = 60
_ZOOM_POINTS: Final = 17
_ZOOMS: Final = 3
"""Each looks eight times closer at a dip: a pair of crossings 2e-5 apart is still found with 400 steps."""


def liquidation_prices(
    buffer_usd: BufferAtPrice,
    spot_usd: float,
    *,
    lowest: float = 1e-3,
    highest: float = 10.0,
    steps: int = 400,
    kinks_usd: Sequence[float] = (),
) -> LiquidationPrices:
    """Search for every price at which the buffer changes sign.

    Parameters
    ----------
    buffer_usd
        Buffer at given prices, by full revaluation; called with batches.
    spot_usd
        Price today, above 0.
    lowest, highest
        Range searched, as multiples of the spot, around 1.
    steps
        Points of the geometric grid, at least 2. Between two points the search looks closer where the
        buffer dips.
    kinks_usd
        Prices that the grid must hold, for example strikes of options near expiry.

    Raises
    ------
    UnfitValueError
        Spot or range out of order, or a buffer that is not finite.
    """
    finite("spot_usd", spot_usd)
    require("spot_usd", spot_usd, spot_usd > 0.0, "above 0")
    require("lowest", lowest, 0.0 < lowest < 1.0, "above 0 and below 1")
    require("highest", highest, 1.0 < highest < np.inf, "finite and above 1")
    require("steps", steps, steps >= 2, "at least 2")
    low, high = spot_usd * lowest, spot_usd * highest
    kinks = [k for k in finite("kinks_usd", kinks_usd, shape=(None,)).tolist() if low < k < high]
    prices = np.unique(np.concatenate([np.geomspace(low, high, steps), [spot_usd], kinks]))

    def at(points: Floats) -> Floats:
        return finite("buffer_usd", buffer_usd(points), shape=points.shape)

    values = at(prices)
    for _ in range(_ZOOMS):
        prices, values = _with_dips(at, prices, values)
    gone = values < 0.0
    changes = np.flatnonzero(gone[1:] != gone[:-1])
    roots = [_bisect(at, prices[i], prices[i + 1], breached_first=bool(gone[i])) for i in changes]
    liquidatable = bool(gone[np.searchsorted(prices, spot_usd)])
    below = [root for root in roots if root <= spot_usd]
    above = [root for root in roots if root > spot_usd]
    return LiquidationPrices(
        liquidatable=liquidatable,
        below_usd=below[-1] if below and not liquidatable else None,
        above_usd=above[0] if above and not liquidatable else None,
        crossings_usd=tuple(roots),
    )


def grid_crossings_usd(
    prices_usd: ArrayLike, buffer_usd: ArrayLike, spot_usd: float
) -> tuple[Floats, Floats]:
    """Return, for many accounts on one price grid, the nearest crossing below and above the spot.

    Linear between grid points; 0 and inf stand for no crossing in the grid. An account that is
    liquidatable at the spot has the spot on both sides.

    Parameters
    ----------
    prices_usd
        Rising, shape (G,), G >= 2, around the spot.
    buffer_usd
        Of account a at price g, shape (A, G).
    spot_usd
        Within the grid.

    Returns
    -------
    tuple
        Two arrays of shape (A,), USD.

    Raises
    ------
    UnfitValueError
        Shapes differ, prices do not rise, not finite, or a spot outside the grid.
    """
    prices = finite("prices_usd", prices_usd, shape=(None,))
    if len(prices) < 2:
        raise UnfitValueError("prices_usd", f"shape is {prices.shape}, expected two prices or more")
    require("prices_usd", prices[1:], np.diff(prices) > 0.0, "above the price before it")
    table = finite("buffer_usd", buffer_usd, shape=(None, len(prices)))
    require("spot_usd", spot_usd, prices[0] <= spot_usd <= prices[-1], "within the grid")

    right = min(max(1, int(np.searchsorted(prices, spot_usd))), len(prices) - 1)
    share = (spot_usd - prices[right - 1]) / (prices[right] - prices[right - 1])
    now = (1.0 - share) * table[:, right - 1] + share * table[:, right]
    left_prices = np.concatenate([prices[:right][prices[:right] < spot_usd], [spot_usd]])
    left = np.column_stack([table[:, : len(left_prices) - 1], now])
    kept = prices > spot_usd
    right_prices = np.concatenate([[spot_usd], prices[kept]])
    below = _nearest_crossing(left_prices[::-1], left[:, ::-1], none=0.0)
    above = _nearest_crossing(right_prices, np.column_stack([now, table[:, kept]]), none=np.inf)
    return below, above


def linear_liquidation_price_usd(
    spot_usd: ArrayLike, buffer_usd: ArrayLike, size_base: ArrayLike, *, maintenance_rate: ArrayLike
) -> Floats:
    """Return the liquidation price of linear perps:  p* = p - B / (q - m |q|); arguments broadcast.

    Equity moves with q, the requirement with m |q|, so the buffer moves with their difference. 0 where a
    long survives any fall, inf without a position.

    Parameters
    ----------
    spot_usd
        p, above 0.
    buffer_usd
        B, equity less maintenance requirement at p.
    size_base
        q, signed size.
    maintenance_rate
        m, requirement per notional, at least 0 and below 1; Hyperliquid: 1 / maintenance leverage.

    Raises
    ------
    UnfitValueError
        Not finite or out of those ranges.

    Notes
    -----
    Source: Hyperliquid, liquidation price.

    Examples
    --------
    >>> float(linear_liquidation_price_usd(50_000.0, 8_750.0, 1.0, maintenance_rate=0.025)).__round__(3)
    41025.641
    """
    spot, buffer = finite("spot_usd", spot_usd), finite("buffer_usd", buffer_usd)
    size, rate = finite("size_base", size_base), finite("maintenance_rate", maintenance_rate)
    require("spot_usd", spot, spot > 0.0, "above 0")
    require("maintenance_rate", rate, (rate >= 0.0) & (rate < 1.0), "at least 0 and below 1")
    slope = size - rate * np.abs(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(slope != 0.0, np.maximum(0.0, spot - buffer / slope), np.inf)
    return np.asarray(price)


def _with_dips(at: BufferAtPrice, prices: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Add points around local minima above 0 and maxima below it, where a pair of crossings may hide."""
    inner = values[1:-1]
    dips = (inner >= 0.0) & (inner <= values[:-2]) & (inner <= values[2:])
    peaks = (inner < 0.0) & (inner >= values[:-2]) & (inner >= values[2:])
    around = np.flatnonzero(dips | peaks) + 1
    # A dip that is flat is the far side of an option: nothing hides there.
    around = around[(values[around] != values[around - 1]) | (values[around] != values[around + 1])]
    if not around.size:
        return prices, values
    zoomed = [np.linspace(prices[i - 1], prices[i + 1], _ZOOM_POINTS) for i in around]
    more = np.setdiff1d(np.concatenate(zoomed), prices)
    all_prices = np.concatenate([prices, more])
    order = np.argsort(all_prices)
    return all_prices[order], np.concatenate([values, at(more)])[order]


def _bisect(at: BufferAtPrice, low: float, high: float, *, breached_first: bool) -> float:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if (at(np.array([middle]))[0] < 0.0) == breached_first:
            low = middle
        else:
            high = middle
    # The side that is still healthy: the account dies beyond it.
    return float(high if breached_first else low)


def _nearest_crossing(prices: Floats, table: Floats, *, none: float) -> Floats:
    """Return the first sign change of each row away from prices[0]."""
    gone = table < 0.0
    found = np.full(len(table), none)
    hit = gone.any(axis=1)
    at = gone.argmax(axis=1)
    now = hit & (at == 0)
    found[now] = prices[0]
    rows = np.flatnonzero(hit & (at > 0))
    j = at[rows]
    before, after = table[rows, j - 1], table[rows, j]
    found[rows] = prices[j - 1] + (prices[j] - prices[j - 1]) * before / (before - after)
    return found
