"""`deribit-pme`: Deribit's portfolio margin, for one settlement currency.

    worst case  = -min over cells of the aggregated profit, at least 0
    risk matrix = worst case (9 decimals) + roll shock + delta shock + correlation contingency
    IM = risk matrix + spot + market-maker protection + open orders;     MM = mm_factor risk matrix

Cells are 2 n + 1 moves (n a side, to the edge of the price range) by 3 vols (down, same, up), and
eight extended moves with vol up. Results are requirements, at least 0, in the settlement currency:
coin for inverse contracts, USD for linear ones. What a portfolio alone does not determine (spot, open
orders, market-maker protection, correlation contingency) is input.

Moves, aggregation, the linear part of the roll shock and the sums reproduce two recorded answers.
These held no options: option cells, the exponential part of the roll shock and the delta shock follow
the published description and are not confirmed by a recording.

Source: docs.deribit.com `private/pme/simulate`, `public/pme/get_params`; support.deribit.com,
"Portfolio margin".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.model.errors import DataError
from keeper.risk.black76 import greeks, price
from keeper.risk.inputs import Floats
from keeper.risk.models.deribit_params import VOLS, PairParams, Params, params
from keeper.risk.models.deribit_portfolio import Leg, Portfolio, portfolio
from keeper.risk.models.model import Model, finite_result

_PLACES: Final = 9
"""Both recordings round the worst case, as it enters the risk matrix, and the initial margin."""

_YEAR_DAYS: Final = 365.0
_MONTH_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PmeResult:
    """Requirements and parts in settlement currency, each at least 0."""

    id: str
    im: float
    mm: float
    mtm: None
    """The case gives no balance, so there is no value to mark."""

    worst_im: int
    """Cell that sets `worst_case`, as a position in `scenario_pnl`."""

    worst_mm: int
    scenario_pnl: tuple[float, ...]
    """Aggregated profit: standard cells, move by move and in each vol down, same, up; then extended."""

    worst_case: float
    roll_shock: float
    delta_shock: float
    correlation_contingency: float
    risk_matrix: float
    spot_margin: float
    mmp_margin: float
    open_orders_margin: float


class PairShapeError(DataError):
    """Two pairs of one portfolio have a different number of cells, so they cannot be added."""

    case: str
    """Id of the case."""

    def __init__(self, case: str, shapes: Mapping[str, int]) -> None:
        shown = ", ".join(f"{pair} {cells}" for pair, cells in shapes.items())
        super().__init__(f"case {case!r}: cells per pair are {shown}, expected the same for all pairs")
        self.case = case


@finite_result
def margin(p: Params, held: Portfolio) -> PmeResult:
    """Return initial and maintenance requirement of one portfolio, with every part.

    Raises
    ------
    UnfitValueError
        A pair without parameters or index price.
    PairShapeError
        Pairs with different tables.
    NoFiniteMarginError
        The parameters overflow on this portfolio.
    """
    by_pair: dict[str, list[Leg]] = {}
    for leg in held.legs:
        by_pair.setdefault(leg.pair, []).append(leg)
    tables = {pair: pair_cells(p.pair(pair), held, legs) for pair, legs in by_pair.items()}
    if len({len(table) for table in tables.values()}) > 1:
        raise PairShapeError(held.id, {pair: len(table) for pair, table in tables.items()})
    pnl = np.sum(list(tables.values()), axis=0)
    least = int(pnl.argmin())
    worst_case = max(0.0, -float(pnl[least]))
    roll = sum(roll_shock(p.pair(pair), held, legs) for pair, legs in by_pair.items())
    delta = sum(delta_shock(p.pair(pair), held, legs) for pair, legs in by_pair.items())
    matrix = round(worst_case, _PLACES) + roll + delta + held.correlation_contingency
    own = held.spot_margin + held.mmp_margin + held.open_orders_margin
    return PmeResult(
        id=held.id,
        im=round(matrix + own, _PLACES),
        mm=max(p.pair(pair).mm_factor for pair in by_pair) * matrix,
        mtm=None,
        worst_im=least,
        worst_mm=least,
        scenario_pnl=tuple(pnl.tolist()),
        worst_case=worst_case,
        roll_shock=roll,
        delta_shock=delta,
        correlation_contingency=held.correlation_contingency,
        risk_matrix=matrix,
        spot_margin=held.spot_margin,
        mmp_margin=held.mmp_margin,
        open_orders_margin=held.open_orders_margin,
    )


def standard_cells(p: PairParams, leg: Leg, *, inverse: bool) -> Floats:
    """Return a leg's profit, shape (3 (2n + 1),): moves range i / n, i = -n..n, by vol down, same, up."""
    n = p.buckets
    moves = p.price_range * np.arange(-n, n + 1) / n
    vols = np.array([*_shocked_vols(p, leg)])
    return _profit(leg, np.repeat(moves, VOLS), np.tile(vols, len(moves)), inverse=inverse)


def extended_cells(p: PairParams, leg: Leg, *, inverse: bool) -> Floats:
    """Return a leg's profit at the extended moves with vol up, weighted, shape (M,).

    value = profit factor (range / |m|), for inverse contracts also times (1 + m) / (1 + sign range),
    which undoes that a coin is worth more or less after the move. A future then has exactly its
    profit at the edge of the range.
    """
    moves = np.array(p.extended_moves)
    _, _, up = _shocked_vols(p, leg)
    value = _profit(leg, moves, np.full_like(moves, up), inverse=inverse)
    value *= p.extended_factor * p.price_range / np.abs(moves)
    return value * (1.0 + moves) / (1.0 + np.sign(moves) * p.price_range) if inverse else value


def pair_cells(p: PairParams, held: Portfolio, legs: Sequence[Leg]) -> Floats:
    """Return one pair's aggregated cells, standard then extended.

    Standard gains count by `pnl_offset`, at most the cap. Extended losses shrink by the dampener
    (|m| / range - 1) dampener_usd / ((1 + sign range) index), to 0 at most; extended gains do not count.
    """
    index = held.index_of(legs[0].pair)
    standard = sum((standard_cells(p, leg, inverse=held.inverse) for leg in legs), start=np.float64(0.0))
    cap = min(p.max_offset, p.max_offset_usd / (index if held.inverse else 1.0))
    standard = np.where(standard > 0.0, np.minimum(standard * p.pnl_offset, cap), standard)
    extended = sum((extended_cells(p, leg, inverse=held.inverse) for leg in legs), start=np.float64(0.0))
    moves = np.array(p.extended_moves)
    dampener = (np.abs(moves) / p.price_range - 1.0) * p.extended_dampener_usd
    if held.inverse:
        dampener = dampener / ((1.0 + np.sign(moves) * p.price_range) * index)
    return np.concatenate([standard, np.minimum(0.0, extended + np.maximum(0.0, dampener))])


def roll_shock(p: PairParams, held: Portfolio, legs: Sequence[Leg]) -> float:
    """Return the charge for forwards moving apart, in settlement currency.

    Sum over expiries of max(min move, exp(move risk years) - 1) |delta|; a perp counts the min move.
    """
    net: dict[float | None, float] = {}
    for leg in legs:
        net[leg.days] = net.get(leg.days, 0.0) + _delta(leg) * _unit(leg, held)
    return sum(abs(delta) * _annual_move(p, days) for days, delta in net.items())


def delta_shock(p: PairParams, held: Portfolio, legs: Sequence[Leg]) -> float:
    """Return the charge for a delta that is large against the market, in settlement currency.

    min(max shock, increment max(0, |delta| in USD - threshold)) |delta|.
    """
    delta = abs(sum(_delta(leg) for leg in legs))
    index = held.index_of(legs[0].pair)
    excess_usd = max(0.0, delta * index - p.delta_threshold_usd)
    shock = min(p.max_delta_shock, p.delta_increment * excess_usd)
    return shock * delta * (1.0 if held.inverse else index)


def _annual_move(p: PairParams, days: float | None) -> float:
    if days is None:
        return p.min_annualised_move
    return max(p.min_annualised_move, math.expm1(p.annualised_move_risk * days / _YEAR_DAYS))


def _unit(leg: Leg, held: Portfolio) -> float:
    """Return settlement currency per unit of delta and relative move."""
    return 1.0 if held.inverse else leg.forward


def _shocked_vols(p: PairParams, leg: Leg) -> tuple[float, float, float]:
    """Return vol down, same and up. The term factor is (30 / days) ** power."""
    if not leg.days:
        return (leg.vol,) * 3
    factor = (_MONTH_DAYS / leg.days) ** (p.power_short if leg.days < _MONTH_DAYS else p.power_long)
    down = max(leg.vol * (1.0 - p.vol_down * factor), 0.0)
    return down, leg.vol, max(leg.vol * (1.0 + p.vol_up * factor), p.min_vol_up)


def _profit(leg: Leg, moves: Floats, vols: Floats, *, inverse: bool) -> Floats:
    """Return the leg's profit in settlement currency at relative moves of its forward and at vols."""
    if not leg.right:
        return leg.size * moves / (1.0 + moves) if inverse else leg.size * leg.forward * moves
    years, call = (leg.days or 0.0) / _YEAR_DAYS, leg.right == "C"
    forward = leg.forward * (1.0 + moves)
    now = price(leg.forward, leg.strike, years, leg.vol, call=call)
    then = price(forward, leg.strike, years, vols, call=call)
    return leg.size * (then / forward - now / leg.forward if inverse else then - now)


def _delta(leg: Leg) -> float:
    """Return the leg's delta to its forward, in units of the underlying."""
    if not leg.right:
        return leg.size
    years = (leg.days or 0.0) / _YEAR_DAYS
    return leg.size * float(greeks(leg.forward, leg.strike, years, leg.vol, call=leg.right == "C").delta)


MODEL: Final = Model(
    name="deribit-pme",
    summary="Deribit portfolio margin: requirements with every part, in the currency of the case",
    units={
        "im": "settle",
        "mm": "settle",
        "worst_im": "cell",
        "worst_case": "settle",
        "roll_shock": "settle",
        "delta_shock": "settle",
        "risk_matrix": "settle",
    },
    reading="im and mm are requirements in the settlement currency, rounded to 9 decimals as the venue does",
    params=params,
    case=portfolio,
    requirement=margin,
)
