"""Lyra Avalon's minimum collateral, as a float twin of its contract, at any spot.

Source: @lyrafinance/protocol 0.1.3-alpha, `OptionGreekCache.getMinCollateral`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.risk import black76


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralTerms:
    """`OptionGreekCache.MinCollateralParameters`, and the rate of its greek cache."""

    min_static_quote: float
    """USD."""

    min_static_base: float
    """Units of the underlying."""

    shock_vol_a: float
    shock_vol_point_a_s: float
    shock_vol_b: float
    shock_vol_point_b_s: float
    call_spot_shock: float
    """Factor on spot for calls, above 1."""

    put_spot_shock: float
    """Factor on spot for puts, below 1."""

    rate: float
    """Rate and carry per year."""


def shock_vol(terms: CollateralTerms, seconds: float) -> float:
    """Return the vol that the requirement is priced at: a up to point a, b from point b, linear between."""
    a_s, b_s = terms.shock_vol_point_a_s, terms.shock_vol_point_b_s
    return float(np.interp(seconds, [a_s, b_s], [terms.shock_vol_a, terms.shock_vol_b]))


def min_collateral(
    terms: CollateralTerms,
    *,
    is_call: bool,
    in_base: bool,
    strike_usd: ArrayLike,
    seconds: float,
    spot_usd: ArrayLike,
    amount_base: ArrayLike,
) -> NDArray[np.float64]:
    """Return the least collateral of a short option at each spot, or of many short options of one expiry.

    With S' the shocked spot and BS Black-Scholes at the shock vol:

        short call, base:   min(max(BS(S') q / S', static base), q)        units of the underlying
        short call, quote:      max(BS(S') q, static quote)                USD
        short put, quote:   min(max(BS(S') q, static quote), q K)          USD

    Parameters
    ----------
    is_call, in_base
        Option right, and whether the collateral is the underlying (calls only).
    seconds
        To expiry, at least 0.
    spot_usd, strike_usd, amount_base
        Spot, strike and size q > 0 of the short, of any shapes that broadcast; the result has theirs.
    """
    spot = np.asarray(spot_usd, dtype=np.float64)
    amount = np.asarray(amount_base, dtype=np.float64)
    shocked = spot * (terms.call_spot_shock if is_call else terms.put_spot_shock)
    T = max(seconds, 0.0) / 31_536_000
    growth = np.exp(terms.rate * T)
    unit_usd = black76.price(
        shocked * growth, strike_usd, T, shock_vol(terms, seconds), call=is_call, discount=1.0 / growth
    )
    if in_base:
        wanted = np.maximum(unit_usd * amount / shocked, terms.min_static_base)
        return np.minimum(wanted, amount)
    wanted = np.maximum(unit_usd * amount, terms.min_static_quote)
    return wanted if is_call else np.minimum(wanted, amount * np.asarray(strike_usd))
