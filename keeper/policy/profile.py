"""The margin profile of a named set of accounts: three figures side by side, never merged."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from keeper.model.book import Account
from keeper.model.instrument import Instrument
from keeper.model.margin import (
    AccountRisk,
    Exposure,
    MarginProfile,
    PositionRisk,
    Role,
    Transfer,
    VenueSum,
)
from keeper.model.params import HouseParams, ProfileParams, TransferParams
from keeper.model.units import to_float
from keeper.policy.barrier import Line
from keeper.policy.house import HouseModel, euler_parts, house_model, house_requirement
from keeper.policy.opportunities import opportunities
from keeper.policy.valuation import SPOT_PREFIX, Valuation
from keeper.policy.venue_rule import Market
from keeper.risk.latency import transfer_feasibilities
from keeper.risk.scan import scan_risk

GREEKS = ("delta_base", "gamma_base_per_usd", "vega_usd_per_vol", "theta_usd_per_day")


def margin_profile(
    profile: ProfileParams,
    accounts: Sequence[Account],
    *,
    market: Market,
    lines: Mapping[str, Line],
    valuation: Valuation,
    model: HouseModel,
    house: HouseParams,
    transfer: TransferParams,
) -> MarginProfile:
    """Return the profile of `accounts`, which are those of `profile`.

    Parameters
    ----------
    lines
        By account, at least those of `accounts` that are priced and have one.
    model
        The contracts that anybody holds, revalued: `house_of` of the same valuation.

    Notes
    -----
    Net Greeks are sums over accounts; gross ones sum the absolute net of each account. The scan
    charges one scenario to all accounts at once; its gross counterpart charges each its own worst.
    """
    priced = [a for a in accounts if a.id not in valuation.unpriced]
    rows = account_rows(valuation, priced)
    held = rows[:, model.rows]
    value_usd = rows @ valuation.unit.price_usd + cash_of(valuation, priced)
    scan = scan_risk(held @ model.profits.grid) if priced else None
    greeks = _greeks(valuation, rows)
    standalone_usd = scan.standalone_usd.tolist() if scan else []
    sizes = np.asarray(held.sum(axis=0), dtype=np.float64)
    requirement = house_requirement(model, sizes, gross_scan_usd=math.fsum(standalone_usd))
    parts = euler_parts(model, held, sizes)
    es_parts = parts.es_usd or (None,) * len(priced)
    columns = {name: i for i, name in enumerate(valuation.columns.ids)}
    return MarginProfile(
        name=profile.name,
        role=profile.role,
        members=tuple(a.id for a in accounts),
        equity_usd=math.fsum(value_usd.tolist()),
        venue_sum=_venue_sum(accounts),
        house=requirement,
        netting_benefit_usd=max(0.0, requirement.gross_scan_usd - requirement.scan_usd),
        exposures=tuple(_exposure(underlying, valuation, table) for underlying, table in greeks.items()),
        transfer=_transfers(priced, lines, valuation, house, transfer),
        accounts=tuple(
            _account_risk(
                a,
                _position_risks(a, market.instruments, valuation, columns),
                value_usd=v,
                standalone_usd=alone,
                scan_part_usd=scan_part,
                es_part_usd=es_part,
            )
            for a, v, alone, scan_part, es_part in zip(
                priced, value_usd.tolist(), standalone_usd, parts.scan_usd, es_parts, strict=True
            )
        ),
        unpriced=tuple(a.id for a in accounts if a.id in valuation.unpriced),
        opportunities=()
        if profile.role is Role.WATCH
        else opportunities(model, held, [a.id for a in priced], valuation.unit.delta_base[model.rows]),
    )


def house_of(valuation: Valuation, house: HouseParams) -> HouseModel:
    """Return the house's view of every contract that an account holds. Errors as `house_model`."""
    return house_model(valuation.columns, np.unique(valuation.book.indices), house)


def account_rows(valuation: Valuation, accounts: Sequence[Account]) -> csr_array:
    """Return the sizes of `accounts`, all of them priced, as a sparse (A, N) matrix over all columns."""
    book = valuation.book
    index = {name: i for i, name in enumerate(book.accounts)}
    whole = csr_array((book.sizes_base, book.indices, book.indptr), shape=(len(book), len(valuation.columns)))
    rows: csr_array = whole[[index[account.id] for account in accounts]]
    return rows


def cash_of(valuation: Valuation, accounts: Sequence[Account]) -> NDArray[np.float64]:
    """Return the dollars of `accounts`, all of them priced, shape (A,), USD."""
    cash = dict(zip(valuation.book.accounts, valuation.book.cash_usd.tolist(), strict=True))
    return np.array([cash[a.id] for a in accounts], dtype=np.float64)


def _greeks(valuation: Valuation, rows: csr_array) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return each account's Greeks, shape (A,), by underlying that the accounts are exposed to and name."""
    greeks = {}
    for u, underlying in enumerate(valuation.columns.underlyings):
        ours = valuation.columns.underlying == u
        table = {name: rows @ np.where(ours, getattr(valuation.unit, name), 0.0) for name in GREEKS}
        if any(column.any() for column in table.values()):
            greeks[underlying] = table
    return greeks


def _exposure(underlying: str, valuation: Valuation, table: Mapping[str, NDArray[np.float64]]) -> Exposure:
    net = {name: math.fsum(column.tolist()) for name, column in table.items()}
    gross = {f"gross_{name}": math.fsum(np.abs(column).tolist()) for name, column in table.items()}
    return Exposure(underlying=underlying, spot_usd=valuation.reference_usd[underlying], **net, **gross)


def _venue_sum(accounts: Sequence[Account]) -> VenueSum:
    return VenueSum(
        equity_usd=math.fsum(to_float(a.venue.equity) for a in accounts),
        initial_usd=math.fsum(to_float(a.venue.initial) for a in accounts),
        maintenance_usd=math.fsum(to_float(a.venue.maintenance) for a in accounts),
    )


def _transfers(
    accounts: Sequence[Account],
    lines: Mapping[str, Line],
    valuation: Valuation,
    house: HouseParams,
    params: TransferParams,
) -> tuple[Transfer, ...]:
    """Third figure: collateral from another chain against each account's own line."""
    near = [lines[a.id] for a in accounts if a.id in lines]
    vols = {u: vol_of(u, valuation, house) for u in {line.underlying for line in near}}
    figures = transfer_feasibilities(
        [a.id for a in accounts if a.id in lines],
        drop=[-line.move for line in near],
        vol=[params.stress_vol_factor * vols[line.underlying] for line in near],
        latency_s=params.latency_s,
        tolerated=params.tolerated_probability,
    )
    found = {
        figure.account: Transfer(
            account=figure.account,
            distance=line.distance,
            liquidation_price_usd=line.price_usd,
            time_to_barrier_s=figure.time_to_barrier_s,
            latency_s=figure.latency_s,
            hit_probability=figure.hit_probability,
            feasible=figure.feasible,
        )
        for figure, line in zip(figures, near, strict=True)
    }
    return tuple(found.get(a.id) or _without_line(a, params) for a in accounts)


def _without_line(account: Account, params: TransferParams) -> Transfer:
    return Transfer(
        account=account.id, distance=None, liquidation_price_usd=None, time_to_barrier_s=None,
        latency_s=params.latency_s, hit_probability=None, feasible=None,
    )  # fmt: skip


def vol_of(underlying: str, valuation: Valuation, house: HouseParams) -> float:
    """Highest option vol of the underlying, else the configured one: the barrier is a cautious figure."""
    if underlying not in valuation.columns.underlyings:
        return house.fallback_vol
    factor = valuation.columns.underlyings.index(underlying)
    vols = valuation.columns.vol[(valuation.columns.underlying == factor) & valuation.columns.is_option]
    return float(vols.max()) if vols.size and vols.max() > 0.0 else house.fallback_vol


def _account_risk(
    account: Account,
    positions: tuple[PositionRisk, ...],
    *,
    value_usd: float,
    standalone_usd: float,
    scan_part_usd: float,
    es_part_usd: float | None,
) -> AccountRisk:
    health = account.venue.health
    return AccountRisk(
        id=account.id,
        protocol=account.protocol,
        chain_id=account.chain_id,
        owner=account.owner,
        equity_usd=to_float(account.venue.equity),
        initial_usd=to_float(account.venue.initial),
        maintenance_usd=to_float(account.venue.maintenance),
        health=health if math.isfinite(health) else None,
        liquidatable=account.liquidatable,
        value_usd=value_usd,
        standalone_usd=standalone_usd,
        scan_part_usd=scan_part_usd,
        es_part_usd=es_part_usd,
        positions=positions,
    )


def _position_risks(
    account: Account,
    described: Mapping[str, Instrument],
    valuation: Valuation,
    columns: Mapping[str, int],
) -> tuple[PositionRisk, ...]:
    """Venue positions, then collateral held in kind as `spot`. `columns` is where each contract stands."""
    held = [(p.instrument, described[p.instrument].kind, to_float(p.size)) for p in account.positions]
    held += [
        (SPOT_PREFIX + b.underlying, "spot", to_float(b.amount)) for b in account.balances if b.underlying
    ]
    return tuple(
        PositionRisk(
            instrument=name,
            kind=kind,
            underlying=valuation.columns.underlyings[valuation.columns.underlying[columns[name]]],
            size_base=size_base,
            mark_usd=float(valuation.unit.price_usd[columns[name]]),
            **{g: float(getattr(valuation.unit, g)[columns[name]]) * size_base for g in GREEKS},
        )
        for name, kind, size_base in held
    )
