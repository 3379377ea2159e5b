"""Lyra Avalon's minimum collateral, as a float twin of its contract, at any spot.

Source: @lyrafinance/protocol 0.1.3-alpha, `OptionGreekCache.getMinCollateral`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.units import SECONDS_PER_YEAR
from keeper.risk import black76
from keeper.risk.inputs import Floats


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


def shock_vol(terms: CollateralTerms, seconds: ArrayLike) -> Floats:
    """Return the vol that the requirement is priced at: a up to point a, b from point b, linear between."""
    a_s, b_s = terms.shock_vol_point_a_s, terms.shock_vol_point_b_s
    vols: Floats = np.interp(
        np.asarray(seconds, dtype=np.float64), [a_s, b_s], [terms.shock_vol_a, terms.shock_vol_b]
    )
    return vols


def min_collateral(
    terms: CollateralTerms,
    *,
    is_call: ArrayLike,
    in_base: ArrayLike,
    strike_usd: ArrayLike,
    seconds: ArrayLike,
    spot_usd: ArrayLike,
    amount_base: ArrayLike,
) -> Floats:
    """Return the least collateral of short options of one venue, each at its spots.

    With S' the shocked spot and BS Black-Scholes at the shock vol:

        short call, base:   min(max(BS(S') q / S', static base), q)        units of the underlying
        short call, quote:      max(BS(S') q, static quote)                USD
        short put, quote:   min(max(BS(S') q, static quote), q K)          USD

    Parameters
    ----------
    is_call, in_base
        Option right, and whether the collateral is the underlying (calls only).
    seconds
        To expiry; after it, as at it.
    spot_usd, strike_usd, amount_base
        Spot, strike and size q > 0 of the short. All arguments broadcast; the result has their shape.
    """
    spot = np.asarray(spot_usd, dtype=np.float64)
    amount = np.asarray(amount_base, dtype=np.float64)
    shocked = spot * np.where(is_call, terms.call_spot_shock, terms.put_spot_shock)
    T = np.maximum(seconds, 0.0) / SECONDS_PER_YEAR
    growth = np.exp(terms.rate * T)
    all_usd = amount * black76.price(
        shocked * growth, strike_usd, T, shock_vol(terms, seconds), call=is_call, discount=1.0 / growth
    )
    needed = np.maximum(all_usd, terms.min_static_quote)
    needed = np.where(is_call, needed, np.minimum(needed, amount * np.asarray(strike_usd)))
    if np.any(in_base):
        base = np.minimum(np.maximum(all_usd / shocked, terms.min_static_base), amount)
        needed = np.where(in_base, base, needed)
    return needed
