"""From a snapshot and parameters to a plan: the one entry of the policy, and a pure function."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.model.book import Account
from keeper.model.instrument import Perp
from keeper.model.margin import MarginProfile, Role
from keeper.model.params import Params
from keeper.model.plan import (
    Action,
    Decision,
    ExpectedDelta,
    Hedge,
    Liquidate,
    MarginCall,
    MoveCollateral,
    Plan,
    Reason,
    Settle,
    Step,
    action_id,
)
from keeper.model.snapshot import Snapshot
from keeper.model.units import to_float
from keeper.policy.barrier import lines_of
from keeper.policy.collateral import Purse, wants
from keeper.policy.hedges import hedge, initial_ratio
from keeper.policy.ladder import step_for
from keeper.policy.liquidations import Budget, Room, judge, most_rewarding_first
from keeper.policy.membership import members
from keeper.policy.profile import house_of, margin_profile
from keeper.policy.settlements import settlement
from keeper.policy.valuation import value
from keeper.policy.venue_rule import market_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The plan, and the figures that it rests on."""

    plan: Plan
    profiles: tuple[MarginProfile, ...]


def margin_profiles(snapshot: Snapshot, params: Params) -> tuple[MarginProfile, ...]:
    """Return every configured profile, in the order of the parameters."""
    valuation = value(snapshot)
    model = house_of(valuation, params.house)
    market = market_of(snapshot)
    held = members(snapshot.accounts, params.profiles)
    ours = {a.id: a for accounts in held.values() for a in accounts if a.id not in valuation.unpriced}
    lines = zip(ours, lines_of(tuple(ours.values()), market), strict=True)
    nearest = {account: line for account, line in lines if line is not None}
    return tuple(
        margin_profile(
            profile,
            held[profile.name],
            market=market,
            lines=nearest,
            valuation=valuation,
            model=model,
            house=params.house,
            transfer=params.transfer,
        )
        for profile in params.profiles
    )


def decide(snapshot: Snapshot, params: Params) -> Decided:
    """Return the plan for one snapshot: same inputs, same plan, on every machine.

    Actions come in the order in which they are to be carried out: rescues of our own accounts,
    liquidations (most rewarding first), hedges (which count on the liquidations' inventory),
    settlements; margin calls send nothing and come last. Every account, hedge and board has a
    decision with its reason, also where nothing is done.

    Raises
    ------
    UnfitValueError
        A number of the snapshot is outside its domain.
    """
    profiles = margin_profiles(snapshot, params)
    held = members(snapshot.accounts, params.profiles)
    reference_usd = {q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "reference"}
    own = _collateral(profiles, held, snapshot, params, reference_usd)
    watched = _liquidations(held, snapshot, params, reference_usd)
    inventory = _inventory(watched.actions, snapshot)
    hedged, expected = _hedges(profiles, held, snapshot, params, inventory)
    settled = _settlements(snapshot, params)

    rescues: tuple[Action, ...] = tuple(a for a in own.actions if isinstance(a, MoveCollateral))
    calls: tuple[Action, ...] = tuple(a for a in own.actions if isinstance(a, MarginCall))
    plan = Plan(
        snapshot_digest=snapshot.digest,
        params_digest=params.digest,
        decisions=(*own.decisions, *watched.decisions, *hedged.decisions, *settled.decisions),
        actions=(*rescues, *watched.actions, *hedged.actions, *settled.actions, *calls),
        expected=expected,
    )
    return Decided(plan=plan, profiles=profiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    decisions: tuple[Decision, ...]
    actions: tuple[Action, ...]


def _collateral(
    profiles: Sequence[MarginProfile],
    held: Mapping[str, Sequence[Account]],
    snapshot: Snapshot,
    params: Params,
    reference_usd: Mapping[str, float],
) -> _Part:
    purse = Purse(snapshot)
    decisions: list[Decision] = []
    actions: list[Action] = []
    for profile in profiles:
        if profile.role is Role.WATCH:
            continue
        transfers = {t.account: t for t in profile.transfer}
        # The weakest is served first while the wallet lasts.
        for account in sorted(held[profile.name], key=lambda a: (a.venue.health, a.id)):
            decision = step_for(
                account.id,
                health=account.venue.health,
                liquidatable=account.liquidatable,
                ladder=params.ladder,
            )
            wanted = wants(
                account,
                decision,
                role=profile.role,
                snapshot=snapshot,
                params=params,
                reference_usd=reference_usd,
                purse=purse,
                transfer=transfers.get(account.id),
            )
            decisions.append(_with(decision, wanted.held))
            actions += [wanted.action] if wanted.action is not None else []
    return _Part(decisions=tuple(decisions), actions=tuple(actions))


def _liquidations(
    held: Mapping[str, Sequence[Account]],
    snapshot: Snapshot,
    params: Params,
    reference_usd: Mapping[str, float],
) -> _Part:
    roles = {p.name: p.role for p in params.profiles}
    marks_usd = {q.subject: to_float(q.price) for q in snapshot.quotes if q.kind == "mark"}
    budget = Budget(_rooms(snapshot, params), params.liquidation.max_takeover_usd)
    watched = [a for name, accounts in held.items() if roles[name] is Role.WATCH for a in accounts]
    decisions: list[Decision] = []
    actions: list[Action] = []
    for account in most_rewarding_first(watched):
        decision = step_for(
            account.id,
            health=account.venue.health,
            liquidatable=account.liquidatable,
            ladder=params.ladder,
        )
        if decision.step is not Step.LIQUIDATE:
            watched_only = "watched, not liquidatable"
            decisions.append(dataclasses.replace(_with(decision, watched_only), step=Step.NONE))
            continue
        verdict = judge(
            account,
            decision,
            snapshot=snapshot,
            params=params.liquidation,
            reference_usd=reference_usd,
            marks_usd=marks_usd,
            budget=budget,
        )
        decisions.append(
            dataclasses.replace(
                decision,
                reason=Reason(text=verdict.text, numbers=(*decision.reason.numbers, *verdict.numbers)),
            )
        )
        actions += [verdict.action] if verdict.action is not None else []
    return _Part(decisions=tuple(decisions), actions=tuple(actions))


def _rooms(snapshot: Snapshot, params: Params) -> dict[str, Room]:
    """Return the free margin of the taker's account per venue."""
    rooms: dict[str, Room] = {}
    for account in snapshot.accounts:
        venue = f"{account.protocol}:{account.chain_id}"
        ratio = initial_ratio(venue, snapshot)
        if account.owner == params.liquidation.taker and ratio is not None:
            free_usd = max(0.0, to_float(account.venue.equity) - to_float(account.venue.initial))
            rooms[venue] = Room(account=account.id, free_usd=free_usd, initial_ratio=ratio)
    return rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inventory:
    """Positions that the plan's own liquidations are expected to bring."""

    delta_base: float = 0.0
    counts_on: tuple[str, ...] = ()


def _inventory(actions: Sequence[Action], snapshot: Snapshot) -> dict[tuple[str, str], _Inventory]:
    """Return the delta of the plan's take-overs by (venue, underlying)."""
    underlying = {i.id: i.underlying for i in snapshot.instruments if isinstance(i, Perp)}
    taken: dict[tuple[str, str], _Inventory] = {}
    for action in actions:
        if isinstance(action, Liquidate) and action.takes_over:
            key = (f"{action.protocol}:{action.chain_id}", underlying[action.instrument])
            before = taken.get(key, _Inventory())
            taken[key] = _Inventory(
                delta_base=before.delta_base + to_float(action.max_size),
                counts_on=(*before.counts_on, action_id(action)),
            )
    return taken


def _hedges(
    profiles: Sequence[MarginProfile],
    held: Mapping[str, Sequence[Account]],
    snapshot: Snapshot,
    params: Params,
    inventory: Mapping[tuple[str, str], _Inventory],
) -> tuple[_Part, tuple[ExpectedDelta, ...]]:
    by_name = {p.name: p for p in params.profiles}
    figures = {p.name: p for p in profiles}
    decisions: list[Decision] = []
    actions: list[Hedge] = []
    expected: list[ExpectedDelta] = []
    for rule in params.hedges:
        exposures = {e.underlying: e.delta_base for e in figures[rule.profile].exposures}
        net_base = exposures.get(rule.underlying, 0.0)
        # What is taken over lands in the taker's account, so it is this profile's only if that one is.
        receives = params.liquidation.taker in by_name[rule.profile].owners
        taken = inventory.get((rule.venue, rule.underlying), _Inventory()) if receives else _Inventory()
        hedged = hedge(
            rule,
            by_name[rule.profile],
            net_base=net_base,
            inventory_base=taken.delta_base,
            counts_on=taken.counts_on,
            accounts=held[rule.profile],
            unpriced=figures[rule.profile].unpriced,
            snapshot=snapshot,
        )
        decisions.append(hedged.decision)
        actions += [hedged.action] if hedged.action is not None else []
        expected.append(
            ExpectedDelta(
                profile=rule.profile,
                underlying=rule.underlying,
                before_base=net_base,
                after_base=net_base + taken.delta_base + hedged.size_base,
            )
        )
    return _Part(decisions=tuple(decisions), actions=tuple(actions)), tuple(expected)


def _settlements(snapshot: Snapshot, params: Params) -> _Part:
    decided = [settlement(board, snapshot, enabled=params.settle_expired) for board in snapshot.boards]
    actions: list[Settle] = [action for _, action in decided if action is not None]
    return _Part(decisions=tuple(decision for decision, _ in decided), actions=tuple(actions))


def _with(decision: Decision, held_back: str | None) -> Decision:
    if held_back is None:
        return decision
    reason = Reason(text=f"{decision.reason.text}; {held_back}", numbers=decision.reason.numbers)
    return dataclasses.replace(decision, reason=reason)
