"""Keep each underlying's net delta in its band: trade to the edge, on the configured perp."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keeper.model.book import Account
from keeper.model.instrument import Perp
from keeper.model.params import HedgeParams, ProfileParams
from keeper.model.plan import Decision, Hedge, Reason, Step
from keeper.model.quote import Depth
from keeper.model.snapshot import Snapshot
from keeper.model.units import floor_to_wad, to_float
from keeper.policy.gates import blocking_profile, held

DEADLINE_S = 600
"""Chain seconds after which a hedge may no longer be executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedged:
    """The decision, and the trade if there is one."""

    decision: Decision
    action: Hedge | None

    @property
    def size_base(self) -> float:
        """Signed size of the trade; 0 without one."""
        return 0.0 if self.action is None else to_float(self.action.size)


def to_edge(net_base: float, band_base: float, lot_base: float) -> float:
    """Return the signed trade that brings `net_base` to the nearer edge of the band, or 0.0 inside it.

    The size is rounded away from zero to a whole lot: rounded the other way, the book would stay
    outside by less than a lot and ask for a trade of nothing for ever. A lot is at most the band, so
    the trade never crosses to the other side.

    Raises `ValueError` when the lot is not in (0, 2 * band].
    """
    if not 0.0 < lot_base <= 2.0 * band_base:
        raise ValueError(f"lot must be above 0 and at most twice the band {band_base}, was {lot_base}")
    outside_base = abs(net_base) - band_base
    if outside_base <= 0.0:
        return 0.0
    lots = math.ceil(outside_base / lot_base - 1e-9)
    return -math.copysign(lots * lot_base, net_base)


def hedge(
    params: HedgeParams,
    profile: ProfileParams,
    *,
    net_base: float,
    inventory_base: float,
    counts_on: Sequence[str] = (),
    accounts: Sequence[Account],
    unpriced: Sequence[str],
    snapshot: Snapshot,
) -> Hedged:
    """Decide on one underlying of one profile.

    Parameters
    ----------
    net_base
        Net delta now, units of the underlying.
    inventory_base
        Delta that the liquidations of the same plan are expected to bring to our own account; it is
        hedged together with the rest.
    counts_on
        Action ids of those liquidations.
    accounts
        Members of the profile, to find the one that trades.
    unpriced
        Members that are not in `net_base`: with one of them the net delta is unknown.
    """
    subject = f"{params.profile}/{params.underlying}"
    expected_base = net_base + inventory_base
    numbers = [
        ("net_delta_base", net_base), ("inventory_base", inventory_base), ("band_base", params.band_base),
    ]  # fmt: skip

    def decided(step: Step, rule: str, text: str, action: Hedge | None = None) -> Hedged:
        reason = Reason(text=text, numbers=tuple(numbers))
        decision = Decision(
            subject=subject, step=step, rule=rule, health=None, threshold=params.band_base, reason=reason
        )
        return Hedged(decision=decision, action=action)

    gap = blocking_profile(profile, snapshot)
    if gap is not None:
        return decided(Step.NONE, "gap", held(gap))
    if unpriced:
        return decided(Step.NONE, "unpriced", f"held: {unpriced[0]} could not be priced")
    wanted_base = to_edge(expected_base, params.band_base, params.lot_base)
    if wanted_base == 0.0:
        text = f"net delta {expected_base:+.4f} is inside the band of {params.band_base:g}"
        return decided(Step.NONE, "inside-band", text)
    instrument = _instrument(params, snapshot)
    mark_usd = _mark_usd(instrument, snapshot)
    if instrument is None or mark_usd is None:
        return decided(
            Step.REBALANCE, "no-market", f"held: no market or mark of {params.underlying} at {params.venue}"
        )
    size_base = _feasible(wanted_base, params, instrument, mark_usd, accounts, snapshot)
    if size_base == 0.0:
        text = f"net delta {expected_base:+.4f} is outside the band, without depth or margin for a lot"
        return decided(Step.REBALANCE, "no-room", text)
    numbers += [("size_base", size_base), ("wanted_base", wanted_base), ("mark_usd", mark_usd)]
    text = (
        f"net delta {expected_base:+.4f} is outside the band of {params.band_base:g}: "
        f"{'buy' if size_base > 0 else 'sell'} {abs(size_base):.4f} to its edge"
    )
    protocol, chain = params.venue.split(":")
    limit_usd = mark_usd * (1.0 + math.copysign(params.max_slippage, size_base))
    action = Hedge(
        subject=subject,
        protocol=protocol,
        chain_id=int(chain),
        account=f"{params.venue}:{params.owner}",
        owner=params.owner,
        instrument=instrument.id,
        size=floor_to_wad(size_base),
        limit_price=floor_to_wad(limit_usd),
        deadline_s=snapshot.taken_at_s + DEADLINE_S,
        counts_on=tuple(counts_on),
        reason=Reason(text=text, numbers=tuple(numbers)),
    )
    return decided(Step.REBALANCE, "outside-band", text, action)


def _instrument(params: HedgeParams, snapshot: Snapshot) -> Perp | None:
    return next(
        (
            i
            for i in snapshot.instruments
            if isinstance(i, Perp)
            and i.underlying == params.underlying
            and i.id.startswith(params.venue + ":")
        ),
        None,
    )


def _mark_usd(instrument: Perp | None, snapshot: Snapshot) -> float | None:
    if instrument is None:
        return None
    return next(
        (to_float(q.price) for q in snapshot.quotes if q.kind == "mark" and q.subject == instrument.id), None
    )


def _feasible(
    wanted_base: float,
    params: HedgeParams,
    instrument: Perp,
    mark_usd: float,
    accounts: Sequence[Account],
    snapshot: Snapshot,
) -> float:
    """Shrink the trade to what limits, depth and the trading account's margin allow, in whole lots."""
    most_base = min(abs(wanted_base), params.max_trade_base)
    depth = next((d for d in snapshot.depth if d.instrument == instrument.id), None)
    if depth is not None:
        most_base = min(most_base, _fillable_base(depth, wanted_base, mark_usd, params.max_slippage))
    most_base = min(most_base, _margin_base(wanted_base, params, instrument, mark_usd, accounts, snapshot))
    lots = (
        round(most_base / params.lot_base)
        if most_base == abs(wanted_base)
        else math.floor(most_base / params.lot_base)
    )
    return math.copysign(lots * params.lot_base, wanted_base) if lots else 0.0


def _fillable_base(depth: Depth, wanted_base: float, mark_usd: float, max_slippage: float) -> float:
    """Return the size whose average price stays within the slippage limit."""
    levels = depth.asks if wanted_base > 0 else depth.bids
    filled_base = paid_usd = 0.0
    for level in levels:
        size_base, price_usd = to_float(level.size), to_float(level.price)
        average_usd = (paid_usd + size_base * price_usd) / (filled_base + size_base)
        if abs(average_usd / mark_usd - 1.0) > max_slippage and (average_usd - mark_usd) * wanted_base > 0:
            break
        filled_base, paid_usd = filled_base + size_base, paid_usd + size_base * price_usd
    return filled_base


def _margin_base(
    wanted_base: float,
    params: HedgeParams,
    instrument: Perp,
    mark_usd: float,
    accounts: Sequence[Account],
    snapshot: Snapshot,
) -> float:
    """Return the largest size in the wanted direction that the account's equity can margin."""
    account = next((a for a in accounts if a.id == f"{params.venue}:{params.owner}"), None)
    if account is None:
        return 0.0
    ratio = initial_ratio(params.venue, snapshot)
    if ratio is None or ratio <= 0.0:
        return math.inf
    held_base = sum(to_float(p.size) for p in account.positions if p.instrument == instrument.id)
    free_usd = max(0.0, to_float(account.venue.equity) - to_float(account.venue.initial))
    closes_base = abs(held_base) if held_base * wanted_base < 0 else 0.0
    # Closing frees margin, so the first `closes_base` and as much again on the other side cost nothing.
    return 2.0 * closes_base + free_usd / (ratio * mark_usd)


def initial_ratio(venue: str, snapshot: Snapshot) -> float | None:
    """Return the venue's initial requirement per USD of notional, from its terms."""
    return next(
        (
            to_float(v)
            for t in snapshot.terms
            if t.venue == venue
            for name, v in t.values
            if name == "im_ratio"
        ),
        None,
    )
