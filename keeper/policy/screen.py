"""All accounts of a venue measured at once, at new prices: who may be near his line, and who cannot be.

An account that no event has named since it was read holds what it held. Its requirement at other prices then
follows from the venue's rule (`policy.venue_rule`), and its contract need not be asked about it. The screen
never says who may be liquidated: it says of whom the contract is asked. What the rule does not cover to the
last digit has no holding here and is asked about every time:

* resting orders on an AMM, whose position moves with the pool's price and without an event;
* collateral in kind on a cross-margin venue, which the venue weighs and averages in its own way;
* options past their expiry, which settlement has to count;
* whoever holds what the snapshot does not describe, or stands elsewhere by his contract than by the rule.

Funding accrues without an event too: `policy.accrual` tells how much.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Option, Perp, Right
from keeper.model.snapshot import VenueState
from keeper.model.units import to_float
from keeper.risk.inputs import Floats
from keeper.risk.lyra_collateral import CollateralTerms, min_collateral

EXACT_USD: Final = 1e-5
"""Venues round account values to 6 places, in up to ten sums."""

EXACT: Final = 1e-7
"""Relative. Fixed-point logarithms of option venues are good for nine digits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """What a venue measures its accounts with at one block."""

    at_s: int
    """Block time."""

    terms: Mapping[str, float]
    """Margin parameters by name."""

    marks_usd: Mapping[str, float]
    """By perp."""

    indices_usd: Mapping[str, float]
    """The venue's own oracle, by underlying."""

    accrued_usd: Mapping[str, float]
    """What one unit of each perp has paid in funding since a common origin. Who holds a perp that is not
    named has no figure."""


def prices_of(state: VenueState, at_s: int, accrued_usd: Mapping[str, float] | None = None) -> Prices:
    """Return the prices and terms that a venue showed; without `accrued_usd`, its block is the origin."""
    return Prices(
        at_s=at_s,
        terms={
            name: float(value) if name.endswith("_s") else to_float(value)
            for terms in state.terms
            for name, value in terms.values
        },
        marks_usd={q.subject: to_float(q.price) for q in state.quotes if q.kind == "mark"},
        indices_usd={q.subject: to_float(q.price) for q in state.quotes if q.kind == "index"},
        accrued_usd={i.id: 0.0 for i in state.instruments if isinstance(i, Perp)}
        if accrued_usd is None
        else accrued_usd,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionHolding:
    """One option and its collateral."""

    underlying: str
    call: bool
    in_base: bool
    strike_usd: float
    expiry_s: int
    short_base: float
    """Size of the short, >= 0; 0 for a long, of which nothing is asked."""

    collateral: float
    """In units of its asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpHolding:
    """A cross-margin account: what stands still, and what moves with the marks."""

    still_usd: float
    """Cash less the entry value of all positions, with the funding that was accrued at the origin."""

    legs: tuple[tuple[str, float], ...]
    """Perp and signed size."""

    due_usd: float
    """Funding that was due when it was read."""

    accrued_usd: tuple[float, ...]
    """`Prices.accrued_usd` of the legs when it was read."""


Holding: TypeAlias = OptionHolding | PerpHolding


def holding_of(account: Account, instruments: Mapping[str, Instrument], prices: Prices) -> Holding | None:
    """Return what an account holds, read at `prices`; None where the rule does not cover it."""
    held = [(instruments.get(p.instrument), p) for p in account.positions]
    if "mm_ratio" in prices.terms:
        if account.has_orders or any(b.underlying is not None and b.amount for b in account.balances):
            return None
        if any(not isinstance(i, Perp) or p.entry is None or i.id not in prices.accrued_usd for i, p in held):
            return None
        return _perps(account, prices)
    if "shock_vol_a" in prices.terms and len(held) == 1 and len(account.balances) <= 1:
        option, position = held[0]
        if isinstance(option, Option) and option.expiry_s > prices.at_s:
            return _option(account, option, to_float(position.size))
    return None


def _perps(account: Account, prices: Prices) -> PerpHolding:
    legs = tuple((p.instrument, to_float(p.size)) for p in account.positions)
    accrued = tuple(prices.accrued_usd[name] for name, _ in legs)
    entries = [to_float(p.entry) for p in account.positions if p.entry is not None]
    still_usd = math.fsum(
        [
            *(to_float(b.amount) for b in account.balances if b.underlying is None),
            *(size * (a - e) for (_, size), a, e in zip(legs, accrued, entries, strict=True)),
        ]
    )
    return PerpHolding(
        still_usd=still_usd, legs=legs, due_usd=to_float(account.funding_due), accrued_usd=accrued
    )


def _option(account: Account, option: Option, size_base: float) -> OptionHolding:
    return OptionHolding(
        underlying=option.underlying,
        call=option.right is Right.CALL,
        in_base=any(b.underlying is not None for b in account.balances),
        strike_usd=to_float(option.strike),
        expiry_s=option.expiry_s,
        short_base=max(0.0, -size_base),
        collateral=math.fsum(to_float(b.amount) for b in account.balances),
    )


# All of them at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What the venue compares, USD, for every key, shapes (n,). NaN where a price is missing."""

    keys: tuple[str, ...]
    equity_usd: Floats
    maintenance_usd: Floats


def measured(holdings: Mapping[str, Holding], prices: Prices) -> Measured:
    """Return where every account stands at `prices`.

    An option past its expiry stands nowhere: NaN, so that it is read.
    """
    options = {k: h for k, h in holdings.items() if isinstance(h, OptionHolding)}
    perps = {k: h for k, h in holdings.items() if isinstance(h, PerpHolding)}
    (equity, owed), (equities, owing) = (
        _options(tuple(options.values()), prices),
        _cross(tuple(perps.values()), prices),
    )
    return Measured(
        keys=(*options, *perps),
        equity_usd=np.concatenate((equity, equities)),
        maintenance_usd=np.concatenate((owed, owing)),
    )


def _options(held: Sequence[OptionHolding], prices: Prices) -> tuple[Floats, Floats]:
    """Measure short options expiry by expiry: they share the vol and the time of the requirement."""
    n = len(held)
    equity_usd, owed_usd = np.full(n, np.nan), np.full(n, np.nan)
    groups: dict[tuple[str, bool, bool, int, bool], list[int]] = {}
    for i, h in enumerate(held):
        groups.setdefault((h.underlying, h.call, h.in_base, h.expiry_s, h.short_base > 0.0), []).append(i)
    for (underlying, call, in_base, expiry_s, short), rows in groups.items():
        spot_usd = prices.indices_usd.get(underlying)
        if spot_usd is None or expiry_s <= prices.at_s or "shock_vol_a" not in prices.terms:
            continue
        unit_usd = spot_usd if in_base else 1.0
        equity_usd[rows] = unit_usd * np.array([held[i].collateral for i in rows])
        owed_usd[rows] = 0.0
        if short:
            owed_usd[rows] = unit_usd * min_collateral(
                CollateralTerms(**prices.terms),
                is_call=call,
                in_base=in_base,
                strike_usd=np.array([held[i].strike_usd for i in rows]),
                seconds=float(expiry_s - prices.at_s),
                spot_usd=spot_usd,
                amount_base=np.array([held[i].short_base for i in rows]),
            )
    return equity_usd, owed_usd


def _cross(held: Sequence[PerpHolding], prices: Prices) -> tuple[Floats, Floats]:
    """Measure cross-margin accounts: equity moves with signed sizes, the requirement with absolute ones."""
    owner = np.array([i for i, h in enumerate(held) for _ in h.legs], dtype=np.intp)
    names = [name for h in held for name, _ in h.legs]
    size_base = np.array([size for h in held for _, size in h.legs])
    mark_usd = np.array([prices.marks_usd.get(name, math.nan) for name in names])
    paid_usd = np.array([prices.accrued_usd.get(name, math.nan) for name in names])
    equity_usd, notional_usd = np.array([h.still_usd for h in held]), np.zeros(len(held))
    np.add.at(equity_usd, owner, size_base * (mark_usd - paid_usd))
    np.add.at(notional_usd, owner, np.abs(size_base) * mark_usd)
    return equity_usd, prices.terms.get("mm_ratio", math.nan) * notional_usd


def suspects(found: Measured, margin: float) -> tuple[str, ...]:
    """Return the keys of those below `1 + margin` times their requirement, and of those without a figure."""
    owed_usd = found.maintenance_usd
    # Comparing this way round, NaN is near.
    far = found.equity_usd >= (1.0 + margin) * owed_usd + EXACT_USD
    near: NDArray[np.bool_] = ~far & ~(owed_usd == 0.0)
    return tuple(found.keys[i] for i in np.flatnonzero(near).tolist())


def unlike(found: Measured, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    """Return the keys whose own contract measures otherwise, or that have no account or no figure.

    Both may differ by `EXACT_USD` and by `EXACT` of the requirement.
    """
    return tuple(
        key
        for key, equity_usd, owed_usd in zip(
            found.keys, found.equity_usd.tolist(), found.maintenance_usd.tolist(), strict=True
        )
        if key not in accounts or not _like(accounts[key], equity_usd, owed_usd)
    )


def _like(account: Account, equity_usd: float, owed_usd: float) -> bool:
    theirs_usd = to_float(account.venue.maintenance)
    within_usd = EXACT_USD + EXACT * max(abs(theirs_usd), abs(to_float(account.venue.equity)))
    return (
        abs(to_float(account.venue.equity) - equity_usd) <= within_usd
        and abs(theirs_usd - owed_usd) <= within_usd
    )
