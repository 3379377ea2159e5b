"""The one lane of a signer on a chain: each transaction in it is pursued to its end.

Only a lane signs and broadcasts. A dry-run has none.

Urgent work does not wait behind work that is not: it takes the nonce over. From then on two intents have the
nonce, and at most one of them lands. The one that took it over is pursued for both; the other's bytes are not
sent again. In one move of the store

* it lands: the other is dropped as displaced by it;
* the other lands after all: it is dropped, the other has its outcome, and its action is begun anew at the
  next nonce;
* it is cancelled, or somebody else uses the nonce: both are dropped.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from keeper.chain.errors import FeeTooLow, NonceTooLow, ReplacementUnderpriced
from keeper.execution.allowlist import AllowList
from keeper.execution.ending import Ending, Pursued, Reaction, pursued
from keeper.execution.errors import ChainBehindError, DroppedLandedError, LaneGapError, LaneTakenError
from keeper.execution.l1_fee import L1Fees
from keeper.execution.ledger import Ledger
from keeper.execution.limits import Limits, Pace
from keeper.execution.node import NODE_TROUBLE, Node
from keeper.execution.sending import Sending
from keeper.execution.signer import Signer
from keeper.model.canonical import digest
from keeper.model.intent import OPEN, TxIntent, TxState, intent_id
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI
from keeper.store.rows import Attempt, StoredIntent

_PURSUED: Final = (TxState.SIGNED, TxState.SENT, TxState.CONFIRMED)
_LONGEST_POLL_S: Final = 1.0
_VERSIONS_AT_ONCE: Final = 3
"""A node that finds a bid too low is answered this often at once; then the next cycle goes on."""


class Lane:
    """Sends and pursues the transactions of one signer on one chain, one at a time."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        signer: Signer,
        *,
        limits: Limits,
        allowed: AllowList,
        l1_fees: L1Fees,
        abis: Sequence[str],
        final_after_blocks: int,
        pace: Pace,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._limits = limits
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._sending = Sending(
            node, ledger, signer, limits=limits, allowed=allowed, l1_fees=l1_fees, clock=clock
        )
        self._ending = Ending(
            node,
            ledger,
            signer.address,
            abis=abis,
            final_after_blocks=final_after_blocks,
            pace=pace,
            sleep=sleep,
        )

    @property
    def key(self) -> tuple[int, Address]:
        """(chain id, signer): what a nonce belongs to."""
        return self._sending.key

    def open(self) -> StoredIntent | None:
        """Return the transaction that is on its way, lowest nonce first; None when the lane is free."""
        under_way = self._under_way()
        return under_way[0] if under_way else None

    def gives_way(self, front: StoredIntent) -> bool:
        """Whether urgent work may take the nonce over from the lane's front transaction.

        Only when that is sent and not urgent, and when no other transaction of an action is behind it: that
        one would rest on its effect. One that fills a nonce has no effect.
        """
        if front.urgent or front.state is not TxState.SENT:
            return False
        return front.kind == "lane" or len(self._under_way()) == 1

    def require_room(self, steps: Sequence[StoredIntent]) -> None:
        """Check that all steps of an action can be paid for. Raises as `Sending.require_room` does."""
        self._sending.require_room(steps)

    def send(self, simulated: StoredIntent) -> str:
        """Sign a simulated intent, with its gas and budget, and hand it to the node.

        Returns the node's trouble, empty when it took it.

        Raises `HaltedError`, `NotAllowedError`, `LimitError`, `LaneTakenError` or node trouble before
        anything is signed. Once it is signed nothing is raised for the node's answers: it may land whatever
        they say.
        """
        head = self._node.head()
        front = self._front()
        if front is None:
            attempt = self._sending.sign_first(simulated, head)
        elif simulated.urgent and self.gives_way(front):
            attempt = self._sending.sign_over(simulated, front, head)
        else:
            raise LaneTakenError(f"{front.kind} of {front.subject}", front.nonce)
        if self._ledger.store.halted() is not None:
            return "halted before it was sent"
        return self._launch(simulated.intent.id, attempt)

    def ended_aside(self) -> tuple[StoredIntent, ...]:
        """Return the intents that ended while others were pursued, since this was last asked."""
        return tuple(self._get(identity) for identity in self._ending.take_aside())

    def wait(self, identity: str, patience_s: float, stop: Callable[[], bool]) -> None:
        """Pursue an open intent until it has ended, or until `patience_s` have passed, or until `stop`."""
        until_s = self._clock() + patience_s
        pause_s = self._pace.poll_s
        seen: int | None = None
        while True:
            stored = self._get(identity)
            if stored.state not in OPEN:
                return
            try:
                if (landed := self._ending.landed(stored)) is not None:
                    self._ending.settle(stored, *landed)
                    return
                head = self._node.head()
                if seen is not None and head.number != seen:
                    self._pursue(stored, head, may_send=self._ledger.store.halted() is None)
                seen = head.number
            except NODE_TROUBLE:
                pass  # it may answer again before the time is up
            if self._clock() >= until_s or stop():
                return
            self._sleep(pause_s)
            pause_s = min(_LONGEST_POLL_S, 2 * pause_s)

    def advance(self) -> tuple[Pursued, ...]:
        """Take every transaction of the lane that is not final one step further, in order of nonces.

        While halted nothing is sent; receipts are still noted. Raises node trouble; raises
        `ChainBehindError`, `LaneGapError` and `DroppedLandedError`, and halts the store with each.
        """
        may_send = self._ledger.store.halted() is None
        head = self._node.head()
        try:
            self._ending.require_sane(head)
            done = [
                self._pursue(stored, head, may_send=may_send)
                for stored in self._ledger.intents.within(_PURSUED, lane=self.key)
                if stored.displaced_by is None
            ]
            return (*done, *(self._fill_gap(head) if may_send else ()))
        except (ChainBehindError, LaneGapError, DroppedLandedError) as error:
            self._ledger.store.halt(str(error), by="keeper")
            raise

    def _under_way(self) -> tuple[StoredIntent, ...]:
        under_way = self._ledger.intents.within(OPEN, lane=self.key)
        return tuple(stored for stored in under_way if stored.displaced_by is None)

    def _front(self) -> StoredIntent | None:
        """Return what is on its way by now: what has landed, or cannot any more, is settled first."""
        while (front := self.open()) is not None and front.state is TxState.SENT:
            if (landed := self._ending.landed(front)) is not None:
                self._ending.settle(front, *landed)
            elif not (
                self._ending.nonce_used(front)
                and self._ending.lost_nonce(front).reaction is not Reaction.WAITING
            ):
                return front
            self._ending.note_aside(front.intent.id)
        return front

    # One step of one transaction

    def _pursue(self, stored: StoredIntent, head: BlockRef, *, may_send: bool) -> Pursued:
        if stored.state is TxState.CONFIRMED:
            return self._pursue_confirmed(stored, head, may_send=may_send)
        if stored.state is TxState.SENT:
            return self._pursue_sent(stored, head, may_send=may_send)
        if not may_send:
            return pursued(stored, Reaction.WAITING, "halted before it was sent")
        return self._pursue_signed(stored, head)

    def _pursue_signed(self, stored: StoredIntent, head: BlockRef) -> Pursued:
        """Send what a crash kept from being sent: the same bytes, or a cancellation when it is late."""
        newest = self._newest(stored)
        if not newest.cancels and head.number > stored.intent.valid_until_block:
            self._ledger.move(stored.intent.id, TxState.SENT, "not sent in time: to be cancelled")
            return self._pursue_sent(self._get(stored.intent.id), head, may_send=True)
        trouble = self._launch(stored.intent.id, newest)
        return self._after_launch(stored, Reaction.RESENT, trouble)

    def _pursue_sent(self, stored: StoredIntent, head: BlockRef, *, may_send: bool) -> Pursued:
        if (landed := self._ending.landed(stored)) is not None:
            return self._ending.settle(stored, *landed)
        if self._ending.nonce_used(stored):
            return self._ending.lost_nonce(stored)
        if not may_send:
            return pursued(stored, Reaction.WAITING, "halted: not pursued")
        newest = self._newest(stored)
        late = head.number > stored.intent.valid_until_block
        stuck = head.number >= newest.signed_at_block + self._pace.bump_after_blocks
        if stuck or (late and not newest.cancels):
            return self._replace(stored, newest, head, cancels=late or newest.cancels)
        if self._node.transaction_known(newest.tx_hash):
            return pursued(stored, Reaction.WAITING, "in the node's pool")
        trouble = self._sending.broadcast(newest)
        if isinstance(trouble, NonceTooLow):
            return self._ending.lost_nonce(stored)
        if isinstance(trouble, ReplacementUnderpriced | FeeTooLow):
            return self._replace(stored, newest, head, cancels=newest.cancels)
        return pursued(stored, Reaction.RESENT, str(trouble or ""))

    def _pursue_confirmed(self, stored: StoredIntent, head: BlockRef, *, may_send: bool) -> Pursued:
        landed = self._ending.landed(stored)
        if landed is not None and landed[1].block_hash == stored.block_hash:
            return self._ending.finalize(stored, head)
        text = self._ending.reopen(stored)
        reopened = self._get(stored.intent.id)
        if landed is not None:
            self._ending.settle(reopened, *landed)
        else:
            self._pursue_sent(reopened, head, may_send=may_send)
        return pursued(stored, Reaction.REOPENED, text)

    def _replace(self, stored: StoredIntent, newest: Attempt, head: BlockRef, *, cancels: bool) -> Pursued:
        attempt = self._sending.sign_dearer(stored, newest, head, cancels=cancels)
        if attempt is not None:
            trouble = self._launch(stored.intent.id, attempt)
            reaction = Reaction.CANCELLING if cancels else Reaction.REPLACED
            return self._after_launch(stored, reaction, trouble)
        text = "no budget for a dearer version"
        if newest.cancels or not cancels:
            # What is out of date is not put before the node again.
            trouble_now = self._sending.broadcast(newest)
            if isinstance(trouble_now, NonceTooLow):
                return self._ending.lost_nonce(stored)
            text += f"; {trouble_now}" if trouble_now else ""
        return pursued(stored, Reaction.WAITING, text)

    def _launch(self, identity: str, attempt: Attempt) -> str:
        """Note that the bytes leave, and let them. Returns the node's trouble, empty when it has them."""
        self._ledger.move(identity, TxState.SENT)
        for _ in range(_VERSIONS_AT_ONCE):
            trouble = self._sending.broadcast(attempt)
            if isinstance(trouble, NonceTooLow):
                return self._try(lambda: self._ending.lost_nonce(self._get(identity)).text)
            if not isinstance(trouble, ReplacementUnderpriced | FeeTooLow):
                return str(trouble or "")
            refused = attempt
            try:
                dearer = self._sending.sign_dearer(
                    self._get(identity), refused, self._node.head(), cancels=refused.cancels
                )
            except NODE_TROUBLE as worse:
                return str(worse)
            if dearer is None:
                break
            attempt = dearer
            self._ledger.move(identity, TxState.SENT)
        return str(trouble)

    def _try(self, look: Callable[[], str]) -> str:
        """Look at the chain after the bytes have left: trouble is for the next cycle then."""
        try:
            return look()
        except NODE_TROUBLE as trouble:
            return str(trouble)

    def _after_launch(self, stored: StoredIntent, reaction: Reaction, trouble: str) -> Pursued:
        now = self._get(stored.intent.id)
        if now.state is TxState.DROPPED:
            return pursued(now, Reaction.DROPPED, now.reason)
        return pursued(now, Reaction.ADOPTED if now.state is TxState.CONFIRMED else reaction, trouble)

    # Gaps

    def _fill_gap(self, head: BlockRef) -> tuple[Pursued, ...]:
        """Use up a nonce below our lowest open one that a reorg or a lost pool left to nobody."""
        under_way = self.open()
        if under_way is None or under_way.nonce is None:
            return ()
        counted = self._node.nonce(self.key[1], "latest")
        if counted >= under_way.nonce or self._node.nonce(self.key[1], "pending") > counted:
            return ()
        if counted in self._landed_nonces():
            # The node lags, or a reorg took it since we looked: the next cycle opens it again.
            return ()
        if under_way.nonce - counted > self._pace.max_fill:
            raise LaneGapError(*self.key, counted=counted, lowest=under_way.nonce)
        planned = self._filler(counted, under_way, head)
        attempt = self._sending.sign_filler(planned, counted, head)
        if attempt is None:
            return ()
        trouble = self._launch(planned.intent.id, attempt)
        return (self._after_launch(planned, Reaction.FILLED, trouble),)

    def _landed_nonces(self) -> frozenset[int | None]:
        """Return the nonces of our own that are mined as far as we know."""
        landed = self._ledger.intents.within((TxState.CONFIRMED, TxState.FINALIZED), lane=self.key)
        return frozenset(stored.nonce for stored in landed)

    def _filler(self, nonce: int, under_way: StoredIntent, head: BlockRef) -> StoredIntent:
        chain_id, own = self.key
        action = digest({"lane": chain_id, "signer": own, "nonce": nonce})[:32]
        episode = self._ledger.intents.ended(action)
        identity = intent_id(
            action_id=action, episode=str(episode), sequence=0, chain_id=chain_id, to=own, data="0x"
        )
        intent = TxIntent(
            id=identity,
            action_id=action,
            cycle_id=under_way.intent.cycle_id,
            chain_id=chain_id,
            sender=own,
            to=own,
            data="0x",
            value=NO_WEI,
            gas=self._sending.transfer_gas(),
            max_fee=self._limits.max_gas_wei_per_tx,
            valid_until_block=head.number + self._limits.valid_blocks,
        )
        reason = f"nonce {nonce} is used by nobody and holds up nonce {under_way.nonce}"
        return StoredIntent(
            intent=intent,
            episode=episode,
            sequence=0,
            kind="lane",
            subject=f"{chain_id}/{own}",
            reason=reason,
        )

    def _newest(self, stored: StoredIntent) -> Attempt:
        return self._ledger.intents.attempts(stored.intent.id)[-1]

    def _get(self, identity: str) -> StoredIntent:
        stored = self._ledger.intents.get(identity)
        assert stored is not None
        return stored
