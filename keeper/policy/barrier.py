"""How far each account is from its own venue's liquidation line, by the venue's own rule.

The distance feeds the third figure: whether collateral can arrive before the line is touched.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Option, Perp, Right
from keeper.model.snapshot import Snapshot
from keeper.model.units import to_float
from keeper.risk.lyra_collateral import CollateralTerms, min_collateral

MOVES = np.concatenate([np.linspace(-0.99, 0.0, 100)[:-1], np.linspace(0.0, 3.0, 121)])
"""Relative moves of the underlying that are searched for a line, 1 % apart below and 2.5 % above."""


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


def line_of(account: Account, snapshot: Snapshot, instruments: Mapping[str, Instrument]) -> Line | None:
    """Return the nearest liquidation line over the account's underlyings, or None where there is none.

    Each underlying moves alone. Between two searched moves the line is found by bisection to 1e-6.
    Where the venue's terms or prices are not in the snapshot there is no line to give: None.
    """
    lines = [
        line
        for underlying in sorted({instruments[p.instrument].underlying for p in account.positions})
        if (excess := _excess(account, underlying, snapshot, instruments)) is not None
        and (line := _nearest(underlying, excess)) is not None
    ]
    return min(lines, key=lambda line: line.distance, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Excess:
    """Equity less maintenance as a function of the relative move of one underlying."""

    at: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    price_usd: float


def _excess(
    account: Account, underlying: str, snapshot: Snapshot, instruments: Mapping[str, Instrument]
) -> _Excess | None:
    if account.venue.maintenance <= 0:
        return None
    venue = f"{account.protocol}:{account.chain_id}"
    terms = {
        name: to_float(v) if not name.endswith("_s") else float(v)
        for t in snapshot.terms
        if t.venue == venue
        for name, v in t.values
    }
    held = [(instruments[p.instrument], to_float(p.size)) for p in account.positions]
    if all(isinstance(i, Perp) for i, _ in held) and "mm_ratio" in terms:
        return _perp_excess(account, underlying, snapshot, held, terms["mm_ratio"])
    if len(held) == 1 and isinstance(held[0][0], Option) and "shock_vol_a" in terms:
        return _short_option_excess(account, snapshot, held[0][0], held[0][1], terms)
    return None


def _perp_excess(
    account: Account,
    underlying: str,
    snapshot: Snapshot,
    held: list[tuple[Instrument, float]],
    mm_ratio: float,
) -> _Excess | None:
    """Cross margin: equity moves with the net size, the requirement with the absolute notional."""
    marks = {q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "mark"}
    moving = [(marks.get(i.id), size) for i, size in held if i.underlying == underlying]
    if not moving or any(mark is None for mark, _ in moving):
        return None
    linear_usd = sum(size * mark for mark, size in moving if mark is not None)
    absolute_usd = sum(abs(size) * mark for mark, size in moving if mark is not None)
    now_usd = to_float(account.venue.equity) - to_float(account.venue.maintenance)

    def at(move: NDArray[np.float64]) -> NDArray[np.float64]:
        return now_usd + move * (linear_usd - mm_ratio * absolute_usd)

    return _Excess(at=at, price_usd=next(mark for mark, _ in moving if mark is not None))


def _short_option_excess(
    account: Account, snapshot: Snapshot, option: Option, size: float, terms: Mapping[str, float]
) -> _Excess | None:
    """One short option against its collateral, both in the collateral's own unit."""
    venue = f"{account.protocol}:{account.chain_id}:"
    spot_usd = next(
        (
            to_float(q.price)
            for q in snapshot.quotes
            if q.kind == "index" and q.subject == option.underlying and q.source.startswith(venue)
        ),
        None,
    )
    now_s = next((b.timestamp_s for b in snapshot.blocks if b.chain_id == account.chain_id), None)
    if spot_usd is None or now_s is None or size >= 0 or len(account.balances) != 1:
        return None
    balance = account.balances[0]
    rule = CollateralTerms(**terms)
    spot, collateral = spot_usd, to_float(balance.amount)

    def at(move: NDArray[np.float64]) -> NDArray[np.float64]:
        return collateral - min_collateral(
            rule,
            is_call=option.right is Right.CALL,
            in_base=balance.underlying is not None,
            strike_usd=to_float(option.strike),
            seconds=float(option.expiry_s - now_s),
            spot_usd=spot * (1.0 + move),
            amount_base=-size,
        )

    return _Excess(at=at, price_usd=spot)


def _nearest(underlying: str, excess: _Excess) -> Line | None:
    """Return the smallest move in either direction at which the excess turns negative."""
    values = excess.at(MOVES)
    zero = int(np.flatnonzero(MOVES == 0.0)[0])
    if values[zero] < 0.0:
        return Line(underlying=underlying, move=0.0, price_usd=excess.price_usd)
    crossings = []
    up = np.flatnonzero(values[zero:] < 0.0)
    if up.size:
        crossings.append(_bisect(excess, float(MOVES[zero + up[0] - 1]), float(MOVES[zero + up[0]])))
    down = np.flatnonzero(values[: zero + 1] < 0.0)
    if down.size:
        crossings.append(_bisect(excess, float(MOVES[down[-1] + 1]), float(MOVES[down[-1]])))
    if not crossings:
        return None
    move = min(crossings, key=abs)
    return Line(underlying=underlying, move=move, price_usd=excess.price_usd * (1.0 + move))


def _bisect(excess: _Excess, healthy: float, failing: float) -> float:
    while not math.isclose(healthy, failing, rel_tol=0.0, abs_tol=1e-6):
        middle = (healthy + failing) / 2.0
        if excess.at(np.array([middle]))[0] < 0.0:
            failing = middle
        else:
            healthy = middle
    return failing
