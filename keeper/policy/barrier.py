"""How far each account is from its own venue's liquidation line, by the venue's own rule.

The distance feeds the third figure: whether collateral can arrive before the line is touched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from keeper.model.book import Account
from keeper.model.instrument import Perp
from keeper.policy.venue_rule import Factors, Market, Rule, rule_of, venue_of

MOVES = np.concatenate([np.linspace(-0.99, 0.0, 100)[:-1], np.linspace(0.0, 3.0, 121)])
"""Relative moves of the underlying that are searched for a line, 1 % apart below and 2.5 % above."""

POINTS = 33
"""Points of each closer look at the interval in which an account begins to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where an account would fail its venue's rule, all else equal."""

    underlying: str
    move: float
    """Relative move to it, negative for a fall; 0 when the account fails now."""

    price_usd: float

    @property
    def distance(self) -> float:
        """Size of the move."""
        return abs(self.move)


def line_of(account: Account, market: Market) -> Line | None:
    """Return the nearest liquidation line over the account's underlyings, or None where there is none.

    Each underlying moves alone, perps with their spot. Between two searched moves the line is found
    to 1e-6. Without the venue's terms or prices there is no line to give: None.
    """
    rule = rule_of(account, market) if account.venue.maintenance > 0 else None
    if rule is None:
        return None
    lines = [
        line
        for underlying, price_usd in sorted(_prices(account, market).items())
        if (line := _nearest(underlying, _excess(rule, underlying), price_usd)) is not None
    ]
    return min(lines, key=lambda line: line.distance, default=None)


Excess: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Equity less maintenance, USD, at relative moves of one underlying."""


def _excess(rule: Rule, underlying: str) -> Excess:
    return lambda moves: rule(Factors(n=len(moves), spot={underlying: 1.0 + moves})).excess_usd


def _prices(account: Account, market: Market) -> dict[str, float]:
    """Return the price that a line is named in, by underlying: the perp's mark, or the venue's spot."""
    prices: dict[str, float] = {}
    for position in account.positions:
        instrument = market.instruments[position.instrument]
        price_usd = (
            market.marks_usd.get(instrument.id)
            if isinstance(instrument, Perp)
            else market.indices_usd.get((venue_of(account), instrument.underlying))
        )
        if price_usd is not None:
            prices.setdefault(instrument.underlying, price_usd)
    return prices


def _nearest(underlying: str, excess: Excess, price_usd: float) -> Line | None:
    """Return the smallest move in either direction at which the excess turns negative."""
    values = excess(MOVES)
    zero = int(np.flatnonzero(MOVES == 0.0)[0])
    if values[zero] < 0.0:
        return Line(underlying=underlying, move=0.0, price_usd=price_usd)
    crossings = []
    up = np.flatnonzero(values[zero:] < 0.0)
    if up.size:
        crossings.append(_close_in(excess, float(MOVES[zero + up[0] - 1]), float(MOVES[zero + up[0]])))
    down = np.flatnonzero(values[: zero + 1] < 0.0)
    if down.size:
        crossings.append(_close_in(excess, float(MOVES[down[-1] + 1]), float(MOVES[down[-1]])))
    if not crossings:
        return None
    move = min(crossings, key=abs)
    return Line(underlying=underlying, move=move, price_usd=price_usd * (1.0 + move))


def _close_in(excess: Excess, healthy: float, failing: float) -> float:
    """Return the first failing move between two, to 1e-6. Many points are one call of the rule."""
    while not math.isclose(healthy, failing, rel_tol=0.0, abs_tol=1e-6):
        points = np.linspace(healthy, failing, POINTS)
        fails = excess(points) < 0.0
        # The ends are known; rounding must not make them change sides.
        first = 1 + int(np.append(fails[1:-1], True).argmax())
        healthy, failing = float(points[first - 1]), float(points[first])
    return failing
