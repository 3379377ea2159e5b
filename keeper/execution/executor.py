"""Carrying out a plan: encode, simulate, send, wait; and what came of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keeper.chain.errors import NodeUnreachable, PinnedBlockGone
from keeper.chain.transactions import Tx
from keeper.execution.allowlist import AllowList
from keeper.execution.encode import fee_budget, intents, transactions
from keeper.execution.ending import Pursued, Reaction
from keeper.execution.errors import HaltedError, OtherSignerError, SignerMismatchError
from keeper.execution.fees import gas_limit
from keeper.execution.l1_fee import L1Fees, NoL1Fees
from keeper.execution.lane import Lane
from keeper.execution.ledger import Ledger, Recorder
from keeper.execution.limits import Limits, Pace
from keeper.execution.node import NODE_TROUBLE, Node
from keeper.execution.outcome import not_done, outcome_of
from keeper.execution.promise import Promises
from keeper.execution.signer import Signer
from keeper.execution.signer.errors import SignerUnreachable
from keeper.execution.task import Task, obstacle, task_of
from keeper.model.errors import DataError
from keeper.model.intent import OPEN, Outcome, Simulation, TxState
from keeper.model.plan import Hedge, MarginCall, Plan, TxAction, action_id
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.errors import StoreModeError
from keeper.store.rows import ENDED, UNSIGNED, StoredIntent
from keeper.store.store import Store

_NOT_NOW: Final = (NodeUnreachable, PinnedBlockGone, SignerUnreachable, DataError)
"""What keeps one action from being carried out, and leaves the others alone."""

_SHORT_WAIT_S: Final = 2.0
"""For a receipt of a transaction that the node would not take: it may have it all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a start found of the transactions that an earlier run left."""

    recorded: int
    """Moves that a crash had kept out of the journal."""

    dropped: tuple[str, ...]
    """Intents that were never signed; they are decided again where that is still called for."""

    lines: tuple[Pursued, ...]
    notes: tuple[str, ...]
    """Chains that could not be asked, and nonces that others used."""


class Executor:
    """Carries out plans. Without a signer it encodes and simulates, and has nothing to sign with."""

    def __init__(
        self,
        *,
        clients: Mapping[int, Node],
        venues: Sequence[tuple[Venue, Adapter]],
        store: Store,
        journal: Recorder,
        sender: Address,
        signer: Signer | None,
        limits: Limits,
        live: bool,
        final_after_blocks: Mapping[int, int],
        l1_fees: Mapping[int, L1Fees] | None = None,
        pace: Pace | None = None,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wire the executor; nothing is read or sent.

        `sender` is who sends, or in dry-run would send. `final_after_blocks` and `l1_fees` are by chain id; a
        chain without the latter charges none beside its gas. `stop` is asked
        between actions and while waiting: what is sent by then is left to the next start. `clock` is the
        wall clock, for caps per hour and day and for waiting.

        Raises `SignerMismatchError` and `StoreModeError` when mode, signer, sender and store do not agree.
        """
        if live != (signer is not None):
            raise SignerMismatchError("live needs one" if live else "dry-run must not hold one")
        if signer is not None and signer.address != sender:
            raise SignerMismatchError(f"its address is {signer.address}, expected {sender}")
        mode = "live" if live else "dry-run"
        if store.mode != mode:
            raise StoreModeError(store.place, found=store.mode, wanted=mode)
        self._nodes = dict(clients)
        self._venues = {venue.id: (venue, adapter) for venue, adapter in venues}
        self._store = store
        self._sender = sender
        self._limits = limits
        self._pace = pace or Pace()
        self._stop = stop
        self._ledger = Ledger(store, journal)
        self._allowed = AllowList(venues)
        self._promises = Promises(sender, limits, self._pace)
        self._lanes: dict[int, Lane] = {}
        if signer is not None:
            for chain_id, node in clients.items():
                self._lanes[chain_id] = Lane(
                    node,
                    self._ledger,
                    signer,
                    limits=limits,
                    allowed=self._allowed,
                    l1_fees=(l1_fees or {}).get(chain_id, NoL1Fees()),
                    abis=sorted({a for v, ad in venues if v.chain_id == chain_id for a in ad.abis}),
                    final_after_blocks=final_after_blocks[chain_id],
                    pace=self._pace,
                    clock=clock,
                    sleep=sleep,
                )

    def reconcile(self) -> Report:
        """Settle what an earlier run left: adopt, send again, cancel, drop, or halt. Call once, at the start.

        While halted nothing is sent. Raises `OtherSignerError`, and the tripwires of `Lane.advance`.
        """
        recorded = self._ledger.catch_up()
        dropped = self._drop_unsigned()
        for chain_id, signer in self._store.intents.lanes():
            if chain_id not in self._lanes or self._lanes[chain_id].key[1] != signer:
                left = self._store.intents.within(OPEN, lane=(chain_id, signer))
                raise OtherSignerError(signer, chain_id, len(left))
        lines: list[Pursued] = []
        notes: list[str] = []
        for chain_id, lane in sorted(self._lanes.items()):
            try:
                notes += self._strangers(lane)
                lines += lane.advance()
            except NODE_TROUBLE as trouble:
                notes.append(f"chain {chain_id} could not be asked: {trouble}")
        return Report(recorded=recorded, dropped=dropped, lines=tuple(lines), notes=tuple(notes))

    def execute(self, plan: Plan, cycle_id: str, snapshot: Snapshot) -> tuple[Outcome, ...]:
        """Carry out the actions of a plan in order, and return what came of each transaction.

        First come transactions of earlier cycles that have ended since. An action that fails does not stop
        those after it, except a hedge that counts on its inventory; within an action nothing is sent after
        a step that failed.

        Raises `HaltedError` in live mode, the tripwires of `Lane.advance`, and errors of store and
        journal: nothing is sent that cannot be written down.
        """
        self._ledger.begin(cycle_id, snapshot.taken_at_s)
        if self._lanes and (halt := self._store.halted()) is not None:
            raise HaltedError(halt.reason, halt.by)
        self._drop_unsigned()
        unreachable, ended = self._advance()
        outcomes = [outcome_of(stored) for stored in ended]
        done: set[str] = set()
        for action in plan.actions:
            if isinstance(action, MarginCall):
                continue
            if self._stop():
                outcomes.append(not_done(action, "the keeper is being stopped"))
                continue
            if self._lanes and isinstance(action, Hedge) and not done.issuperset(action.counts_on):
                outcomes.append(
                    not_done(action, "a liquidation whose inventory it counts on did not go through")
                )
                continue
            steps = self._carry_out(action, cycle_id, snapshot, unreachable)
            if all(step.success for step in steps):
                done.add(action_id(action))
            outcomes += steps
        return tuple(outcomes)

    def _carry_out(
        self, action: TxAction, cycle_id: str, snapshot: Snapshot, unreachable: Mapping[int, str]
    ) -> tuple[Outcome, ...]:
        try:
            task = task_of(action, cycle_id, snapshot, self._venues, self._nodes)
            lane = self._lanes.get(action.chain_id)
            found = obstacle(
                task,
                self._store.intents,
                in_lane=None if lane is None else lane.open(),
                pace=self._pace,
                unreachable=unreachable,
            )
            if found is not None:
                return (found,)
            txs = transactions(task.node, task.venue, task.adapter, action, self._sender, task.node.head())
            for tx in txs:
                self._allowed.check(action.chain_id, tx.to, tx.data)
            simulations = self._promises.simulate(task, txs)
        except _NOT_NOW as error:
            return (not_done(action, str(error)),)
        if not txs:
            return (not_done(action, "nothing is left to do at the head"),)
        planned = intents(
            txs,
            action,
            action_id=task.action_id,
            episode=self._store.intents.ended(task.action_id),
            cycle_id=cycle_id,
            sender=self._sender,
            valid_until_block=task.pinned.number + self._limits.valid_blocks,
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

        When a step fails in the simulation of them all, none is sent: an approval without its purpose
        would only cost gas.
        """
        doomed = next((i for i, s in enumerate(simulations) if not s.ok and not _untold(s)), None)
        broken = (
            "" if doomed is None else f"step {doomed + 1} of {len(txs)} fails: {simulations[doomed].error}"
        )
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
            if lane is not None and not broken and self._get(stored).success is not True:
                broken = f"step {i + 1} of {len(txs)} did not go through"
        return tuple(outcome_of(self._get(stored)) for stored in planned)

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
                simulation = self._promises.next_step(task, txs)
            if not simulation.ok:
                self._ledger.dropped(stored, simulation.error or "the simulation failed", simulation)
                return
            if (simulation.block_number or 0) > stored.intent.valid_until_block:
                text = f"out of date since block {stored.intent.valid_until_block}"
                self._ledger.dropped(stored, text, simulation)
                return
            trouble = lane.send(self._simulated(task, stored, simulation).intent)
        except (*_NOT_NOW, HaltedError) as error:
            # As a rule raised before signing. What is signed is not dropped but pursued.
            if self._get(stored).state in UNSIGNED:
                self._ledger.dropped(stored, str(error), None)
            return
        patience_s = _SHORT_WAIT_S if trouble else self._pace.receipt_wait_s
        lane.wait(stored.intent.id, patience_s, self._stop)

    def _simulated(self, task: Task, stored: StoredIntent, simulation: Simulation) -> StoredIntent:
        gas = gas_limit(simulation.gas or 0)
        budget = fee_budget(task.action, task.snapshot, self._limits.max_fee(stored.kind))
        self._ledger.simulated(stored, simulation, gas, budget)
        return replace(stored, intent=replace(stored.intent, gas=gas, max_fee=budget))

    def _advance(self) -> tuple[dict[int, str], tuple[StoredIntent, ...]]:
        """Pursue every lane. Returns why chains are left alone, and the intents that ended just now."""
        unreachable: dict[int, str] = {}
        ended: list[StoredIntent] = []
        for chain_id, lane in sorted(self._lanes.items()):
            try:
                lines = lane.advance()
            except NODE_TROUBLE as trouble:
                unreachable[chain_id] = str(trouble)
                continue
            for line in lines:
                stored = self._store.intents.get(line.intent_id)
                settled = stored is not None and stored.state in ENDED
                if settled and line.reaction not in (Reaction.FINALIZED, Reaction.WAITING):
                    assert stored is not None
                    ended.append(stored)
        return unreachable, tuple(ended)

    def _strangers(self, lane: Lane) -> list[str]:
        """Say when the chain counts transactions of the signer that are not ours."""
        chain_id, signer = lane.key
        counted = self._nodes[chain_id].nonce(signer, "latest")
        known = self._store.intents.next_nonce(lane.key)
        if counted <= known:
            return []
        text = f"chain {chain_id} counts {counted} transactions of {signer}, {known} are known here"
        return [f"{text}: the nonce goes on from the chain's"]

    def _drop_unsigned(self) -> tuple[str, ...]:
        """Drop what nobody carries on: in dry-run every rehearsal, in live what a crash left unsigned."""
        reason = (
            "the keeper stopped before it was signed" if self._lanes else "rehearsed; never sent in dry-run"
        )
        left = self._store.intents.within(UNSIGNED)
        for stored in left:
            self._ledger.move(stored.intent.id, TxState.DROPPED, reason)
        return tuple(stored.intent.id for stored in left)

    def _get(self, stored: StoredIntent) -> StoredIntent:
        found = self._store.intents.get(stored.intent.id)
        assert found is not None
        return found


def _untold(simulation: Simulation) -> bool:
    """Whether the node could not tell: it cannot run several transactions in a row."""
    return (simulation.error or "").startswith("not simulated")
