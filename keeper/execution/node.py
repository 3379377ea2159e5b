"""What execution needs of a chain. `keeper.chain.client.ChainClient` is one."""

from collections.abc import Sequence
from typing import Final, Protocol

from keeper.chain.errors import AbiMismatch, NodeRefused, NodeUnreachable
from keeper.chain.simulation import Explain, Rehearsal
from keeper.chain.transactions import Fees, Receipt, Tx
from keeper.execution.signer.errors import SignerRefused, SignerUnreachable
from keeper.model.intent import Simulation
from keeper.model.reads import Address, Call, Reads, T
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI, Wei

NODE_TROUBLE: Final = (NodeUnreachable, NodeRefused, AbiMismatch, SignerUnreachable, SignerRefused)
"""A node that does not answer, answers with an error, or answers garbage; or a signer in another process that
signs nothing. It may do better next time."""


class Node(Protocol):
    """One chain. Any method may raise one of `NODE_TROUBLE`."""

    chain_id: int

    def head(self) -> BlockRef:
        """Return the latest block."""
        ...

    def block(self, number: int) -> BlockRef | None:
        """Return a block by number; None above the head."""
        ...

    def final_number(self, head: BlockRef, after_blocks: int) -> int:
        """Return the number up to which blocks are final: so many below the head, or as the chain says."""
        ...

    def canonical(self, number: int, block_hash: str) -> bool:
        """Whether a block is on the chain."""
        ...

    def run(self, reads: Reads[T], at: BlockRef) -> T:
        """Drive an adapter's reads at a block."""
        ...

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
        """Try one call at the head."""
        ...

    def simulate_bundle(
        self, sender: Address, txs: Sequence[Tx], explain: Explain | None = None
    ) -> tuple[Simulation, ...]:
        """Try several calls at the head, each on the effects of those before it."""
        ...

    def rehearse(
        self, sender: Address, txs: Sequence[Tx], reads: Sequence[Call], explain: Explain | None = None
    ) -> Rehearsal:
        """Try several calls at the head, and answer `reads` before the first and after the last of them."""
        ...

    def nonce(self, address: Address, tag: str = "latest") -> int:
        """Return the next nonce of an address: `latest` counts what is mined, `pending` what waits too."""
        ...

    def fees(self) -> Fees:
        """Return what gas costs now."""
        ...

    def broadcast(self, raw: str) -> str:
        """Hand signed bytes, as hexadecimal, to the node. Raises `BroadcastRefused` and its kinds."""
        ...

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt; None while the transaction is not mined."""
        ...

    def transaction_known(self, tx_hash: str) -> bool:
        """Whether the node has the transaction, mined or waiting."""
        ...

    def native(self, address: Address) -> Wei:
        """Return the balance in native coin."""
        ...

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
        """Return why a mined transaction reverted."""
        ...
