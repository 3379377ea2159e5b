"""Carrying out the actions of one chain, one after the other: encode, simulate, reserve, send, wait."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from keeper.chain.errors import NodeUnreachable, PinnedBlockGone
from keeper.chain.transactions import Tx
from keeper.execution.allowlist import AllowList
from keeper.execution.encode import fee_budget, intents, transactions
from keeper.execution.errors import HaltedError
from keeper.execution.fees import gas_limit
from keeper.execution.lane import Lane
from keeper.execution.ledger import Ledger
from keeper.execution.limits import Limits, Pace
from keeper.execution.moved_value import movement
from keeper.execution.node import NODE_TROUBLE, Node
from keeper.execution.outcome import not_done, outcome_of
from keeper.execution.promise import Promises
from keeper.execution.reservation import Reservations
from keeper.execution.signer.errors import SignerUnreachable
from keeper.execution.task import Task, obstacle, task_of
from keeper.execution.urgency import Senders
from keeper.model.errors import DataError
from keeper.model.intent import Outcome, Simulation, TxState
from keeper.model.plan import TxAction
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wei
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.rows import ENDED, UNSIGNED, StoredIntent

_NOT_NOW: Final = (NodeUnreachable, PinnedBlockGone, SignerUnreachable, DataError)
"""What keeps one action from being carried out, and leaves the others alone."""

_SHORT_WAIT_S: Final = 2.0
"""For a receipt of a transaction that the node would not take: it may have it all the same."""

_TRIES: Final = 2
"""An action whose nonce was used by what it was to displace is begun once more, at the next one."""


class Carrying:
    """Takes actions as far as they go. Several chains use it at once, each from one thread."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        nodes: Mapping[int, Node],
        venues: Mapping[str, tuple[Venue, Adapter]],
        senders: Senders,
        lanes: Mapping[tuple[int, Address], Lane],
        allowed: AllowList,
        promises: Promises,
        reservations: Reservations,
        limits: Limits,
        pace: Pace,
        stop: Callable[[], bool],
    ) -> None:
        """Wire it. `lanes` is empty in dry-run: nothing can be sent then."""
        self._ledger = ledger
        self._nodes = nodes
        self._venues = venues
        self._senders = senders
        self._lanes = lanes
        self._allowed = allowed
        self._promises = promises
        self._reservations = reservations
        self._limits = limits
        self._pace = pace
        self._stop = stop

    def carry_out(
        self, action: TxAction, cycle_id: str, snapshot: Snapshot, trouble: str | None
    ) -> tuple[tuple[Outcome, ...], bool]:
        """Carry out one action. Returns what came of each step, and whether all went through.

        `trouble` is why its chain is left alone. An action that was to take a nonce over from a transaction
        which landed after all is begun anew: its steps are then told twice, the first time as dropped.
        """
        told: list[Outcome] = []
        for _ in range(_TRIES):
            steps = self._begin(action, cycle_id, snapshot, trouble)
            told += steps
            if not any(self._came_late(step) for step in steps):
                break
        return tuple(told), all(step.success for step in steps)

    def _begin(
        self, action: TxAction, cycle_id: str, snapshot: Snapshot, trouble: str | None
    ) -> tuple[Outcome, ...]:
        sender = self._senders.of(action, snapshot)
        lane = self._lanes.get((action.chain_id, sender))
        try:
            task = task_of(action, cycle_id, snapshot, self._venues, self._nodes, sender, self._senders.kinds)
            front = None if lane is None else lane.open()
            gives_way = lane is not None and front is not None and task.urgent and lane.gives_way(front)
            found = obstacle(
                task,
                self._ledger.intents,
                front=front,
                gives_way=gives_way,
                pace=self._pace,
                trouble=trouble,
            )
            if found is not None:
                return (found,)
            txs = transactions(task.node, task.venue, task.adapter, action, sender, task.node.head())
            for tx in txs:
                self._allowed.check(action.chain_id, tx.to, tx.data)
            moves = movement(action, snapshot, native_value=Wei(sum(tx.value for tx in txs)))
            simulations = self._promises.simulate(task, txs)
        except _NOT_NOW as error:
            return (not_done(action, str(error)),)
        if not txs:
            return (not_done(action, "nothing is left to do at the head"),)
        planned = intents(
            txs,
            action,
            action_id=task.action_id,
            episode=self._ledger.intents.ended(task.action_id),
            cycle_id=cycle_id,
            sender=sender,
            valid_until_block=task.pinned.number + self._limits.valid_blocks,
            urgent=task.urgent,
            moves=moves,
        )
        self._ledger.plan(planned)
        return self._walk(task, lane, planned, txs, simulations)

    def _walk(
        self,
        task: Task,
        lane: Lane | None,
        planned: Sequence[StoredIntent],
        txs: Sequence[Tx],
        simulations: Sequence[Simulation],
    ) -> tuple[Outcome, ...]:
        """Take the intents of one action as far as they go, in order; none after a step that fails.

        When a step fails in the simulation of them all, or there is no room for all of them, none is sent: an
        approval without its purpose would only cost gas.
        """
        doomed = next((i for i, s in enumerate(simulations) if not s.ok and not s.untold), None)
        with ExitStack() as reserved:
            if doomed is not None:
                broken = f"step {doomed + 1} of {len(txs)} fails: {simulations[doomed].error}"
            else:
                broken = self._reserve(reserved, task, lane, planned, simulations)
            for i, (stored, simulation) in enumerate(zip(planned, simulations, strict=True)):
                if i == doomed:
                    self._ledger.dropped(stored, simulation.error or "the simulation failed", simulation)
                elif broken:
                    self._ledger.dropped(stored, broken, simulation)
                elif lane is not None:
                    self._send(task, lane, stored, txs[i:], simulation if len(txs) == 1 else None)
                elif simulation.ok:
                    self._simulated(task, stored, simulation)
                else:
                    self._ledger.dropped(stored, simulation.error or "the simulation failed", simulation)
                has_next = i + 1 < len(planned)
                if lane is not None and not broken and has_next and self._get(stored).success is not True:
                    broken = f"step {i + 1} of {len(txs)} did not go through"
        return tuple(outcome_of(self._get(stored)) for stored in planned)

    def _reserve(
        self,
        reserved: ExitStack,
        task: Task,
        lane: Lane | None,
        planned: Sequence[StoredIntent],
        simulations: Sequence[Simulation],
    ) -> str:
        """Reserve room for all steps until `reserved` is left. Returns why there is none, else nothing."""
        try:
            reserved.enter_context(self._reservations.holding(planned, task.snapshot))
            # One step alone is held against the lane's limits when it is signed.
            if lane is not None and len(planned) > 1:
                lane.require_room(
                    [
                        self._priced(task, stored, simulation)
                        for stored, simulation in zip(planned, simulations, strict=True)
                    ]
                )
        except (*NODE_TROUBLE, DataError) as error:
            return str(error)
        return ""

    def _send(
        self,
        task: Task,
        lane: Lane,
        stored: StoredIntent,
        txs: Sequence[Tx],
        simulation: Simulation | None,
    ) -> None:
        """Simulate at the head unless that was just done, sign, send, and wait for the receipt.

        `txs` are the intent's own and those that come after it.
        """
        try:
            if simulation is None:
                if not task.node.canonical(task.pinned.number, task.pinned.hash):
                    text = f"block {task.pinned.number}, on which it was decided, was taken by a reorg"
                    self._ledger.dropped(stored, text, None)
                    return
                simulation = self._promises.next_step(task, txs)
            if not simulation.ok:
                self._ledger.dropped(stored, simulation.error or "the simulation failed", simulation)
                return
            if (simulation.block_number or 0) > stored.intent.valid_until_block:
                text = f"out of date since block {stored.intent.valid_until_block}"
                self._ledger.dropped(stored, text, simulation)
                return
            trouble = lane.send(self._simulated(task, stored, simulation))
        except (*_NOT_NOW, HaltedError) as error:
            # As a rule raised before signing. What is signed is not dropped but pursued.
            if self._get(stored).state in UNSIGNED:
                self._ledger.dropped(stored, str(error), None)
            return
        patience_s = _SHORT_WAIT_S if trouble else self._pace.receipt_wait_s
        if not task.urgent:
            # Urgent work of the next cycle must not wait behind it.
            patience_s = min(patience_s, self._pace.housekeeping_wait_s)
        lane.wait(stored.intent.id, patience_s, self._stop)

    def _priced(self, task: Task, stored: StoredIntent, simulation: Simulation) -> StoredIntent:
        """Return an intent with its gas limit, 0 where the node could not tell it, and its budget."""
        gas = gas_limit(simulation.gas or 0)
        budget = fee_budget(task.action, task.snapshot, self._limits.max_fee(stored.kind))
        return replace(stored, intent=replace(stored.intent, gas=gas, max_fee=budget))

    def _simulated(self, task: Task, stored: StoredIntent, simulation: Simulation) -> StoredIntent:
        priced = self._priced(task, stored, simulation)
        self._ledger.simulated(stored, simulation, priced.intent.gas, priced.intent.max_fee)
        return priced

    def _came_late(self, step: Outcome) -> bool:
        """Whether a step was to take the nonce over from a transaction that landed after all."""
        if step.state is not TxState.DROPPED or not step.intent_id:
            return False
        stored = self._ledger.intents.get(step.intent_id)
        if stored is None or stored.displaces is None:
            return False
        other = self._ledger.intents.get(stored.displaces)
        return other is not None and other.state in ENDED - {TxState.DROPPED}

    def _get(self, stored: StoredIntent) -> StoredIntent:
        found = self._ledger.intents.get(stored.intent.id)
        assert found is not None
        return found
