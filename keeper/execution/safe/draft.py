"""What of a plan is a Safe's to do: encoded, allowed, simulated, within limits.

Whose action it is follows from what it moves, as when it is sent:

| action | the Safe's to do where |
| --- | --- |
| hedge, withdrawal | the account is the Safe's |
| top-up | the Safe pays: it is the configured payer, or, without one, owns the account |
| liquidation that takes over | the Safe is the taker that the policy counts on |
| other liquidation, settlement, refresh | always: anybody may |

Actions come in the order in which they would be sent. One that fails is left out with its reason, and so is a
hedge that counts on it; the others are proposed all the same.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from keeper.chain import abi
from keeper.chain.transactions import Tx
from keeper.execution.allowlist import AllowList
from keeper.execution.encode import intents, transactions
from keeper.execution.errors import BudgetError
from keeper.execution.fees import first_bid, gas_limit, price_now
from keeper.execution.limits import Limits, Pace, check_limits
from keeper.execution.moved_value import movement
from keeper.execution.node import Node
from keeper.execution.promise import Promises
from keeper.execution.reservation import Reservations
from keeper.execution.task import Task, obstacle, task_of
from keeper.execution.urgency import rank
from keeper.model.errors import DataError
from keeper.model.intent import Simulation
from keeper.model.plan import Hedge, Liquidate, MarginCall, MoveCollateral, Plan, TxAction
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import NO_WEI, Wei
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.store import Store

_CYCLE: Final = "proposal"
"""Stands for the cycle of what is proposed: it is never stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of the proposal."""

    action: TxAction
    action_id: str
    call: str
    """`<contract>.<function>`, by the names of the venue."""

    tx: Tx
    simulation: Simulation
    """From the Safe's address at the head, with what the action promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An action that is not proposed."""

    action: TxAction
    reason: str
    failed: bool
    """It is the Safe's to do, and cannot be done; else it is another's, or nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What of a plan is proposed, in order, and what is not."""

    steps: tuple[Step, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what the steps are judged."""

    payer: Address | None
    taker: Address | None
    limits: Limits
    clock: Callable[[], float]
    """Wall clock, for the caps per hour and day."""

    only: frozenset[str] = frozenset()
    """Kinds of action that are wanted; empty for all."""


class Drafting:
    """Drafts proposals of one address. Holds nothing that signs, and calls nothing that sends."""

    def __init__(
        self,
        node: Node,
        safe: Address,
        venues: Sequence[tuple[Venue, Adapter]],
        store: Store,
        rules: Rules,
    ) -> None:
        """Prepare. `store` knows what the keeper itself has sent and tried: it counts here too."""
        self._node = node
        self._safe = safe
        self._venues = {venue.id: (venue, adapter) for venue, adapter in venues}
        self._stored = store.intents
        self._rules = rules
        self._pace = Pace()
        self._allowed = AllowList(venues)
        self._promises = Promises(rules.limits, self._pace, store.intents)
        self._reservations = Reservations(store.spending, rules.limits, rules.clock)

    def draft(self, plan: Plan, snapshot: Snapshot) -> Draft:
        """Return the steps of a plan that are the Safe's to take and pass every check, and what is left out.

        Raises what node trouble raises.
        """
        actions = [action for action in plan.actions if not isinstance(action, MarginCall)]
        steps: list[Step] = []
        left: list[LeftOut] = []
        fees: list[Wei] = []
        with ExitStack() as reserved:
            for action in sorted(actions, key=rank):
                reason = self._not_ours(action) or self._counts_on(action, steps)
                if reason:
                    left.append(LeftOut(action=action, reason=reason, failed=False))
                    continue
                try:
                    found = self._carried_out(action, snapshot, reserved, fees)
                except DataError as error:
                    left.append(LeftOut(action=action, reason=str(error), failed=True))
                    continue
                if isinstance(found, LeftOut):
                    left.append(found)
                else:
                    steps += found
        return Draft(steps=tuple(steps), left_out=tuple(left))

    def _not_ours(self, action: TxAction) -> str:
        """Return why an action is not the Safe's to carry out; empty where it is."""
        if action.chain_id != self._node.chain_id:
            return f"it is on chain {action.chain_id}, the Safe on {self._node.chain_id}"
        if self._rules.only and action.kind.value not in self._rules.only:
            return "left out by --only"
        return belongs_to_another(action, self._safe, payer=self._rules.payer, taker=self._rules.taker)

    def _counts_on(self, action: TxAction, steps: Sequence[Step]) -> str:
        """Return what a hedge misses among the steps before it; empty where nothing is missing."""
        needed = set(action.counts_on) if isinstance(action, Hedge) else set()
        if needed <= {step.action_id for step in steps}:
            return ""
        return (
            "it counts on what a liquidation brings that is not proposed: propose both, or switch "
            "policy.liquidation off"
        )

    def _carried_out(
        self, action: TxAction, snapshot: Snapshot, reserved: ExitStack, fees: list[Wei]
    ) -> list[Step] | LeftOut:
        """Take an action through all that is asked of one that is sent. Raises `DataError` where it fails."""
        limits, node, safe = self._rules.limits, self._node, self._safe
        task = task_of(
            action, _CYCLE, snapshot, self._venues, {node.chain_id: node}, safe, limits.urgent_kinds
        )
        found = obstacle(task, self._stored, front=None, gives_way=False, pace=self._pace, trouble=None)
        if found is not None:
            return LeftOut(action=action, reason=found.reason, failed=False)
        txs = transactions(node, task.venue, task.adapter, action, safe, node.head())
        for tx in txs:
            self._allowed.check(action.chain_id, tx.to, tx.data)
        moves = movement(action, snapshot, native_value=Wei(sum(tx.value for tx in txs)))
        simulations = self._promises.simulate(task, txs)
        if not txs:
            return LeftOut(action=action, reason="nothing is left to do at the head", failed=False)
        doomed = next((s for s in simulations if not s.ok and not s.untold), None)
        if doomed is not None:
            reason = doomed.error or "the simulation failed"
            return LeftOut(action=action, reason=reason, failed=not doomed.benign)
        planned = intents(
            txs,
            action,
            action_id=task.action_id,
            episode=self._stored.ended(task.action_id),
            cycle_id=_CYCLE,
            sender=safe,
            valid_until_block=task.pinned.number + limits.valid_blocks,
            urgent=task.urgent,
            moves=moves,
        )
        worst = [self._worst_fee(s) for s in simulations]
        self._check_gas([*fees, *worst], Wei(sum(tx.value for tx in txs)))
        reserved.enter_context(self._reservations.holding(planned, snapshot))
        fees += worst
        return [
            Step(action=action, action_id=task.action_id, call=called(task, tx), tx=tx, simulation=simulation)
            for tx, simulation in zip(txs, simulations, strict=True)
        ]

    def _worst_fee(self, simulation: Simulation) -> Wei:
        """Return what gas would cost at today's bid. Raises `BudgetError` above the cap on its price."""
        fees, cap, gas = self._node.fees(), self._rules.limits.max_fee_per_gas, simulation.gas or 0
        bid = first_bid(fees, cap)
        if bid is None:
            raise BudgetError(wanted=Wei(gas * price_now(fees)), budget=Wei(gas * cap))
        return Wei(gas_limit(gas) * bid.fee_per_gas)

    def _check_gas(self, worst_fees: Sequence[Wei], value: Wei) -> None:
        """Hold gas against its caps, and native coin against what the Safe has. Raises `LimitError`."""
        # Whoever executes pays for gas, from a wallet that is not ours to know.
        held = self._node.native(self._safe) if value else NO_WEI
        check_limits(
            replace(self._rules.limits, min_native=NO_WEI),
            worst_fees=worst_fees,
            value=value,
            native=Wei(held + sum(worst_fees)),
            spent=(),
            now_s=self._rules.clock(),
        )


def belongs_to_another(
    action: TxAction, safe: Address, *, payer: Address | None, taker: Address | None
) -> str:
    """Return why an action is not a Safe's to carry out; empty where it is. See the module's table."""
    match action:
        case Hedge() if action.owner != safe:
            return f"it trades the account of {action.owner}"
        case MoveCollateral(direction="withdraw") if action.owner != safe:
            return f"it takes out what is {action.owner}'s"
        case MoveCollateral(direction="add") if (payer or action.owner) != safe:
            return f"it is paid by {payer or action.owner}"
        case Liquidate(takes_over=True) if taker != safe:
            return f"what it takes over is to land with {taker or 'nobody that is named'}"
    return ""


def called(task: Task, tx: Tx) -> str:
    """Return what a transaction calls, by the names of its venue: `ClearingHouse.openPosition`."""
    contract = next((n for n, a in task.venue.contracts if a.lower() == tx.to.lower()), tx.to)
    names = {abi.selector(contract_abi, fn): fn for contract_abi, fn in task.adapter.sends}
    return f"{contract}.{names[tx.data[:10]]}"
