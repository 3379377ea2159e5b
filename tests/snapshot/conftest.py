"""Observers over both local chains, each behind a proxy that can misbehave."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from keeper.chain.client import ChainClient
from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.registry import ADAPTERS
from keeper.snapshot.observe import Observer
from tests.support.chains import Chains
from tests.support.rpc_proxy import RpcProxy

CALL_GAS = 200_000_000


@dataclass
class Watch:
    """Both chains, and what is needed to observe them."""

    settings: Settings
    proxies: dict[int, RpcProxy]
    chains: Chains
    stack: ExitStack
    found: dict[str, Found] = field(default_factory=dict)
    """What observers saved, by venue."""

    def client(self, chain_id: int, *urls: str, **settings: Any) -> ChainClient:
        given = {"call_gas": CALL_GAS, "timeout_s": 10.0, **settings}
        endpoints = urls or (self.proxies[chain_id].url,)
        client = ChainClient(name=f"chain-{chain_id}", chain_id=chain_id, endpoints=endpoints, **given)
        self.stack.callback(client.close)
        return client

    def clients(self, **settings: Any) -> dict[int, ChainClient]:
        return {chain_id: self.client(chain_id, **settings) for chain_id in self.proxies}

    def observer(
        self,
        clients: dict[int, ChainClient] | None = None,
        *,
        change: Callable[[Venue], Venue] = lambda venue: venue,
        stands_s: float = 0.0,
    ) -> Observer:
        return Observer(
            clients or self.clients(),
            [(change(venue), ADAPTERS[venue.protocol]()) for venue in self.settings.venues()],
            self.settings.owners(),
            staleness=self.settings.params().staleness,
            natives=dict.fromkeys(self.proxies, "ETH"),
            load=self.found.get,
            save=self.found.__setitem__,
            margin=self.settings.screen.margin,
            stands_s=stands_s,
        )

    def witness(self) -> Observer:
        """An observer that asks the nodes themselves, and shares nothing with the others."""
        clients = {c.chain_id: self.client(c.chain_id, c.url) for c in self.chains.deployment.chains}
        return Observer(
            clients,
            [(venue, ADAPTERS[venue.protocol]()) for venue in self.settings.venues()],
            self.settings.owners(),
            staleness=self.settings.params().staleness,
            natives=dict.fromkeys(self.proxies, "ETH"),
        )

    def requests(self) -> int:
        return sum(len(proxy.seen) for proxy in self.proxies.values())


@pytest.fixture
def watch(chains: Chains) -> Iterator[Watch]:
    with ExitStack() as stack:
        proxies = {
            chain.chain_id: stack.enter_context(RpcProxy(chain.url)) for chain in chains.deployment.chains
        }
        yield Watch(load(chains.deployment.config), proxies, chains, stack)
