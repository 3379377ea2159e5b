"""From a snapshot to columns: every distinct instrument once, every account a row over them.

The one crossing from exact integers to floats on the way in. What cannot be priced is named, not zeroed:
an account with one unpriced position is left out of the risk figures as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Option, Perp, Right
from keeper.model.quote import Quote, VolSurface
from keeper.model.snapshot import Snapshot
from keeper.model.units import SECONDS_PER_YEAR, to_float
from keeper.risk import black76
from keeper.risk.book import Book, Instruments, Kind, book_of, instruments
from keeper.risk.surfaces.smile import vol_at

SPOT_PREFIX = "spot:"
"""Column id of an underlying held in kind: `spot:ETH`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitRisk:
    """Value and Greeks of one unit of every instrument. Arrays of shape (N,)."""

    price_usd: NDArray[np.float64]
    delta_base: NDArray[np.float64]
    """d price / d spot."""

    gamma_base_per_usd: NDArray[np.float64]
    vega_usd_per_vol: NDArray[np.float64]
    """USD per 1.00 of vol."""

    theta_usd_per_day: NDArray[np.float64]
    """Change of value per calendar day at constant spot and vol."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Valuation:
    """All accounts that could be priced, as columns."""

    columns: Instruments
    book: Book
    unit: UnitRisk
    reference_usd: Mapping[str, float]
    """Trusted price per underlying."""

    unpriced: Mapping[str, str]
    """Account id to the reason why it is left out."""


class _UnpricedError(Exception):
    """Internal: an instrument or balance has no trusted price; the text says which."""


def value(snapshot: Snapshot) -> Valuation:
    """Price everything in the snapshot.

    Options are priced on their own venue's spot, surface and rate, at their chain's block time:
    F = S exp(r T), discount exp(-r T), T = seconds / 365 days, never below 0. Perps are marked by their
    venue. Collateral in kind is a spot position at the reference price; dollars are cash.

    Raises
    ------
    UnfitValueError
        A number of the snapshot is outside its domain (a negative price or vol).
    """
    market = _Market(snapshot)
    names = sorted(
        {i.underlying for i in snapshot.instruments}
        | {b.underlying for a in snapshot.accounts for b in a.balances if b.underlying}
    )
    rows: dict[str, tuple[int, int, float, float, float, float, float]] = {}
    carry: dict[str, float] = {}
    why: dict[str, str] = {}
    for underlying in names:
        if underlying in market.reference:
            rows[SPOT_PREFIX + underlying] = (
                names.index(underlying), int(Kind.SPOT), 0.0, 0.0, market.reference[underlying], 0.0, 1.0,
            )  # fmt: skip
    for instrument in snapshot.instruments:
        try:
            rows[instrument.id], carry[instrument.id] = market.row(instrument, names)
        except _UnpricedError as unpriced:
            why[instrument.id] = str(unpriced)

    columns = _columns(rows, names)
    held, cash, unpriced_accounts = _holdings(snapshot.accounts, market, rows, why)
    return Valuation(
        columns=columns,
        book=book_of(held, cash_usd=cash, over=columns),
        unit=_unit_risk(columns, np.array([carry.get(i, 1.0) for i in columns.ids])),
        reference_usd=market.reference,
        unpriced=unpriced_accounts,
    )


class _Market:
    """Quotes and surfaces of one snapshot by what they price."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.now_s = {block.chain_id: block.timestamp_s for block in snapshot.blocks}
        self.reference = {q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "reference"}
        self._marks = {q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "mark"}
        self.perps = {i.id for i in snapshot.instruments if isinstance(i, Perp)}
        self._indices: dict[tuple[str, str], Quote] = {
            (":".join(q.source.split(":")[:2]), q.subject): q for q in snapshot.quotes if q.kind == "index"
        }
        self._surfaces: dict[tuple[str, str], VolSurface] = {
            (s.venue, s.underlying): s for s in snapshot.surfaces
        }
        self._smiles: dict[tuple[str, str], _Smiles] = {}

    def row(
        self, instrument: Instrument, names: list[str]
    ) -> tuple[tuple[int, int, float, float, float, float, float], float]:
        """Return the columns of one instrument and d forward / d spot."""
        factor = names.index(instrument.underlying)
        if instrument.underlying not in self.reference:
            raise _UnpricedError(f"no trusted price of {instrument.underlying}")
        if isinstance(instrument, Option):
            return self._option(instrument, factor)
        if isinstance(instrument, Perp):
            if instrument.id not in self._marks:
                raise _UnpricedError(f"no mark of {instrument.id}")
            return (factor, int(Kind.PERP), 0.0, 0.0, self._marks[instrument.id], 0.0, 1.0), 1.0
        return (
            factor, int(Kind.SPOT), 0.0, 0.0, self.reference[instrument.underlying], 0.0, 1.0,
        ), 1.0  # fmt: skip

    def _option(
        self, option: Option, factor: int
    ) -> tuple[tuple[int, int, float, float, float, float, float], float]:
        venue = ":".join(option.id.split(":")[:2])
        chain_id = int(venue.split(":")[1])
        surface = self._surfaces.get((venue, option.underlying))
        index = self._indices.get((venue, option.underlying))
        if chain_id not in self.now_s:
            raise _UnpricedError(f"no block of chain {chain_id}")
        if index is None:
            raise _UnpricedError(f"no index of {option.underlying} at {venue}")
        seconds = max(0, option.expiry_s - self.now_s[chain_id])
        vol = 0.0
        if seconds > 0:
            if surface is None:
                raise _UnpricedError(f"no vol surface of {option.underlying} at {venue}")
            vol = self._vol(surface, option, self.now_s[chain_id])
        T = seconds / SECONDS_PER_YEAR
        growth = float(np.exp((to_float(surface.rate) if surface else 0.0) * T))
        kind = Kind.CALL if option.right is Right.CALL else Kind.PUT
        forward_usd = to_float(index.price) * growth
        return (factor, int(kind), to_float(option.strike), T, forward_usd, vol, 1.0 / growth), growth

    def _vol(self, surface: VolSurface, option: Option, now_s: int) -> float:
        key = surface.venue, surface.underlying
        if key not in self._smiles:
            self._smiles[key] = _smiles(surface, now_s)
        smiles = self._smiles[key]
        return vol_at(
            smiles.expiries_y,
            smiles.strikes,
            smiles.vols,
            expiry_y=(option.expiry_s - now_s) / SECONDS_PER_YEAR,
            strike=to_float(option.strike),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Smiles:
    """The live expiries of a surface, as `vol_at` takes them."""

    expiries_y: list[float]
    strikes: list[list[float]]
    vols: list[list[float]]


def _smiles(surface: VolSurface, now_s: int) -> _Smiles:
    slices = [s for s in surface.slices if s.expiry_s > now_s]
    if not slices:
        raise _UnpricedError(f"the vol surface of {surface.venue} holds no live expiry")
    return _Smiles(
        expiries_y=[(s.expiry_s - now_s) / SECONDS_PER_YEAR for s in slices],
        strikes=[[to_float(k) for k in s.strikes] for s in slices],
        vols=[[to_float(v) for v in s.vols] for s in slices],
    )


def _columns(
    rows: Mapping[str, tuple[int, int, float, float, float, float, float]], names: list[str]
) -> Instruments:
    factor, kind, strike, expiry, forward, vol, discount = (
        zip(*rows.values(), strict=True) if rows else ((), (), (), (), (), (), ())
    )
    return instruments(
        ids=tuple(rows),
        underlyings=names,
        underlying=np.array(factor, dtype=np.int64),
        kind=np.array(kind, dtype=np.int64),
        strike_usd=strike,
        expiry_y=expiry,
        forward_usd=forward,
        vol=vol,
        discount=discount,
        inverse=np.zeros(len(rows), dtype=np.bool_),
    )


def _holdings(
    accounts: tuple[Account, ...],
    market: _Market,
    rows: Mapping[str, object],
    why: Mapping[str, str],
) -> tuple[list[tuple[str, str, float]], dict[str, float], dict[str, str]]:
    """Return (account, instrument, size) rows, cash per account, and what could not be priced."""
    held: list[tuple[str, str, float]] = []
    cash: dict[str, float] = {}
    unpriced: dict[str, str] = {}
    for account in accounts:
        try:
            account_held, account_cash = _account(account, market, rows, why)
        except _UnpricedError as reason:
            unpriced[account.id] = str(reason)
            continue
        held += account_held
        cash[account.id] = account_cash
    return held, cash, unpriced


def _account(
    account: Account, market: _Market, rows: Mapping[str, object], why: Mapping[str, str]
) -> tuple[list[tuple[str, str, float]], float]:
    held: list[tuple[str, str, float]] = []
    cash_usd = 0.0
    for balance in account.balances:
        if balance.underlying is None:
            cash_usd += to_float(balance.amount)
        elif balance.underlying in market.reference:
            held.append((account.id, SPOT_PREFIX + balance.underlying, to_float(balance.amount)))
        else:
            raise _UnpricedError(f"no trusted price of {balance.underlying}")
    for position in account.positions:
        if position.instrument not in rows:
            raise _UnpricedError(why.get(position.instrument, f"{position.instrument} is not described"))
        size_base = to_float(position.size)
        if position.instrument in market.perps:
            if position.entry is None:
                raise _UnpricedError(f"no entry price of {position.instrument}")
            # A perp pays its value when it is opened, so cash carries the entry side.
            cash_usd -= size_base * to_float(position.entry)
        held.append((account.id, position.instrument, size_base))
    return held, cash_usd


def _unit_risk(columns: Instruments, carry: NDArray[np.float64]) -> UnitRisk:
    """Value and spot Greeks of one unit. `carry` is d forward / d spot, shape (N,)."""
    n = len(columns)
    price_usd = columns.forward_usd.copy()
    delta_base = np.ones(n)
    gamma, vega, theta = np.zeros(n), np.zeros(n), np.zeros(n)
    o = columns.is_option
    if o.any():
        call = columns.kind[o] == Kind.CALL
        F, K, T = columns.forward_usd[o], columns.strike_usd[o], columns.expiry_y[o]
        s, D, g = columns.vol[o], columns.discount[o], carry[o]
        risk = black76.greeks(F, K, T, s, call=call, discount=D)
        price_usd[o] = risk.price_usd
        delta_base[o] = risk.delta * g
        gamma[o] = risk.gamma_per_usd * g * g
        vega[o] = risk.vega_usd_per_vol
        # At constant spot the forward falls back to it: dF/dt = -r F, with r = -ln(D) / T.
        rate = np.divide(-np.log(D), T, out=np.zeros_like(T), where=T > 0)
        theta[o] = (risk.theta_usd_per_y - rate * F * risk.delta) / 365.0
    return UnitRisk(
        price_usd=price_usd,
        delta_base=delta_base,
        gamma_base_per_usd=gamma,
        vega_usd_per_vol=vega,
        theta_usd_per_day=theta,
    )
