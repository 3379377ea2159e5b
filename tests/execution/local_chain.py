"""Execution on a node of our own: the bell's contract, one signer, and what a test changes between cycles."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_account import Account

from keeper.chain.client import ChainClient
from keeper.devnet import anvil
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.execution.executor import Executor
from keeper.execution.l1_fee import L1Fees
from keeper.execution.limits import Limits, Pace
from keeper.execution.signer import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.model.intent import Outcome
from keeper.model.plan import Plan, TxAction
from keeper.model.reads import Address
from keeper.store.store import Store
from tests.execution.bell import BELL, RUNTIME, Bell, bell_venue, seen
from tests.execution.rig import never

CHAIN_ID: Final = 31_337
KEY: Final = "0x" + "6c" * 32
PACE: Final = Pace(receipt_wait_s=2.0, poll_s=0.005, foreign_wait_s=2.0)


@dataclass
class LocalChain:
    """A node, a client of it, and the files of one keeper."""

    node: Node
    client: ChainClient
    folder: Path
    cycles: int = 0
    final_after: int = 2
    pace: Pace = PACE
    crash_at: Callable[[str], None] = never

    @property
    def signer(self) -> Address:
        return Address(Account.from_key(KEY).address)

    def set_base_fee(self, wei: int) -> None:
        """Of the block at the head, from now on."""
        self.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
        self.node.rpc("evm_mine")

    def mine(self, blocks: int) -> None:
        for _ in range(blocks):
            self.node.rpc("evm_mine")

    def set_slot(self, at: Address, slot: int, value: int) -> None:
        self.node.rpc("anvil_setStorageAt", at, f"0x{slot:064x}", f"0x{value:064x}")

    def effects(self, number: int) -> int:
        return int(self.node.rpc("eth_getStorageAt", BELL, hex(number), "latest"), 16)

    def sent(self) -> int:
        return self.client.nonce(self.signer)

    def carry_out(
        self,
        actions: tuple[TxAction, ...] | Callable[[], tuple[TxAction, ...]],
        limits: Limits,
        l1_fees: Mapping[int, L1Fees] | None = None,
    ) -> tuple[Outcome, ...]:
        """One run of a keeper: start, one cycle with these actions, stop.

        A function is asked for the actions once the block is pinned, as a policy would be.
        """
        self.cycles += 1
        with (
            Store.open(self.folder / "keeper.sqlite", "live", crash_at=self.crash_at) as store,
            Journal.open(self.folder / "journal.jsonl") as journal,
        ):
            executor = Executor(
                clients={CHAIN_ID: self.client},
                venues=[(bell_venue(CHAIN_ID), Bell())],
                store=store,
                journal=journal,
                sender=self.signer,
                signer=KeystoreSigner(Account.from_key(KEY)),
                limits=limits,
                live=True,
                final_after_blocks={CHAIN_ID: self.final_after},
                l1_fees=l1_fees,
                pace=self.pace,
            )
            executor.reconcile()
            snapshot = seen([self.client.pin()])
            decided = actions() if callable(actions) else actions
            plan = Plan(
                snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=decided
            )
            return executor.execute(plan, f"cycle-{self.cycles}", snapshot)


@contextmanager
def local_chain(folder: Path) -> Iterator[LocalChain]:
    with anvil.running(CHAIN_ID, log=folder / "anvil.log") as running:
        node = running.node
        node.rpc("anvil_setBalance", Account.from_key(KEY).address, hex(10**22))
        node.rpc("anvil_setCode", BELL, RUNTIME)
        install_multicall3(node)
        node.rpc("evm_mine")
        client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[running.url])
        try:
            yield LocalChain(node=node, client=client, folder=folder)
        finally:
            client.close()
