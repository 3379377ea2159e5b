"""The whole keeper on both local chains, each read and sent to through proxies that can misbehave.

Everything is real: configuration, daemon, store, journal, keystore, contracts. Only the waiting is shorter.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.devnet.node import Node
from keeper.execution.limits import Pace
from keeper.model.intent import OPEN, Outcome, TxState
from keeper.model.plan import Plan
from keeper.replay.replay import replay
from keeper.service.wire import Keeper, assemble, rehearse
from keeper.store.store import Store
from tests.support import tally
from tests.support.audit import Audit, Landed, audit, landed_on
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config
from tests.support.rpc_proxy import RpcProxy

SEND: Final = "eth_sendRawTransaction"
PACE: Final = Pace(receipt_wait_s=0.2, poll_s=0.005, foreign_wait_s=2.0, cool_down_s=1)
CHAINS: Final = {"optimism": 10, "arbitrum": 42161}
FINAL_AFTER: Final = 3
_LONGEST: Final = 40
"""Cycles after which work that does not come to an end is a failure."""


class Whole:
    """One keeper's files, and two proxies in front of each chain."""

    def __init__(
        self,
        chains: Chains,
        folder: Path,
        stack: ExitStack,
        *changes: tuple[str, str],
        endpoints: int = 1,
        quorum: int = 1,
        timeout_s: float = 5.0,
        sockets: Mapping[str, str] | None = None,
    ) -> None:
        self.chains = chains
        self.folder = folder
        self.proxies = {
            name: tuple(stack.enter_context(RpcProxy(chains.url(name))) for _ in range(2)) for name in CHAINS
        }
        self.config = keeper_config(
            chains, folder, *self._endpoints(endpoints, quorum, timeout_s, sockets), *changes
        )
        self.began = {name: chains.node(name).head() for name in CHAINS}
        self.foreign = 0
        self.last: tuple[Outcome, ...] = ()
        """Outcomes of the last cycle."""

    @property
    def settings(self) -> Settings:
        return load(self.config)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self.chains.node(name) for name in CHAINS)

    @property
    def firsts(self) -> tuple[RpcProxy, ...]:
        """The proxy of each chain that is asked first."""
        return tuple(first for first, _ in self.proxies.values())

    @contextlib.contextmanager
    def keeper(self, *, live: bool = True) -> Iterator[Keeper]:
        """A keeper as `keeper run` makes it, for the length of a `with` block."""
        with assemble(self.settings, live=live) as keeper:
            keeper.daemon.first_wait_s = 0.01
            yield keeper

    def run(self, keeper: Keeper) -> tuple[Outcome, ...]:
        """One cycle; nothing came of it when it failed."""
        good = keeper.daemon.run_once()
        cycle = keeper.recorder.last
        self.last = cycle.outcomes if good and cycle is not None else ()
        return self.last

    def cycle(self) -> tuple[Outcome, ...]:
        """Start, one cycle, stop."""
        with self.keeper() as keeper:
            return self.run(keeper)

    def plan(self) -> Plan:
        """What would be decided now, in a dry-run of its own that leaves nothing."""
        return rehearse(self.settings).decided.plan

    def set_automine(self, on: bool) -> None:
        """Mine every transaction at once, or none until somebody says so."""
        for node in self.nodes:
            node.rpc("evm_setAutomine", on)

    def mine(self, blocks: int = 1) -> None:
        for node in self.nodes:
            for _ in range(blocks):
                node.rpc("evm_mine")

    def drop_pools(self) -> None:
        for node in self.nodes:
            node.rpc("anvil_dropAllTransactions")
        tally.fault("dropped mempools")

    def set_base_fee(self, wei: int) -> None:
        for node in self.nodes:
            node.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
            node.rpc("evm_mine")

    def base_fee(self, chain: str) -> int:
        return int(self.chains.node(chain).rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)

    def another_wallet(self, chain: str) -> str:
        """Somebody else with our key pays itself; returns the hash. The node holds the key."""
        desk = self.chains.actor("desk")
        sent: str = self.chains.node(chain).rpc(
            "eth_sendTransaction",
            {"from": desk, "to": desk, "value": "0x1", "gas": hex(100_000), "maxFeePerGas": hex(10**12)},
        )
        self.foreign += 1
        tally.fault("another wallet's nonces")
        return sent

    def sent(self) -> int:
        """How often a transaction was handed to any endpoint."""
        return sum(proxy.count(SEND) for pair in self.proxies.values() for proxy in pair)

    def landed(self) -> tuple[Landed, ...]:
        """The desk's transactions since the keeper began, on both chains."""
        desk = self.chains.actor("desk")
        return tuple(
            tx
            for name, chain_id in CHAINS.items()
            for tx in landed_on(self.chains.node(name), chain_id, desk, after=self.began[name])
        )

    def calm_down(self) -> None:
        """Let everybody behave from now on."""
        for name, pair in self.proxies.items():
            for proxy in pair:
                proxy.clear()
                proxy.upstream = self.chains.url(name)
        self.set_automine(True)
        self.mine()

    def finish(self, *, halted: bool = False) -> Audit:
        """Let the keeper end its work undisturbed, then account for everything it ever decided."""
        self.calm_down()
        with self.keeper() as keeper:
            for _ in range(_LONGEST):
                outcomes = self.run(keeper)
                if not any(o.tx_hash for o in outcomes) and not keeper.store.intents.within(OPEN):
                    break
                self.mine()
            else:
                raise AssertionError(f"the work does not come to an end: {outcomes}")
        journal = self.settings.journal.path
        with Store.attach(self.settings.store.path) as store:
            done = audit(store, journal, self.landed(), foreign=self.foreign, halted=halted).require()
        assert all(cycle.ok for cycle in replay(journal))
        return done

    def require_once_each(self) -> None:
        """Whoever is rescued or liquidated is so once. A hedge may be completed by a second one."""
        with Store.attach(self.settings.store.path) as store:
            ended = store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
        times = Counter((stored.kind, stored.subject) for stored in ended if stored.success)
        assert {kind for kind, _ in times} >= {"move_collateral", "liquidate", "hedge"}
        assert all(n == 1 for (kind, _), n in times.items() if kind != "hedge"), times

    def _endpoints(
        self, endpoints: int, quorum: int, timeout_s: float, sockets: Mapping[str, str] | None
    ) -> Iterator[tuple[str, str]]:
        for name, pair in self.proxies.items():
            urls = ", ".join(f'"{proxy.url}"' for proxy in pair[:endpoints])
            lines = f"endpoints = [{urls}]\nquorum = {quorum}\ntimeout_s = {timeout_s}"
            if sockets:
                lines += f'\nws_endpoints = ["{sockets[name]}"]'
            yield f'endpoints = ["{self.chains.url(name)}"]', lines
