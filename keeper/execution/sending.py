"""Signing versions of a lane's transactions, and handing them to the node.

| the node's answer | what it means | reaction |
| --- | --- | --- |
| taken, "already known" | it has the bytes | wait for the receipt |
| "nonce too low" | the nonce is used | look for our receipt; without one, somebody else used it: dropped |
| "replacement underpriced", "fee too low" | it wants more | a dearer version at once, within the budget |
| "insufficient funds" | the signer is out of native coin | stays open; the same bytes again next cycle |
| "nonce too high" | a nonce below is missing | stays open; the lane fills the gap |
| "txpool is full", its account limit | no room just now | stays open; the same bytes again next cycle |
| gas limit too low or too high | it never takes these bytes | stays open; cancelled once out of date |
| anything else, or no answer | unknown | stays open; the same bytes again next cycle |
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from keeper.chain.errors import AbiMismatch, AlreadyKnown, BroadcastRefused, NodeUnreachable
from keeper.execution.allowlist import AllowList
from keeper.execution.errors import BudgetError, HaltedError, LaneTakenError, LimitError
from keeper.execution.fees import (
    Bid,
    first_bid,
    gas_limit,
    price_now,
    replacement_bid,
    replacement_price,
)
from keeper.execution.l1_fee import NO_L1_FEE, L1Fee, L1Fees
from keeper.execution.ledger import Ledger
from keeper.execution.limits import DAY_S, Limits, Purse, check_limits
from keeper.execution.node import Node
from keeper.execution.signer import Signer
from keeper.execution.signer.errors import SignedOtherwise
from keeper.model.intent import Simulation, TxIntent
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI, Wei
from keeper.store.rows import Attempt, StoredIntent

_LONGEST_NONCE: Final = 2**32 - 1
_LONGEST_FEE: Final = Wei(2**48 - 1)
"""Six bytes: 281,474 gwei."""


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
        l1_fees: L1Fees,
        clock: Callable[[], float],
    ) -> None:
        self._l1_fees = l1_fees
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

    def require_room(self, steps: Sequence[StoredIntent]) -> None:
        """Check that all steps of an action can be paid for together, before the first of them is signed.

        A step whose gas is not known yet, which is 0, counts with its whole budget. Raises `LimitError`,
        `BudgetError` and node trouble.
        """
        worst_fees: list[Wei] = []
        purse = Purse.ORDINARY
        for step in steps:
            if step.intent.gas == 0:
                worst_fees.append(step.intent.max_fee)
                continue
            l1_fee = self._l1_fee(step.intent, step.intent.gas)
            bid, purse = self._first_bid(step, l1_fee)
            worst_fees.append(Wei(step.intent.gas * bid.fee_per_gas + l1_fee.on_top))
        value = Wei(sum(step.intent.value for step in steps))
        self._check_limits(steps[0], worst_fees, value, purse)

    def sign_first(self, stored: StoredIntent, head: BlockRef) -> Attempt:
        """Take the lane's next nonce, sign, and keep the bytes.

        Raises `HaltedError`, `NotAllowedError`, `LimitError`, `BudgetError`, `SignedOtherwise`, or trouble
        of node or signer; then no nonce is taken.
        """
        intent = stored.intent
        self._require_not_halted()
        self._allowed.check(intent.chain_id, intent.to, intent.data)
        l1_fee = self._l1_fee(intent, intent.gas)
        bid, purse = self._first_bid(stored, l1_fee)
        worst_fee = Wei(intent.gas * bid.fee_per_gas + l1_fee.on_top)
        self._check_limits(stored, [worst_fee], intent.value, purse)
        # A transaction that waits in the node's pool and is not ours keeps its nonce.
        at_least = max(self._node.nonce(self._signer.address, tag) for tag in ("latest", "pending"))

        def make(nonce: int) -> Attempt:
            return self._sign(intent, nonce=nonce, gas=intent.gas, bid=bid, l1_fee=l1_fee, head=head)

        with self._halting():
            return self._ledger.sign(intent.id, self.key, at_least, make)

    def sign_over(self, stored: StoredIntent, displaced: StoredIntent, head: BlockRef) -> Attempt:
        """Sign at the nonce of a transaction on its way, at fees that replace it, and keep the bytes.

        The fees are within the budget and the caps of `stored`. Raises `LaneTakenError` where the fee market
        forbids it, and as `sign_first` does; then the other keeps its nonce.
        """
        intent = stored.intent
        self._require_not_halted()
        self._allowed.check(intent.chain_id, intent.to, intent.data)
        newest = self._ledger.intents.attempts(displaced.intent.id)[-1]
        last = Bid(fee_per_gas=newest.fee_per_gas, priority_per_gas=newest.priority_per_gas)
        l1_fee = self._l1_fee(intent, intent.gas)
        fees = self._node.fees()
        needed = replacement_price(last, fees)
        purse = self._limits.purse(stored.kind, stored.urgent, needed)
        key, cap_per_gas = self._fee_cap(purse)
        affordable = (self._budget(intent, purse) - l1_fee.on_top) // intent.gas
        allowed = min(cap_per_gas, affordable)
        bid = replacement_bid(last, fees, allowed) if needed <= allowed else None
        if bid is None:
            by = f"limits.{key}" if cap_per_gas <= affordable else f"its budget of {intent.max_fee} wei"
            why = f"its nonce costs at least {needed} wei per gas, {by} allows {max(0, allowed)}"
            raise LaneTakenError(f"{displaced.kind} of {displaced.subject}", displaced.nonce, why)
        worst_fee = Wei(intent.gas * bid.fee_per_gas + l1_fee.on_top)
        purse = self._limits.purse(stored.kind, stored.urgent, bid.fee_per_gas)
        self._check_limits(stored, [worst_fee], intent.value, purse, nonce=newest.nonce)
        with self._halting():
            attempt = self._sign(
                intent, nonce=newest.nonce, gas=intent.gas, bid=bid, l1_fee=l1_fee, head=head
            )
        reason = f"takes nonce {newest.nonce} over from {displaced.kind} of {displaced.subject}"
        self._ledger.take_over(intent.id, displaced.intent.id, attempt, reason)
        return attempt

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
        l1_fee = self._l1_fee(intent, gas, cancels=cancels)
        fees = self._node.fees()
        purse = self._purse(stored, max(price_now(fees), newest.fee_per_gas))
        cap_per_gas = (self._budget(intent, purse) - l1_fee.on_top) // gas
        if not cancels:
            cap_per_gas = min(cap_per_gas, self._fee_cap(purse)[1])
        last = Bid(fee_per_gas=newest.fee_per_gas, priority_per_gas=newest.priority_per_gas)
        bid = replacement_bid(last, fees, cap_per_gas)
        if bid is None:
            return None
        versions = self._ledger.intents.attempts(intent.id)
        worst_fee = Wei(
            max(gas * bid.fee_per_gas + l1_fee.on_top, *(version.worst_fee for version in versions))
        )
        value = NO_WEI if cancels else intent.value
        try:
            self._check_limits(
                stored, [worst_fee], value, self._purse(stored, bid.fee_per_gas), nonce=newest.nonce
            )
        except LimitError:
            return None
        with self._halting():
            attempt = self._sign(
                intent,
                nonce=newest.nonce,
                gas=gas,
                bid=bid,
                l1_fee=l1_fee,
                head=head,
                number=newest.number + 1,
                cancels=cancels,
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
            return self._sign(
                intent, nonce=nonce, gas=intent.gas, bid=bid, l1_fee=NO_L1_FEE, head=head, cancels=True
            )

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

    def _purse(self, stored: StoredIntent, fee_per_gas: int) -> Purse:
        return self._limits.purse(stored.kind, stored.urgent, fee_per_gas)

    def _budget(self, intent: TxIntent, purse: Purse) -> Wei:
        """Return the most that an intent may cost on a purse."""
        if purse is Purse.EMERGENCY:
            return intent.max_fee
        return min(intent.max_fee, self._limits.max_gas_wei_per_tx)

    def _fee_cap(self, purse: Purse) -> tuple[str, Wei]:
        """Return the highest fee per gas on a purse, after its key under [limits]."""
        if purse is Purse.EMERGENCY:
            return "emergency_max_fee_gwei", self._limits.emergency_max_fee_per_gas
        return "max_fee_gwei", self._limits.max_fee_per_gas

    def _l1_fee(self, intent: TxIntent, gas: int, *, cancels: bool = False) -> L1Fee:
        """Return the layer-1 part of an intent's transaction, at the longest nonce and fees it could have."""
        longest = Bid(fee_per_gas=_LONGEST_FEE, priority_per_gas=_LONGEST_FEE)
        return self._l1_fees.of(_fields(intent, nonce=_LONGEST_NONCE, gas=gas, bid=longest, cancels=cancels))

    def _first_bid(self, stored: StoredIntent, l1_fee: L1Fee) -> tuple[Bid, Purse]:
        """Return what a first version bids now, and what pays for it."""
        fees, gas = self._node.fees(), stored.intent.gas
        needed = price_now(fees)
        purse = self._purse(stored, needed)
        key, cap_per_gas = self._fee_cap(purse)
        budget = self._budget(stored.intent, purse)
        affordable = (budget - l1_fee.on_top) // gas
        if needed > affordable:
            l1_part = l1_fee.on_top + l1_fee.within_gas * needed
            wanted = Wei(needed * gas + l1_fee.on_top)
            raise BudgetError(wanted=wanted, budget=budget, l1_fee=Wei(l1_part))
        bid = first_bid(fees, min(affordable, cap_per_gas))
        if bid is None:
            raise LimitError(key, wanted=needed, allowed=cap_per_gas)
        return bid, self._purse(stored, bid.fee_per_gas)

    def _check_limits(
        self,
        stored: StoredIntent,
        worst_fees: Sequence[Wei],
        value: Wei,
        purse: Purse,
        *,
        nonce: int | None = None,
    ) -> None:
        """Check what may be spent on a purse. `nonce` is that of a replacement, or one that is taken over."""
        now_s = self._clock()
        once: dict[int, tuple[float, Wei]] = {}
        purse_of = self._limits.purse
        for other in self._ledger.store.spending.spent(self.key, now_s - DAY_S, besides=stored.intent.id):
            if purse_of(other.kind, other.urgent, other.fee_per_gas) is purse:
                # At most one of those that were signed at one nonce lands.
                known = once.get(other.nonce)
                mine = other.at_s, other.cost
                once[other.nonce] = (
                    mine if known is None else (max(known[0], mine[0]), max(known[1], mine[1]))
                )
        _, rival = once.pop(nonce, (0.0, NO_WEI)) if nonce is not None else (0.0, NO_WEI)
        check_limits(
            self._limits,
            worst_fees=[max(fee, rival) for fee in worst_fees],
            value=value,
            native=self._node.native(self._signer.address),
            spent=list(once.values()),
            now_s=now_s,
            purse=purse,
        )

    def _sign(
        self,
        intent: TxIntent,
        *,
        nonce: int,
        gas: int,
        bid: Bid,
        l1_fee: L1Fee,
        head: BlockRef,
        number: int = 0,
        cancels: bool = False,
    ) -> Attempt:
        signed = self._signer.sign(_fields(intent, nonce=nonce, gas=gas, bid=bid, cancels=cancels))
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
            l1_fee=l1_fee.on_top,
        )


def _fields(intent: TxIntent, *, nonce: int, gas: int, bid: Bid, cancels: bool) -> dict[str, Any]:
    """Return the transaction of an intent, or the transfer to ourselves that cancels it."""
    return {
        "chainId": intent.chain_id,
        "nonce": nonce,
        "to": intent.sender if cancels else intent.to,
        "value": 0 if cancels else intent.value,
        "data": "0x" if cancels else intent.data,
        "gas": gas,
        **bid.fields(),
    }
