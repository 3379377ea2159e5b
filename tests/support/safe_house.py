"""A Safe in the house's role: a multisig that holds what the story's desk holds, on both local chains.

Two of three owners must sign. One of them is the keeper's own signer, the other two have keys of the test.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_account import Account

from keeper.devnet.contract import Contract
from keeper.devnet.deployment import ARBITRUM, OPTIMISM
from keeper.devnet.node import Node
from keeper.devnet.scenario import OptionType
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config
from tests.support.safe import Safes

KEYS: Final[Mapping[Address, bytes]] = {
    Address(Account.from_key(key).address): key for key in (b"\x51" * 32, b"\x52" * 32)
}
"""Of the two owners who are people."""

_PUT: Final = (OptionType.SHORT_PUT_QUOTE, 1, Wad(16 * ONE))
"""What the desk holds too: after the drop it stands just above its requirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The Safe on both chains: it has one address."""

    chains: Chains
    safes: Mapping[str, Safes]
    contracts: Mapping[str, Contract]
    """By chain name."""

    @property
    def address(self) -> Address:
        return self.contracts[OPTIMISM].address

    @property
    def owners(self) -> tuple[Address, ...]:
        return (self.chains.actor("desk"), *KEYS)

    def config(self, folder: Path, *replacements: tuple[str, str]) -> Path:
        """Write a configuration in which the Safe is the house, and the desk's key only an owner's."""
        return keeper_config(
            self.chains, folder, (str(self.chains.actor("desk")), str(self.address)), *replacements
        )

    def option_id(self) -> int:
        """Return the token id of the Safe's short put."""
        (held,) = self.chains.lyra["OptionToken"].call("getOwnerPositions", self.address)
        return int(held[0])


def house(chains: Chains, version: str = "1.4.1", *, threshold: int = 2) -> House:
    """Create the Safe, and give it the desk's margin: a put on Lyra, a short perp on Curie."""
    safes = {name: Safes(chains.node(name), version) for name in (OPTIMISM, ARBITRUM)}
    owners = (chains.actor("desk"), *KEYS)
    contracts = {name: each.create(owners, threshold) for name, each in safes.items()}
    found = House(chains=chains, safes=safes, contracts=contracts)
    assert len({contract.address for contract in contracts.values()}) == 1
    with impersonating([chains.node(name) for name in safes], found.address):
        _on_lyra(chains, found.address)
        _on_curie(chains, found.address)
    chains.world.align()
    return found


@contextmanager
def impersonating(nodes: Sequence[Node], who: Address) -> Iterator[None]:
    """Let a contract send transactions while a market is set up; afterwards it holds no native coin."""
    for node in nodes:
        node.rpc("anvil_impersonateAccount", who)
        node.rpc("anvil_setBalance", who, hex(10**20))
    yield
    for node in nodes:
        node.rpc("anvil_stopImpersonatingAccount", who)
        node.rpc("anvil_setBalance", who, "0x0")


def _on_lyra(chains: Chains, who: Address) -> None:
    """Open a put with 1.22 times its requirement, and leave the market no allowance."""
    lyra = chains.lyra
    kind, strike, size = _PUT
    lyra.fund(who, quote=Wad(200_000 * ONE), base=Wad(0))
    lyra.open(who, kind, strike, size, Wad(lyra.min_collateral(kind, strike, size) * 122 // 100))
    lyra["QuoteAsset"].send("approve", lyra["OptionMarket"].address, 0, sender=who)


def _on_curie(chains: Chains, who: Address) -> None:
    """Deposit, and sell perps far beyond any band; 100,000 USDC stay in the wallet."""
    curie = chains.curie
    curie.fund(who, 160_000)
    token = curie["SettlementToken"].address
    curie["Vault"].send("deposit", token, 60_000 * 10**6, sender=who)
    curie.trade(who, "ETH", Wad(-60 * ONE))
