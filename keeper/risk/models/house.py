"""The house requirement: what we ourselves ask of one netted book, in parts that stay apart.

    core        = max(scan, expected shortfall, floor)
    initial     = core + basis + liquidity + concentration
    maintenance = maintenance factor x initial

* scan: worst loss of the netted book on the grid of spot and vol, as the venues do it
* expected shortfall: mean of the worst filtered-historical losses, so it follows today's vol; without a
  price history there is none, nor a floor, and the scan stands alone
* floor: the same mean over the record as it was, bad years included. In calm markets it holds the
  requirement up, so that the next storm raises it less (anti-procyclicality)
* basis: what is hedged with something else may part from it
* liquidity: half the spread and the impact of closing every leg in its own market
* concentration: more for a book that is large against its market's daily volume

Decided: the three risk measures are alternatives (their maximum counts), the charges are costs that come
on top of whichever happens (their sum counts). Rejected: one weighted average, which nobody can
take apart when it is disputed.

Source: CME SPAN 2 (historical and stress risk, liquidity and concentration on top); Regulation (EU)
153/2013, article 28 (floor from a long look-back); square-root law of market impact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.basis import basis_charge_usd
from keeper.risk.black76 import greeks
from keeper.risk.book import Book, Instruments, Kind
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.netting import net_exposures
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios
from keeper.risk.tail import expected_shortfall, value_at_risk


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liquidity:
    """How well each of `Instruments.underlyings` trades; every column has shape (U,)."""

    half_spread: Floats
    """Of the notional of a delta-one leg, as a fraction, at least 0."""

    vol_spread: Floats
    """Half the spread of options, in vol per year, at least 0."""

    volume_usd: Floats
    """Traded per day, above 0."""

    daily_vol: Floats
    """Standard deviation of a day's return, at least 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseRules:
    """Parameters of the house. Fractions."""

    es_level: float
    """Confidence of the expected shortfall, for example 0.99."""

    basis_rate: float
    """Charge on the hedged notional."""

    impact: float
    """Factor of the square-root law; 1 costs one day's vol for one day's volume."""

    concentration_share: float
    """Share of a day's volume that is not charged for."""

    concentration_rate: float
    """Charge on the net notional per day's volume beyond that share."""

    maintenance_factor: float
    """Maintenance over initial, in 0..1."""

    def __post_init__(self) -> None:
        require("es_level", self.es_level, 0.0 < self.es_level < 1.0, "above 0 and below 1")
        for field in ("basis_rate", "impact", "concentration_share", "concentration_rate"):
            require(field, getattr(self, field), 0.0 <= getattr(self, field) < math.inf, "at least 0")
        factor = self.maintenance_factor
        require("maintenance_factor", factor, 0.0 <= factor <= 1.0, "in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HouseRequirement:
    """The requirement and its parts, USD, each at least 0."""

    initial_usd: float
    maintenance_usd: float
    scan_usd: float
    var_usd: float | None
    """Beside `es_usd`, for information: no part of the sum. None without a history, like the next two."""

    es_usd: float | None
    floor_usd: float | None
    basis_usd: float
    liquidity_usd: float
    concentration_usd: float
    worst: int
    """Row of the grid that sets `scan_usd`."""

    grid_pnl_usd: Floats
    """Profit of the netted book in every row of the grid, weights applied, shape (S,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitProfits:
    """Profit of one unit of each of N contracts, USD: what all books over the same contracts share."""

    grid: Floats
    """By scenario of the grid, shape (N, S)."""

    filtered: Floats | None = None
    """By date, at today's vol, shape (N, T); None without a history."""

    record: Floats | None = None
    """By date, as it was, shape (N, T'); None without a history."""


def unit_profits(
    columns: Instruments,
    *,
    grid: Scenarios,
    filtered: Scenarios | None = None,
    record: Scenarios | None = None,
) -> UnitProfits:
    """Revalue N contracts in every scenario. Parameters and errors as in `house_requirement`."""
    for field, table in (("grid", grid), ("filtered", filtered), ("record", record)):
        if table is not None:
            require(field, len(table), len(table) > 0, "at least one scenario")
    return UnitProfits(
        grid=revalue(columns, grid),
        filtered=None if filtered is None else revalue(columns, filtered),
        record=None if record is None else revalue(columns, record),
    )


def house_requirement(
    columns: Instruments,
    book: Book,
    *,
    grid: Scenarios,
    filtered: Scenarios | None = None,
    record: Scenarios | None = None,
    liquidity: Liquidity,
    rules: HouseRules,
) -> HouseRequirement:
    """Return the requirement of all accounts of `book` together.

    Parameters
    ----------
    columns, book
        Contracts and accounts. Accounts are netted: two that stand against each other in one contract
        cancel, in two contracts they carry the basis charge.
    grid
        Moves of spot and vol for the scan, S rows.
    filtered
        One row per date, rescaled to today's vol (`history.filtered_scenarios`); None without a history.
    record
        The same dates as they were (`history.historical_scenarios`), as long as there is a record.
    liquidity, rules
        Market depth per underlying, and the house's parameters.

    Raises
    ------
    UnfitValueError
        An empty set of scenarios, scenarios over other underlyings than the contracts, a column of
        `liquidity` of the wrong length or out of range, or a contract that cannot be revalued.

    Notes
    -----
    Cost: one revaluation of N contracts in each scenario and one product with N net sizes; the number
    of accounts does not matter.
    """
    _check(liquidity, columns)
    profits = unit_profits(columns, grid=grid, filtered=filtered, record=record)
    return netted_requirement(
        columns,
        net_sizes(columns, book),
        profits=profits,
        units=unit_exposures(columns),
        liquidity=liquidity,
        rules=rules,
    )


def netted_requirement(
    columns: Instruments,
    sizes: Floats,
    *,
    profits: UnitProfits,
    units: "UnitExposures",
    liquidity: Liquidity,
    rules: HouseRules,
) -> HouseRequirement:
    """Return the requirement of net sizes, shape (N,), whose contracts were revalued before.

    The same figure as `house_requirement`, for many books over the same contracts. Errors alike.
    """
    _check(liquidity, columns)
    pnl = sizes @ profits.grid
    worst = int(pnl.argmin())
    scan = max(0.0, -float(pnl[worst]))
    var = es = floor = None
    if profits.filtered is not None:
        filtered = sizes @ profits.filtered
        var = max(0.0, float(value_at_risk(filtered, rules.es_level)))
        es = max(0.0, float(expected_shortfall(filtered, rules.es_level)))
    if profits.record is not None:
        floor = max(0.0, float(expected_shortfall(sizes @ profits.record, rules.es_level)))
    legs = exposures(units, sizes)
    basis = _basis(legs, rules)
    cost = _liquidity(legs, liquidity, rules)
    concentration = _concentration(legs, liquidity, rules)
    initial = max(scan, es or 0.0, floor or 0.0) + basis + cost + concentration
    require("initial_usd", initial, math.isfinite(initial), "a finite requirement: sizes are too large")
    return HouseRequirement(
        initial_usd=initial,
        maintenance_usd=rules.maintenance_factor * initial,
        scan_usd=scan,
        var_usd=var,
        es_usd=es,
        floor_usd=floor,
        basis_usd=basis,
        liquidity_usd=cost,
        concentration_usd=concentration,
        worst=worst,
        grid_pnl_usd=pnl,
    )


def net_sizes(columns: Instruments, book: Book) -> Floats:
    """Return the sum of all accounts' sizes per contract, units of the underlying, shape (N,)."""
    net = np.bincount(book.indices, weights=book.sizes_base, minlength=len(columns))
    return net.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What is exposed to one forward: everything in it trades at one basis."""

    underlying: int
    delta_usd: float
    """Net delta notional, signed."""

    gross_delta_usd: float
    """Sum of the contracts' absolute delta notionals."""

    gross_vega_usd_per_vol: float
    """Sum of the contracts' absolute vegas, per 1.00 of vol."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitExposures:
    """What one unit of each of N contracts is exposed to, and which of them share a forward."""

    delta: Floats
    """Discounted, to the forward, shape (N,)."""

    forward_usd: Floats
    vega_usd_per_vol: Floats
    groups: tuple[tuple[int, NDArray[np.intp]], ...]
    """Underlying, and the rows of the contracts."""


def unit_exposures(columns: Instruments) -> UnitExposures:
    """Return what one unit of each contract is exposed to: spot, each perp, each expiry of each venue apart.

    Contracts of one venue and expiry share a forward and carry no basis against each other. The
    venue is the part of a contract's id before its last colon.
    """
    delta, vega = np.ones(len(columns)), np.zeros(len(columns))
    option = columns.is_option
    if option.any():
        unit = greeks(
            columns.forward_usd[option],
            columns.strike_usd[option],
            columns.expiry_y[option],
            columns.vol[option],
            call=columns.kind[option] == Kind.CALL,
            discount=columns.discount[option],
        )
        delta[option], vega[option] = unit.delta, unit.vega_usd_per_vol
    groups: dict[tuple[int, str, float], list[int]] = {}
    described = zip(
        columns.ids,
        columns.kind.tolist(),
        columns.underlying.tolist(),
        columns.expiry_y.tolist(),
        strict=True,
    )
    for row, (id_, kind, underlying, expiry_y) in enumerate(described):
        venue = "spot" if kind == Kind.SPOT else id_ if kind == Kind.PERP else id_.rpartition(":")[0]
        groups.setdefault((underlying, venue, expiry_y), []).append(row)
    return UnitExposures(
        delta=delta,
        forward_usd=columns.forward_usd,
        vega_usd_per_vol=vega,
        groups=tuple((key[0], np.array(rows, dtype=np.intp)) for key, rows in groups.items()),
    )


def exposures(units: UnitExposures, sizes: Floats) -> tuple[Leg, ...]:
    """Return the legs of a netted book."""
    notional = sizes * units.delta * units.forward_usd
    gross, vega = np.abs(notional), np.abs(sizes * units.vega_usd_per_vol)
    return tuple(
        Leg(
            underlying=underlying,
            delta_usd=float(notional[rows].sum()),
            gross_delta_usd=float(gross[rows].sum()),
            gross_vega_usd_per_vol=float(vega[rows].sum()),
        )
        for underlying, rows in units.groups
    )


def _basis(legs: Sequence[Leg], rules: HouseRules) -> float:
    nets = net_exposures([leg.delta_usd for leg in legs], [str(leg.underlying) for leg in legs])
    hedged = [net.hedged for net in nets]
    return float(basis_charge_usd(hedged, 1.0, rate=rules.basis_rate).sum()) if hedged else 0.0


def _liquidity(legs: Sequence[Leg], market: Liquidity, rules: HouseRules) -> float:
    """Return the cost of closing each leg: spreads on gross amounts, impact Y s sqrt(Q / V) Q on the net."""
    cost = 0.0
    for leg in legs:
        u, net = leg.underlying, abs(leg.delta_usd)
        cost += (
            market.half_spread[u] * leg.gross_delta_usd + market.vol_spread[u] * leg.gross_vega_usd_per_vol
        )
        cost += rules.impact * market.daily_vol[u] * math.sqrt(net / market.volume_usd[u]) * net
    return float(cost)


def _concentration(legs: Sequence[Leg], market: Liquidity, rules: HouseRules) -> float:
    """Return the sum over underlyings of rate max(0, Q / V - share) Q, Q the net delta notional."""
    net = np.zeros(len(market.volume_usd))
    for leg in legs:
        net[leg.underlying] += leg.delta_usd
    size = np.abs(net)
    beyond = np.maximum(0.0, size / market.volume_usd - rules.concentration_share)
    return float((rules.concentration_rate * beyond * size).sum())


def _check(market: Liquidity, columns: Instruments) -> None:
    shape = (len(columns.underlyings),)
    for field in ("half_spread", "vol_spread", "daily_vol"):
        column = finite(field, getattr(market, field), shape=shape)
        require(field, column, column >= 0.0, "at least 0")
    volume = finite("volume_usd", market.volume_usd, shape=shape)
    require("volume_usd", volume, volume > 0.0, "above 0")
    if not len(columns):
        raise UnfitValueError("instruments", "none given, expected at least one contract")
