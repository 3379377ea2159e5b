"""Multicall3 at its usual address, which a fresh node does not have."""

from typing import Final

from keeper.devnet.artifacts import multicall3_init_code
from keeper.devnet.node import Node
from keeper.model.reads import Address

MULTICALL3: Final = Address("0xcA11bde05977b3631167028862bE2a173976CA11")


def install_multicall3(node: Node) -> None:
    """Run the creation code as a call, and put the runtime it returns at the usual address."""
    runtime = node.rpc("eth_call", {"data": multicall3_init_code(), "gas": hex(10_000_000)}, "latest")
    node.rpc("anvil_setCode", MULTICALL3, runtime)
