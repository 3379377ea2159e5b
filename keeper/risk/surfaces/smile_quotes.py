"""Quotes of one underlying's options as bands of total variance, ready for calibration.

Three sources, one form: order books (bid and ask, in coin or USD), marks (vols), and venue boards (base vol
times skew, `model.quote.VolSurface`). Each row keeps the forward it was quoted against, so k = ln(K / F)
and the vols of a quote stay consistent even when rows were read a moment apart; the expiry has the median
forward.

What cannot be used is left out with a reason, row by row, and never silently: see `Left`. A quote whose bid
is worth less than intrinsic value still says how high the vol may be, and stays, with a lower bound of 0.

Prices are also kept per unit of the forward and as calls, whatever the option was: by parity the put is the
same statement, and that is the form in which arbitrage is looked for (`risk.quote_arbitrage`).
"""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import UnfitValueError
from keeper.model.quote import VolSurface
from keeper.model.units import to_float
from keeper.risk.black76 import log_ratio, price
from keeper.risk.implied_vol import has_implied_vol, implied_vol
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.surfaces.forwards import NoForwardError, parity_forward

YEAR_S = 365 * 86_400
"""Seconds in a year of act/365."""


class Left(IntEnum):
    """Why a row was left out; KEPT is 0."""

    KEPT = 0
    EXPIRED = 1
    NO_BID = 2
    NO_ASK = 3
    CROSSED = 4
    """Bid at or above ask."""

    STALE = 5
    NO_FORWARD = 6
    """Neither given nor to be had from parity."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmileQuotes:
    """N quotes over E expiries, ordered by expiry, k and right: the order of the input does not matter."""

    expiry_y: Floats
    """Years to expiry, above 0, rising, shape (E,)."""

    forward_usd: Floats
    """Forward per expiry, median over its rows, shape (E,)."""

    expiry: NDArray[np.int64]
    """Row of `expiry_y` that a quote belongs to, shape (N,)."""

    strike_usd: Floats
    """Shape (N,)."""

    call: NDArray[np.bool_]
    """Which quotes are calls, shape (N,)."""

    k: Floats
    """ln(K / F) with the quote's own forward, shape (N,)."""

    call_low: Floats
    """Undiscounted bid of the call at this strike per unit of forward, by parity for puts, shape (N,)."""

    call_high: Floats
    """The same of the ask."""

    w_low: Floats
    """Total variance of the bid; 0 where the bid holds no time value, shape (N,)."""

    w_high: Floats
    """Total variance of the ask; infinite where no vol is that dear, NaN where it is below intrinsic value.
    Equal to `w_low` for marks. Shape (N,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screened:
    """Usable quotes, and what became of each row of the input."""

    quotes: SmileQuotes
    left: NDArray[np.int8]
    """A `Left` per input row, in the order of the input."""


def book_quotes(
    *,
    expiry_y: ArrayLike,
    strike_usd: ArrayLike,
    call: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    forward_usd: ArrayLike,
    coin: bool,
    discount: ArrayLike = 1.0,
    age_s: ArrayLike = 0.0,
    age_limit_s: float = np.inf,
) -> Screened:
    """Return the quotes of order books as bands of total variance.

    Parameters
    ----------
    expiry_y, strike_usd, call
        Columns of N options. Rows at or past expiry (0 or less) are left out.
    bid, ask
        Best prices per unit of the underlying, in coin (of the forward) or discounted USD. 0 or NaN: not
        quoted.
    forward_usd
        Forward each row was quoted against, (N,). NaN where unknown: an expiry takes the median of its
        known rows, else the forward of parity.
    coin
        Whether prices are in coin, as for inverse options.
    discount
        Discount factor of USD prices, above 0.
    age_s, age_limit_s
        Age of each quote and the greatest that is used.

    Raises
    ------
    UnfitValueError
        Shapes that differ, NaN where a number must be, a negative price, a strike or discount not above 0.
    """
    columns = _columns(expiry_y, strike_usd, call, bid, ask, forward_usd, discount, age_s)
    left = _screen(columns, age_limit_s)
    F = _forwards(columns, left, coin=coin)
    left[(left == Left.KEPT) & ~np.isfinite(F)] = Left.NO_FORWARD
    keep = left == Left.KEPT
    T, K, is_call, D = (
        columns.expiry_y[keep],
        columns.strike_usd[keep],
        columns.call[keep],
        columns.discount[keep],
    )
    F = F[keep]
    scale = F if coin else 1.0 / D
    low_usd, high_usd = columns.bid[keep] * scale, columns.ask[keep] * scale
    w_low, w_high = _band(low_usd, high_usd, F, K, T, is_call)
    from_put = np.where(is_call, 0.0, 1.0 - K / F)
    return Screened(
        quotes=_ordered(T, F, K, is_call, low_usd / F + from_put, high_usd / F + from_put, w_low, w_high),
        left=left,
    )


def mark_quotes(
    *, expiry_y: ArrayLike, strike_usd: ArrayLike, vol: ArrayLike, forward_usd: ArrayLike
) -> SmileQuotes:
    """Return quoted vols, which leave no band: model marks, or a board's vols. Columns of N rows.

    Raises
    ------
    UnfitValueError
        An entry that is not finite and above 0, or shapes that differ.
    """
    named = {"expiry_y": expiry_y, "strike_usd": strike_usd, "vol": vol, "forward_usd": forward_usd}
    T, K, v, F = (finite(field, values, shape=(np.size(strike_usd),)) for field, values in named.items())
    for field, values in zip(named, (T, K, v, F), strict=True):
        require(field, values, values > 0.0, "above 0")
    worth = price(F, K, T, v, call=True) / F
    return _ordered(T, F, K, np.ones(K.shape, dtype=np.bool_), worth, worth, v * v * T, v * v * T)


def board_quotes(surface: VolSurface, *, spot_usd: float, now_s: int) -> SmileQuotes:
    """Return the vols of a venue's boards, with forwards spot exp(rate T). Expired boards are left out.

    Raises
    ------
    UnfitValueError
        No board is left, a vol or strike is not above 0, or a board's lengths differ.
    """
    rate = to_float(surface.rate)
    T: list[float] = []
    K: list[float] = []
    vol: list[float] = []
    for row, board in enumerate(surface.slices):
        if len(board.strikes) != len(board.vols):
            raise UnfitValueError("slices", f"{len(board.vols)} vols, {len(board.strikes)} strikes", row=row)
        if board.expiry_s > now_s:
            T += [(board.expiry_s - now_s) / YEAR_S] * len(board.strikes)
            K += [to_float(strike) for strike in board.strikes]
            vol += [to_float(v) for v in board.vols]
    if not K:
        raise UnfitValueError(
            "slices", f"no board of {surface.venue} {surface.underlying} expires after {now_s}"
        )
    return mark_quotes(expiry_y=T, strike_usd=K, vol=vol, forward_usd=spot_usd * np.exp(rate * np.array(T)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Columns:
    """The input of `book_quotes`, checked, all of shape (N,)."""

    expiry_y: Floats
    strike_usd: Floats
    call: NDArray[np.bool_]
    bid: Floats
    ask: Floats
    forward_usd: Floats
    discount: Floats
    age_s: Floats


def _columns(
    expiry_y: ArrayLike,
    strike_usd: ArrayLike,
    call: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    forward_usd: ArrayLike,
    discount: ArrayLike,
    age_s: ArrayLike,
) -> _Columns:
    n = np.size(strike_usd)
    K = finite("strike_usd", strike_usd, shape=(n,))
    require("strike_usd", K, K > 0.0, "above 0")
    D = finite("discount", np.broadcast_to(discount, (n,)))
    require("discount", D, D > 0.0, "above 0")
    is_call = np.asarray(call, dtype=np.bool_)
    if is_call.shape != (n,):
        raise UnfitValueError("call", f"shape is {is_call.shape}, expected ({n},)")
    prices = {}
    for field, values in {"bid": bid, "ask": ask, "forward_usd": forward_usd}.items():
        given = np.asarray(values, dtype=np.float64)
        prices[field] = finite(field, np.where(np.isnan(given), 0.0, given), shape=(n,))
        require(field, prices[field], prices[field] >= 0.0, "at least 0, or NaN")
    return _Columns(
        expiry_y=finite("expiry_y", expiry_y, shape=(n,)),
        strike_usd=K,
        call=is_call,
        discount=D,
        age_s=finite("age_s", np.broadcast_to(age_s, (n,))),
        **prices,
    )


def _screen(columns: _Columns, age_limit_s: float) -> NDArray[np.int8]:
    """Return the first reason that speaks against each row."""
    left = np.zeros(columns.strike_usd.size, dtype=np.int8)
    for reason, applies in (
        (Left.CROSSED, columns.bid >= columns.ask),
        (Left.NO_ASK, columns.ask <= 0.0),
        (Left.NO_BID, columns.bid <= 0.0),
        (Left.STALE, columns.age_s > age_limit_s),
        (Left.EXPIRED, columns.expiry_y <= 0.0),
    ):
        left[applies] = reason
    return left


def _forwards(columns: _Columns, left: NDArray[np.int8], *, coin: bool) -> Floats:
    """Return each row's forward; NaN where its expiry has none."""
    F = np.where(columns.forward_usd > 0.0, columns.forward_usd, np.nan)
    for T in np.unique(columns.expiry_y[np.isnan(F) & (left == Left.KEPT)]).tolist():
        rows = columns.expiry_y == T
        known = F[rows & (columns.forward_usd > 0.0)]
        quoted = rows & (left == Left.KEPT)
        try:
            forward = (
                float(np.median(known))
                if known.size
                else parity_forward(
                    strike_usd=columns.strike_usd[quoted],
                    call=columns.call[quoted],
                    bid=columns.bid[quoted],
                    ask=columns.ask[quoted],
                    coin=coin,
                    discount=float(columns.discount[quoted][0]),
                    expiry_y=T,
                ).forward_usd
            )
        except NoForwardError:
            continue  # the rows get their reason from the NaN that stays
        F[rows & np.isnan(F)] = forward
    return F


def _band(
    low_usd: Floats, high_usd: Floats, F: Floats, K: Floats, T: Floats, is_call: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return the total variances of undiscounted bids and asks."""
    n = K.size
    P = np.concatenate([low_usd, high_usd])
    F2, K2, T2, call2 = (np.concatenate([column, column]) for column in (F, K, T, is_call))
    solvable = has_implied_vol(P, F2, K2, T2, call=call2)
    vol = np.full(2 * n, np.nan)
    vol[solvable] = implied_vol(P[solvable], F2[solvable], K2[solvable], T2[solvable], call=call2[solvable])
    intrinsic = np.maximum(np.where(call2, F2 - K2, K2 - F2), 0.0)
    vol[~solvable & (intrinsic < P)] = np.inf
    w = vol * vol * T2
    return np.where(np.isnan(w[:n]), 0.0, w[:n]), w[n:]


def _ordered(
    T: Floats,
    F: Floats,
    K: Floats,
    is_call: NDArray[np.bool_],
    call_low: Floats,
    call_high: Floats,
    w_low: Floats,
    w_high: Floats,
) -> SmileQuotes:
    """Return the quotes in their canonical order."""
    if not K.size:
        raise UnfitValueError("strike_usd", "no usable quote is left, expected at least one")
    k = -log_ratio(F, K)
    order = np.lexsort((w_high, w_low, is_call, k, T))
    expiries, expiry = np.unique(T[order], return_inverse=True)
    return SmileQuotes(
        expiry_y=expiries,
        forward_usd=np.array([np.median(F[order][expiry == row]) for row in range(expiries.size)]),
        expiry=expiry.astype(np.int64),
        strike_usd=K[order],
        call=is_call[order],
        k=k[order],
        call_low=call_low[order],
        call_high=call_high[order],
        w_low=w_low[order],
        w_high=w_high[order],
    )


def rows_of(quotes: SmileQuotes, keep: ArrayLike) -> SmileQuotes:
    """Return the quotes for which `keep` (N,) is true; expiries without any quote go.

    Raises
    ------
    UnfitValueError
        If nothing is kept.
    """
    mask = np.asarray(keep, dtype=np.bool_)
    if not mask.any():
        raise UnfitValueError("keep", "no quote is kept, expected at least one")
    present, expiry = np.unique(quotes.expiry[mask], return_inverse=True)
    columns = {
        field.name: getattr(quotes, field.name)[mask]
        for field in fields(SmileQuotes)
        if field.name not in ("expiry_y", "forward_usd", "expiry")
    }
    return SmileQuotes(
        expiry_y=quotes.expiry_y[present],
        forward_usd=quotes.forward_usd[present],
        expiry=expiry.astype(np.int64),
        **columns,
    )
