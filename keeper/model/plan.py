"""What was decided: a step for every subject, and the actions, each with its reason in numbers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from keeper.model.canonical import digest
from keeper.model.reads import Address
from keeper.model.units import Wad

PLAN_SCHEMA = "keeper.plan/1"


class Step(StrEnum):
    """The ladder, from least to most severe."""

    NONE = "none"
    WARN = "warn"
    MARGIN_CALL = "margin_call"
    REBALANCE = "rebalance"
    LIQUIDATE = "liquidate"


class ActionKind(StrEnum):
    """What an action does."""

    MARGIN_CALL = "margin_call"
    HEDGE = "hedge"
    MOVE_COLLATERAL = "move_collateral"
    LIQUIDATE = "liquidate"
    SETTLE = "settle"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, for a person and for a script."""

    text: str
    numbers: tuple[tuple[str, float], ...] = ()
    """Name with unit, value: `("health", 1.043)`. Never infinite or NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A step and why. Recorded also when nothing is done: auditors ask about both."""

    subject: str
    """Account id, profile name, or `<profile>/<underlying>` for a hedge."""

    step: Step
    rule: str
    health: float | None
    """Equity / maintenance; None where there is no requirement or no such ratio."""

    threshold: float | None
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCall:
    """Ask the owner for collateral. Sends no transaction."""

    subject: str
    reason: Reason
    owner: Address
    amount_usd: Wad
    deadline_s: int
    """Chain time by which it must arrive; 0 when the barrier is too far to give one."""

    kind: Literal[ActionKind.MARGIN_CALL] = ActionKind.MARGIN_CALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """Trade a perp to bring a profile's net delta to the edge of its band."""

    subject: str
    """`<profile>/<underlying>`."""

    reason: Reason
    protocol: str
    chain_id: int
    account: str
    """Account id that trades."""

    owner: Address
    instrument: str
    size: Wad
    """Signed, units of the underlying: long +."""

    limit_price: Wad
    """Worst average price accepted, USD."""

    deadline_s: int
    counts_on: tuple[str, ...] = ()
    """Action ids of the liquidations whose inventory the size includes: without each of them it is wrong."""

    kind: Literal[ActionKind.HEDGE] = ActionKind.HEDGE


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCollateral:
    """Add collateral to an account from its owner's wallet, or take some out."""

    subject: str
    reason: Reason
    protocol: str
    chain_id: int
    account: str
    owner: Address
    asset: str
    amount: Wad
    """Whole units of the asset, > 0."""

    direction: Literal["add", "withdraw"]
    kind: Literal[ActionKind.MOVE_COLLATERAL] = ActionKind.MOVE_COLLATERAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidate:
    """Close an account whose own venue says that anybody may."""

    subject: str
    reason: Reason
    protocol: str
    chain_id: int
    account: str
    owner: Address
    instrument: str
    """Position to close."""

    max_size: Wad
    """Signed size that is expected to be closed, the sign of the position."""

    takes_over: bool
    """True where the liquidator receives the position (Curie), False where it is closed (Lyra)."""

    reward_usd: Wad
    cost_usd: Wad
    """Gas at the snapshot's price, valued in USD."""

    kind: Literal[ActionKind.LIQUIDATE] = ActionKind.LIQUIDATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Settle an expired board and the accounts that wait for it."""

    subject: str
    reason: Reason
    protocol: str
    chain_id: int
    board: str
    board_settled: bool
    """True where only the positions are left to settle."""

    accounts: tuple[str, ...]
    kind: Literal[ActionKind.SETTLE] = ActionKind.SETTLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Refresh what a venue caches (Greeks, funding) where that blocks or distorts what we need."""

    subject: str
    reason: Reason
    protocol: str
    chain_id: int
    kind: Literal[ActionKind.REFRESH] = ActionKind.REFRESH


Action: TypeAlias = MarginCall | Hedge | MoveCollateral | Liquidate | Settle | Refresh
TxAction: TypeAlias = Hedge | MoveCollateral | Liquidate | Settle | Refresh
"""The actions that send transactions."""


def action_id(action: Action) -> str:
    """Return the action's identity: what is done to whom, without the words that explain it.

    Two cycles that decide the same thing give the same id.
    """
    fields = {
        name: getattr(action, name)
        for name in action.__dataclass_fields__
        if name not in ("reason", "deadline_s", "reward_usd", "cost_usd", "limit_price")
    }
    return digest(fields)[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDelta:
    """Net delta of a profile before the plan and, if every action succeeds, after it."""

    profile: str
    underlying: str
    before_base: float
    after_base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything decided from one snapshot with one set of parameters."""

    schema: str = PLAN_SCHEMA
    snapshot_digest: str
    params_digest: str
    decisions: tuple[Decision, ...]
    actions: tuple[Action, ...]
    """In the order in which they are to be carried out."""

    expected: tuple[ExpectedDelta, ...] = ()

    @property
    def id(self) -> str:
        """sha256 over digests, actions and steps; explanations and risk floats stay outside."""
        return digest(
            {
                "snapshot": self.snapshot_digest,
                "params": self.params_digest,
                "steps": [(d.subject, d.step, d.rule) for d in self.decisions],
                "actions": [action_id(a) for a in self.actions],
            }
        )
