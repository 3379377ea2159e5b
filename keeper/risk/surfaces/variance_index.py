"""Model-free variance: what the out-of-the-money options of an expiry say about variance, at no model.

From a strip of quotes, as the VIX does, with K0 the largest strike not above F:

    var = (2 / T) sum_i (dK_i / K_i**2) exp(r T) Q(K_i)  -  (1 / T) (F / K0 - 1)**2

Q is the middle of the out-of-the-money quote, at K0 the mean of call and put; dK is half the gap between
the neighbours that take part, the whole gap at either end. Going away from K0, strikes without a bid are
skipped, and after two such in a row nothing further counts. F comes from parity at the strike where call
and put are nearest.

From a fitted smile, as the integral the strip approximates; with time values per unit of forward, P(k), C(k),

    w = 2 ( integral over k < 0 of P(k) exp(-k) dk  +  integral over k > 0 of C(k) exp(-k) dk )

Two expiries are joined at 30 days linearly in total variance. Deribit's DVOL is the same idea on its mark
vols.

Source: CBOE, "VIX white paper", 2009 and 2014; Demeterfi, Derman, Kamal and Zou (1999) for the integral;
Deribit, "DVOL".
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.black76 import time_value
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.surfaces.svi import RawSvi

INDEX_TENOR_Y: Final = 30.0 / 365.0

_PANELS: Final = 1200
_REACH: Final = 7.0
_WIDTH_SD: Final = 0.3


class EmptyStripError(DataError):
    """An expiry has no strike with both options quoted, or no option with a bid on one side of the money."""

    expiry_y: float

    def __init__(self, expiry_y: float, problem: str) -> None:
        super().__init__(f"expiry in {expiry_y:.6g} years: {problem}; leave the expiry out")
        self.expiry_y = expiry_y


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StripVariance:
    """Variance of one expiry, and where it comes from."""

    variance_per_y: float
    """Annual variance, the square of a vol."""

    forward_usd: float
    """From parity."""

    middle_strike_usd: float
    """K0."""

    strike_usd: Floats
    """Strikes that took part, rising, shape (n,)."""

    contribution: Floats
    """(dK / K**2) exp(r T) Q of each, shape (n,)."""


def strip_variance(
    *,
    strike_usd: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    expiry_y: float,
    rate: float = 0.0,
) -> StripVariance:
    """Return the variance of one expiry from its quotes.

    Parameters
    ----------
    strike_usd
        Rising, above 0, shape (n,).
    call_bid, call_ask, put_bid, put_ask
        Prices in USD, shape (n,); 0 or NaN where not quoted. Prices in coin times the forward are
        undiscounted USD prices: give a rate of 0 with them.
    expiry_y, rate
        Years to expiry, above 0, and the continuous rate.

    Raises
    ------
    EmptyStripError
        No strike quotes both options, or one side of the money has no bid.
    UnfitValueError
        Strikes that do not rise, prices below 0, shapes that differ.
    """
    K = finite("strike_usd", strike_usd, shape=(None,))
    require("strike_usd", K, np.diff(K, prepend=0.0) > 0.0, "above 0 and above the strike before")
    T = float(finite("expiry_y", expiry_y))
    require("expiry_y", T, T > 0.0, "above 0")
    growth = float(np.exp(finite("rate", rate) * T))
    call = _middle(_prices("call_bid", call_bid, K.size), _prices("call_ask", call_ask, K.size))
    put = _middle(_prices("put_bid", put_bid, K.size), _prices("put_ask", put_ask, K.size))

    gap = np.abs(call - put)
    if np.isnan(gap).all():
        raise EmptyStripError(T, "no strike quotes both call and put")
    nearest = int(np.nanargmin(gap))
    forward = float(K[nearest] + growth * (call[nearest] - put[nearest]))
    centre = int(np.searchsorted(K, forward, side="right")) - 1
    if centre < 0 or np.isnan(gap[centre]):
        raise EmptyStripError(T, f"no call and put at the strike below the forward of {forward:.6g} USD")
    puts = _until_two_missing(np.isfinite(put[:centre][::-1]))
    calls = _until_two_missing(np.isfinite(call[centre + 1 :]))
    if not puts.size or not calls.size:
        raise EmptyStripError(T, "no put below or no call above the forward has a bid")
    rows = np.concatenate([(centre - 1 - puts)[::-1], [centre], centre + 1 + calls])
    price = np.where(rows < centre, put[rows], call[rows])
    price[rows == centre] = 0.5 * (call[centre] + put[centre])
    contribution = _spacing(K[rows]) / K[rows] ** 2 * growth * price
    variance = 2.0 / T * float(contribution.sum()) - (forward / K[centre] - 1.0) ** 2 / T
    return StripVariance(
        variance_per_y=variance,
        forward_usd=forward,
        middle_strike_usd=float(K[centre]),
        strike_usd=K[rows],
        contribution=contribution,
    )


def smile_variance(slices: RawSvi, expiry_y: ArrayLike) -> Floats:
    """Return the model-free variance per year of fitted slices, shape (E,).

    Simpson's rule on 1,201 nodes that are dense at the money and reach 160 standard deviations to both sides.

    Examples
    --------
    >>> from keeper.risk.surfaces.svi import raw_svi
    >>> smile_variance(raw_svi([0.04], 0.0, 0.0, 0.0, 0.1), [0.25]).round(9).tolist()
    [0.16]
    """
    T = finite("expiry_y", expiry_y, shape=slices.a.shape)
    require("expiry_y", T, T > 0.0, "above 0")
    u = np.linspace(-_REACH, _REACH, _PANELS + 1)
    weights = np.where(np.arange(u.size) % 2 == 1, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    scale = _WIDTH_SD * np.sqrt(slices.total_variance(0.0))[:, None]
    k = scale * np.sinh(u)
    measure = scale * np.cosh(u) * weights * (u[1] - u[0]) / 3.0
    w = slices[:, None].total_variance(k)
    # Time value in units of min(1, K / F); divided by K / F it is what the integral asks for.
    values = time_value(np.abs(k), np.sqrt(w)) * np.exp(np.minimum(k, 0.0) - k)
    variance: Floats = 2.0 * (values * measure).sum(axis=1) / T
    return variance


def index_level(
    near: tuple[float, float], following: tuple[float, float], *, tenor_y: float = INDEX_TENOR_Y
) -> float:
    """Return the volatility index, in vol points, from the variances of two expiries.

        100 sqrt( (T1 v1 (T2 - t) + T2 v2 (t - T1)) / (T2 - T1) / t )

    Parameters
    ----------
    near, following
        (years to expiry, variance per year), near first. Minutes divided by 525,600 are years.
    tenor_y
        The tenor t, 30 days of a 365-day year unless told. Outside T1..T2 the line is continued, as the
        CBOE does.

    Raises
    ------
    UnfitValueError
        Expiries that are not above 0 and rising, or a variance at the tenor that is negative.

    Examples
    --------
    >>> round(index_level((0.0683486, 0.01846292), (0.0882686, 0.01882101)), 4)
    13.6858
    """
    (T1, v1), (T2, v2) = near, following
    if not (0.0 < T1 < T2):
        raise UnfitValueError("following", f"expiries are {T1} and {T2} years, expected 0 < near < following")
    total = (T1 * v1 * (T2 - tenor_y) + T2 * v2 * (tenor_y - T1)) / (T2 - T1)
    if not (np.isfinite(total) and total >= 0.0):
        raise UnfitValueError("variance", f"{total} at {tenor_y:.6g} years is not at least 0")
    return float(100.0 * np.sqrt(total / tenor_y))


def smile_index(slices: RawSvi, expiry_y: ArrayLike, *, tenor_y: float = INDEX_TENOR_Y) -> float:
    """Return the volatility index of a fitted surface, in vol points, from the expiries around the tenor.

    Raises
    ------
    UnfitValueError
        Fewer than two expiries, or expiries that do not rise.
    """
    T = finite("expiry_y", expiry_y, shape=(None,))
    if T.size < 2:
        raise UnfitValueError("expiry_y", f"{T.size} expiries, expected at least two")
    later = min(max(int(np.searchsorted(T, tenor_y)), 1), T.size - 1)
    pair = [later - 1, later]
    near, following = zip(T[pair].tolist(), smile_variance(slices[pair], T[pair]).tolist(), strict=True)
    return index_level(near, following, tenor_y=tenor_y)


def _prices(field: str, values: ArrayLike, n: int) -> Floats:
    """Return prices with 0 for what is not quoted."""
    given = np.asarray(values, dtype=np.float64)
    prices = finite(field, np.where(np.isnan(given), 0.0, given), shape=(n,))
    require(field, prices, prices >= 0.0, "at least 0, or NaN")
    return prices


def _middle(bid: Floats, ask: Floats) -> Floats:
    """Return the middle of quotes with a bid, else NaN."""
    middle: Floats = np.where((bid > 0.0) & (ask > 0.0), 0.5 * (bid + ask), np.nan)
    return middle


def _until_two_missing(quoted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places that are quoted, before the first two in a row that are not."""
    missing = ~quoted
    pairs = np.flatnonzero(missing[:-1] & missing[1:])
    return np.flatnonzero(quoted[: pairs[0]] if pairs.size else quoted)


def _spacing(K: Floats) -> Floats:
    """Return half the gap between the neighbours of each strike, the whole gap at the ends."""
    gaps = np.diff(K)
    return np.concatenate([gaps[:1], 0.5 * (gaps[:-1] + gaps[1:]), gaps[-1:]])
