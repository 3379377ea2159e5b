"""What a transaction would do at the head: run it, price it, explain its revert. Nothing is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from keeper.chain.abi import Revert, decode, decode_revert, encode_bytes
from keeper.chain.errors import AbiMismatch, NodeRefused
from keeper.chain.multicall import Entry, Result, frame, unframe
from keeper.chain.pool import NodePool
from keeper.chain.refusals import out_of_gas, reverted
from keeper.chain.scalars import blob, count, quantity
from keeper.chain.settings import GasBy
from keeper.chain.transactions import TRANSACTION_GAS, Tx, transfers_of
from keeper.model.intent import Simulation
from keeper.model.promise import Transfer
from keeper.model.reads import Address, Call, Failed
from keeper.model.units import NO_WEI
from keeper.protocols.adapter import Meaning

Explain: TypeAlias = Callable[[str, Mapping[str, object]], Meaning | None]
"""`Adapter.meaning`: what a venue's revert means."""

_LEAST_GAS: Final = 21_000
"""Of any transaction. Source: Ethereum yellow paper, G_transaction."""

_HEADROOM: Final = (5, 4)
"""On gas measured inside a bundle, where no estimate can be made: refunds, the 1/64 that calls keep back."""


Answers: TypeAlias = Mapping[Call, Any]
"""Decoded answers by read; `Failed` for one that gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Transactions run one after the other at the head, and what was read on both sides of them."""

    simulations: tuple[Simulation, ...]
    before: Answers | None = None
    """In the same block as `after`, so that only the transactions lie between them. None where the node
    cannot tell, or where a transaction fails."""

    after: Answers | None = None
    transfers: tuple[Transfer, ...] | None = None
    """Tokens that changed hands. None where the node does not show them."""

    others: tuple["Rehearsal", ...] = ()
    """The same by the other endpoints of a quorum, each at its own head."""


class Simulator:
    """Simulates transactions of one chain at its latest block."""

    def __init__(self, pool: NodePool, *, multicall: Address, call_gas: int, gas_by: GasBy) -> None:
        self._pool = pool
        self._multicall = multicall
        self._call_gas = call_gas
        self._gas_by = gas_by

    def attempt(
        self, sender: Address, tx: Tx, block: str = "latest", *, gas: int | None = None
    ) -> Revert | None:
        """Run a transaction as a call, with plenty of gas unless told; return its revert, None without one.

        Raises `NodeUnreachable`, and `NodeRefused` when the node would not run it.
        """
        asked = [self._asked(sender, tx, gas=self._call_gas if gas is None else gas), block]
        try:
            # Only bytes are an answer: null is none, and must not pass for success.
            self._pool.bytes_of("eth_call", asked)
        except NodeRefused as refusal:
            return _revert(refusal, tx)
        return None

    def simulate(self, sender: Address, tx: Tx, explain: Explain | None) -> Simulation:
        """Run a transaction, then estimate its gas. Raises `NodeUnreachable`."""
        number = self._pool.number("eth_blockNumber", [])
        try:
            revert = self.attempt(sender, tx)
            if revert is not None:
                return _failed(revert, explain, number)
            gas = self._estimate([self._asked(sender, tx)])
            return Simulation(ok=True, gas=gas, error=None, block_number=number)
        except NodeRefused as refusal:
            if reverted(refusal):
                return _failed(_revert(refusal, tx), explain, number)
            return Simulation(ok=False, gas=None, error=refusal.text, block_number=number)

    def bundle(
        self, sender: Address, txs: Sequence[Tx], explain: Explain | None = None
    ) -> tuple[Simulation, ...]:
        """Run transactions of one sender one after the other, each on the state the former left.

        By `eth_simulateV1`; on a node that refuses it, in whatever words, by a multicall that stands at the
        sender's address. On a node with neither, the first is simulated as usual and each later one is
        reported as not simulated. Raises `NodeUnreachable`.
        """
        if len(txs) <= 1:
            return tuple(self.simulate(sender, tx, explain) for tx in txs)
        number = self._pool.number("eth_blockNumber", [])
        calls = [self._asked(sender, tx) for tx in txs]
        question = {"blockStateCalls": [{"calls": calls}], "validation": False, "traceTransfers": False}
        try:
            blocks = self._pool.request("eth_simulateV1", [question, "latest"])
            return tuple(
                _simulated(raw, tx, explain, number) for raw, tx in zip(blocks[0]["calls"], txs, strict=True)
            )
        except NodeRefused:
            return self._bundle_in_place(sender, txs, explain, number)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise self._pool.malformed("eth_simulateV1") from None

    def rehearse(
        self, sender: Address, txs: Sequence[Tx], reads: Sequence[Call], explain: Explain | None = None
    ) -> Rehearsal:
        """Run transactions as `bundle` does, and answer `reads` before the first and after the last of them.

        By `eth_simulateV1`, all in one simulated block. On a node that refuses it, in whatever words, by a
        multicall that stands at the sender's address: then tokens that move are not shown. On a node with
        neither the reads stay unanswered. The gas of the first transaction is settled as `GasBy` says. Raises
        `NodeUnreachable`.
        """
        number = self._pool.number("eth_blockNumber", [])
        look = {"to": self._multicall, "data": frame([_entry(read) for read in reads])}
        calls = [look, *(self._asked(sender, tx) for tx in txs), look]
        question = {"blockStateCalls": [{"calls": calls}], "validation": False, "traceTransfers": False}
        try:
            (block,) = self._pool.request("eth_simulateV1", [question, "latest"])
            first, *ran, last = block["calls"]
            found = tuple(_simulated(raw, tx, explain, number) for raw, tx in zip(ran, txs, strict=True))
            found = self._first_settled(sender, txs, found, explain)
            if not all(simulation.ok for simulation in found):
                return Rehearsal(simulations=found)
            return Rehearsal(
                simulations=found,
                before=_looked(first, reads),
                after=_looked(last, reads),
                transfers=transfers_of([log for raw in ran for log in raw["logs"]]),
            )
        except NodeRefused:
            return self._rehearse_in_place(sender, txs, reads, explain)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise self._pool.malformed("eth_simulateV1") from None

    def _first_settled(
        self, sender: Address, txs: Sequence[Tx], found: tuple[Simulation, ...], explain: Explain | None
    ) -> tuple[Simulation, ...]:
        """Settle the gas of the first transaction, which nothing goes before: measured or estimated.

        What was measured is tried with so much and no more. Where that fails, or would be more than a
        transaction may have, the node estimates.
        """
        if not found or not found[0].ok:
            return found
        if self._gas_by is GasBy.SIMULATION and self._suffices(sender, txs[0], found[0].gas or 0):
            return found
        try:
            gas = self._estimate([self._asked(sender, txs[0])])
            return (replace(found[0], gas=gas), *found[1:])
        except NodeRefused as refusal:
            number = found[0].block_number or 0
            if reverted(refusal):
                return (_failed(_revert(refusal, txs[0]), explain, number), *found[1:])
            failed = Simulation(ok=False, gas=None, error=refusal.text, block_number=number)
            return (failed, *found[1:])

    def _suffices(self, sender: Address, tx: Tx, gas: int) -> bool:
        if not _LEAST_GAS <= gas < TRANSACTION_GAS:
            return False
        try:
            return self.attempt(sender, tx, gas=gas) is None
        except NodeRefused:
            return False

    def _rehearse_in_place(
        self, sender: Address, txs: Sequence[Tx], reads: Sequence[Call], explain: Explain | None
    ) -> Rehearsal:
        found = self.bundle(sender, txs, explain)
        if not all(simulation.ok for simulation in found) or any(tx.value for tx in txs):
            return Rehearsal(simulations=found)
        looks = [_entry(read) for read in reads]
        entries = [*looks, *(Entry(tx.to, bytes.fromhex(tx.data[2:])) for tx in txs), *looks]
        try:
            call = {"to": sender, "data": frame(entries), "gas": hex(self._call_gas)}
            raw = self._pool.bytes_of("eth_call", [call, "latest", {sender: {"code": self._runtime()}}])
            results = unframe(raw, len(entries))
        except (NodeRefused, AbiMismatch):
            return Rehearsal(simulations=found)
        start, end = len(looks), len(looks) + len(txs)
        if not all(result.success for result in results[start:end]):
            return Rehearsal(simulations=found)
        return Rehearsal(
            simulations=found, before=_answers(reads, results[:start]), after=_answers(reads, results[end:])
        )

    def revert_reason(self, sender: Address, tx: Tx, block_number: int) -> str:
        """Return why a transaction mined in `block_number` reverted, by running it on the block before.

        Empty when it succeeds there: what came before it in its own block made the difference.
        """
        try:
            revert = self.attempt(sender, tx, hex(max(0, block_number - 1)))
        except NodeRefused as refusal:
            return refusal.text
        return revert.text if revert is not None else ""

    def _bundle_in_place(
        self, sender: Address, txs: Sequence[Tx], explain: Explain | None, number: int
    ) -> tuple[Simulation, ...]:
        first = self.simulate(sender, txs[0], explain)
        if any(tx.value for tx in txs):
            return (first, *(_not_simulated(number) for _ in txs[1:]))
        entries = [Entry(tx.to, bytes.fromhex(tx.data[2:])) for tx in txs]
        found = [first]
        try:
            overrides = {sender: {"code": self._runtime()}}
            call = {"to": sender, "data": frame(entries), "gas": hex(self._call_gas)}
            results = unframe(self._pool.bytes_of("eth_call", [call, "latest", overrides]), len(entries))
            for i, (tx, result) in enumerate(zip(txs[1:], results[1:], strict=True), start=1):
                if not result.success:
                    found.append(_failed(decode_revert(result.data, tx.abis), explain, number))
                    continue
                # Gas of all up to this one is above that of this one alone.
                whole = {"to": sender, "data": frame(entries[: i + 1])}
                gas = self._estimate([whole, "latest", overrides])
                found.append(Simulation(ok=True, gas=gas, error=None, block_number=number))
        except (NodeRefused, AbiMismatch):
            found += [_not_simulated(number)] * (len(txs) - len(found))
        return tuple(found)

    def _estimate(self, params: list[Any]) -> int:
        gas = self._pool.number("eth_estimateGas", params)
        if gas < _LEAST_GAS:
            # It would be refused only once it is signed.
            raise self._pool.malformed("eth_estimateGas")
        return gas

    def _runtime(self) -> str:
        return "0x" + self._pool.bytes_of("eth_getCode", [self._multicall, "latest"]).hex()

    def _asked(self, sender: Address, tx: Tx, *, gas: int | None = None) -> dict[str, str]:
        asked = {"from": sender, "to": tx.to, "data": tx.data}
        if tx.value != NO_WEI:
            asked["value"] = hex(tx.value)
        if gas is not None:
            asked["gas"] = hex(gas)
        return asked


def _entry(read: Call) -> Entry:
    return Entry(read.to, encode_bytes(read))


def _looked(raw: Mapping[str, Any], reads: Sequence[Call]) -> Answers | None:
    """Return the answers of a multicall inside a simulation; None where it did not run to its end."""
    if quantity(raw["status"], bits=1) != 1:
        return None
    try:
        return _answers(reads, unframe(blob(raw["returnData"]), len(reads)))
    except AbiMismatch:
        return None


def _answers(reads: Sequence[Call], results: Sequence[Result]) -> Answers:
    return {read: _answer(read, result) for read, result in zip(reads, results, strict=True)}


def _answer(read: Call, result: Result) -> Any:
    name = f"{read.contract}.{read.fn}"
    if not result.success:
        return Failed(name, decode_revert(result.data, (read.contract,)).text, benign=True)
    try:
        return decode(read, result.data)
    except AbiMismatch as problem:
        return Failed(name, str(problem))


def _revert(refusal: NodeRefused, tx: Tx) -> Revert:
    """Return what a refusal says of the contract. Raises it again where it says nothing of one."""
    if out_of_gas(refusal):
        return Revert("OutOfGas", {}, refusal.text)
    if not reverted(refusal):
        raise refusal
    return decode_revert(refusal.data, tx.abis) if refusal.data else Revert("", {}, refusal.text)


def _failed(revert: Revert, explain: Explain | None, number: int) -> Simulation:
    meaning = explain(revert.error, revert.args) if explain is not None else None
    text = revert.text if meaning is None else f"{meaning.text} ({revert.text})"
    benign = meaning is not None and meaning.benign
    return Simulation(ok=False, gas=None, error=text, benign=benign, block_number=number)


def _simulated(raw: Mapping[str, Any], tx: Tx, explain: Explain | None, number: int) -> Simulation:
    if quantity(raw["status"], bits=1) == 1:
        gas = count(raw["gasUsed"]) * _HEADROOM[0] // _HEADROOM[1]
        return Simulation(ok=True, gas=gas, error=None, block_number=number)
    error = raw.get("error") or {}
    data = raw.get("returnData") or error.get("data") or "0x"
    revert = decode_revert(blob(data), tx.abis)
    if not revert.name and error.get("message"):
        revert = Revert("", {}, str(error["message"]))
    return _failed(revert, explain, number)


def _not_simulated(number: int) -> Simulation:
    reason = "not simulated: it depends on a transaction before it, and the node cannot run several in a row"
    return Simulation(ok=False, gas=None, error=reason, block_number=number)
