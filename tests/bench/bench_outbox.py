"""Transactions a second through the outbox: from the plan to finality, on SQLite, with everything on disk.

Each one is planned, simulated, signed with a key from a keystore file, announced in the journal, sent,
confirmed and finalized; each of these moves is a transaction of the store. Store and journal are on disk
before the bytes leave, and again at the end of each cycle. The chain is the one of the outbox's tests, in
memory, so that no node is measured. It decodes what is sent.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlp
from eth_utils.crypto import keccak

from keeper.chain.transactions import Receipt
from keeper.execution.executor import Executor
from keeper.execution.limits import Limits, Pace
from keeper.execution.signer.keystore import KeystoreSigner, key_library
from keeper.journal.journal import Journal
from keeper.model.intent import TxState
from keeper.model.plan import Plan
from keeper.model.reads import Call, Read
from keeper.model.units import Wei
from keeper.store.store import Store
from tests.bench.measure import Record
from tests.execution.bell import Bell, bell_venue, decision, seen
from tests.execution.simulated_chain import Mined, SimulatedChain

INTENTS = 400
A_CYCLE = 10
WARM_UP = 901
"""The first decision of a cycle that is not measured."""

FINAL_AFTER = 6
LIMIT_PER_S = 200.0

LIMITS = Limits(
    max_gas_wei_per_tx=Wei(10**16),
    max_gas_wei_per_hour=Wei(10**20),
    max_gas_wei_per_day=Wei(10**20),
    min_native=Wei(10**17),
    max_fee_per_gas=Wei(100 * 10**9),
    valid_blocks=10 * A_CYCLE,
)


@dataclass
class IndexedChain(SimulatedChain):
    """The chain of the outbox's tests with real transaction bytes, as fast when it is long."""

    mined: dict[str, tuple[int, Mined]] = field(default_factory=dict)
    """Block number and transaction by hash."""

    counts: Counter[int] = field(default_factory=Counter)
    """How often each decision took effect."""

    def mine(self, count: int = 1) -> None:
        """Mine, and remember where each transaction went."""
        for _ in range(count):
            super().mine()
            for mined in self.blocks[-1].mined:
                self.mined[mined.tx_hash] = (self.blocks[-1].ref.number, mined)
                self.counts[int(mined.tx["data"][-64:], 16)] += 1

    def broadcast(self, raw: str) -> str:
        """Take a signed EIP-1559 transaction."""
        content = bytes.fromhex(raw[2:])
        names = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "data")
        tx: dict[str, Any] = dict(zip(names, rlp.decode(content[1:]), strict=False))
        for name in names:
            is_text = name in ("to", "data")
            tx[name] = "0x" + tx[name].hex() if is_text else int.from_bytes(tx[name], "big")
        tx_hash = "0x" + keccak(content).hex()
        self._take(tx | {"from": "signer"}, tx_hash)
        self.mine()
        return tx_hash

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt of a mined transaction."""
        if tx_hash not in self.mined:
            return None
        number, mined = self.mined[tx_hash]
        return Receipt(
            tx_hash=tx_hash,
            block_number=number,
            block_hash=self.blocks[number].ref.hash,
            status=mined.status,
            gas_used=int(mined.tx["gas"]) * 4 // 5,
            effective_gas_price=mined.gas_price,
        )

    def mined_hashes(self) -> list[str]:
        """Only asked by `_take`: no transaction here is sent twice."""
        return []

    def _read(self, read: Read) -> int:
        assert isinstance(read, Call)
        return self.counts[int(str(read.args[0]), 16)]

    def _mined_nonce(self) -> int:
        return len(self.mined)


def records() -> Iterator[Record]:
    """Yield the time by the clock and of CPU, with one lane and with two; the difference is the disk's."""
    limit_ms = 1e3 / LIMIT_PER_S
    for name, chains in (("one_lane", (10,)), ("two_lanes", (10, 42161))):
        with tempfile.TemporaryDirectory(prefix="outbox-") as folder:
            wall_s, cpu_s, bytes_written = through(Path(folder), chains)
        for unit, ours, peer in (
            ("ms an intent", 1e3 * wall_s / INTENTS, limit_ms),
            ("ms of CPU an intent", 1e3 * cpu_s / INTENTS, limit_ms),
            ("KB written an intent", bytes_written / 1024 / INTENTS, 256.0),
        ):
            yield Record(name=f"outbox.{name}", unit=unit, ours=ours, peer=peer, peer_name="limit")


def through(folder: Path, chain_ids: Sequence[int]) -> tuple[float, float, int]:
    """Bring `INTENTS` to finality. Returns seconds by the clock, of CPU, and bytes written."""
    chains = {chain_id: IndexedChain(chain_id=chain_id) for chain_id in chain_ids}
    signer = keystore_signer(folder)
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(folder / "keeper.sqlite", "live"))
        journal = stack.enter_context(Journal.open(folder / "journal.jsonl"))
        executor = Executor(
            clients=chains,
            venues=[(bell_venue(chain_id), Bell()) for chain_id in chains],
            store=store,
            journal=journal,
            sender=signer.address,
            signer=signer,
            limits=LIMITS,
            live=True,
            final_after_blocks=dict.fromkeys(chains, FINAL_AFTER),
            pace=Pace(),
        )
        executor.reconcile()

        def cycle(numbers: Sequence[int]) -> None:
            snapshot = seen([chain.pin() for chain in chains.values()])
            plan = Plan(
                snapshot_digest=snapshot.digest,
                params_digest="0" * 64,
                decisions=(),
                actions=tuple(decision(n, chain_id) for chain_id in chains for n in numbers),
            )
            executor.execute(plan, f"cycle-{numbers[:1]}", snapshot)

        # Statements are built and libraries loaded at their first use.
        cycle(range(WARM_UP, WARM_UP + A_CYCLE))
        begin_s, begin_cpu_s, begin_bytes = time.perf_counter(), time.process_time(), written()
        for first in range(1, INTENTS // len(chains) + 1, A_CYCLE):
            cycle(range(first, first + A_CYCLE))
        for chain in chains.values():
            chain.mine(FINAL_AFTER)
        cycle(())
        taken = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s, written() - begin_bytes
        if store.intents.counts()[TxState.FINALIZED] != INTENTS + A_CYCLE * len(chains):
            raise RuntimeError(f"not all are final: {store.intents.counts()}")
    return taken


def keystore_signer(folder: Path) -> KeystoreSigner:
    """Return a signer as an operator has it, whose wallet the snapshots of the outbox's tests know."""
    library = key_library()
    keystore, password = folder / "key.json", folder / "password"
    sealed = library.encrypt(b"\x4b" * 32, "benchmark", kdf="pbkdf2", iterations=1000)
    keystore.write_text(json.dumps(sealed), encoding="utf-8")
    password.touch(mode=0o600)
    password.write_text("benchmark", encoding="utf-8")
    return KeystoreSigner.load(keystore, password)


def written() -> int:
    """Return how many bytes this process has written so far, to files and elsewhere."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    return int(fields["wchar"])
