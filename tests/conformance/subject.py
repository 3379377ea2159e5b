"""What every adapter is tried on: its venue on a real chain, before and after the market's move."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from keeper.chain.abi import encode
from keeper.chain.client import ChainClient
from keeper.chain.transactions import Tx
from keeper.devnet.node import Node
from keeper.model.intent import Simulation
from keeper.model.plan import TxAction
from keeper.model.reads import Address, Reads, Send
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Found
from keeper.protocols.registry import ADAPTERS
from tests.support.chains import Chains
from tests.support.fake_chain import Recorder

T = TypeVar("T")

CHAIN_OF: Mapping[str, str] = {"lyra": "optimism", "curie": "arbitrum"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An adapter, its venue, and the chain that the venue is on."""

    adapter: Adapter
    venue: Venue
    client: ChainClient
    chains: Chains

    @property
    def node(self) -> Node:
        return self.chains.node(CHAIN_OF[self.adapter.name])

    @property
    def wallets(self) -> tuple[Address, ...]:
        return (self.actor("desk"), self.actor("gina"))

    def actor(self, name: str) -> Address:
        return self.chains.actor(name)

    def run(self, reads: Reads[T]) -> T:
        return self.client.run(reads, self.client.head())

    def discover(self, known: Found | None = None) -> Found:
        at = self.client.head()
        return self.client.run(self.adapter.discover(self.venue, known or Found(), at), at)

    def read(self, found: Found | None = None, *, wallets: tuple[Address, ...] | None = None) -> VenueState:
        at = self.client.head()
        found = self.discover() if found is None else found
        wallets = self.wallets if wallets is None else wallets
        return self.client.run(self.adapter.read(self.venue, found, wallets, at), at)

    def record(self) -> tuple[Found, BlockRef, VenueState, Recorder]:
        """Read everything, and keep every answer."""
        at, found, recorder = self.client.head(), self.discover(), Recorder()
        reads = self.adapter.read(self.venue, found, self.wallets, at)
        try:
            asked = next(reads)
            while True:
                answers = self.client.answer(asked, at)
                recorder.keep(asked, answers)
                asked = reads.send(answers)
        except StopIteration as done:
            return found, at, done.value, recorder

    def encode(self, action: TxAction, sender: Address) -> tuple[Send, ...]:
        return self.run(self.adapter.encode(self.venue, action, sender))

    def simulate(self, sends: tuple[Send, ...], sender: Address) -> tuple[Simulation, ...]:
        txs = [Tx(to=s.to, data=encode(s), abis=self.adapter.abis) for s in sends]
        return self.client.simulate_bundle(sender, txs, self.adapter.meaning)

    def send(self, sends: tuple[Send, ...], sender: Address) -> list[dict[str, Any]]:
        """Simulate, then mine each call from an unlocked account."""
        simulated = self.simulate(sends, sender)
        assert all(s.ok for s in simulated), [s.error for s in simulated]
        return [self.node.send(sender, s.to, encode(s), what=s.fn) for s in sends]


def subject_on(chains: Chains, name: str) -> Subject:
    adapter = ADAPTERS[name]()
    chain = chains.deployment.chain(CHAIN_OF[name])
    underlyings = (
        (("sETH", "ETH"),)
        if name == "lyra"
        else tuple(sorted((str(chain.address(f"v{symbol}")), symbol) for symbol in ("ETH", "BTC")))
    )
    venue = Venue(
        protocol=name,
        chain_id=chain.chain_id,
        contracts=tuple((n, chain.address(n)) for n in sorted(adapter.contracts)),
        from_block=chain.from_block,
        underlyings=underlyings,
    )
    client = ChainClient.connect(
        name=chain.name, chain_id=chain.chain_id, endpoints=[chain.url], call_gas=200_000_000
    )
    return Subject(adapter=adapter, venue=venue, client=client, chains=chains)


def swap(venue: Venue, name: str, address: Address) -> Venue:
    """Return the venue with one address exchanged."""
    return replace(venue, contracts=tuple((n, address if n == name else a) for n, a in venue.contracts))
