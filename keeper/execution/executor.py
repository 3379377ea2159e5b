"""Carrying out a plan: encode, simulate, send, wait; and what came of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from keeper.execution.allowlist import AllowList
from keeper.execution.carrying import Carrying
from keeper.execution.ending import Pursued, Reaction
from keeper.execution.errors import HaltedError, OtherSignerError, SignerMismatchError
from keeper.execution.l1_fee import L1Fees, NoL1Fees
from keeper.execution.lane import Lane
from keeper.execution.ledger import Ledger, Recorder
from keeper.execution.limits import Limits, Pace
from keeper.execution.node import NODE_TROUBLE, Node
from keeper.execution.outcome import not_done, outcome_of
from keeper.execution.promise import Promises
from keeper.execution.reservation import Reservations
from keeper.execution.side_by_side import Results, side_by_side
from keeper.execution.signer import Signer
from keeper.execution.urgency import Senders, rank
from keeper.model.intent import OPEN, Outcome, TxState
from keeper.model.plan import Hedge, MarginCall, Plan, TxAction, action_id
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.errors import StoreModeError
from keeper.store.rows import ENDED, UNSIGNED, StoredIntent
from keeper.store.store import Store


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


@dataclass(slots=True)
class _Done:
    """What was done on one chain."""

    ended: list[StoredIntent] = field(default_factory=list)
    """Transactions of earlier cycles."""

    told: dict[int, tuple[Outcome, ...]] = field(default_factory=dict)
    """By position in the plan."""


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
        urgent_signer: Signer | None = None,
        taker: Address | None = None,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wire the executor; nothing is read or sent.

        `sender` is who sends, or in dry-run would send. `urgent_signer` sends urgent work where its own means
        suffice, see `urgency.Senders`; `taker` is whose account the policy counts on for take-overs.
        `final_after_blocks` and `l1_fees` are by chain id; a chain without the latter charges none beside its
        gas. `stop` is asked between actions and while waiting: what is sent by then is left to the next
        start. `clock` is the wall clock, for caps per hour and day and for waiting.

        Raises `SignerMismatchError` and `StoreModeError` when mode, signers, sender and store do not agree.
        """
        if live != (signer is not None):
            raise SignerMismatchError("live needs one" if live else "dry-run must not hold one")
        if signer is not None and signer.address != sender:
            raise SignerMismatchError(f"its address is {signer.address}, expected {sender}")
        if urgent_signer is not None:
            if signer is None:
                raise SignerMismatchError("dry-run must not hold one for urgent work either")
            if urgent_signer.address == sender:
                raise SignerMismatchError(f"{sender} signs urgent work too: leave signer.urgent out")
        mode = "live" if live else "dry-run"
        if store.mode != mode:
            raise StoreModeError(store.place, found=store.mode, wanted=mode)
        self._nodes = dict(clients)
        self._store = store
        self._stop = stop
        self._ledger = Ledger(store, journal)
        pace = pace or Pace()
        allowed = AllowList(venues)
        self._lanes: dict[tuple[int, Address], Lane] = {}
        for held in (signer, urgent_signer):
            for chain_id, node in clients.items() if held is not None else ():
                assert held is not None
                self._lanes[chain_id, held.address] = Lane(
                    node,
                    self._ledger,
                    held,
                    limits=limits,
                    allowed=allowed,
                    l1_fees=(l1_fees or {}).get(chain_id, NoL1Fees()),
                    abis=sorted({a for v, ad in venues if v.chain_id == chain_id for a in ad.abis}),
                    final_after_blocks=final_after_blocks[chain_id],
                    pace=pace,
                    clock=clock,
                    sleep=sleep,
                )
        self._carrying = Carrying(
            self._ledger,
            nodes=self._nodes,
            venues={venue.id: (venue, adapter) for venue, adapter in venues},
            senders=Senders(
                ordinary=sender,
                urgent=None if urgent_signer is None else urgent_signer.address,
                kinds=limits.urgent_kinds,
                taker=taker,
            ),
            lanes=self._lanes,
            allowed=allowed,
            promises=Promises(limits, pace, store.intents),
            reservations=Reservations(store.spending, limits, clock),
            limits=limits,
            pace=pace,
            stop=stop,
        )

    def reconcile(self) -> Report:
        """Settle what an earlier run left: adopt, send again, cancel, drop, or halt. Call once, at the start.

        While halted nothing is sent. Raises `OtherSignerError`, and the tripwires of `Lane.advance`.
        """
        recorded = self._ledger.settle()
        dropped = self._drop_unsigned()
        for chain_id, signer in self._store.intents.lanes():
            if (chain_id, signer) not in self._lanes:
                left = self._store.intents.within(OPEN, lane=(chain_id, signer))
                raise OtherSignerError(signer, chain_id, len(left))
        lines: list[Pursued] = []
        notes: list[str] = []
        for (chain_id, _), lane in sorted(self._lanes.items()):
            try:
                notes += self._strangers(lane)
                lines += lane.advance()
            except NODE_TROUBLE as trouble:
                notes.append(f"chain {chain_id} could not be asked: {trouble}")
        self._ledger.settle()
        return Report(recorded=recorded, dropped=dropped, lines=tuple(lines), notes=tuple(notes))

    def execute(self, plan: Plan, cycle_id: str, snapshot: Snapshot) -> tuple[Outcome, ...]:
        """Carry out the actions of a plan, and return what came of each transaction.

        Each chain goes on by itself, its most urgent actions first; only a hedge waits for what it counts on,
        wherever that is. An action that fails does not stop those after it, except a hedge that counts on its
        inventory; within an action nothing is sent after a step that failed.

        Outcomes come in an order that does not depend on which chain was faster: first, by chain,
        transactions of earlier cycles that have ended since, then those of the plan in its order.

        Raises `HaltedError` in live mode, the tripwires of `Lane.advance`, and errors of store and
        journal: nothing is sent that cannot be written down.
        """
        self._ledger.begin(cycle_id, snapshot.taken_at_s)
        if self._lanes and (halt := self._store.halted()) is not None:
            raise HaltedError(halt.reason, halt.by)
        self._drop_unsigned()
        actions = [action for action in plan.actions if not isinstance(action, MarginCall)]
        results = Results(action_id(action) for action in actions)
        chains = {chain_id for chain_id, _ in self._lanes} | {action.chain_id for action in actions}
        done = side_by_side(
            {
                chain_id: partial(self._on_chain, chain_id, actions, results, cycle_id, snapshot)
                for chain_id in chains
            }
        )
        self._ledger.settle()
        of_plan = [outcome for i, action in enumerate(actions) for outcome in done[action.chain_id].told[i]]
        known = {outcome.intent_id for outcome in of_plan}
        ended = [
            outcome_of(stored)
            for chain_id in sorted(done)
            for stored in done[chain_id].ended
            if stored.intent.id not in known
        ]
        return (*ended, *of_plan)

    def _on_chain(
        self,
        chain_id: int,
        actions: Sequence[TxAction],
        results: Results,
        cycle_id: str,
        snapshot: Snapshot,
    ) -> "_Done":
        """Pursue the lanes of a chain, then carry out its actions."""
        own = [(i, action) for i, action in enumerate(actions) if action.chain_id == chain_id]
        lanes = [lane for key, lane in sorted(self._lanes.items()) if key[0] == chain_id]
        done = _Done()
        try:
            trouble, ended = self._advance(lanes)
            done.ended += ended
            for i, action in sorted(own, key=lambda one: rank(one[1])):
                done.told[i], through = self._one(action, results, cycle_id, snapshot, trouble)
                results.tell(action_id(action), through)
            done.ended += [stored for lane in lanes for stored in lane.ended_aside()]
        finally:
            # Whatever ends this chain, others must not wait for it.
            for _, action in own:
                results.tell(action_id(action), False)
        return done

    def _one(
        self, action: TxAction, results: Results, cycle_id: str, snapshot: Snapshot, trouble: str | None
    ) -> tuple[tuple[Outcome, ...], bool]:
        if self._stop():
            return (not_done(action, "the keeper is being stopped"),), False
        counts_on = action.counts_on if isinstance(action, Hedge) and self._lanes else ()
        if counts_on and not results.all_through(counts_on):
            reason = "a liquidation whose inventory it counts on did not go through"
            return (not_done(action, reason),), False
        return self._carrying.carry_out(action, cycle_id, snapshot, trouble)

    def _advance(self, lanes: Sequence[Lane]) -> tuple[str | None, tuple[StoredIntent, ...]]:
        """Pursue a chain's lanes. Returns why it is left alone, and the intents that ended just now."""
        trouble: str | None = None
        ended: list[StoredIntent] = []
        for lane in lanes:
            try:
                lines = lane.advance()
            except NODE_TROUBLE as error:
                trouble = str(error)
                continue
            for line in lines:
                if line.reaction in (Reaction.FINALIZED, Reaction.WAITING):
                    continue
                stored = self._store.intents.get(line.intent_id)
                if stored is not None and stored.state in ENDED:
                    ended.append(stored)
            ended += lane.ended_aside()
        return trouble, tuple(ended)

    def _strangers(self, lane: Lane) -> list[str]:
        """Say when the chain counts transactions of the signer that are not ours."""
        chain_id, signer = lane.key
        counted = self._nodes[chain_id].nonce(signer, "latest")
        known = self._store.intents.next_nonce(lane.key)
        if counted <= known:
            return []
        text = f"chain {chain_id} counts {counted} transactions of {signer}, {known} are known here"
        return [f"{text}: the nonce goes on from the chain's"]

    def drop_unsigned_of(
        self, cycle_id: str, chain_time_s: int, reasons: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Drop what earlier cycles decided and nobody signed; `reasons` by their ids. Returns the intents.

        The moves are recorded as of the cycle that found the reasons.
        """
        self._ledger.begin(cycle_id, chain_time_s)
        gone = [s for s in self._store.intents.within(UNSIGNED) if s.intent.cycle_id in reasons]
        for stored in gone:
            self._ledger.move(stored.intent.id, TxState.DROPPED, reasons[stored.intent.cycle_id])
        self._ledger.settle()
        return tuple(stored.intent.id for stored in gone)

    def _drop_unsigned(self) -> tuple[str, ...]:
        """Drop what nobody carries on: in dry-run every rehearsal, in live what a crash left unsigned."""
        reason = (
            "the keeper stopped before it was signed" if self._lanes else "rehearsed; never sent in dry-run"
        )
        left = self._store.intents.within(UNSIGNED)
        for stored in left:
            self._ledger.move(stored.intent.id, TxState.DROPPED, reason)
        return tuple(stored.intent.id for stored in left)
