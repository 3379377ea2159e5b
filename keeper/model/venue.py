"""A venue as configured: which protocol, on which chain, at which addresses."""

from dataclasses import dataclass

from keeper.model.reads import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One deployment of one protocol."""

    protocol: str
    chain_id: int
    contracts: tuple[tuple[str, Address], ...]
    """Name in the adapter's terms and address, sorted by name."""

    from_block: int
    """First block in which its events can be found."""

    underlyings: tuple[tuple[str, str], ...] = ()
    """The venue's market key (address or symbol, as the adapter documents) to our risk factor."""

    @property
    def id(self) -> str:
        """`<protocol>:<chain>`."""
        return f"{self.protocol}:{self.chain_id}"

    def address(self, name: str) -> Address:
        """Return the address of a contract. Raises `KeyError` when the config lacks it."""
        return dict(self.contracts)[name]
