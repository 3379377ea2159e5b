"""How far each account is from its own venue's liquidation line, by the venue's own rule.

The distance feeds the third figure: whether collateral can arrive before the line is touched.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keeper.model.book import Account
from keeper.model.instrument import Perp
from keeper.policy.rule import Factors, VenueRule, stacked
from keeper.policy.venue_rule import Market, rule_of, venue_of
from keeper.risk.inputs import Floats

MOVES = np.concatenate([np.linspace(-0.99, 0.0, 100)[:-1], np.linspace(0.0, 3.0, 121)])
"""Relative moves of the underlying that are searched for a line, 1 % apart below and 2.5 % above."""

_ZERO = int(np.flatnonzero(MOVES == 0.0)[0])
_OUTWARDS = (MOVES[_ZERO:], slice(_ZERO, None)), (MOVES[_ZERO::-1], slice(_ZERO, None, -1))
"""The moves in either direction, beginning with none, and where they stand among all."""

POINTS = 33
"""Points of each closer look at the interval in which an account begins to fail."""

_STEPS = np.arange(float(POINTS))

CLOSE = 1e-6
"""Width of the interval that a line is found in."""

TOGETHER = 1024
"""Most accounts that are searched at once: 2 MB for every array of their moves."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Search:
    """One underlying of one account, moved alone."""

    account: int
    """Position among the accounts."""

    rule: VenueRule
    underlying: str
    price_usd: float


def lines_of(accounts: Sequence[Account], market: Market) -> tuple[Line | None, ...]:
    """Return each account's nearest liquidation line over its underlyings, None where there is none.

    Each underlying moves alone, perps with their spot. Between two searched moves the line is found
    to 1e-6. Without the venue's terms or prices there is no line to give: None.
    """
    alike: dict[Hashable, list[_Search]] = {}
    for search in _searches(accounts, market):
        alike.setdefault(search.rule.form, []).append(search)
    found: dict[tuple[int, str], Line] = {}
    for searches in alike.values():
        for start in range(0, len(searches), TOGETHER):
            found |= _lines(searches[start : start + TOGETHER])
    nearest: list[Line | None] = [None] * len(accounts)
    for (account, _), line in sorted(found.items()):
        other = nearest[account]
        if other is None or line.distance < other.distance:
            nearest[account] = line
    return tuple(nearest)


def _searches(accounts: Sequence[Account], market: Market) -> Iterator[_Search]:
    for at, account in enumerate(accounts):
        rule = rule_of(account, market) if account.venue.maintenance > 0 else None
        if rule is not None:
            for underlying, price_usd in _prices(account, market).items():
                yield _Search(account=at, rule=rule, underlying=underlying, price_usd=price_usd)


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


def _lines(searches: Sequence[_Search]) -> dict[tuple[int, str], Line]:
    """Return the lines of accounts whose rules have one form."""
    return {
        (s.account, s.underlying): Line(
            underlying=s.underlying, move=move, price_usd=s.price_usd * (1.0 + move)
        )
        for s, move in zip(searches, _nearest(searches), strict=True)
        if move is not None
    }


def _excess(searches: Sequence[_Search]) -> Callable[[Floats], Floats]:
    """Return a function to equity less maintenance, USD, at relative moves of each search's own underlying.

    It gives shape (R, n) for R searches, and takes that, or moves (n,) that all share.
    """
    rule = stacked([s.rule for s in searches])
    movers = {name: np.array([[s.underlying == name] for s in searches]) for name in _moved(searches)}

    def excess(moves: Floats) -> Floats:
        spot = {name: np.where(mine, 1.0 + moves, 1.0) for name, mine in movers.items()}
        return rule(Factors(n=moves.shape[-1], spot=spot)).excess_usd

    return excess


def _moved(searches: Sequence[_Search]) -> tuple[str, ...]:
    return tuple(sorted({s.underlying for s in searches}))


def _nearest(searches: Sequence[_Search]) -> list[float | None]:
    """Return for each search the smallest move in either direction at which its excess turns negative.

    0 for an account that fails now, None for one that does not fail anywhere.
    """
    fails = _excess(searches)(MOVES) < 0.0
    nearest: list[float | None] = [0.0 if now else None for now in fails[:, _ZERO].tolist()]
    rows: list[int] = []
    ends: list[tuple[float, float]] = []
    for moves, outwards in _OUTWARDS:
        # The first move that fails, and the one before it.
        first = fails[:, outwards].argmax(axis=1)
        found = np.flatnonzero(first)
        rows += found.tolist()
        ends += zip(moves[first[found] - 1].tolist(), moves[first[found]].tolist(), strict=True)
    if rows:
        excess = _excess([searches[row] for row in rows])
        for row, move in zip(rows, _close_in(excess, *np.array(ends).T), strict=True):
            other = nearest[row]
            if other is None or abs(move) < abs(other):
                nearest[row] = move
    return nearest


def _close_in(excess: Callable[[Floats], Floats], healthy: Floats, failing: Floats) -> list[float]:
    """Return the first failing move between two, to 1e-6, for each of R rows.

    Many points are one call of the rule. `healthy` and `failing` have shape (R,).
    """
    rows = np.arange(len(healthy))
    while (wide := np.abs(failing - healthy) > CLOSE).any():
        points = _STEPS * ((failing - healthy) / (POINTS - 1))[:, np.newaxis] + healthy[:, np.newaxis]
        points[:, -1] = failing
        fails = excess(points) < 0.0
        # The ends are known; rounding must not make them change sides.
        fails[:, -1] = True
        first = 1 + fails[:, 1:].argmax(axis=1)
        healthy = np.where(wide, points[rows, first - 1], healthy)
        failing = np.where(wide, points[rows, first], failing)
    return [float(move) for move in failing]
