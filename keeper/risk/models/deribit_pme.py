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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.black76 import greeks, price
from keeper.risk.inputs import Floats
from keeper.risk.models.deribit_instrument import EXPECTED, parsed
from keeper.risk.models.fields import FieldError, Record
from keeper.risk.models.model import Model, finite_result

EXTENDED_MOVES: Final[tuple[float, ...]] = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Published with the model, not part of its parameters; `extended_moves` in the parameters replaces them."""

_VOLS: Final = 3
_PLACES: Final = 9
"""Both recordings round the worst case, as it enters the risk matrix, and the initial margin."""

_YEAR_DAYS: Final = 365.0
_SECONDS_PER_DAY: Final = 86_400
_MONTH_DAYS: Final = 30.0
_OWN_PARTS: Final = ("spot_margin", "mmp_margin", "open_orders_margin", "correlation_contingency")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParams:
    """Parameters of one currency pair, as `get_params` reports them. Fractions, money in USD."""

    price_range: float
    buckets: int
    """Moves on each side."""

    vol_up: float
    vol_down: float
    power_short: float
    """Below 30 days."""

    power_long: float
    min_vol_up: float
    extended_factor: float
    extended_dampener_usd: float
    extended_moves: tuple[float, ...]
    min_annualised_move: float
    annualised_move_risk: float
    max_delta_shock: float
    delta_threshold_usd: float
    delta_increment: float
    """Growth of the delta shock per USD beyond the threshold."""

    mm_factor: float
    pnl_offset: float
    """Share of a pair's gains that may offset another pair's losses."""

    max_offset: float
    """Greatest offset in settlement currency; infinite where there is none."""

    max_offset_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One set of parameters, or one per pair."""

    by_pair: Mapping[str, PairParams]
    """The key `*` stands for every pair that is not named."""

    def pair(self, name: str) -> PairParams:
        """Return the parameters of a pair. Raises `UnfitValueError` where there are none."""
        found = self.by_pair.get(name, self.by_pair.get("*"))
        if found is None:
            raise UnfitValueError("model_params", f"has no pair {name!r}, only {', '.join(self.by_pair)}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One position."""

    instrument: str
    pair: str
    size: float
    """Signed, in units of the underlying."""

    forward: float
    """Mark of a perp or future, forward of an option's expiry, USD."""

    days: float | None
    """To expiry, at least 0; None for a perp."""

    strike: float = 0.0
    right: str = ""
    """`C`, `P`, or empty."""

    vol: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A portfolio in one settlement currency."""

    id: str
    inverse: bool
    index: Mapping[str, float]
    """Index price by pair, USD. The key `*` stands for every pair that is not named."""

    legs: tuple[Leg, ...]
    spot_margin: float
    mmp_margin: float
    open_orders_margin: float
    correlation_contingency: float

    def index_of(self, pair: str) -> float:
        """Return the index price of a pair."""
        found = self.index.get(pair, self.index.get("*"))
        if found is None:
            problem = f"has no pair {pair!r}, only {', '.join(self.index)}"
            raise UnfitValueError("index_price", problem)
        return found


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


def params(document: Record) -> Params:
    """Read `model_params` (or `params`): one set, or one per pair by name."""
    record = document.record("model_params" if "model_params" in document else "params")
    if "price_range" in record:
        return Params(by_pair={"*": _pair_params(record)})
    return Params(by_pair={pair: _pair_params(record.record(pair)) for pair in record.names()})


def case(id_: str, record: Record) -> Case:
    """Read one portfolio.

    Fields: `contract` (`inverse` or `linear`), `index_price` (a number, or one per pair), `position`
    (size by instrument), `mark` (USD by instrument), `timestamp_ms`; for options also `iv` (vol as a
    fraction, by instrument) and, where no future of the expiry is marked, `forward` (USD by
    instrument). The margins that are not computed here default to 0.

    Raises
    ------
    FieldError
        A field is unfit, an instrument's name is none of Deribit's, it has no mark, vol or forward, it
        has expired, or there is no position.
    """
    position = record.record("position")
    if not position.values:
        raise record.unfit("position", "at least one position")
    at_ms = record.whole("timestamp_ms", low=0)
    legs = tuple(_leg(name, position.real(name), record, at_ms) for name in position.names())
    index = record.values.get("index_price")
    if isinstance(index, Mapping):
        prices = record.record("index_price")
        by_pair = {pair: _price(prices, pair) for pair in prices.names()}
    else:
        by_pair = {"*": _price(record, "index_price")}
    own = {name: record.real(name, low=0.0, default=0.0) for name in _OWN_PARTS}
    contract = record.text("contract", one_of=("inverse", "linear"))
    return Case(id=id_, inverse=contract == "inverse", index=by_pair, legs=legs, **own)


@finite_result
def margin(p: Params, held: Case) -> PmeResult:
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
    return _profit(leg, np.repeat(moves, _VOLS), np.tile(vols, len(moves)), inverse=inverse)


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


def pair_cells(p: PairParams, held: Case, legs: Sequence[Leg]) -> Floats:
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


def roll_shock(p: PairParams, held: Case, legs: Sequence[Leg]) -> float:
    """Return the charge for forwards moving apart, in settlement currency.

    Sum over expiries of max(min move, exp(move risk years) - 1) |delta|; a perp counts the min move.
    """
    net: dict[float | None, float] = {}
    for leg in legs:
        net[leg.days] = net.get(leg.days, 0.0) + _delta(leg) * _unit(leg, held)
    return sum(abs(delta) * _annual_move(p, days) for days, delta in net.items())


def delta_shock(p: PairParams, held: Case, legs: Sequence[Leg]) -> float:
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


def _unit(leg: Leg, held: Case) -> float:
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


def _leg(name: str, size: float, record: Record, at_ms: int) -> Leg:
    try:
        contract = parsed(name)
    except UnfitValueError as error:
        raise FieldError(record.at("position"), found=f"{name!r}", expected=EXPECTED) from error
    days = None if contract.expiry_s is None else (contract.expiry_s - at_ms / 1000.0) / _SECONDS_PER_DAY
    if days is not None and days < 0.0:
        expected = "a time before every expiry"
        raise FieldError(record.at("timestamp_ms"), found=f"after the expiry of {name}", expected=expected)
    if not contract.right:
        return Leg(instrument=name, pair=contract.pair, size=size, forward=_mark(record, name), days=days)
    forwards = record.record("forward" if "forward" in record else "mark")
    forward = _price(forwards, name) if name in forwards else _mark(record, contract.future)
    return Leg(
        instrument=name,
        pair=contract.pair,
        size=size,
        forward=forward,
        days=days,
        strike=contract.strike,
        right=contract.right,
        vol=record.record("iv").real(name, low=0.0),
    )


def _mark(record: Record, instrument: str) -> float:
    return _price(record.record("mark"), instrument)


def _price(record: Record, name: str) -> float:
    price = record.real(name)
    if price <= 0.0:
        raise record.unfit(name, "a price above 0")
    return price


def _pair_params(record: Record) -> PairParams:
    if "vol_scenarios_count" in record and record.whole("vol_scenarios_count", low=0) != _VOLS:
        raise record.unfit("vol_scenarios_count", f"{_VOLS}")
    if record.real("haircut", default=0.0):
        raise record.unfit("haircut", "0: what it applies to is not published")
    read = _reader(record)
    moves = EXTENDED_MOVES
    if "extended_moves" in record:
        moves = record.reals("extended_moves", low=-0.99)
        if not moves or 0.0 in moves:
            raise record.unfit("extended_moves", "at least one move, none of them 0")
    price_range = record.real("price_range", low=0.0, high=0.99)
    if price_range == 0.0:
        raise record.unfit("price_range", "above 0")
    return PairParams(
        price_range=price_range,
        buckets=record.whole("buckets_count", low=1, high=1000),
        vol_up=read("volatility_range_up"),
        vol_down=read("volatility_range_down"),
        power_short=read("short_term_vega_power"),
        power_long=read("long_term_vega_power"),
        min_vol_up=read("min_volatility_for_shock_up"),
        extended_factor=read("extended_table_factor"),
        extended_dampener_usd=read("extended_dampener_usd"),
        extended_moves=moves,
        min_annualised_move=read("min_annualised_move"),
        annualised_move_risk=read("annualised_move_risk"),
        max_delta_shock=read("max_delta_shock"),
        delta_threshold_usd=read("delta_total_liq_shock_threshold_usd"),
        delta_increment=read("m_inc"),
        mm_factor=read("mm_factor"),
        pnl_offset=read("pnl_offset"),
        max_offset=record.real("max_offsetable_pnl", low=0.0, default=math.inf),
        max_offset_usd=record.real("max_offsetable_pnl_usd", low=0.0, default=math.inf),
    )


def _reader(record: Record) -> Callable[[str], float]:
    def read(name: str) -> float:
        return record.real(name, low=0.0)

    return read


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
    case=case,
    requirement=margin,
)
