"""Our twin of each venue's own rule: what an account would be measured by, were prices or holdings other.

The contract's answer at the pinned block decides who may be liquidated. The twin answers what no contract
can be asked: after a move, after a trade. It knows two rules, by the terms that the venue's adapter reads:

* `mm_ratio`: cross margin of perps. Equity is the dollars, the collateral in kind and the profit of all
  positions; the requirement a ratio of the absolute notional.
* `shock_vol_a`: one short option per account against its own collateral (`risk.lyra_collateral`).

Anything else has no rule here: None, never healthy. `policy.screen` measures all accounts of a venue at once
by the same rules.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Option, Perp, Right
from keeper.model.snapshot import Snapshot
from keeper.model.units import to_float
from keeper.risk.inputs import Floats
from keeper.risk.lyra_collateral import CollateralTerms, min_collateral


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """n states of the market, as factors on today's prices; what is not named stands still."""

    n: int
    spot: Mapping[str, Floats] = field(default_factory=dict)
    """By underlying, shape (n,), each above 0."""

    perp: Mapping[str, Floats] = field(default_factory=dict)
    """Of the perps' marks, alike; where an underlying is not named, as its spot."""

    def of_spot(self, underlying: str) -> Floats:
        """Return the factor on the spot, shape (n,)."""
        return self.spot.get(underlying, np.ones(self.n))

    def of_perp(self, underlying: str) -> Floats:
        """Return the factor on perps, shape (n,)."""
        return self.perp.get(underlying, self.of_spot(underlying))


NOW = Factors(n=1)
"""The market as it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """What a venue compares, USD, in n states, shapes (n,)."""

    equity_usd: Floats
    initial_usd: Floats
    maintenance_usd: Floats

    @property
    def excess_usd(self) -> Floats:
        """Equity less maintenance; negative where the venue may liquidate."""
        return self.equity_usd - self.maintenance_usd


Rule: TypeAlias = Callable[[Factors], Standing]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """What the rules read of a snapshot, looked up once."""

    terms: Mapping[str, Mapping[str, float]]
    """Margin parameters by venue."""

    marks_usd: Mapping[str, float]
    """By perp."""

    reference_usd: Mapping[str, float]
    """Trusted price by underlying."""

    indices_usd: Mapping[tuple[str, str], float]
    """A venue's oracle, by venue and underlying."""

    now_s: Mapping[int, int]
    """Block time by chain."""

    instruments: Mapping[str, Instrument]


def market_of(snapshot: Snapshot) -> Market:
    """Return the prices and terms of a snapshot."""
    return Market(
        terms={
            t.venue: {n: float(v) if n.endswith("_s") else to_float(v) for n, v in t.values}
            for t in snapshot.terms
        },
        marks_usd={q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "mark"},
        reference_usd={q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "reference"},
        indices_usd={
            (":".join(q.source.split(":")[:2]), q.subject): to_float(q.price)
            for q in snapshot.quotes
            if q.kind == "index"
        },
        now_s={b.chain_id: b.timestamp_s for b in snapshot.blocks},
        instruments={i.id: i for i in snapshot.instruments},
    )


def venue_of(account: Account) -> str:
    """Return `<protocol>:<chain>`."""
    return f"{account.protocol}:{account.chain_id}"


def rule_of(account: Account, market: Market) -> Rule | None:
    """Return the rule of one account, or None where terms or prices are missing or the rule is unknown.

    A perp account's figures start from the contract's own and move by the twin's difference. An option's are
    the twin's.
    """
    twin = twin_of(account, market)
    if twin is None or "mm_ratio" not in market.terms[venue_of(account)]:
        return twin
    now, venue = twin(NOW), account.venue
    equity_usd = to_float(venue.equity) - now.equity_usd
    initial_usd = to_float(venue.initial) - now.initial_usd
    maintenance_usd = to_float(venue.maintenance) - now.maintenance_usd

    def anchored(factors: Factors) -> Standing:
        then = twin(factors)
        return Standing(
            equity_usd=equity_usd + then.equity_usd,
            initial_usd=initial_usd + then.initial_usd,
            maintenance_usd=maintenance_usd + then.maintenance_usd,
        )

    return anchored


def twin_of(account: Account, market: Market) -> Rule | None:
    """Return what the venue would make of the account's balances and positions alone; None as `rule_of`."""
    terms = market.terms.get(venue_of(account), {})
    held = [(market.instruments.get(p.instrument), to_float(p.size)) for p in account.positions]
    if "mm_ratio" in terms and all(isinstance(i, Perp) for i, _ in held):
        return _cross_margin(account, market, terms)
    if "shock_vol_a" in terms and len(held) <= 1 and len(account.balances) <= 1:
        if not held or held[0][1] >= 0.0:
            return _no_requirement(account, market)
        option, size = held[0]
        if isinstance(option, Option):
            return _short_option(account, market, option, size, CollateralTerms(**terms))
    return None


def _cross_margin(account: Account, market: Market, terms: Mapping[str, float]) -> Rule | None:
    """Perps: equity moves with the signed notional, both requirements with the absolute one.

    Collateral in kind counts in full: the venue's own weight on it is not among the terms.
    """
    kind = _in_kind(account, market)
    if kind is None or any(p.instrument not in market.marks_usd for p in account.positions):
        return None
    dollars_usd = math.fsum(to_float(b.amount) for b in account.balances if b.underlying is None)
    legs = [
        (
            market.instruments[p.instrument].underlying,
            to_float(p.size),
            market.marks_usd[p.instrument],
            to_float(p.entry) if p.entry is not None else market.marks_usd[p.instrument],
        )
        for p in account.positions
    ]

    def at(factors: Factors) -> Standing:
        equity_usd, notional_usd = np.full(factors.n, dollars_usd), np.zeros(factors.n)
        for underlying, amount_usd in kind:
            equity_usd += amount_usd * factors.of_spot(underlying)
        for underlying, size_base, mark_usd, entry_usd in legs:
            price_usd = mark_usd * factors.of_perp(underlying)
            equity_usd += size_base * (price_usd - entry_usd)
            notional_usd += abs(size_base) * price_usd
        return Standing(
            equity_usd=equity_usd,
            initial_usd=terms.get("im_ratio", terms["mm_ratio"]) * notional_usd,
            maintenance_usd=terms["mm_ratio"] * notional_usd,
        )

    return at


def _short_option(
    account: Account, market: Market, option: Option, size_base: float, terms: CollateralTerms
) -> Rule | None:
    """One short option against its collateral, both at the venue's own spot."""
    spot_usd = market.indices_usd.get((venue_of(account), option.underlying))
    now_s = market.now_s.get(account.chain_id)
    if spot_usd is None or now_s is None:
        return None
    in_base = any(b.underlying is not None for b in account.balances)
    collateral = math.fsum(to_float(b.amount) for b in account.balances)

    def at(factors: Factors) -> Standing:
        moved_usd = spot_usd * factors.of_spot(option.underlying)
        unit_usd = moved_usd if in_base else np.ones(factors.n)
        needed = min_collateral(
            terms,
            is_call=option.right is Right.CALL,
            in_base=in_base,
            strike_usd=to_float(option.strike),
            seconds=float(option.expiry_s - now_s),
            spot_usd=moved_usd,
            amount_base=-size_base,
        )
        return Standing(
            equity_usd=collateral * unit_usd, initial_usd=needed * unit_usd, maintenance_usd=needed * unit_usd
        )

    return at


def _no_requirement(account: Account, market: Market) -> Rule | None:
    """Nothing is asked of a long option, or of collateral alone."""
    kind = _in_kind(account, market)
    if kind is None:
        return None
    dollars_usd = math.fsum(to_float(b.amount) for b in account.balances if b.underlying is None)

    def at(factors: Factors) -> Standing:
        equity_usd = np.full(factors.n, dollars_usd)
        for underlying, amount_usd in kind:
            equity_usd += amount_usd * factors.of_spot(underlying)
        nothing = np.zeros(factors.n)
        return Standing(equity_usd=equity_usd, initial_usd=nothing, maintenance_usd=nothing)

    return at


def _in_kind(account: Account, market: Market) -> list[tuple[str, float]] | None:
    """Return the collateral in kind, underlying and USD now; None where one has no trusted price."""
    kind: list[tuple[str, float]] = []
    for balance in account.balances:
        if balance.underlying is not None:
            if balance.underlying not in market.reference_usd:
                return None
            kind.append(
                (balance.underlying, to_float(balance.amount) * market.reference_usd[balance.underlying])
            )
    return kind
