"""How a transaction ends: mined, reverted, cancelled by us, or overtaken by another with its nonce."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from keeper.chain.transactions import Receipt
from keeper.execution.errors import ChainBehindError, DroppedLandedError
from keeper.execution.ledger import Ledger
from keeper.execution.limits import Pace
from keeper.execution.node import NODE_TROUBLE, Node
from keeper.execution.promise import breach_of
from keeper.model.intent import OPEN, TxIntent, TxState
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.store.rows import Attempt, Move, StoredIntent


class Reaction(StrEnum):
    """What was done about a transaction."""

    ADOPTED = "adopted"
    """It was mined; we only had to note it."""

    RESENT = "re-sent"
    REPLACED = "replaced"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FILLED = "filled"
    """A nonce that a reorg left to nobody was used up, so that the lane goes on."""

    DROPPED = "dropped"
    REOPENED = "reopened"
    FINALIZED = "finalized"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pursued:
    """One line of a report: an intent, and what was done about it."""

    intent_id: str
    chain_id: int
    nonce: int | None
    reaction: Reaction
    text: str


def pursued(stored: StoredIntent, reaction: Reaction, text: str = "") -> Pursued:
    """Return the line of an intent."""
    return Pursued(
        intent_id=stored.intent.id,
        chain_id=stored.intent.chain_id,
        nonce=stored.nonce,
        reaction=reaction,
        text=text,
    )


class Ending:
    """Finds and notes the ends of one lane's transactions. Sends nothing, and needs no key."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        address: Address,
        *,
        abis: Sequence[str],
        final_after_blocks: int,
        pace: Pace,
        sleep: Callable[[float], None],
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._address = address
        self._abis = tuple(abis)
        self._final_after_blocks = final_after_blocks
        self._pace = pace
        self._sleep = sleep
        self._aside: list[str] = []

    def note_aside(self, intent_id: str) -> None:
        """Remember an intent that ended while another was looked at."""
        self._aside.append(intent_id)

    def take_aside(self) -> tuple[str, ...]:
        """Return those, and forget them."""
        taken = tuple(dict.fromkeys(self._aside))
        self._aside.clear()
        return taken

    def landed(self, stored: StoredIntent) -> tuple[Attempt, Receipt] | None:
        """Return the version that was mined, looking at the newest first; None while none is."""
        for attempt in reversed(self._ledger.intents.attempts(stored.intent.id)):
            receipt = self._node.receipt(attempt.tx_hash)
            if receipt is not None:
                return attempt, receipt
        return None

    def settle(self, stored: StoredIntent, attempt: Attempt, receipt: Receipt) -> Pursued:
        """Note a receipt: confirmed, with the reason where it reverted; dropped where it cancelled.

        Raises `UnpromisedTransferError`, with the store halted and the receipt noted.
        """
        intent = stored.intent
        block = self._node.block(receipt.block_number)
        succeeded = receipt.status == 1
        cancelled = attempt.cancels and stored.kind != "lane"
        reason = ""
        if cancelled:
            reason = f"not mined by block {intent.valid_until_block}: cancelled at nonce {attempt.nonce}"
        elif not succeeded:
            reason = self._why_reverted(intent, receipt)
        changes = {
            "tx_hash": attempt.tx_hash,
            "block_number": receipt.block_number,
            "block_hash": receipt.block_hash,
            "block_time_s": None if block is None else block.timestamp_s,
            "success": None if cancelled else succeeded,
            "gas_used": receipt.gas_used,
            "fee": receipt.gas_used * receipt.effective_gas_price + receipt.l1_fee,
            "displaced_by": None,
        }
        own = Move(
            intent_id=intent.id,
            to=TxState.DROPPED if cancelled else TxState.CONFIRMED,
            reason=reason,
            changes=tuple(changes.items()),
        )
        breach = None if cancelled else breach_of(stored, receipt)
        if breach is not None:
            # First, because a crash after the receipt was noted would not look at it again.
            self._ledger.store.halt(str(breach), by="keeper")
        rival = self._rival(stored)
        if rival is None:
            self._ledger.move_together([own])
        else:
            # Its place in the index of nonces is given up before the other takes it.
            self._ledger.move_together([_lost_to(rival, stored, receipt.block_number, cancelled), own])
            self.note_aside(rival.intent.id)
        if breach is not None:
            raise breach
        return pursued(stored, Reaction.CANCELLED if cancelled else Reaction.ADOPTED, reason)

    def reopen(self, stored: StoredIntent) -> str:
        """Forget a receipt that the chain no longer has. Returns why."""
        reason = f"a reorg took block {stored.block_number} ({stored.block_hash})"
        self._ledger.move(
            stored.intent.id,
            TxState.SENT,
            reason,
            success=None,
            block_number=None,
            block_hash=None,
            block_time_s=None,
            gas_used=None,
            fee=None,
        )
        return reason

    def finalize(self, stored: StoredIntent, head: BlockRef) -> Pursued:
        """End a confirmed transaction whose block is final, and still on the chain."""
        assert stored.block_number is not None
        assert stored.block_hash is not None
        depth = head.number - stored.block_number
        try:
            final = self._node.final_number(head, self._final_after_blocks)
            if stored.block_number > final:
                text = f"{depth} blocks deep, final from block {final} down"
                return pursued(stored, Reaction.WAITING, text)
            if not self._node.canonical(stored.block_number, stored.block_hash):
                text = f"its receipt is of another block {stored.block_number} than the one on the chain"
                return pursued(stored, Reaction.WAITING, text)
        except NODE_TROUBLE as trouble:
            # Nothing waits for it: who knows no final block must not keep others from being pursued.
            return pursued(stored, Reaction.WAITING, str(trouble))
        self._ledger.move(stored.intent.id, TxState.FINALIZED, stored.reason)
        return pursued(stored, Reaction.FINALIZED, f"{depth} blocks deep")

    def nonce_used(self, stored: StoredIntent) -> bool:
        """Whether the chain has a transaction with the intent's nonce."""
        assert stored.nonce is not None
        return self._node.nonce(self._address, "latest") > stored.nonce

    def lost_nonce(self, stored: StoredIntent) -> Pursued:
        """Our nonce is used: by a version of ours whose receipt comes late, or by another transaction."""
        waited_s, pause_s = 0.0, self._pace.poll_s
        rival = self._rival(stored)
        while True:
            if (landed := self.landed(stored)) is not None:
                return self.settle(stored, *landed)
            if rival is not None and (landed := self.landed(rival)) is not None:
                self.settle(rival, *landed)
                self.note_aside(rival.intent.id)
                return pursued(stored, Reaction.DROPPED, f"{rival.kind} of {rival.subject} used its nonce")
            if waited_s >= self._pace.foreign_wait_s:
                break
            self._sleep(pause_s)
            waited_s, pause_s = waited_s + pause_s, 2 * pause_s
        if not self.nonce_used(stored):
            return pursued(stored, Reaction.WAITING, "the node contradicts itself about the nonce")
        reason = f"nonce {stored.nonce} was used by another transaction of {stored.intent.sender}"
        block = (("block_number", self._node.head().number),)
        both = [stored] if rival is None else [stored, rival]
        self._ledger.move_together(
            [Move(intent_id=s.intent.id, to=TxState.DROPPED, reason=reason, changes=block) for s in both]
        )
        if rival is not None:
            self.note_aside(rival.intent.id)
        return pursued(stored, Reaction.DROPPED, reason)

    def _rival(self, stored: StoredIntent) -> StoredIntent | None:
        """Return the intent with the same nonce that may land in place of this one."""
        identity = stored.displaced_by or stored.displaces
        rival = None if identity is None else self._ledger.intents.get(identity)
        if rival is None or rival.state not in OPEN:
            return None
        return rival if stored.intent.id in (rival.displaced_by, rival.displaces) else None

    def require_sane(self, head: BlockRef) -> None:
        """Check that the chain has what we know as final, and lacks what we gave up.

        A transaction whose nonce another one used can land after all, when a reorg takes that other one.
        Raises `ChainBehindError` and `DroppedLandedError`.
        """
        lane = self._node.chain_id, self._address
        known = 1 + self._ledger.intents.final_nonce(lane)
        counted = self._node.nonce(self._address, "latest")
        if counted < known:
            raise ChainBehindError(*lane, counted=counted, known=known)
        for stored in self._ledger.intents.dropped_since(lane, self._undoable_since(head)):
            landed = self.landed(stored)
            if landed is not None and not landed[0].cancels:
                raise DroppedLandedError(stored.intent.id, landed[0].tx_hash)

    def _undoable_since(self, head: BlockRef) -> int:
        """Return the number of the last block that no reorg takes."""
        try:
            return self._node.final_number(head, self._final_after_blocks)
        except NODE_TROUBLE:
            return head.number - self._final_after_blocks

    def _why_reverted(self, intent: TxIntent, receipt: Receipt) -> str:
        try:
            why = self._node.revert_reason(
                sender=intent.sender,
                to=intent.to,
                data=intent.data,
                value=intent.value,
                block_number=receipt.block_number,
                abis=self._abis,
            )
        except NODE_TROUBLE:
            why = ""
        return why or "reverted without a reason that can be found"


def _lost_to(rival: StoredIntent, winner: StoredIntent, block_number: int, cancelled: bool) -> Move:
    """Return the end of an intent whose nonce another one of ours has used."""
    other = f"{winner.kind} of {winner.subject} at nonce {winner.nonce}"
    if winner.displaces == rival.intent.id:
        reason = f"displaced by {other}{', which was cancelled in the end' if cancelled else ''}"
    else:
        reason = f"{other} landed before it could be displaced"
    return Move(
        intent_id=rival.intent.id,
        to=TxState.DROPPED,
        reason=reason,
        changes=(("block_number", block_number),),
    )
