"""Where everything is: what a running devnet hands to whoever works with it, and its file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from keeper.model.reads import Address

SCHEMA: Final = "keeper.devnet/1"

OPTIMISM: Final = "optimism"
ARBITRUM: Final = "arbitrum"
CHAIN_IDS: Final[Mapping[str, int]] = {OPTIMISM: 10, ARBITRUM: 42161}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDeployment:
    """One local chain and the protocol on it."""

    name: str
    chain_id: int
    url: str
    protocol: str
    """`lyra` or `curie`."""

    from_block: int
    """Before the protocol's first event."""

    contracts: tuple[tuple[str, Address], ...]
    """(name, address), sorted by name."""

    def address(self, contract: str) -> Address:
        """Return a contract's address. Raises `KeyError`."""
        return dict(self.contracts)[contract]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Both chains, the people on them, and the files that belong to them."""

    folder: Path
    chains: tuple[ChainDeployment, ...]
    actors: tuple[tuple[str, Address], ...]
    """(name, address) in the order of the accounts; the same on both chains."""

    signer: Address
    """The keeper's own account, and the owner of the `desk` profile."""

    keystore: Path
    password_file: Path
    config: Path

    def chain(self, name: str) -> ChainDeployment:
        """Return a chain by name, `optimism` or `arbitrum`. Raises `KeyError`."""
        return {chain.name: chain for chain in self.chains}[name]

    def actor(self, name: str) -> Address:
        """Return an address by its owner's name. Raises `KeyError`."""
        return dict(self.actors)[name]

    @property
    def urls(self) -> dict[str, str]:
        """Address of each node by chain name."""
        return {chain.name: chain.url for chain in self.chains}


def to_json(deployment: Deployment) -> str:
    """Return the deployment as the text of its file; paths inside the folder are written relative to it."""
    found = asdict(deployment)
    for name in ("keystore", "password_file", "config"):
        found[name] = str(found[name].relative_to(deployment.folder))
    for chain in found["chains"]:
        chain["contracts"] = dict(chain["contracts"])
    found["actors"] = dict(found["actors"])
    del found["folder"]
    return json.dumps({"schema": SCHEMA, **found}, indent=2) + "\n"


def from_json(text: str, folder: Path) -> Deployment:
    """Return the deployment of a file's text. Raises `KeyError`, `ValueError` for a text of another kind."""
    found: dict[str, Any] = json.loads(text)
    if found.pop("schema", None) != SCHEMA:
        raise ValueError(f"not a {SCHEMA} file")
    return Deployment(
        folder=folder,
        chains=tuple(
            ChainDeployment(**{**chain, "contracts": tuple(chain["contracts"].items())})
            for chain in found["chains"]
        ),
        actors=tuple(found["actors"].items()),
        signer=found["signer"],
        keystore=folder / found["keystore"],
        password_file=folder / found["password_file"],
        config=folder / found["config"],
    )
