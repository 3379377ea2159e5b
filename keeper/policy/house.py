"""The house requirement of a profile: the parameters of the policy handed to `risk.models.house`.

Every contract that anybody holds is revalued once per snapshot, on the grid and, where a price history is
configured, on its dates; each profile is then a product of its net sizes with the result.

Decided: the history moves spots alone, with vols standing still; vol moves are the grid's part. A profile
with an underlying that the history does not hold has no VaR and no ES: the rest of the book would pass for
the whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from keeper.model.errors import UnfitValueError
from keeper.model.margin import HouseRequirement
from keeper.model.params import HouseParams, PriceHistory
from keeper.risk.book import Instruments, subset
from keeper.risk.covariance import ewma_covariances
from keeper.risk.history import FactorSeries, filtered_scenarios, historical_scenarios, joint_history
from keeper.risk.inputs import Floats
from keeper.risk.models.house import (
    HouseRules,
    Liquidity,
    UnitExposures,
    UnitProfits,
    netted_requirement,
    unit_exposures,
    unit_profits,
)
from keeper.risk.revaluation import DAYS_PER_YEAR
from keeper.risk.scenarios import Scenarios, extend, grid, restrict
from keeper.risk.tail import tail_weights

LEVEL = 0.99
"""Confidence of VaR and ES over one day."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HouseModel:
    """What the house requirements of all profiles over the same contracts share."""

    columns: Instruments
    """The N contracts that are held."""

    rows: NDArray[np.intp]
    """Their rows in the valuation's columns, shape (N,)."""

    scenarios: Scenarios
    """The grid."""

    profits: UnitProfits
    units: UnitExposures
    covered: tuple[str, ...]
    """Underlyings that the price history holds."""

    liquidity: Liquidity
    rules: HouseRules
    history_ends_s: int | None


def house_model(columns: Instruments, held: ArrayLike, house: HouseParams) -> HouseModel:
    """Revalue the contracts in rows `held` of `columns`.

    Raises
    ------
    UnfitValueError
        A parameter out of range, a history too short, or a charge that needs a daily volume which is missing.
    """
    rows = np.asarray(held, dtype=np.intp)
    kept = subset(columns, rows)
    scenarios = house_grid(house, columns.underlyings)
    past = None if house.history is None else past_of(house.history)
    filtered = record = None
    covered: tuple[str, ...] = ()
    if past is not None:
        covered = tuple(name for name in columns.underlyings if name in past.filtered.underlyings)
        filtered, record = (
            extend(restrict(table, underlyings=covered), columns.underlyings)
            for table in (past.filtered, past.record)
        )
    return HouseModel(
        columns=kept,
        rows=rows,
        scenarios=scenarios,
        profits=unit_profits(kept, grid=scenarios, filtered=filtered, record=record),
        units=unit_exposures(kept),
        covered=covered,
        liquidity=_liquidity(columns.underlyings, house, past),
        rules=HouseRules(
            es_level=LEVEL,
            basis_rate=house.basis_rate,
            impact=house.impact,
            concentration_share=house.concentration_share,
            concentration_rate=house.concentration_rate,
            maintenance_factor=house.maintenance_factor,
        ),
        history_ends_s=None if past is None else past.ends_s,
    )


def house_grid(house: HouseParams, underlyings: Sequence[str]) -> Scenarios:
    """Return the scenario grid of the house requirement over `underlyings`."""
    return _grid(
        tuple(underlyings),
        house.spot_range,
        house.spot_steps // 2,
        house.vol_up,
        house.vol_down,
        house.extended_moves,
    )


@lru_cache(maxsize=4)
def _grid(
    underlyings: tuple[str, ...],
    spot_range: float,
    buckets: int,
    vol_up: float,
    vol_down: float,
    extended: tuple[float, ...],
) -> Scenarios:
    """Return the grid; each is built once."""
    return grid(
        underlyings,
        spot_range=spot_range,
        buckets=buckets,
        vol_up=vol_up,
        vol_down=vol_down,
        extended=extended,
    )


def house_requirement(model: HouseModel, sizes: Floats, *, gross_scan_usd: float) -> HouseRequirement:
    """Return the requirement of one netted book.

    Parameters
    ----------
    sizes
        Net sizes of the model's contracts, units of the underlying, shape (N,).
    gross_scan_usd
        Sum of the accounts' own scans, for comparison.
    """
    uncovered = uncovered_by(model, sizes)
    if not sizes.any():
        tail = None if model.history_ends_s is None else 0.0
        return HouseRequirement(
            initial_usd=0.0, maintenance_usd=0.0, scan_usd=0.0, gross_scan_usd=gross_scan_usd,
            worst_scenario="", var_usd=tail, es_usd=tail, basis_usd=0.0, liquidity_usd=0.0, floor_usd=tail,
            history_ends_s=model.history_ends_s,
        )  # fmt: skip
    profits = UnitProfits(grid=model.profits.grid) if uncovered else model.profits
    found = netted_requirement(
        model.columns,
        sizes,
        profits=profits,
        units=model.units,
        liquidity=model.liquidity,
        rules=model.rules,
    )
    return HouseRequirement(
        initial_usd=found.initial_usd,
        maintenance_usd=found.maintenance_usd,
        scan_usd=found.scan_usd,
        gross_scan_usd=gross_scan_usd,
        worst_scenario=model.scenarios.names[found.worst],
        var_usd=found.var_usd,
        es_usd=found.es_usd,
        basis_usd=found.basis_usd,
        liquidity_usd=found.liquidity_usd,
        floor_usd=found.floor_usd,
        concentration_usd=found.concentration_usd,
        history_ends_s=None if found.es_usd is None else model.history_ends_s,
        uncovered=uncovered,
    )


def uncovered_by(model: HouseModel, sizes: Floats) -> tuple[str, ...]:
    """Return the underlyings of a netted book that the history does not hold; none without a history."""
    if model.history_ends_s is None:
        return ()
    used = set(model.columns.underlying[sizes != 0.0].tolist())
    names = (model.columns.underlyings[u] for u in sorted(used))
    return tuple(name for name in names if name not in model.covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What each account adds to the profile's scan and ES: Euler's rule, in the order of the accounts."""

    scan_usd: tuple[float, ...]
    """They sum to the scan."""

    es_usd: tuple[float, ...] | None
    """They sum to the ES; None where there is none."""


def euler_parts(model: HouseModel, rows: csr_array, sizes: Floats) -> Parts:
    """Split the netted scan and ES over accounts.

    Both are linear in the accounts once the tail is known: the scan is the loss in the scenario that sets
    it, the ES a weighted loss over the worst dates. An account that hedges the rest has a negative part.

    Parameters
    ----------
    rows
        Sizes of A accounts over the model's contracts, shape (A, N).
    sizes
        Their sums, shape (N,).

    Notes
    -----
    Source: Tasche, "Capital allocation to business units and sub-portfolios: the Euler principle" (2008).
    """
    grid_usd = sizes @ model.profits.grid
    worst = int(grid_usd.argmin())
    scan = np.zeros(rows.shape[0])
    if grid_usd[worst] < 0.0:
        scan = -_products(rows, model.profits.grid[:, worst])
    es: Floats | None = None
    if model.profits.filtered is not None and not uncovered_by(model, sizes):
        weights = tail_weights(sizes @ model.profits.filtered, LEVEL)
        es = -_products(rows, model.profits.filtered @ weights)
        # A book that gains even in its tail needs nothing, and no part of nothing is owed.
        es = es if es.sum() > 0.0 else np.zeros(rows.shape[0])
    return Parts(scan_usd=tuple(scan.tolist()), es_usd=None if es is None else tuple(es.tolist()))


def _products(rows: csr_array, unit_usd: Floats) -> Floats:
    return np.asarray(rows @ unit_usd, dtype=np.float64).reshape(rows.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """A price history as scenarios, one per joint day."""

    filtered: Scenarios
    """At the vol forecast for the day after the last: EWMA with decay 0.94."""

    record: Scenarios
    covariance: Floats
    """Of daily log returns, forecast alike, shape (U, U) over `filtered.underlyings`."""

    ends_s: int


@lru_cache(maxsize=4)
def past_of(history: PriceHistory) -> Past:
    """Return the scenarios of a history; each is built once.

    Raises
    ------
    UnfitValueError
        Closes that are not above 0, times that do not rise, or no two days in a row.
    """
    closes = np.array(history.closes_usd, dtype=np.float64).reshape(-1, len(history.underlyings))
    times = np.array(history.times_s, dtype=np.int64)
    joint = joint_history(
        {
            name: FactorSeries(times_s=times, spot_usd=closes[:, column])
            for column, name in enumerate(history.underlyings)
        },
        step_s=DAY_S,
    )
    return Past(
        filtered=filtered_scenarios(joint),
        record=historical_scenarios(joint),
        covariance=ewma_covariances(joint.spot)[-1],
        ends_s=int(joint.ends_s[-1]),
    )


def _liquidity(underlyings: Sequence[str], house: HouseParams, past: Past | None) -> Liquidity:
    """Return the depth of every underlying's market; the same spreads for all."""
    volume_usd = dict(house.daily_volume_usd)
    missing = [name for name in underlyings if name not in volume_usd]
    if missing and (house.impact > 0.0 or house.concentration_rate > 0.0):
        raise UnfitValueError(
            "daily_volume_usd", f"no {missing[0]}; impact and concentration_rate need it for every underlying"
        )
    U = len(underlyings)
    return Liquidity(
        half_spread=np.full(U, house.liquidity_rate),
        vol_spread=np.full(U, house.vol_spread),
        # Where nothing is charged for it, any volume is as good.
        volume_usd=np.array([volume_usd.get(name, 1.0) for name in underlyings]),
        daily_vol=np.array([daily_vol(name, house, past) for name in underlyings]),
    )


def daily_vol(underlying: str, house: HouseParams, past: Past | None) -> float:
    """Return the standard deviation of a day's log return: the history's forecast, else the fallback vol."""
    if past is not None and underlying in past.filtered.underlyings:
        at = past.filtered.underlyings.index(underlying)
        return math.sqrt(float(past.covariance[at, at]))
    return house.fallback_vol / math.sqrt(DAYS_PER_YEAR)
