"""A chain in memory: nonces, a pool with replacement, fees, reorgs, and a node that can fail on purpose.

Transactions are JSON instead of RLP: `PlainSigner` makes them, and the pool reads them. The rules are those
of go-ethereum's pool: nonces below the account's are refused, those above wait, a replacement must pay 10 %
more on both fees, and the sender must be able to pay for the dearest outcome.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keeper.chain.errors import (
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    InsufficientFunds,
    NodeUnreachable,
    NonceTooLow,
    ReplacementUnderpriced,
)
from keeper.chain.simulation import Explain, Rehearsal
from keeper.chain.transactions import Fees, Receipt, Tx
from keeper.execution.signer import Signed
from keeper.model.intent import Simulation
from keeper.model.promise import Transfer
from keeper.model.reads import Address, Call, Read, Reads, T
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI, Wei
from tests.support import tally
from tests.support.audit import Landed

GWEI: Final = 10**9
SIGNER: Final = Address("0x51000000000000000000000000000000000000AA")
STRANGER: Final = Address("0x000000000000000000000000000000000000F0F0")
"""Whom another wallet with our key pays."""

GENESIS_S: Final = 1_767_225_600


class PlainSigner:
    """Signs by writing down: whoever has the bytes can read them."""

    address: Address = SIGNER

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        raw = json.dumps({**tx, "from": SIGNER}, sort_keys=True).encode()
        return Signed(raw=raw, tx_hash="0x" + hashlib.sha256(raw).hexdigest())


@dataclass(frozen=True)
class Mined:
    tx: dict[str, Any]
    tx_hash: str
    status: int
    gas_price: int


@dataclass(frozen=True)
class Block:
    ref: BlockRef
    mined: tuple[Mined, ...]


@dataclass
class Faults:
    """What the node does wrong. Each counter goes down when it is used."""

    unreachable: int = 0
    """Requests of any kind that get no answer."""

    lost_broadcasts: int = 0
    """Broadcasts that the node never sees, and answers with an error."""

    silent_broadcasts: int = 0
    """Broadcasts that the node takes, and answers with an error."""

    refused_broadcasts: int = 0
    """Broadcasts refused with words that mean nothing to us."""

    late_receipts: int = 0
    """Receipts that are there, and are not shown yet."""


_KINDS: Final = {
    "unreachable": "closed connections",
    "lost_broadcasts": "broadcasts lost",
    "silent_broadcasts": "taken, answer lost",
    "refused_broadcasts": "error answers",
    "late_receipts": "late receipts",
}


@dataclass
class SimulatedChain:
    """One chain and its one node."""

    chain_id: int = 10
    name: str = "simulated"
    base_fee_wei: int = GWEI
    balance_wei: int = 10**20
    automine: bool = True
    reverting: bool = False
    """The contract reverts what is mined."""

    refusing: bool = False
    """The contract reverts already in the simulation."""

    moving: tuple[Transfer, ...] = ()
    """Tokens that everything mined moves, whatever its simulation shows."""

    blocks: list[Block] = field(default_factory=list)
    pool: dict[int, tuple[dict[str, Any], str]] = field(default_factory=dict)
    """By nonce, of the one sender."""

    faults: Faults = field(default_factory=Faults)
    injected: int = 0
    broadcasts: list[dict[str, Any]] = field(default_factory=list)
    """Everything that anybody tried to send, whatever came of it."""

    forks: int = 0

    def __post_init__(self) -> None:
        self.blocks.append(Block(ref=self._ref(0, "0x" + "0" * 64), mined=()))

    # What happens on the chain

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            mined: list[Mined] = []
            nonce = self._mined_nonce()
            while nonce in self.pool:
                tx, tx_hash = self.pool[nonce]
                if _fee_cap(tx) < self.base_fee_wei:
                    break
                price = min(_fee_cap(tx), self.base_fee_wei + _tip(tx))
                reverts = self.reverting and tx["to"] != tx["from"]
                mined.append(Mined(tx=tx, tx_hash=tx_hash, status=0 if reverts else 1, gas_price=price))
                del self.pool[nonce]
                nonce += 1
            self.pool = {n: entry for n, entry in self.pool.items() if n >= nonce}
            last = self.blocks[-1].ref
            self.blocks.append(Block(ref=self._ref(last.number + 1, last.hash), mined=tuple(mined)))

    def reorg(self, depth: int, *, keep: bool) -> None:
        """Take the last blocks; their transactions go back to the pool where `keep`, else nobody has them."""
        depth = min(depth, len(self.blocks) - 1)
        if depth == 0:
            return
        self.forks += 1
        tally.count(tally.REORGS)
        taken = self.blocks[-depth:]
        del self.blocks[-depth:]
        if keep:
            for block in taken:
                for mined in block.mined:
                    self.pool.setdefault(int(mined.tx["nonce"]), (mined.tx, mined.tx_hash))

    def sent_before(self) -> list[tuple[dict[str, Any], str]]:
        """What was handed over for a nonce that waits in the pool, and is not what waits there."""
        named = [(tx, _hash_of(tx)) for tx in self.broadcasts if int(tx["nonce"]) in self.pool]
        return [(tx, tx_hash) for tx, tx_hash in named if self.pool[int(tx["nonce"])][1] != tx_hash]

    def drop_pool(self) -> None:
        tally.fault("dropped mempools")
        self.pool.clear()

    def foreign(self, *, mined: bool) -> None:
        """Another wallet with the same key sends a transaction, and it goes first."""
        tally.fault("another wallet's nonces")
        nonce = self._mined_nonce() if mined else self._pending_nonce()
        tx = {
            "nonce": nonce,
            "to": STRANGER,
            "from": SIGNER,
            "data": "0x",
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 10_000 * GWEI,
            "maxPriorityFeePerGas": GWEI,
            "salt": len(self.blocks) + 1000 * self.forks,
        }
        self.pool[nonce] = (tx, "0x" + hashlib.sha256(json.dumps(tx).encode()).hexdigest())
        if mined:
            self.mine()

    def effects(self, to: Address) -> dict[str, int]:
        """Count the successful transactions on the chain by their calldata."""
        counts: dict[str, int] = {}
        for block in self.blocks:
            for mined in block.mined:
                if mined.status == 1 and str(mined.tx["to"]).lower() == to.lower():
                    counts[mined.tx["data"]] = counts.get(mined.tx["data"], 0) + 1
        return counts

    def mined_hashes(self) -> list[str]:
        return [mined.tx_hash for block in self.blocks for mined in block.mined]

    def landed(self) -> tuple[Landed, ...]:
        """Everything on the chain, for an audit."""
        return tuple(
            Landed(
                chain_id=self.chain_id,
                sender=SIGNER,
                nonce=int(mined.tx["nonce"]),
                tx_hash=mined.tx_hash,
                success=mined.status == 1,
            )
            for block in self.blocks
            for mined in block.mined
        )

    # What the node answers

    def head(self) -> BlockRef:
        self._answer()
        return self.blocks[-1].ref

    def pin(self) -> BlockRef:
        """What a snapshot rests on. Never fails: reading is not what is tested with this chain."""
        return self.blocks[-1].ref

    def block(self, number: int) -> BlockRef | None:
        self._answer()
        return self.blocks[number].ref if 0 <= number < len(self.blocks) else None

    def final_number(self, head: BlockRef, after_blocks: int) -> int:
        return head.number - after_blocks

    def canonical(self, number: int, block_hash: str) -> bool:
        found = self.block(number)
        return found is not None and found.hash == block_hash

    def run(self, reads: Reads[T], at: BlockRef) -> T:
        self._answer()
        try:
            asked = next(reads)
            while True:
                asked = reads.send([self._read(read) for read in asked])
        except StopIteration as done:
            result: T = done.value
            return result

    def simulate(
        self,
        *,
        sender: Address,
        to: Address,
        data: str,
        value: Wei = NO_WEI,
        abis: Sequence[str] = (),
        explain: Explain | None = None,
    ) -> Simulation:
        self._answer()
        number = self.blocks[-1].ref.number
        if self.refusing and to != sender:
            return Simulation(ok=False, gas=None, error="closed", block_number=number)
        gas = 21_000 if to == sender else 60_000
        return Simulation(ok=True, gas=gas, error=None, block_number=number)

    def simulate_bundle(
        self, sender: Address, txs: Sequence[Tx], explain: Explain | None = None
    ) -> tuple[Simulation, ...]:
        return tuple(self.simulate(sender=sender, to=tx.to, data=tx.data) for tx in txs)

    def rehearse(
        self, sender: Address, txs: Sequence[Tx], reads: Sequence[Call], explain: Explain | None = None
    ) -> Rehearsal:
        found = self.simulate_bundle(sender, txs, explain)
        before = {read: self._read(read) for read in reads}
        made = [int(tx.data[-64:], 16) for tx in txs]
        after = {read: count + made.count(int(str(read.args[0]), 16)) for read, count in before.items()}
        return Rehearsal(simulations=found, before=before, after=after, transfers=())

    def nonce(self, address: Address, tag: str = "latest") -> int:
        self._answer()
        return self._mined_nonce() if tag == "latest" else self._pending_nonce()

    def fees(self) -> Fees:
        self._answer()
        return Fees(base_fee_wei=self.base_fee_wei, priority_fee_wei=GWEI // 10, legacy_gas_price_wei=None)

    def native(self, address: Address) -> Wei:
        self._answer()
        return Wei(self.balance_wei)

    def broadcast(self, raw: str) -> str:
        content = bytes.fromhex(raw[2:])
        tx = json.loads(content)
        tx_hash = "0x" + hashlib.sha256(content).hexdigest()
        self.broadcasts.append(tx)
        self._answer()
        if self._use("lost_broadcasts"):
            raise NodeUnreachable(self.name, ["connection reset"])
        if self._use("refused_broadcasts"):
            raise BroadcastRefused(self.name, "internal error 0x5f")
        self._take(tx, tx_hash)
        if self.automine:
            self.mine()
        if self._use("silent_broadcasts"):
            raise NodeUnreachable(self.name, ["timed out after 20 s"])
        return tx_hash

    def receipt(self, tx_hash: str) -> Receipt | None:
        self._answer()
        for block in reversed(self.blocks):
            for mined in block.mined:
                if mined.tx_hash == tx_hash:
                    if self._use("late_receipts"):
                        return None
                    return Receipt(
                        tx_hash=tx_hash,
                        block_number=block.ref.number,
                        block_hash=block.ref.hash,
                        status=mined.status,
                        gas_used=int(mined.tx["gas"]) * 4 // 5,
                        effective_gas_price=mined.gas_price,
                        transfers=self.moving if mined.status == 1 else (),
                    )
        return None

    def transaction_known(self, tx_hash: str) -> bool:
        self._answer()
        waiting = any(known == tx_hash for _, known in self.pool.values())
        return waiting or tx_hash in self.mined_hashes()

    def revert_reason(
        self,
        *,
        sender: Address,
        to: Address,
        data: str,
        value: Wei,
        block_number: int,
        abis: Sequence[str],
    ) -> str:
        self._answer()
        return "CLOSED"

    def _read(self, read: Read) -> int:
        """Answer `balanceOf(n)`: how often `approve(..., n)` took effect."""
        assert isinstance(read, Call)
        number = int(str(read.args[0]), 16)
        return sum(c for data, c in self.effects(read.to).items() if int(data[-64:], 16) == number)

    def _take(self, tx: dict[str, Any], tx_hash: str) -> None:
        nonce = int(tx["nonce"])
        if tx_hash in self.mined_hashes() or any(known == tx_hash for _, known in self.pool.values()):
            raise AlreadyKnown(self.name, "already known")
        if nonce < self._mined_nonce():
            raise NonceTooLow(self.name, "nonce too low")
        if int(tx["gas"]) * _fee_cap(tx) + int(tx["value"]) > self.balance_wei:
            raise InsufficientFunds(self.name, "insufficient funds for gas * price + value")
        if nonce in self.pool:
            old, _ = self.pool[nonce]
            if _fee_cap(tx) * 10 < _fee_cap(old) * 11 or _tip(tx) * 10 < _tip(old) * 11:
                raise ReplacementUnderpriced(self.name, "replacement transaction underpriced")
        elif _fee_cap(tx) * 2 < self.base_fee_wei:
            raise FeeTooLow(self.name, "max fee per gas less than block base fee")
        self.pool[nonce] = (tx, tx_hash)

    def _answer(self) -> None:
        if self._use("unreachable"):
            raise NodeUnreachable(self.name, ["timed out"])

    def _use(self, fault: str) -> bool:
        left: int = getattr(self.faults, fault)
        if left == 0:
            return False
        setattr(self.faults, fault, left - 1)
        tally.fault(_KINDS[fault])
        self.injected += 1
        return True

    def _mined_nonce(self) -> int:
        return sum(len(block.mined) for block in self.blocks)

    def _pending_nonce(self) -> int:
        nonce = self._mined_nonce()
        while nonce in self.pool:
            nonce += 1
        return nonce

    def _ref(self, number: int, parent: str) -> BlockRef:
        text = f"{self.chain_id}/{number}/{parent}/{self.forks}"
        return BlockRef(
            chain_id=self.chain_id,
            number=number,
            hash="0x" + hashlib.sha256(text.encode()).hexdigest(),
            parent_hash=parent,
            timestamp_s=GENESIS_S + 2 * number,
        )


class Clock:
    """Time that passes only while somebody waits for it, and mines as it passes."""

    def __init__(self, while_waiting: Callable[[], None] = lambda: None) -> None:
        self.now_s = 1_800_000_000.0
        self._while_waiting = while_waiting

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self._while_waiting()


def _hash_of(tx: Mapping[str, Any]) -> str:
    """Of what `PlainSigner` made of a transaction."""
    return "0x" + hashlib.sha256(json.dumps(tx, sort_keys=True).encode()).hexdigest()


def _fee_cap(tx: Mapping[str, Any]) -> int:
    return int(tx.get("maxFeePerGas", tx.get("gasPrice", 0)))


def _tip(tx: Mapping[str, Any]) -> int:
    return int(tx.get("maxPriorityFeePerGas", tx.get("gasPrice", 0)))
