"""From the steps of a draft to one transaction of a Safe, which agrees to its hash and has tried it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from keeper.chain.multicall import frame, unframe
from keeper.chain.transactions import TRANSACTION_GAS, Tx
from keeper.execution.node import Node
from keeper.execution.safe.contract import SafeState, read_hash, refusal, trial
from keeper.execution.safe.draft import Step
from keeper.execution.safe.errors import (
    BatchFailsError,
    HashMismatchError,
    NoMultiSendError,
    NonceUsedError,
)
from keeper.execution.safe.multisend import Part, candidates, multi_send
from keeper.execution.safe.transaction import Hashes, Operation, SafeTx, hashes
from keeper.model.intent import Simulation
from keeper.model.plan import Hedge
from keeper.model.promise import Outflow, unpromised
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef


class SafeNode(Node, Protocol):
    """A chain that a Safe is on."""

    name: str
    multicall: Address

    def code(self, address: Address) -> bytes:
        """Return the code at an address at the head, empty where there is none."""
        ...

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        """Return what a call answers at the head, by host."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One transaction for the owners of a Safe to sign and execute."""

    tx: SafeTx
    hashes: Hashes
    steps: tuple[Step, ...]
    multi_send: Address | None
    """The contract that carries out several steps as one; None for a single one."""

    head: BlockRef
    """The latest block when it was built."""

    gas: int | None
    """Of all steps, as simulated; the Safe's own work comes on top. None where that of a step is unknown."""

    expires_at_s: int | None
    """Chain time after which a trade in it reverts; None where nothing in it ends."""


def proposal_of(node: SafeNode, safe: SafeState, steps: Sequence[Step], nonce: int | None = None) -> Proposal:
    """Return the one transaction that takes some steps, of which there is at least one, in order.

    `nonce` is the Safe's; by default its next. Raises `NonceUsedError`, `NoMultiSendError`,
    `BatchFailsError`, `HashMismatchError`, `SafeUnreadError`, and node trouble.
    """
    head = node.head()
    if nonce is not None and nonce < safe.nonce:
        raise NonceUsedError(nonce, safe.nonce)
    multi_send_at = _multi_send_at(node, safe) if len(steps) > 1 else None
    tx = safe_tx([step.tx for step in steps], multi_send_at, safe.nonce if nonce is None else nonce)
    if multi_send_at is not None:
        _require_together(node, safe.address, steps, tx)
    gas = _gas([step.simulation.gas for step in steps])
    if gas is not None and gas > TRANSACTION_GAS:
        raise BatchFailsError(f"they take {gas:,} gas, a transaction may have {TRANSACTION_GAS:,}")
    deadlines = (step.action.deadline_s for step in steps if isinstance(step.action, Hedge))
    return Proposal(
        tx=tx,
        hashes=_agreed(node, safe, tx, head),
        steps=tuple(steps),
        multi_send=multi_send_at,
        head=head,
        gas=gas,
        expires_at_s=min(deadlines, default=None),
    )


def safe_tx(txs: Sequence[Tx], multi_send_at: Address | None, nonce: int) -> SafeTx:
    """Return the Safe's transaction for calls: the only one as it is, several by `multi_send_at`."""
    if multi_send_at is None:
        (tx,) = txs
        return SafeTx(to=tx.to, value=tx.value, data=tx.data, nonce=nonce)
    return SafeTx(
        to=multi_send_at,
        data=multi_send(parts_of(txs)),
        operation=Operation.DELEGATECALL,
        nonce=nonce,
    )


def parts_of(txs: Sequence[Tx]) -> tuple[Part, ...]:
    """Return calls as a batch holds them."""
    return tuple(Part(to=tx.to, data=tx.data, value=tx.value) for tx in txs)


def _multi_send_at(node: SafeNode, safe: SafeState) -> Address:
    """Return where MultiSendCallOnly is. Raises `NoMultiSendError`."""
    looked_at = candidates(safe.version, safe.singleton)
    found = next((address for address in looked_at if node.code(address)), None)
    if found is None:
        raise NoMultiSendError(safe.version, node.name, looked_at)
    return found


def _require_together(node: SafeNode, safe: Address, steps: Sequence[Step], tx: SafeTx) -> None:
    """Run the steps one after the other, then as the Safe itself would. Raises `BatchFailsError`."""
    rehearsal = node.rehearse(safe, [step.tx for step in steps], ())
    for number, (step, found) in enumerate(zip(steps, rehearsal.simulations, strict=True), start=1):
        if not found.ok and not found.untold:
            raise BatchFailsError(f"step {number}, {step.call}, after those before it: {found.error}")
    if broken := unpromised(rehearsal.transfers or (), [safe], _outflows(steps)):
        raise BatchFailsError(broken)
    abis = tuple(sorted({name for step in steps for name in step.tx.abis}))
    for host, answer in node.views(node.multicall, frame([trial(safe, tx)])):
        (result,) = unframe(answer, 1)
        if reason := refusal(safe, result, abis):
            raise BatchFailsError(f"run by the Safe itself on {host}: {reason}")


def _agreed(node: SafeNode, safe: SafeState, tx: SafeTx, head: BlockRef) -> Hashes:
    """Return the hashes of a transaction that the contract agrees to. Raises `HashMismatchError`."""
    ours = hashes(tx, safe=safe.address, chain_id=safe.chain_id)
    theirs = node.run(read_hash(safe.address, tx), head)
    if ours.safe_tx != theirs:
        raise HashMismatchError(safe.address, ours=ours.safe_tx, contracts=theirs)
    return ours


def _gas(steps: Sequence[int | None]) -> int | None:
    known = [gas for gas in steps if gas is not None]
    return sum(known) if len(known) == len(steps) else None


def _outflows(steps: Sequence[Step]) -> tuple[Outflow, ...]:
    """Return what all actions together may take out of wallets: amounts of one token add up."""
    by_action: Mapping[str, Simulation] = {step.action_id: step.simulation for step in steps}
    amounts: dict[tuple[Address, Address, int | None], Outflow] = {}
    for simulation in by_action.values():
        for flow in simulation.promise.outflows if simulation.promise is not None else ():
            key = (flow.token, flow.holder, flow.most if flow.item else None)
            before = amounts.get(key)
            more = 0 if before is None or flow.item else before.most
            amounts[key] = replace(flow, most=flow.most + more)
    return tuple(amounts.values())
