"""Both local chains for tests marked `devnet`: deployed once per worker, put back after every test."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from keeper.devnet.curie import Curie
from keeper.devnet.deployment import Deployment
from keeper.devnet.lifecycle import mine_every, temporary
from keeper.devnet.lyra import Lyra
from keeper.devnet.node import Node
from keeper.devnet.scenario import DROP
from keeper.devnet.world import World
from keeper.model.reads import Address
from keeper.model.units import Wad

_MINERS = itertools.count(2**159)
"""One for each test, so that no two mine the same block: its state would be forgotten with the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """The market of `keeper.devnet.scenario`, before its move, and the means to change it.

    Every transaction is mined at once, one second after the block before. Protocol objects send from
    unlocked accounts: `chains.curie.trade(chains.actor("iris"), "ETH", size)`, or any function of any
    contract with `chains.lyra["OptionMarket"].send("addCollateral", id, amount, sender=...)`.
    """

    deployment: Deployment
    world: World

    @property
    def lyra(self) -> Lyra:
        return self.world.lyra

    @property
    def curie(self) -> Curie:
        return self.world.curie

    def url(self, chain: str) -> str:
        """`optimism` or `arbitrum`."""
        return self.deployment.chain(chain).url

    def node(self, chain: str) -> Node:
        return self.world.nodes[chain]

    def address(self, chain: str, contract: str) -> Address:
        return self.deployment.chain(chain).address(contract)

    def actor(self, name: str) -> Address:
        return self.deployment.actor(name)

    def warp(self, seconds: int) -> int:
        """Let time pass on both chains, with fresh oracle answers at the end; return the time."""
        return self.world.warp(seconds)

    def move(self, prices: Mapping[str, Wad] = DROP) -> int:
        """Bring `ETH` and `BTC` to `prices` on both chains; the default is the story's drop."""
        return self.world.move_market(prices)

    def fresh_blocks(self, count: int = 1) -> None:
        """Mine on both chains, for a test that looks back to its first block.

        After some hundred blocks of other tests a node has lost the state of the block that it went back to.
        """
        for node in self.world.nodes.values():
            node.rpc("anvil_mine", hex(count))

    def mine_every(self, seconds: int) -> None:
        """Mine on a wall-clock timer for the rest of the test; 0 goes back to a block per transaction."""
        mine_every(self.world, seconds)


@pytest.fixture(scope="session")
def deployed_chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chains]:
    """The chains of this worker. Ask for `chains` instead unless the test changes nothing."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "only")
    with temporary(tmp_path_factory.mktemp(f"devnet-{worker}")) as (world, deployment):
        yield Chains(deployment=deployment, world=world)


@pytest.fixture
def chains(deployed_chains: Chains) -> Iterator[Chains]:
    """Both chains in their first state, whatever the tests before did to them."""
    nodes = deployed_chains.world.nodes.values()
    kept = [(node, node.snapshot()) for node in nodes]
    usual = [node.rpc("eth_coinbase") for node in nodes]
    for node in nodes:
        node.rpc("anvil_setCoinbase", f"0x{next(_MINERS):040x}")
    yield deployed_chains
    for node, miner in zip(nodes, usual, strict=True):
        node.rpc("anvil_dropAllTransactions")  # else what waits is mined in the next test
        node.rpc("anvil_setCoinbase", miner)
    deployed_chains.mine_every(0)
    for node, name in kept:
        node.revert(name)
