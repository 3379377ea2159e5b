"""Watched accounts that their own venue lets anybody liquidate, where that pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.model.book import Account, Bounty
from keeper.model.params import LiquidationParams
from keeper.model.plan import Decision, Liquidate, Reason
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad, floor_to_wad, to_float
from keeper.policy.gates import blocking_venue, held


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Margin that the taker's account at a venue has for positions it would receive."""

    account: str
    free_usd: float
    """Equity less initial requirement, >= 0."""

    initial_ratio: float
    """Initial requirement per USD of notional."""


class Budget:
    """Margin and notional for take-overs, counted down as the plan uses them."""

    def __init__(self, rooms: Mapping[str, Room], max_takeover_usd: float) -> None:
        self._free_usd = {venue: room.free_usd for venue, room in rooms.items()}
        self._rooms = rooms
        self._takeover_usd = max_takeover_usd

    def refusal(self, venue: str, notional_usd: float) -> str | None:
        """Return why a take-over of `notional_usd` is not possible now, or None."""
        if notional_usd > self._takeover_usd:
            left = f"{self._takeover_usd:,.0f} USD left this cycle"
            return f"{notional_usd:,.0f} USD to take over exceed the {left}"
        if venue not in self._rooms:
            return "the taker has no account at this venue that could receive the position"
        needed_usd = notional_usd * self._rooms[venue].initial_ratio
        if needed_usd > self._free_usd[venue]:
            return f"needs {needed_usd:,.0f} USD of margin, {self._free_usd[venue]:,.0f} USD are free"
        return None

    def take(self, venue: str, notional_usd: float) -> None:
        """Count a take-over as done."""
        self._takeover_usd -= notional_usd
        self._free_usd[venue] -= notional_usd * self._rooms[venue].initial_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an account is liquidated, and the numbers either way."""

    action: Liquidate | None
    text: str
    numbers: tuple[tuple[str, float], ...] = ()


def gas_usd(snapshot: Snapshot, chain_id: int, gas: int, reference_usd: Mapping[str, float]) -> float | None:
    """Return what `gas` costs on a chain now, USD; None when gas or the native coin has no price."""
    price = next((g for g in snapshot.gas if g.chain_id == chain_id), None)
    if price is None or price.native_underlying not in reference_usd:
        return None
    return to_float(Wad(gas * price.wei_per_gas)) * reference_usd[price.native_underlying]


def judge(
    account: Account,
    decision: Decision,
    *,
    snapshot: Snapshot,
    params: LiquidationParams,
    reference_usd: Mapping[str, float],
    marks_usd: Mapping[str, float],
    budget: Budget,
) -> Verdict:
    """Decide on one account that its venue calls liquidatable.

    It is done when the venue's own bounty is at least `gas_margin` times the gas and leaves
    `min_profit_usd`, and, where the position is taken over, our account there can margin it.
    """
    bounty = account.bounty
    if not params.enabled:
        return Verdict(action=None, text="liquidations are switched off in the configuration")
    if bounty is None:
        blocked = "its resting orders" if account.has_orders else "its venue"
        return Verdict(action=None, text=f"liquidatable by the numbers, but {blocked} would refuse it now")
    gap = blocking_venue(account.protocol, account.chain_id, _underlying(bounty, snapshot), snapshot)
    if gap is not None:
        return Verdict(action=None, text=held(gap))
    cost_usd = gas_usd(snapshot, account.chain_id, bounty.gas, reference_usd)
    if cost_usd is None:
        return Verdict(action=None, text=f"held: gas on chain {account.chain_id} has no price")
    reward_usd = to_float(bounty.reward_usd)
    numbers = (("reward_usd", reward_usd), ("gas_usd", cost_usd), ("profit_usd", reward_usd - cost_usd))
    if reward_usd < params.gas_margin * cost_usd or reward_usd - cost_usd < params.min_profit_usd:
        text = (
            f"reward {reward_usd:,.2f} USD against gas {cost_usd:,.2f} USD does not leave "
            f"{params.min_profit_usd:,.2f} USD or {params.gas_margin:g} times the gas"
        )
        return Verdict(action=None, text=text, numbers=numbers)
    venue = f"{account.protocol}:{account.chain_id}"
    if bounty.takes_over:
        if bounty.instrument not in marks_usd:
            return Verdict(action=None, text=f"held: no mark of {bounty.instrument}", numbers=numbers)
        notional_usd = abs(to_float(bounty.size)) * marks_usd[bounty.instrument]
        refusal = budget.refusal(venue, notional_usd)
        if refusal is not None:
            return Verdict(action=None, text=refusal, numbers=numbers)
        budget.take(venue, notional_usd)
    text = f"{decision.reason.text}: reward {reward_usd:,.2f} USD, gas {cost_usd:,.2f} USD"
    return Verdict(
        action=Liquidate(
            subject=account.id,
            protocol=account.protocol,
            chain_id=account.chain_id,
            account=account.id,
            owner=account.owner,
            instrument=bounty.instrument,
            max_size=bounty.size,
            takes_over=bounty.takes_over,
            reward_usd=bounty.reward_usd,
            cost_usd=floor_to_wad(cost_usd),
            reason=Reason(text=text, numbers=(*decision.reason.numbers, *numbers)),
        ),
        text=text,
        numbers=numbers,
    )


def most_rewarding_first(accounts: Sequence[Account]) -> list[Account]:
    """Order by reward, so that margin for take-overs goes where it earns most; then by id."""
    return sorted(accounts, key=lambda a: (-(a.bounty.reward_usd if a.bounty else 0), a.id))


def _underlying(bounty: Bounty, snapshot: Snapshot) -> str | None:
    return next((i.underlying for i in snapshot.instruments if i.id == bounty.instrument), None)
