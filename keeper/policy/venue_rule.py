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
from collections.abc import Mapping
from dataclasses import dataclass

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Option, Perp, Right
from keeper.model.snapshot import Snapshot
from keeper.model.units import to_float
from keeper.policy.rule import (
    NOW,
    Anchored,
    CrossMargin,
    PerpLeg,
    Possession,
    ShortOption,
    VenueRule,
)
from keeper.risk.lyra_collateral import CollateralTerms


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


def rule_of(account: Account, market: Market) -> VenueRule | None:
    """Return the rule of one account, or None where terms or prices are missing or the rule is unknown.

    A perp account's figures start from the contract's own and move by the twin's difference. An option's are
    the twin's.
    """
    twin = twin_of(account, market)
    if twin is None or "mm_ratio" not in market.terms[venue_of(account)]:
        return twin
    now, venue = twin(NOW), account.venue
    return Anchored(
        twin=twin,
        equity_usd=to_float(venue.equity) - float(now.equity_usd[0]),
        initial_usd=to_float(venue.initial) - float(now.initial_usd[0]),
        maintenance_usd=to_float(venue.maintenance) - float(now.maintenance_usd[0]),
    )


def twin_of(account: Account, market: Market) -> VenueRule | None:
    """Return what the venue would make of the account's balances and positions alone; None as `rule_of`."""
    terms = market.terms.get(venue_of(account), {})
    held = [(market.instruments.get(p.instrument), to_float(p.size)) for p in account.positions]
    if "mm_ratio" in terms and all(isinstance(i, Perp) for i, _ in held):
        return _cross_margin(account, market, terms)
    if "shock_vol_a" in terms and len(held) <= 1 and len(account.balances) <= 1:
        if not held or held[0][1] >= 0.0:
            return _possession(account, market)
        option, size = held[0]
        if isinstance(option, Option):
            return _short_option(account, market, option, size, CollateralTerms(**terms))
    return None


def _cross_margin(account: Account, market: Market, terms: Mapping[str, float]) -> CrossMargin | None:
    kind_usd = _in_kind(account, market)
    if kind_usd is None or any(p.instrument not in market.marks_usd for p in account.positions):
        return None
    return CrossMargin(
        dollars_usd=_dollars(account),
        kind_usd=kind_usd,
        legs=tuple(
            PerpLeg(
                underlying=market.instruments[p.instrument].underlying,
                size_base=to_float(p.size),
                mark_usd=market.marks_usd[p.instrument],
                entry_usd=to_float(p.entry) if p.entry is not None else market.marks_usd[p.instrument],
            )
            for p in account.positions
        ),
        initial_ratio=terms.get("im_ratio", terms["mm_ratio"]),
        maintenance_ratio=terms["mm_ratio"],
    )


def _short_option(
    account: Account, market: Market, option: Option, size_base: float, terms: CollateralTerms
) -> ShortOption | None:
    spot_usd = market.indices_usd.get((venue_of(account), option.underlying))
    now_s = market.now_s.get(account.chain_id)
    if spot_usd is None or now_s is None:
        return None
    return ShortOption(
        underlying=option.underlying,
        terms=terms,
        is_call=option.right is Right.CALL,
        in_base=any(b.underlying is not None for b in account.balances),
        strike_usd=to_float(option.strike),
        seconds=float(option.expiry_s - now_s),
        short_base=-size_base,
        collateral=math.fsum(to_float(b.amount) for b in account.balances),
        spot_usd=spot_usd,
    )


def _possession(account: Account, market: Market) -> Possession | None:
    kind_usd = _in_kind(account, market)
    return None if kind_usd is None else Possession(dollars_usd=_dollars(account), kind_usd=kind_usd)


def _dollars(account: Account) -> float:
    return math.fsum(to_float(b.amount) for b in account.balances if b.underlying is None)


def _in_kind(account: Account, market: Market) -> tuple[tuple[str, float], ...] | None:
    """Return the collateral in kind, underlying and USD now; None where one has no trusted price."""
    kind: list[tuple[str, float]] = []
    for balance in account.balances:
        if balance.underlying is not None:
            if balance.underlying not in market.reference_usd:
                return None
            kind.append(
                (balance.underlying, to_float(balance.amount) * market.reference_usd[balance.underlying])
            )
    return tuple(kind)
