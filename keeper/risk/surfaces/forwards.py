"""The forward of an expiry: from put-call parity, or from listed futures.

Parity holds at every strike: call - put = D (F - K) in USD, and 1 - K / F where premiums are paid in coin. A
bid-ask pair of call and put brackets F; narrow brackets say more, so the forward is the median of their
middles, each weighing one over its width squared. A median, because one stale quote must not move it.

Source: CBOE, "VIX white paper", 2009 (parity at the strike of least |C - P|); Deribit, inverse options.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.inputs import Floats, finite, require


class NoForwardError(DataError):
    """An expiry has no pair of call and put that is quoted on both sides."""

    expiry_y: float
    """Years to the expiry, NaN where unknown."""

    def __init__(self, expiry_y: float, *, strikes: int) -> None:
        super().__init__(
            f"expiry in {expiry_y:.6g} years: none of {strikes} strikes has call and put with bid and ask, "
            "expected one; give the listed future or leave the expiry out"
        )
        self.expiry_y = expiry_y


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityForward:
    """A forward that parity implies, and the bracket that all quotes leave for it."""

    forward_usd: float

    low_usd: float
    """Greatest lower bound over all strikes."""

    high_usd: float
    """Least upper bound. Below `low_usd`: the quotes admit an arbitrage of parity."""

    pairs: int
    """Strikes that took part."""


def parity_forward(
    *,
    strike_usd: ArrayLike,
    call: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    coin: bool,
    discount: float = 1.0,
    expiry_y: float = float("nan"),
) -> ParityForward:
    """Return the forward of one expiry from its quotes.

    Parameters
    ----------
    strike_usd, call, bid, ask
        One row per option, shape (N,). Bid and ask in coin or in USD per unit of the underlying; a side that
        is not quoted is NaN or 0.
    coin
        Whether prices are in coin: call - put = 1 - K / F.
    discount
        Discount factor of USD prices.
    expiry_y
        For the message only.

    Raises
    ------
    NoForwardError
        No strike has both options quoted on both sides.
    UnfitValueError
        Strikes that are not finite and above 0, shapes that differ, or a strike with two calls or two puts.

    Examples
    --------
    >>> parity_forward(
    ...     strike_usd=[100, 100], call=[True, False], bid=[6.0, 1.0], ask=[6.5, 1.5], coin=False
    ... ).forward_usd
    105.0
    """
    K = finite("strike_usd", strike_usd, shape=(None,))
    require("strike_usd", K, K > 0.0, "above 0")
    is_call = np.asarray(call, dtype=np.bool_)
    sides = {"bid": np.asarray(bid, dtype=np.float64), "ask": np.asarray(ask, dtype=np.float64)}
    for field, array in (("call", is_call), *sides.items()):
        if array.shape != K.shape:
            raise UnfitValueError(field, f"shape is {array.shape}, expected {K.shape}")
    strikes, at = np.unique(K, return_inverse=True)
    quoted = (sides["bid"] > 0.0) & (sides["ask"] > 0.0)
    table = np.full((2, 2, strikes.size), np.nan)
    for right in (0, 1):
        rows = np.flatnonzero(quoted & (is_call == bool(right)))
        if np.unique(at[rows]).size != rows.size:
            raise UnfitValueError("strike_usd", "a strike has two calls or two puts, expected one expiry")
        for side, field in enumerate(sides):
            table[right, side, at[rows]] = sides[field][rows]
    (put_bid, put_ask), (call_bid, call_ask) = table
    low, high = (
        strikes / (1.0 - gap) if coin else strikes + gap / discount
        for gap in (call_bid - put_ask, call_ask - put_bid)
    )
    paired = np.isfinite(low) & np.isfinite(high) & (high >= low) & (low > 0.0)
    if not paired.any():
        raise NoForwardError(expiry_y, strikes=strikes.size)
    low, high = low[paired], high[paired]
    width = np.maximum(high - low, 1e-9 * high)
    return ParityForward(
        forward_usd=_weighted_median(0.5 * (low + high), width**-2.0),
        low_usd=float(low.max()),
        high_usd=float(high.min()),
        pairs=int(paired.sum()),
    )


def listed_forward(
    expiry_y: ArrayLike, *, spot_usd: float, listed_y: ArrayLike, listed_usd: ArrayLike
) -> Floats:
    """Return forwards at any expiry from spot and listed futures: ln F is linear in time between them.

    Beyond the last listed expiry the carry of the last interval goes on.

    Parameters
    ----------
    expiry_y
        Years, each at least 0, shape (E,).
    spot_usd
        The forward at 0 years: index or perp, above 0.
    listed_y, listed_usd
        Expiries above 0, rising, and prices above 0 of futures, shape (n,), n >= 1.

    Raises
    ------
    UnfitValueError
        For values out of range or shapes that differ.
    """
    T = finite("expiry_y", expiry_y)
    require("expiry_y", T, T >= 0.0, "at least 0")
    anchors = finite("listed_y", listed_y, shape=(None,))
    prices = finite("listed_usd", listed_usd, shape=(anchors.size,))
    require("listed_usd", prices, prices > 0.0, "above 0")
    if not anchors.size:
        raise UnfitValueError("listed_y", "none given, expected at least one future")
    if not (np.isfinite(spot_usd) and spot_usd > 0.0):
        raise UnfitValueError("spot_usd", f"{spot_usd} is not above 0")
    knots = np.concatenate([[0.0], anchors])
    require("listed_y", anchors, np.diff(knots) > 0.0, "above 0 and above the one before")
    logs = np.log(np.concatenate([[spot_usd], prices]))
    carry = (logs[-1] - logs[-2]) / (knots[-1] - knots[-2])
    beyond = np.maximum(T - knots[-1], 0.0)
    forwards: Floats = np.exp(np.interp(T, knots, logs) + carry * beyond)
    return forwards


def _weighted_median(values: Floats, weights: Floats) -> float:
    """Return the value at which half of the weight is reached, between neighbours where it is just half."""
    order = np.lexsort((weights, values))
    ranked, cumulated = values[order], np.cumsum(weights[order])
    half = 0.5 * cumulated[-1]
    at = int(np.searchsorted(cumulated, half))
    if np.isclose(cumulated[at], half, rtol=1e-12, atol=0.0) and at + 1 < ranked.size:
        return float(0.5 * (ranked[at] + ranked[at + 1]))
    return float(ranked[at])
