"""What a protocol adapter offers. It holds no provider and awaits nothing: it yields reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from keeper.model.book import LiquidationMode, SettlementMode
from keeper.model.plan import ActionKind, TxAction
from keeper.model.promise import Promise
from keeper.model.reads import Address, Reads, Send
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.units import Wad
from keeper.model.venue import Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Accounts of a venue as far as its events and enumerations have been followed."""

    keys: tuple[str, ...] = ()
    """The venue's own keys, sorted, each once."""

    next_block: int = 0
    """First block whose events have not been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a venue shows at one block without a look into its accounts."""

    state: VenueState
    """Prices and terms, gaps where they are missing; no accounts."""

    found: Found
    """What was known, and what has appeared since."""

    touched: frozenset[str]
    """Keys of which an event said that they changed, among `found`."""

    funding_due: Mapping[str, Wad] = field(default_factory=dict)
    """Funding accrued and not yet paid, USD, by the keys of the probes that were answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check of the venue's wiring."""

    subject: str
    ok: bool
    found: str
    expected: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a venue's revert means for the keeper."""

    text: str
    benign: bool
    """Nothing needs to be done any more: healthy again, already gone, lost the race."""


class Adapter(Protocol):
    """One protocol. Every method that reads is a generator of multicalls."""

    name: ClassVar[str]
    liquidation_mode: ClassVar[LiquidationMode]
    settlement_mode: ClassVar[SettlementMode]
    contracts: ClassVar[frozenset[str]]
    """Names that `Venue.contracts` must hold."""

    actions: ClassVar[frozenset[ActionKind]]
    """Kinds that `encode` supports; the conformance suite proves each of them."""

    sends: ClassVar[frozenset[tuple[str, str]]]
    """(ABI, function) of every call that `encode` may return: the source of the allow-list."""

    abis: ClassVar[tuple[str, ...]]
    """ABIs whose errors may come back from a transaction of this venue."""

    def check(self, venue: Venue) -> Reads[tuple[Finding, ...]]:
        """Prove that the configured addresses are wired to each other and answer our ABI."""
        ...

    def discover(self, venue: Venue, known: Found, at: BlockRef) -> Reads[Found]:
        """Add to `known` the accounts that appeared up to `at`."""
        ...

    def survey(self, venue: Venue, known: Found, probes: Sequence[str], at: BlockRef) -> Reads[Survey]:
        """Read, in one round, prices, terms, events since `known`, and the funding due of `probes`.

        Events are those from `known.next_block` to `at`; probes are keys of accounts. Every change of an
        account's positions or collateral is in an event; what changes without one must not look as if it
        could be followed (`policy.screen`).
        """
        ...

    def read(self, venue: Venue, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
        """Read every account of `found`, the market, and what `wallets` hold for this venue, at `at`.

        An account that cannot be read becomes a `Gap`, never a default.
        """
        ...

    def encode(self, venue: Venue, action: TxAction, sender: Address) -> Reads[tuple[Send, ...]]:
        """Return the calls that carry out `action`, in order; an approval precedes what needs it.

        Reads at the head only what the encoding depends on (allowances). Raises `DataError` when the
        action cannot be encoded for this venue.
        """
        ...

    def promise(self, venue: Venue, action: TxAction, sender: Address) -> Reads[Promise]:
        """Return what is left of `action` at the head is to change, in the integers of the venue's contracts.

        Amounts come from the action; reads at the head only say in which contract and places they count.
        Raises `DataError` where `encode` would.
        """
        ...

    def meaning(self, error: str, args: Mapping[str, object]) -> Meaning | None:
        """Explain a decoded revert: custom error name or `Error(string)` text; None when unknown."""
        ...
