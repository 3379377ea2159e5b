"""Inverse contracts: premium, margin and P&L are paid in the underlying coin.

    premium in coin = V / F,  with V the undiscounted Black-76 price in USD
    net transaction delta = dV/dF - V / F = F d(V / F)/dF

The second term is there because the premium itself is a coin holding: a long call that is worth c coins
loses c dF in USD terms that its holder already owns. A book hedged to a net delta of 0 has a coin value that
does not move; one hedged to dV/dF = 0 has not.

Source: Deribit documentation, "net transaction delta" and "settlement" (delta runs down linearly
while the delivery price is averaged over the last 30 minutes).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk import black76
from keeper.risk.inputs import Floats, finite, require

SETTLEMENT_WINDOW_S: Final = 1800
"""Length of the average that makes the delivery price, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InverseGreeks:
    """Coin price of an inverse option and its derivatives, per unit of the underlying."""

    price_coin: Floats

    delta: Floats
    """Black delta dV/dF, in coins."""

    net_delta: Floats
    """Net transaction delta: `delta` less `price_coin`, in coins. What a coin-margined hedge must sell."""

    gamma_per_usd: Floats
    """d(delta)/dF."""

    net_gamma_per_usd: Floats
    """d(net_delta)/dF = gamma - net_delta / F."""

    vega_coin_per_vol: Floats
    """Change of the coin price for a vol move of 1.00."""

    theta_coin_per_y: Floats
    """Change of the coin price per year as time passes at a fixed forward and vol."""


def price(
    forward_usd: ArrayLike, strike_usd: ArrayLike, expiry_y: ArrayLike, vol: ArrayLike, *, call: ArrayLike
) -> Floats:
    """Return the premium in coin: between max(1 - K / F, 0) and 1 for calls, from max(K / F - 1, 0) for puts.

    Arguments as in `black76.price`, but the forward must be above 0: at 0 no number of coins pays a put.

    Raises
    ------
    UnfitValueError
        Naming the argument and the row.

    Examples
    --------
    >>> float(price(50_000.0, 50_000.0, 0.25, 0.4, call=True).round(8))
    0.07965567
    """
    F = _positive(forward_usd)
    coins: Floats = black76.price(F, strike_usd, expiry_y, vol, call=call) / F
    return coins


def greeks(
    forward_usd: ArrayLike, strike_usd: ArrayLike, expiry_y: ArrayLike, vol: ArrayLike, *, call: ArrayLike
) -> InverseGreeks:
    """Return coin price and greeks. Arguments and errors as in `price`."""
    F = _positive(forward_usd)
    usd = black76.greeks(F, strike_usd, expiry_y, vol, call=call)
    price_coin = usd.price_usd / F
    net_delta = usd.delta - price_coin
    return InverseGreeks(
        price_coin=price_coin,
        delta=usd.delta,
        net_delta=net_delta,
        gamma_per_usd=usd.gamma_per_usd,
        net_gamma_per_usd=usd.gamma_per_usd - net_delta / F,
        vega_coin_per_vol=usd.vega_usd_per_vol / F,
        theta_coin_per_y=usd.theta_usd_per_y / F,
    )


def linear_pnl_coin(size_coin: ArrayLike, move: ArrayLike) -> Floats:
    """Return the P&L in coin of an inverse perp or future as its price moves by the fraction `move`.

        P&L = q m / (1 + m)

    with q the size in coins at the price before the move, so q F is the fixed USD notional. A long
    gains at most q however far the price rises, and loses without bound as it falls.

    Raises
    ------
    UnfitValueError
        For NaN, infinity, or a move of -1 or less.

    Examples
    --------
    >>> float(linear_pnl_coin(2.0, -0.2))
    -0.5
    """
    m = finite("move", move)
    require("move", m, m > -1.0, "above -1")
    coins: Floats = finite("size_coin", size_coin) * m / (1.0 + m)
    return coins


def settlement_delta(
    delta: ArrayLike, time_to_expiry_s: ArrayLike, *, window_s: int = SETTLEMENT_WINDOW_S
) -> Floats:
    """Return what is left of `delta` while the delivery price is being averaged.

    delta min(1, time_to_expiry_s / window_s), since the part of the average that is already taken no longer
    moves.

    Raises
    ------
    UnfitValueError
        For NaN, infinity or a negative time.
    """
    left_s = finite("time_to_expiry_s", time_to_expiry_s)
    require("time_to_expiry_s", left_s, left_s >= 0.0, "at least 0")
    remaining: Floats = finite("delta", delta) * np.minimum(1.0, left_s / window_s)
    return remaining


def _positive(forward_usd: ArrayLike) -> Floats:
    F = finite("forward_usd", forward_usd)
    require("forward_usd", F, F > 0.0, "above 0")
    return F
