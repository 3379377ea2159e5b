"""Both chains as one market: the same prices, the same clock."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from keeper.devnet import scenario
from keeper.devnet.anvil import Anvil, start
from keeper.devnet.curie import Curie, attach_curie, deploy_curie
from keeper.devnet.deployment import ARBITRUM, CHAIN_IDS, OPTIMISM, ChainDeployment, Deployment
from keeper.devnet.lyra import Lyra, attach_lyra, deploy_lyra
from keeper.devnet.node import Node
from keeper.model.reads import Address
from keeper.model.units import Wad

OnStep: TypeAlias = Callable[[str, int, int], None]
"""(what is done now, steps done, steps in all); may be called from several threads, never at once"""

STEPS: Final = 4
"""Steps that `build` reports."""


class World:
    """The two chains with their protocols, ready for use."""

    def __init__(self, lyra: Lyra, curie: Curie) -> None:
        self.lyra = lyra
        self.curie = curie

    @property
    def nodes(self) -> dict[str, Node]:
        """Both nodes by chain name."""
        return {OPTIMISM: self.lyra.node, ARBITRUM: self.curie.node}

    @property
    def actors(self) -> dict[str, Address]:
        """Addresses by name, the same on both chains."""
        return scenario.addresses(self.lyra.node)

    def chains(self) -> tuple[ChainDeployment, ...]:
        """Return where everything is."""
        protocols: tuple[tuple[str, str, Lyra | Curie], ...] = (
            (OPTIMISM, "lyra", self.lyra),
            (ARBITRUM, "curie", self.curie),
        )
        return tuple(
            ChainDeployment(
                name=name,
                chain_id=CHAIN_IDS[name],
                url=protocol.node.url,
                protocol=label,
                from_block=0,
                contracts=tuple(sorted((k, c.address) for k, c in protocol.contracts.items())),
            )
            for name, label, protocol in protocols
        )

    def align(self) -> int:
        """Mine one block on each chain at the same second, after both heads; return that second."""
        nodes = tuple(self.nodes.values())
        time_s = max(node.now_s() for node in nodes) + 1
        for node in nodes:
            node.warp_to(time_s)
        return time_s

    def warp(self, seconds: int) -> int:
        """Let `seconds` pass on both chains, with fresh oracle answers at the end; return the time."""
        time_s = self.align() + seconds
        spot = {"ETH": self.lyra.spot(), "BTC": self.index("BTC")}
        for node in self.nodes.values():
            node.set_next_time(time_s - 2)
        self.lyra.set_spot(spot["ETH"])
        for symbol, price in spot.items():
            self.curie.set_oracle(symbol, price)
        return self.align()

    def move_market(self, prices: Mapping[str, Wad]) -> int:
        """Bring `ETH` and `BTC` to `prices`, USD, on both chains; return the time at which they agree.

        Lyra's exchange rate answers at once; on Curie the oracle jumps and the vAMM walks after it.
        """
        if "ETH" in prices:
            self.lyra.set_spot(prices["ETH"])
        for symbol, price in prices.items():
            self.curie.walk(self.actors["arbitrageur"], symbol, price)
        return self.align()

    def index(self, symbol: str) -> Wad:
        """Return Curie's index price, USD."""
        return Wad(self.curie[f"v{symbol}"].call("getIndexPrice", 0))

    def mark(self, symbol: str) -> Wad:
        """Return Curie's mark price, USD."""
        return Wad(self.curie["AccountBalance"].call("getMarkPrice", self.curie.base(symbol)))

    def close(self) -> None:
        """Close the connections; the nodes go on."""
        for node in self.nodes.values():
            node.close()


def start_nodes(
    folder: Path, *, ports: Mapping[str, int] | None = None, survive: bool = False
) -> tuple[Anvil, ...]:
    """Start one node per chain, with a log each in `folder`; none is left running when one fails.

    Call it from a thread that outlives the nodes, unless they are to survive. Raises as `anvil.start`.
    """
    started: list[Anvil] = []
    try:
        for name, chain_id in CHAIN_IDS.items():
            port = (ports or {}).get(name)
            started.append(start(chain_id, log=folder / f"{name}.log", port=port, survive=survive))
    except BaseException:
        for anvil in started:
            anvil.stop()
        raise
    return tuple(started)


def build(nodes: Mapping[str, Node], on_step: OnStep | None = None) -> World:
    """Deploy both protocols on fresh nodes and set the market up, each chain in a thread of its own.

    Ends with both heads at `scenario.READY_S`. Raises `RevertError`, `PackageMissingError`.
    """
    lock = threading.Lock()
    done = 0

    def step(text: str) -> None:
        nonlocal done
        with lock:
            done += 1
            if on_step:
                on_step(text, done, STEPS)

    def optimism() -> Lyra:
        lyra = deploy_lyra(nodes[OPTIMISM], scenario.SPOT["ETH"])
        step("Lyra Avalon deployed on chain 10")
        scenario.seed_lyra(lyra)
        step("option boards listed and positions opened")
        return lyra

    def arbitrum() -> Curie:
        curie = deploy_curie(nodes[ARBITRUM], scenario.markets())
        step("Perp Curie deployed on chain 42161")
        scenario.seed_curie(curie)
        step("perp markets funded and positions opened")
        return curie

    with ThreadPoolExecutor(2) as pool:
        lyra, curie = pool.submit(optimism), pool.submit(arbitrum)
        return World(lyra.result(), curie.result())


def attach(deployment: Deployment) -> World:
    """Work with chains that run already. Raises `PackageMissingError`."""
    optimism, arbitrum = deployment.chain(OPTIMISM), deployment.chain(ARBITRUM)
    return World(
        attach_lyra(Node(optimism.url), dict(optimism.contracts)),
        attach_curie(Node(arbitrum.url), dict(arbitrum.contracts)),
    )
