"""Implied volatility of Black-76 prices: robust in the wings, and checked against the price it came from.

Only the time value carries information about vol, so the solver works on the out-of-the-money price
in units of min(F, K), c(s) for s = vol sqrt(T), which rises from 0 to 1. Newton's method runs on a
transform of c that is nearly linear, inside a bracket that every step tightens:

    c below the inflection s* = sqrt(2 |x|):  1 / ln(c)   (ln c is about -x^2 / (2 s^2) in the wing)
    c above it:                               ln(1 - c)   (about -s^2 / 8)

A step that leaves the bracket is replaced by its middle. Four to seven steps are usual.

Rejected: minimising |price(vol) - price| on the raw price, whose slope vanishes in both wings; and
returning NaN for prices that no vol explains, because NaN travels silently into margins.

Source: the transforms follow Jaeckel, "Let's be rational" (2015).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from keeper.model.errors import UnfitValueError
from keeper.risk.black76 import INV_SQRT_2PI, checked, log_ratio, mills, price, time_value
from keeper.risk.inputs import Floats, finite

_MAX_STEPS: Final = 80
_EPS: Final = float(np.finfo(np.float64).eps)
_ROUNDING: Final = 8.0 * _EPS
"""Distance to a bound, relative to max(F, K), that is taken for the rounding of the bound itself."""

_LAST_STEP: Final = 1e-10
"""A Newton step this small, relative to the vol, lands within rounding: its error squares."""

_SMALLEST: Final = 1e-150
"""Keeps the first guess above 0 where a price near the smallest float64 says 0."""

_PRICE_TOLERANCE: Final = 1e-12
"""Largest accepted |price(iv) - price|, relative to max(F, K)."""


class NoImpliedVolError(UnfitValueError):
    """Some prices lie outside the no-arbitrage bounds, so no vol explains them."""

    rows: tuple[int, ...]
    """Every row at fault, in order, in the flattened input."""

    def __init__(self, rows: tuple[int, ...], problem: str) -> None:
        more = f"; also rows {list(rows[1:6])}{' ...' if len(rows) > 6 else ''}" if len(rows) > 1 else ""
        super().__init__("price_usd", f"{problem}{more}; screen with `has_implied_vol`", row=rows[0])
        self.rows = rows


def implied_vol(
    price_usd: ArrayLike,
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    *,
    call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Floats:
    """Return the vol per square root of a year at which `black76.price` gives `price_usd`.

    Parameters
    ----------
    price_usd
        Discounted option price per unit of the underlying, USD.
    forward_usd, strike_usd, expiry_y, call, discount
        As in `black76.price`. All arguments broadcast.

    Returns
    -------
    Floats
        At least 0, and 0 exactly where the price is intrinsic value up to rounding. The price at
        the returned vol equals `price_usd` to 1e-12 of max(F, K); this is asserted, not hoped. Deep
        in the money the vol itself is only as sharp as the time value left in the price.

    Raises
    ------
    NoImpliedVolError
        Prices below intrinsic value, at or above the forward (call) or strike (put), or with time
        value at expiry. Holds all rows at fault.
    UnfitValueError
        As `black76.price`, naming the field and row.

    Examples
    --------
    >>> float(implied_vol(7.965567, 100.0, 100.0, 0.25, call=True).round(6))
    0.4
    """
    terms = _terms(price_usd, forward_usd, strike_usd, expiry_y, call, discount)
    below, above = terms.below, terms.above
    P, F, K, T = terms.price_usd, terms.forward_usd, terms.strike_usd, terms.expiry_y
    _refuse(below, P, "is below intrinsic value")
    _refuse(above, P, "leaves no vol: at or above its upper bound, or above intrinsic value at expiry")

    rows = ~terms.intrinsic_only
    vol = np.zeros(P.shape)
    near, distance = np.minimum(F, K)[rows], np.abs(log_ratio(F, K))[rows]
    vol[rows] = _solve(terms.time_value[rows] / near, distance) / np.sqrt(T[rows])

    again = price(F, K, T, vol, call=terms.call, discount=terms.discount)
    off = np.abs(again - P) > _PRICE_TOLERANCE * terms.discount * np.maximum(F, K)
    _refuse(off, P, "is not reproduced by any vol in float64")
    return vol


def has_implied_vol(
    price_usd: ArrayLike,
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    *,
    call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> NDArray[np.bool_]:
    """Return which prices lie inside the no-arbitrage bounds. Arguments as in `implied_vol`."""
    terms = _terms(price_usd, forward_usd, strike_usd, expiry_y, call, discount)
    inside: NDArray[np.bool_] = ~(terms.below | terms.above)
    return inside


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Terms:
    """The arguments in one shape, and where each price lies between its bounds."""

    price_usd: Floats
    forward_usd: Floats
    strike_usd: Floats
    expiry_y: Floats
    call: NDArray[np.bool_]
    discount: Floats
    time_value: Floats
    intrinsic_only: NDArray[np.bool_]
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]


def _terms(
    price_usd: ArrayLike,
    forward_usd: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    call: ArrayLike,
    discount: ArrayLike,
) -> _Terms:
    P, F, K, T, _, is_call, D = np.broadcast_arrays(
        finite("price_usd", price_usd), *checked(forward_usd, strike_usd, expiry_y, 0.0, call, discount)
    )
    intrinsic = np.maximum(np.where(is_call, F - K, K - F), 0.0)
    value = P / D - intrinsic
    # The subtraction of an intrinsic value leaves rounding; an out-of-the-money price is exact.
    slack = np.where(intrinsic > 0.0, _ROUNDING * np.maximum(F, K), 0.0)
    below = value < -slack
    intrinsic_only = ~below & (value <= slack)
    full = value >= np.minimum(F, K) * (1.0 - _EPS)
    return _Terms(
        price_usd=P,
        forward_usd=F,
        strike_usd=K,
        expiry_y=T,
        call=is_call,
        discount=D,
        time_value=value,
        intrinsic_only=intrinsic_only,
        below=below,
        above=~below & ~intrinsic_only & (full | (T == 0.0)),
    )


def _refuse(at_fault: NDArray[np.bool_], prices_usd: Floats, problem: str) -> None:
    rows = np.flatnonzero(at_fault)
    if rows.size:
        first = prices_usd.reshape(-1)[rows[0]]
        raise NoImpliedVolError(tuple(int(row) for row in rows), f"{first} {problem}")


def _solve(target: Floats, distance: Floats) -> Floats:
    """Return sd with time_value(distance, sd) = target, for targets strictly between 0 and 1."""
    s = _first_guess(target, distance)
    low, high = np.zeros_like(s), np.full_like(s, np.inf)
    goal = np.log(target)
    upper_goal = np.log1p(-target)
    inflection = np.sqrt(2.0 * distance)
    upper = target > time_value(distance, inflection)
    todo = np.arange(s.size)
    for _ in range(_MAX_STEPS):
        x, sd, is_upper = distance[todo], s[todo], upper[todo]
        c, slope, rest = _value_slope_rest(x, sd)
        too_low = c < target[todo]
        low[todo] = np.where(too_low, sd, low[todo])
        high[todo] = np.where(too_low, high[todo], sd)
        with np.errstate(all="ignore"):
            log_c = np.log(c)
            lower_step = (goal[todo] - log_c) * (log_c / goal[todo]) * (c / slope)
            upper_step = (np.log(rest) - upper_goal[todo]) * (rest / slope)
        step = np.where(is_upper, upper_step, lower_step)
        arrived = np.abs(step) <= _LAST_STEP * sd
        lo, hi = low[todo], high[todo]
        inside = arrived | ((sd + step > lo) & (sd + step < hi))
        middle = np.where(np.isfinite(hi), 0.5 * (lo + hi), 2.0 * sd + 1.0)
        s[todo] = np.where(inside, sd + step, middle)
        todo = todo[~arrived & (hi - lo > 2.0 * _EPS * sd)]
        if not todo.size:
            break
    return s


def _first_guess(target: Floats, distance: Floats) -> Floats:
    """Return the at-the-money answer, widened by the wing's asymptote x^2 / (2 |ln c|)."""
    at_the_money = 2.0 * ndtri(0.5 + 0.5 * target)
    wing = distance / np.sqrt(-2.0 * np.log(target))
    guess: Floats = np.maximum(np.hypot(at_the_money, wing), _SMALLEST)
    return guess


def _value_slope_rest(distance: Floats, sd: Floats) -> tuple[Floats, Floats, Floats]:
    """Return c, dc/dsd = n(d1) and 1 - c, the last without cancellation."""
    with np.errstate(all="ignore"):
        a, t = distance / sd, 0.5 * sd
        density = np.exp(-0.5 * (a - t) ** 2) * INV_SQRT_2PI
        rest = ndtr(a - t) + density * mills(a + t)
    return time_value(distance, sd), density, rest
