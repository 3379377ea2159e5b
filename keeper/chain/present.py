"""What is so now: head, final block, nonces, prices, receipts. By one endpoint's word, or by a quorum's."""

from collections.abc import Callable
from typing import TypeVar

from keeper.chain.agreement import Settle, lowest, near, prudent, same
from keeper.chain.errors import FinalityUnknown, NodeUnreachable, TagUnknown
from keeper.chain.facts import Facts
from keeper.chain.pool import NodePool
from keeper.chain.quorum import Quorum
from keeper.chain.settings import Finality, PinAt
from keeper.chain.standstill import Standstill
from keeper.chain.transactions import Fees, Receipt
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef

T = TypeVar("T")


class Present:
    """The present of one chain. What is documented here is what `ChainClient` promises."""

    def __init__(
        self,
        pool: NodePool,
        facts: Facts,
        quorum: Quorum | None,
        standstill: Standstill,
        *,
        name: str,
        finality: Finality,
        finality_fallback: bool,
        max_lag_blocks: int,
    ) -> None:
        self._pool = pool
        self._facts = facts
        self._quorum = quorum
        self._standstill = standstill
        self._name = name
        self._finality = finality
        self._finality_fallback = finality_fallback
        self._max_lag_blocks = max_lag_blocks
        self._final: tuple[BlockRef, int, int] | None = None
        """A head, how many blocks below it were asked for, and the final block then."""

    def require_tags(self, pin_at: PinAt) -> None:
        """Raise `FinalityUnknown` unless the endpoint knows the block tags that are configured."""
        tags = {pin_at.value} | (set() if self._finality_fallback else {self._finality.value})
        for tag in sorted(tags - {PinAt.LATEST.value, Finality.CONFIRMATIONS.value}):
            try:
                self._facts.tagged(tag)
            except TagUnknown as unknown:
                raise FinalityUnknown(self._name, unknown) from None

    def told_head(self) -> BlockRef:
        """Return the latest block of the endpoint in use."""
        block = self._facts.latest()
        self._standstill.note(block)
        return block

    def head(self) -> BlockRef:
        """Return the latest block; with a quorum, one that is not far ahead of what others have."""
        return self._agreed("the head", lambda _: self.told_head(), near(self._max_lag_blocks), Facts.latest)

    def pinned(self, pin_at: PinAt, confirmations: int) -> BlockRef:
        """Return the block `confirmations` below the one of a tag, or the first block.

        Raises `NodeUnreachable`, also while the chain has no such block, and `TagUnknown`.
        """
        top = self.told_head()
        if pin_at is not PinAt.LATEST:
            tagged = self._facts.tagged(pin_at.value)
            if tagged is None:
                raise NodeUnreachable(self._name, (f'{self._pool.current} has no "{pin_at}" block yet',))
            top = tagged
        if confirmations == 0:
            return top
        block = self._facts.block(hex(max(0, top.number - confirmations)))
        if block is None:
            raise NodeUnreachable(self._name, (f"{self._pool.current} lacks a block below its head",))
        return block

    def final_number(self, head: BlockRef, after_blocks: int) -> int:
        """Return the number up to which blocks count as final; negative while none does.

        By confirmations `after_blocks` below the head, else that of the configured tag. With a quorum, the
        lowest of what its endpoints say. Raises `NodeUnreachable`; `TagUnknown` unless there is a fallback.
        """
        if self._final is None or self._final[:2] != (head, after_blocks):

            def final(facts: Facts) -> int:
                if self._finality is not Finality.CONFIRMATIONS:
                    try:
                        tagged = facts.tagged(self._finality.value)
                    except TagUnknown:
                        if not self._finality_fallback:
                            raise
                    else:
                        return -1 if tagged is None else tagged.number
                latest = head if self._quorum is None else facts.latest()
                return min(head.number, latest.number) - after_blocks

            self._final = (head, after_blocks, self._agreed("the final block", final, lowest))
        return self._final[2]

    def canonical(self, number: int, block_hash: str) -> bool:
        """Whether a block is on the chain."""

        def there(facts: Facts) -> bool:
            found = facts.block(hex(number))
            return found is not None and found.hash == block_hash

        return self._agreed(f"block {number}", there, same)

    def nonce(self, address: Address, tag: str) -> int:
        """Return the next nonce of an address: `latest` counts what is mined, `pending` what waits too.

        With a quorum, what is mined must be the same to all, and what waits must be known to all.
        """
        rule: Settle[int] = lowest if tag == "pending" else same
        return self._agreed(f"the nonce of {address}", lambda facts: facts.nonce(address, tag), rule)

    def fees(self) -> Fees:
        """Return what gas will cost in the next block; see `Facts.fees` and `agreement.prudent`."""
        return self._agreed("fees", Facts.fees, prudent)

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt of a mined transaction, else None; with a quorum, where all say so."""
        return self._agreed(f"the receipt of {tx_hash}", lambda facts: facts.receipt(tx_hash), same)

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        """Return what a call answers at the head, by host: one answer, or as many as the quorum."""
        own, by = self._own(lambda facts: facts.view(to, data))
        if self._quorum is None:
            return [(self._pool.current or self._name, own)]
        return self._quorum.all_say(lambda facts: facts.view(to, data), own, by)

    def _agreed(
        self,
        what: str,
        question: Callable[[Facts], T],
        settle: Settle[T],
        of_others: Callable[[Facts], T] | None = None,
    ) -> T:
        """Put a question to the endpoint in use and, with a quorum, to others."""
        if self._quorum is None:
            return question(self._facts)
        return self._quorum.agreed(what, lambda: self._own(question), of_others or question, settle)

    def _own(self, question: Callable[[Facts], T]) -> tuple[T, set[int]]:
        self._pool.answered.clear()
        return question(self._facts), set(self._pool.answered)
