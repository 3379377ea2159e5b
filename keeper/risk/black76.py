"""Black-76: European options on a forward, one forward per expiry.

    sd = vol sqrt(T),  x = ln(F / K),  d1 = x / sd + sd / 2,  d2 = d1 - sd
    call = D (F N(d1) - K N(d2)),  put = D (K N(-d2) - F N(-d1)),  call - put = D (F - K)

D is the discount factor; with D = 1 prices are undiscounted. N is the normal distribution
function, n its density. Everything is per unit of the underlying, in USD, and broadcasts.

The limits are part of the contract, and none of them is NaN:

* T = 0 or vol = 0: the option is worth D max(+-(F - K), 0). Delta is its slope, and the mean of
  both slopes at F = K. Gamma is 0, also at the kink, where no hedge could trade it. With T > 0 and
  F = K the limits in vol exist and are returned: vega D F n(0) sqrt(T), vanna D n(0) sqrt(T) / 2.
* F = 0: a call is worth 0, a put D K. K = 0: a call is worth D F, a put 0.
* Deep wings: the out-of-the-money side is summed without cancellation, so its price is right to
  about 1e-13 relative down to the smallest float64, and the other side is D |F - K| more.

Rejected: the textbook difference F N(d1) - K N(d2) everywhere. It loses all digits of a wing, and an
implied vol taken from such a price is noise. Kernels in `risk.kernels` do use it: for P&L an error of
1e-13 of the forward is nothing.

Source: Black (1976), "The pricing of commodity contracts"; Haug, "The Complete Guide to Option
Pricing Formulas", 2nd ed., chapters 1-2, for the greeks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtr

from keeper.risk.inputs import Floats, finite, require

INV_SQRT_2PI: Final = 0.3989422804014327
"""n(0), the peak of the normal density."""

_SQRT_HALF_PI: Final = 1.2533141373155003
_SQRT_HALF: Final = 0.7071067811865476
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)

_SHORTEST_Y: Final = 1e-300
"""Time below which D = exp(-r T) no longer tells a rate that is a number."""

_NARROW_SD: Final = 0.25
"""Below this standard deviation the two terms of the formula nearly cancel in the wings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Greeks:
    """Price and derivatives per unit of the underlying, discounted. All of one shape."""

    price_usd: Floats

    delta: Floats
    """dV/dF, in units of the underlying: 0..D for calls, -D..0 for puts."""

    gamma_per_usd: Floats
    """d2V/dF2, at least 0."""

    vega_usd_per_vol: Floats
    """dV/dvol for a move of 1.00 (100 vol points), at least 0."""

    theta_usd_per_y: Floats
    """dV/dt per year as calendar time passes at a fixed forward, vol and rate r = -ln(D) / T."""

    vanna_per_vol: Floats
    """d2V/dF dvol, change of delta for a vol move of 1.00."""

    volga_usd_per_vol2: Floats
    """d2V/dvol2, change of vega for a vol move of 1.00."""


def price(
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    vol: ArrayLike,
    *,
    call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Floats:
    """Return the price in USD per unit of the underlying.

    Parameters
    ----------
    forward_usd, strike_usd, expiry_y, vol
        Forward, strike, years to expiry, vol per square root of a year; each finite and at least 0.
    call
        True for calls, false for puts.
    discount
        Discount factor to expiry, above 0. 1 gives the undiscounted price.

    Returns
    -------
    Floats
        In the shape that all arguments broadcast to, between D max(+-(F - K), 0) and D F (call)
        or D K (put).

    Raises
    ------
    UnfitValueError
        Naming the argument and the row of the first NaN, infinity or number out of range.

    Examples
    --------
    >>> float(price(100.0, 100.0, 0.25, 0.4, call=True).round(6))
    7.965567
    """
    F, K, T, v, is_call, D = checked(forward_usd, strike_usd, expiry_y, vol, call, discount)
    return D * _undiscounted(F, K, v * np.sqrt(T), is_call)


def greeks(
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    vol: ArrayLike,
    *,
    call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Greeks:
    """Return price and greeks. Arguments and errors as in `price`.

    delta = +-D N(+-d1),  gamma = D n(d1) / (F sd),  vega = D F n(d1) sqrt(T)
    theta = r V - D F n(d1) vol / (2 sqrt(T)),  vanna = -D n(d1) d2 / vol,  volga = vega d1 d2 / vol

    A theta at a fixed *spot* S adds -delta (r - q) F, as F = S exp((r - q) T) falls towards S.
    """
    F, K, T, v, is_call, D = checked(forward_usd, strike_usd, expiry_y, vol, call, discount)
    root_t = np.sqrt(T)
    sd = v * root_t
    d1, d2 = _d1_d2(F, K, sd)
    sign = np.where(is_call, 1.0, -1.0)
    value = D * _undiscounted(F, K, sd, is_call)
    with np.errstate(all="ignore"):
        density = D * INV_SQRT_2PI * np.exp(-0.5 * d1 * d1)
        spread = sd > 0.0  # else every derivative is a limit: see the module's contract
        at_kink = ~spread & (F == K)
        gamma = np.where(spread & (density > 0.0), density / (F * sd), 0.0)
        vega = np.where(density > 0.0, F * density * root_t, 0.0)
        vanna = np.where(
            spread & (density > 0.0), -density * d2 / v, np.where(at_kink, density * root_t / 2, 0.0)
        )
        volga = np.where(spread & (vega > 0.0), vega * d1 * d2 / v, 0.0)
        rate = np.where(T > _SHORTEST_Y, -np.log(D) / T, 0.0)
        decay = np.where(T > 0.0, vega * v / (2.0 * T), 0.0)
    return Greeks(
        price_usd=value,
        delta=sign * D * ndtr(sign * d1),
        gamma_per_usd=gamma,
        vega_usd_per_vol=vega,
        theta_usd_per_y=rate * value - decay,
        vanna_per_vol=vanna,
        volga_usd_per_vol2=volga,
    )


def time_value(distance: Floats, sd: Floats) -> Floats:
    """Return the undiscounted out-of-the-money price in units of min(F, K), from 0 to 1.

    It depends on `distance` = |ln(F / K)| and `sd` = vol sqrt(T) only. With a = distance / sd,
    t = sd / 2 and the Mills ratio Y(z) = N(-z) / n(z), and because F n(d1) = K n(d2), it is

        N(t - a) - n(a - t) Y(a + t)  =  n(a - t) (Y(a - t) - Y(a + t)).

    For a narrow distribution the difference of Y is the integral of 1 - u Y(u) over
    a - t < u < a + t, whose integrand is positive: five Gauss-Legendre nodes reach 1e-15 relative
    for t below 1/8. Arguments are unchecked arrays of one shape, at least 0.
    """
    value = np.zeros(sd.shape)
    with np.errstate(all="ignore"):
        t = 0.5 * sd
        a = distance / sd
    lower = a - t
    alive = (sd > 0.0) & (lower < 39.0)  # n(39) is below the smallest float64

    narrow = alive & (sd < _NARROW_SD)
    u = a[narrow, None] + t[narrow, None] * _NODES
    value[narrow] = _density(lower[narrow]) * t[narrow] * ((1.0 - u * mills(u)) @ _WEIGHTS)

    wing = alive & (sd >= _NARROW_SD) & (lower > 0.0)
    value[wing] = _density(lower[wing]) * (mills(lower[wing]) - mills((a + t)[wing]))

    centre = alive & (sd >= _NARROW_SD) & (lower <= 0.0)
    value[centre] = ndtr(-lower[centre]) - _density(lower[centre]) * mills((a + t)[centre])
    return value


def log_ratio(F: Floats, K: Floats) -> Floats:
    """Return ln(F / K) to full relative accuracy also near F = K, without overflow of the ratio.

    F = 0 gives -inf, K = 0 gives inf, both 0 gives inf. Arguments are unchecked, at least 0.
    """
    with np.errstate(all="ignore"):
        close = (F > 0.5 * K) & (F < 2.0 * K)
        ratio = np.where(close, np.log1p((F - K) / K), np.log(F) - np.log(K))
        return np.where(K == 0.0, np.inf, ratio)


def checked(
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    vol: ArrayLike,
    call: ArrayLike,
    discount: ArrayLike,
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_], Floats]:
    """Return F, K, T, vol, call and D in one shape, or raise `UnfitValueError` as `price` does."""
    named = {"forward_usd": forward_usd, "strike_usd": strike_usd, "expiry_y": expiry_y, "vol": vol}
    checked = []
    for field, values in named.items():
        array = finite(field, values)
        require(field, array, array >= 0.0, "at least 0")
        checked.append(array)
    factors = finite("discount", discount)
    require("discount", factors, factors > 0.0, "above 0")
    F, K, T, v, D, is_call = np.broadcast_arrays(*checked, factors, np.asarray(call, dtype=np.bool_))
    return F, K, T, v, is_call, D


def _undiscounted(F: Floats, K: Floats, sd: Floats, is_call: NDArray[np.bool_]) -> Floats:
    """Return intrinsic value plus time value."""
    intrinsic = np.maximum(np.where(is_call, F - K, K - F), 0.0)
    value: Floats = intrinsic + np.minimum(F, K) * time_value(np.abs(log_ratio(F, K)), sd)
    return value


def _d1_d2(F: Floats, K: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Return d1 and d2; where nothing is left to chance, the limits: +inf above the strike, -inf below."""
    x = log_ratio(F, K)
    with np.errstate(all="ignore"):
        centre = np.where(x == 0.0, 0.0, x / sd)
    return centre + 0.5 * sd, centre - 0.5 * sd


def mills(z: Floats) -> Floats:
    """Return the Mills ratio Y(z) = N(-z) / n(z), about 1 / z for large z; inf below z = -37."""
    ratio: Floats = _SQRT_HALF_PI * erfcx(_SQRT_HALF * z)
    return ratio


def _density(z: Floats) -> Floats:
    density: Floats = INV_SQRT_2PI * np.exp(-0.5 * z * z)
    return density
