"""Signing versions of a lane's transactions, and handing them to the node.

| the node's answer | what it means | reaction |
| --- | --- | --- |
| taken, "already known" | it has the bytes | wait for the receipt |
| "nonce too low" | the nonce is used | look for our receipt; without one, somebody else used it: dropped |
| "replacement underpriced", "fee too low" | it wants more | a dearer version at once, within the budget |
| "insufficient funds" | the signer is out of native coin | stays open; the same bytes again next cycle |
| "nonce too high" | a nonce below is missing | stays open; the lane fills the gap |
| anything else, or no answer | unknown | stays open; the same bytes again next cycle |
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keeper.chain.errors import AbiMismatch, AlreadyKnown, BroadcastRefused, NodeUnreachable
from keeper.execution.allowlist import AllowList
from keeper.execution.errors import BudgetError, HaltedError, LimitError
from keeper.execution.fees import Bid, first_bid, gas_limit, price_now, replacement_bid
from keeper.execution.ledger import Ledger
from keeper.execution.limits import DAY_S, Limits, check_limits
from keeper.execution.node import Node
from keeper.execution.signer import Signer
from keeper.execution.signer.errors import SignedOtherwise
from keeper.model.intent import Simulation, TxIntent
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI, Wei
from keeper.store.rows import Attempt, StoredIntent


class Sending:
    """Holds the signer of a lane. What it signs is allowed, within limits, and kept before anybody has it."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        signer: Signer,
        *,
        limits: Limits,
        allowed: AllowList,
        clock: Callable[[], float],
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._signer = signer
        self._limits = limits
        self._allowed = allowed
        self._clock = clock

    @property
    def key(self) -> tuple[int, Address]:
        """(chain id, signer)."""
        return self._node.chain_id, self._signer.address

    def sign_first(self, intent: TxIntent, head: BlockRef) -> Attempt:
        """Take the lane's next nonce, sign, and keep the bytes.

        Raises `HaltedError`, `NotAllowedError`, `LimitError`, `BudgetError`, `SignedOtherwise`, or trouble
        of node or signer; then no nonce is taken.
        """
        self._require_not_halted()
        self._allowed.check(intent.chain_id, intent.to, intent.data)
        bid = self._first_bid(intent)
        self._check_limits(intent, Wei(intent.gas * bid.fee_per_gas), intent.value)
        # A transaction that waits in the node's pool and is not ours keeps its nonce.
        at_least = max(self._node.nonce(self._signer.address, tag) for tag in ("latest", "pending"))

        def make(nonce: int) -> Attempt:
            return self._sign(
                intent, number=0, nonce=nonce, gas=intent.gas, bid=bid, head=head, cancels=False
            )

        with self._halting():
            return self._ledger.sign(intent.id, self.key, at_least, make)

    def sign_dearer(
        self, stored: StoredIntent, newest: Attempt, head: BlockRef, *, cancels: bool
    ) -> Attempt | None:
        """Sign and keep a dearer version at the same nonce; None when budget or limits forbid it.

        A version that cancels may exceed the cap on the fee per gas: it is small, and it frees the lane. The
        intent's own budget still binds it.
        """
        self._require_not_halted()
        intent = stored.intent
        gas = newest.gas
        if cancels and not newest.cancels:
            gas = self.transfer_gas()
        cap_per_gas = intent.max_fee // gas
        if not cancels:
            cap_per_gas = min(cap_per_gas, self._limits.max_fee_per_gas)
        last = Bid(fee_per_gas=newest.fee_per_gas, priority_per_gas=newest.priority_per_gas)
        bid = replacement_bid(last, self._node.fees(), cap_per_gas)
        if bid is None:
            return None
        versions = self._ledger.intents.attempts(intent.id)
        worst_fee = Wei(max(gas * bid.fee_per_gas, *(version.worst_fee for version in versions)))
        try:
            self._check_limits(intent, worst_fee, NO_WEI if cancels else intent.value)
        except LimitError:
            return None
        number = newest.number + 1
        with self._halting():
            attempt = self._sign(
                intent, number=number, nonce=newest.nonce, gas=gas, bid=bid, head=head, cancels=cancels
            )
        reason = "cancelled by a transfer to ourselves" if cancels else "replaced at a higher fee"
        self._ledger.sign_again(intent.id, attempt, reason)
        return attempt

    def sign_filler(self, planned: StoredIntent, nonce: int, head: BlockRef) -> Attempt | None:
        """Sign and keep a transfer to ourselves at a nonce that nobody uses; None above the fee cap."""
        self._require_not_halted()
        intent = planned.intent
        bid = first_bid(self._node.fees(), self._limits.max_fee_per_gas)
        if bid is None:
            return None

        def make(nonce: int) -> Attempt:
            return self._sign(intent, number=0, nonce=nonce, gas=intent.gas, bid=bid, head=head, cancels=True)

        simulation = Simulation(ok=True, gas=intent.gas, error=None, block_number=head.number)
        with self._halting():
            return self._ledger.fill(planned, nonce, simulation, make)

    def broadcast(self, attempt: Attempt) -> BroadcastRefused | NodeUnreachable | AbiMismatch | None:
        """Hand the bytes to the node. Returns what it objects to; None when it has them.

        An objection does not prove that it has them not: only a receipt or a used nonce ends the matter.
        """
        crash_at = self._ledger.store.crash_at
        crash_at("broadcast.before")
        try:
            self._node.broadcast("0x" + attempt.raw.hex())
        except AlreadyKnown:
            return None
        except (BroadcastRefused, NodeUnreachable, AbiMismatch) as trouble:
            return trouble
        finally:
            crash_at("broadcast.after")
        return None

    def transfer_gas(self) -> int:
        """Gas limit of a transfer to ourselves: above 21,000 where it pays for another layer too."""
        own = self._signer.address
        return gas_limit(self._node.simulate(sender=own, to=own, data="0x").gas or 21_000)

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """Halt the store when the signer signs something else: at a restart it would do so again."""
        try:
            yield
        except SignedOtherwise as error:
            self._ledger.store.halt(str(error), by="keeper")
            raise

    def _require_not_halted(self) -> None:
        halt = self._ledger.store.halted()
        if halt is not None:
            raise HaltedError(halt.reason, halt.by)

    def _first_bid(self, intent: TxIntent) -> Bid:
        fees = self._node.fees()
        needed = price_now(fees)
        affordable = intent.max_fee // intent.gas
        if needed > affordable:
            raise BudgetError(wanted=Wei(needed * intent.gas), budget=intent.max_fee)
        bid = first_bid(fees, min(affordable, self._limits.max_fee_per_gas))
        if bid is None:
            raise LimitError("max_fee_gwei", wanted=needed, allowed=self._limits.max_fee_per_gas)
        return bid

    def _check_limits(self, intent: TxIntent, worst_fee: Wei, value: Wei) -> None:
        now_s = self._clock()
        check_limits(
            self._limits,
            worst_fee=worst_fee,
            value=value,
            native=self._node.native(self._signer.address),
            spent=self._ledger.intents.costs(self.key, now_s - DAY_S, besides=intent.id),
            now_s=now_s,
        )

    def _sign(
        self,
        intent: TxIntent,
        *,
        number: int,
        nonce: int,
        gas: int,
        bid: Bid,
        head: BlockRef,
        cancels: bool,
    ) -> Attempt:
        signed = self._signer.sign(
            {
                "chainId": intent.chain_id,
                "nonce": nonce,
                "to": intent.sender if cancels else intent.to,
                "value": 0 if cancels else intent.value,
                "data": "0x" if cancels else intent.data,
                "gas": gas,
                **bid.fields(),
            }
        )
        return Attempt(
            intent_id=intent.id,
            number=number,
            nonce=nonce,
            cancels=cancels,
            tx_hash=signed.tx_hash,
            raw=signed.raw,
            gas=gas,
            fee_per_gas=bid.fee_per_gas,
            priority_per_gas=bid.priority_per_gas,
            signed_at_block=head.number,
        )
