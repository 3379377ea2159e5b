"""`house`: the JSON form of books for `keeper.risk.models.house`, and their requirement.

    {"params": {
        "grid": {"spot_range": 0.16, "buckets": 4, "vol_up": 0.4, "vol_down": 0.22},
        "history": {"step_s": 86400, "times_s": [...], "underlyings": {"BTC": {"spot_usd": [...]}}},
        "es_level": 0.99, "basis_rate": 0.01, "impact": 1, "concentration_share": 0.1,
        "concentration_rate": 0.5, "maintenance_factor": 0.8},
     "cases": [{
        "id": "desk",
        "market": {"BTC": {"half_spread": 1e-4, "vol_spread": 0.01, "volume_usd": 1e10, "daily_vol": 0.03}},
        "instruments": [
            {"id": "deribit:0:BTC-PERP", "underlying": "BTC", "kind": "perp", "forward_usd": 60000},
            {"id": "deribit:0:BTC-C", "underlying": "BTC", "kind": "call", "forward_usd": 60500,
             "strike_usd": 65000, "expiry_y": 0.1, "vol": 0.6}],
        "positions": [{"account": "a", "instrument": "deribit:0:BTC-PERP", "size_base": -2}],
        "cash_usd": {"a": 50000}}]}

Optional: in `grid` also `vol_power_short`, `vol_power_long`, `vol_floor`, `extended`; in `history` per
underlying also `vol`, `perp_usd`, `forward_usd`; `decay`, `horizon_steps` and `burn_in` of the filter;
`discount` and `inverse` of an instrument. `kind` is spot, perp, future, call or put. A document
without `cases` is one book with its own `params`. Arrays of the history have the length of `times_s`.

The value `mtm` counts cash, spot and options; perps and futures are taken to be settled to cash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from keeper.risk.black76 import price
from keeper.risk.book import Book, Instruments, Kind, book_of, instruments
from keeper.risk.covariance import RISKMETRICS_DECAY
from keeper.risk.history import FactorSeries, filtered_scenarios, historical_scenarios, joint_history
from keeper.risk.inputs import Floats
from keeper.risk.models.fields import FieldError, Record
from keeper.risk.models.house import HouseRules, Liquidity, house_requirement, net_sizes
from keeper.risk.models.model import Model, finite_result
from keeper.risk.scenarios import EXTENDED_MOVES, Scenarios, grid, restrict

_KINDS: Final = {kind.name.lower(): kind for kind in Kind}
_MARKET: Final = ("half_spread", "vol_spread", "volume_usd", "daily_vol")
_LEVELS: Final = ("spot_usd", "vol", "perp_usd", "forward_usd")
_MAX_BUCKETS: Final = 100
_LATEST_S: Final = 10**12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Params:
    """Scenarios and rules, common to all books."""

    grid: Mapping[str, Any]
    """Arguments of `scenarios.grid`."""

    filtered: Scenarios
    record: Scenarios
    rules: HouseRules


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One book and its market."""

    id: str
    columns: Instruments
    book: Book
    liquidity: Liquidity


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseResult:
    """Requirements (at least 0) and parts, USD."""

    id: str
    im: float
    mm: float
    mtm: float
    """Value of cash, spot and options."""

    worst_im: int
    """Row of the grid that sets `scan`."""

    worst_mm: int
    scenario_pnl: tuple[float, ...]
    scan: float
    es: float
    floor: float
    basis: float
    liquidity: float
    concentration: float


def params(document: Record) -> Params:
    """Read `params`. Raises `DataError` where a field is unfit or the history too short."""
    record = document.record("params")
    shape = record.record("grid")
    cells = {
        "spot_range": shape.real("spot_range"),
        "buckets": shape.whole("buckets", low=1, high=_MAX_BUCKETS),
        "vol_up": shape.real("vol_up"),
        "vol_down": shape.real("vol_down"),
        "vol_power_short": shape.real("vol_power_short", default=0.30),
        "vol_power_long": shape.real("vol_power_long", default=0.13),
        "vol_floor": shape.real("vol_floor", default=0.0),
        "extended": shape.reals("extended") if "extended" in shape else EXTENDED_MOVES,
    }
    past = record.record("history")
    series = past.record("underlyings")
    if not series.values:
        raise series.unfit("underlyings", "at least one underlying")
    history = joint_history(
        {name: _series(series.record(name), past) for name in series.names()},
        step_s=past.whole("step_s", low=1, high=_LATEST_S),
    )
    horizon = record.real("horizon_steps", low=0.0, default=1.0)
    return Params(
        grid=cells,
        filtered=filtered_scenarios(
            history,
            decay=record.real("decay", default=RISKMETRICS_DECAY),
            horizon_steps=horizon,
            burn_in=record.whole("burn_in", low=0) if "burn_in" in record else 0,
        ),
        record=historical_scenarios(history, horizon_steps=horizon),
        rules=HouseRules(
            es_level=record.real("es_level"),
            basis_rate=record.real("basis_rate"),
            impact=record.real("impact"),
            concentration_share=record.real("concentration_share"),
            concentration_rate=record.real("concentration_rate"),
            maintenance_factor=record.real("maintenance_factor"),
        ),
    )


def case(id_: str, record: Record) -> Case:
    """Read one book.

    Raises
    ------
    FieldError
        A field is unfit, a position names an instrument or account that is not listed, or there is none.
    UnfitValueError
        A column of the book is out of range.
    """
    market = record.record("market")
    names = tuple(market.names())
    if not names:
        raise record.unfit("market", "at least one underlying")
    rows = record.records("instruments")
    columns = _instruments(rows, names)
    cash = record.record("cash_usd") if "cash_usd" in record else Record(path=record.path, values={})
    cash_usd = {account: cash.real(account) for account in cash.names()}
    positions = record.records("positions")
    if not positions:
        raise record.unfit("positions", "at least one position")
    held = []
    for position in positions:
        account, instrument = position.text("account"), position.text("instrument")
        if instrument not in columns.ids:
            raise position.unfit("instrument", "one of the listed instruments")
        cash_usd.setdefault(account, 0.0)
        held.append((account, instrument, position.real("size_base")))
    depth = {
        field: _column([market.record(name).real(field, low=0.0) for name in names]) for field in _MARKET
    }
    return Case(
        id=id_,
        columns=columns,
        book=book_of(held, cash_usd=cash_usd, over=columns),
        liquidity=Liquidity(**depth),
    )


@finite_result
def requirement(p: Params, held: Case) -> HouseResult:
    """Return the house requirement of one book.

    Raises
    ------
    UnfitValueError
        An underlying without history, or a book that cannot be revalued.
    NoFiniteMarginError
        Sizes that overflow.
    """
    names = held.columns.underlyings
    found = house_requirement(
        held.columns,
        held.book,
        grid=grid(names, **p.grid),
        filtered=restrict(p.filtered, underlyings=names),
        record=restrict(p.record, underlyings=names),
        liquidity=held.liquidity,
        rules=p.rules,
    )
    assert found.es_usd is not None
    assert found.floor_usd is not None, "the parameters always hold a history"
    return HouseResult(
        id=held.id,
        im=found.initial_usd,
        mm=found.maintenance_usd,
        mtm=_value_usd(held),
        worst_im=found.worst,
        worst_mm=found.worst,
        scenario_pnl=tuple(found.grid_pnl_usd.tolist()),
        scan=found.scan_usd,
        es=found.es_usd,
        floor=found.floor_usd,
        basis=found.basis_usd,
        liquidity=found.liquidity_usd,
        concentration=found.concentration_usd,
    )


def _value_usd(held: Case) -> float:
    columns, sizes = held.columns, net_sizes(held.columns, held.book)
    unit = np.where(columns.kind == Kind.SPOT, columns.forward_usd, 0.0)
    option = columns.is_option
    unit[option] = price(
        columns.forward_usd[option],
        columns.strike_usd[option],
        columns.expiry_y[option],
        columns.vol[option],
        call=columns.kind[option] == Kind.CALL,
        discount=columns.discount[option],
    )
    return float(sizes @ unit + held.book.cash_usd.sum())


def _instruments(rows: tuple[Record, ...], names: tuple[str, ...]) -> Instruments:
    kinds = [_KINDS[row.text("kind", one_of=tuple(_KINDS))] for row in rows]
    options = [kind >= Kind.CALL for kind in kinds]
    dated = [kind >= Kind.FUTURE for kind in kinds]
    ids = [row.text("id") for row in rows]
    if len(set(ids)) < len(ids):
        twice = next(n for n, id_ in enumerate(ids) if id_ in ids[:n])
        raise rows[twice].unfit("id", "a name that no other instrument has")
    return instruments(
        ids=ids,
        underlyings=names,
        underlying=np.array(
            [names.index(row.text("underlying", one_of=names)) for row in rows], dtype=np.int64
        ),
        kind=np.array(kinds, dtype=np.int64),
        strike_usd=_column(
            [_of(row, "strike_usd", needed) for row, needed in zip(rows, options, strict=True)]
        ),
        expiry_y=_column([_of(row, "expiry_y", needed) for row, needed in zip(rows, dated, strict=True)]),
        forward_usd=_column([row.real("forward_usd", low=0.0) for row in rows]),
        vol=_column([_of(row, "vol", needed) for row, needed in zip(rows, options, strict=True)]),
        discount=_column([_discount(row) for row in rows]),
        inverse=np.array(["inverse" in row and row.flag("inverse") for row in rows], dtype=np.bool_),
    )


def _of(row: Record, name: str, needed: bool) -> float:
    """Return a number at least 0 where the kind of contract has it, else 0."""
    return row.real(name, low=0.0) if needed else 0.0


def _discount(row: Record) -> float:
    discount = row.real("discount", default=1.0)
    if discount <= 0.0:
        raise row.unfit("discount", "a number above 0")
    return discount


def _series(record: Record, past: Record) -> FactorSeries:
    times = past.reals("times_s", low=0.0, high=float(_LATEST_S))
    if any(time != int(time) for time in times):
        raise past.unfit("times_s", "whole seconds")
    levels: dict[str, Floats | None] = {
        name: _column(record.reals(name, length=len(times))) for name in _LEVELS if name in record
    }
    if "spot_usd" not in levels:
        raise record.unfit("spot_usd", "a list of numbers")
    for name, column in levels.items():
        if column is not None and (column <= 0.0).any():
            row = int((column <= 0.0).argmax())
            raise FieldError(f"{record.at(name)}[{row}]", found=f"{column[row]:g}", expected="above 0")
    return FactorSeries(times_s=np.array(times, dtype=np.int64), **levels)  # type: ignore[arg-type]


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


MODEL: Final = Model(
    name="house",
    summary="Our own requirement: scan, filtered-historical ES, floor, basis, liquidity, concentration",
    units={
        "im": "USD",
        "mm": "USD",
        "mtm": "USD",
        "scan": "USD",
        "es": "USD",
        "floor": "USD",
        "basis": "USD",
        "liquidity": "USD",
        "concentration": "USD",
    },
    reading="im and mm are requirements: max(scan, es, floor) plus charges",
    params=params,
    case=case,
    requirement=requirement,
)
