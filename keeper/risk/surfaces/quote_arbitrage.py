"""Arbitrage in raw quotes, beyond what their bid-ask spreads forgive, with the strikes that make it.

Undiscounted calls per unit of forward, as a function of x = K / F, are convex, fall with slopes between -1
and 0, start at 1 for x = 0, and rise with time at fixed x. Given the asks of one expiry, the dearest
function with these properties is the lower convex hull of (0, 1) and the asks, held flat from its lowest
point on. So:

* a bid above the hull of its own expiry can be sold against the two asks that span the hull there: a
  butterfly, a vertical spread where the hull is flat, or a parity trade where both are at one strike;
* a bid above the hull of a later expiry can be sold against that expiry's asks: a calendar spread;
* an ask below intrinsic value, 1 - x, is bought against the forward.

If none of these exists, the hulls are an arbitrage-free surface between all bids and asks: the test is
complete within an expiry, where checking neighbouring triples is not, because of spreads across wider gaps.

Source: Davis and Hobson (2007), "The range of traded option prices"; Cousot (2007) for bid-ask spreads.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from keeper.model.errors import DataError
from keeper.risk.inputs import Floats
from keeper.risk.surfaces.smile_quotes import SmileQuotes

Kind = Literal["intrinsic", "parity", "vertical", "butterfly", "calendar"]

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteOffence:
    """One trade that pays at no risk."""

    kind: Kind
    expiry_y: tuple[float, ...]
    """One expiry; for a calendar the one sold, then the one bought."""

    strikes_usd: tuple[float, ...]
    """The strike that is sold first, then those that are bought, rising; 0 stands for the forward. For
    `intrinsic` the one that is bought."""

    gain_usd: float
    """Undiscounted gain per unit of the underlying."""


class QuoteArbitrageError(DataError):
    """Quotes admit arbitrage beyond their spreads: no surface fits them."""

    offences: tuple[QuoteOffence, ...]
    """All of them, by expiry and strike."""

    def __init__(self, offences: tuple[QuoteOffence, ...]) -> None:
        lines = [
            f"{o.kind} at {' / '.join(f'{T * 365:.4g} d' for T in o.expiry_y)}, "
            f"strikes {' / '.join(f'{K:g}' for K in o.strikes_usd)}, gains {o.gain_usd:.4g} USD"
            for o in offences[:_SHOWN]
        ]
        more = f"; and {len(offences) - _SHOWN} more" if len(offences) > _SHOWN else ""
        super().__init__(
            f"{len(offences)} arbitrages in the quotes: {'; '.join(lines)}{more}; "
            "read the book again, or leave these strikes out"
        )
        self.offences = offences


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Hull:
    """The dearest call function below the asks of one expiry."""

    x: Floats
    value: Floats
    strike_usd: Floats

    def at(self, x: Floats) -> Floats:
        return np.interp(x, self.x, self.value)


def quote_offences(quotes: SmileQuotes, *, tolerance: float = 1e-6) -> tuple[QuoteOffence, ...]:
    """Return every arbitrage whose gain exceeds `tolerance` times the forward, by expiry and strike.

    Each bid that is too dear is reported once, with the asks that cover it best.
    """
    rows = [np.flatnonzero(quotes.expiry == row) for row in range(quotes.expiry_y.size)]
    hulls = [_hull(quotes, at) for at in rows]
    found: list[QuoteOffence] = []
    for row, at in enumerate(rows):
        found += _intrinsic(quotes, row, at, tolerance)
        found += _within(quotes, row, at, hulls[row], tolerance)
        for later in range(row + 1, len(rows)):
            found += _calendar(quotes, (row, later), at, hulls[later], tolerance)
    return tuple(found)


def require_fair_quotes(quotes: SmileQuotes, *, tolerance: float = 1e-6) -> None:
    """Raise `QuoteArbitrageError` with the offending strikes where the quotes admit arbitrage."""
    offences = quote_offences(quotes, tolerance=tolerance)
    if offences:
        raise QuoteArbitrageError(offences)


def _hull(quotes: SmileQuotes, at: np.ndarray[tuple[int], np.dtype[np.intp]]) -> _Hull:
    """Return the hull of one expiry's asks, those below intrinsic value raised to it."""
    x = np.exp(quotes.k[at])
    high = np.maximum(quotes.call_high[at], np.maximum(1.0 - x, 0.0))
    chain: list[tuple[float, float, float]] = [(0.0, 1.0, 0.0)]
    for point in sorted(zip(x.tolist(), high.tolist(), quotes.strike_usd[at].tolist(), strict=True)):
        if point[1] >= chain[-1][1]:
            continue  # no cheaper than a lower strike, whose call pays more
        while len(chain) > 1 and _turns_up(chain[-2], chain[-1], point):
            chain.pop()
        chain.append(point)
    columns = np.array(chain).T
    return _Hull(x=columns[0], value=columns[1], strike_usd=columns[2])


def _turns_up(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> bool:
    """Return whether b lies on or above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])


def _intrinsic(
    quotes: SmileQuotes, row: int, at: np.ndarray[tuple[int], np.dtype[np.intp]], tolerance: float
) -> list[QuoteOffence]:
    gain = np.maximum(1.0 - np.exp(quotes.k[at]), 0.0) - quotes.call_high[at]
    return [
        QuoteOffence(
            kind="intrinsic",
            expiry_y=(float(quotes.expiry_y[row]),),
            strikes_usd=(float(quotes.strike_usd[at[i]]),),
            gain_usd=float(gain[i] * quotes.forward_usd[row]),
        )
        for i in np.flatnonzero(gain > tolerance)
    ]


def _within(
    quotes: SmileQuotes,
    row: int,
    at: np.ndarray[tuple[int], np.dtype[np.intp]],
    hull: _Hull,
    tolerance: float,
) -> list[QuoteOffence]:
    offences = []
    for sold, bought, gain in _too_dear(quotes, at, hull, tolerance):
        kind: Kind = "butterfly" if len(bought) == 2 else "parity" if bought[0] == sold else "vertical"
        offences.append(
            QuoteOffence(
                kind=kind,
                expiry_y=(float(quotes.expiry_y[row]),),
                strikes_usd=(sold, *bought),
                gain_usd=gain * float(quotes.forward_usd[row]),
            )
        )
    return offences


def _calendar(
    quotes: SmileQuotes,
    rows: tuple[int, int],
    at: np.ndarray[tuple[int], np.dtype[np.intp]],
    hull: _Hull,
    tolerance: float,
) -> list[QuoteOffence]:
    return [
        QuoteOffence(
            kind="calendar",
            expiry_y=tuple(quotes.expiry_y[list(rows)].tolist()),
            strikes_usd=(sold, *bought),
            gain_usd=gain * float(quotes.forward_usd[rows[0]]),
        )
        for sold, bought, gain in _too_dear(quotes, at, hull, tolerance)
    ]


def _too_dear(
    quotes: SmileQuotes, at: np.ndarray[tuple[int], np.dtype[np.intp]], hull: _Hull, tolerance: float
) -> list[tuple[float, tuple[float, ...], float]]:
    """Return (strike sold, strikes bought, gain per forward) for bids above the hull."""
    x = np.exp(quotes.k[at])
    gain = quotes.call_low[at] - hull.at(x)
    found = []
    for i in np.flatnonzero(gain > tolerance):
        right = int(np.searchsorted(hull.x, x[i]))
        if right < hull.x.size and hull.x[right] == x[i]:
            bought = [hull.strike_usd[right]]
        elif right == hull.x.size:
            bought = [hull.strike_usd[-1]]
        else:
            bought = [hull.strike_usd[right - 1], hull.strike_usd[right]]
        found.append((float(quotes.strike_usd[at[i]]), tuple(float(K) for K in bought), float(gain[i])))
    return found
