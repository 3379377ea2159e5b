"""The Curie adapter: what it offers, and where each part of it is."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from keeper.model.book import LiquidationMode, SettlementMode
from keeper.model.plan import ActionKind, Hedge, Liquidate, MoveCollateral, TxAction
from keeper.model.promise import Promise
from keeper.model.reads import Address, Reads, Send
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.venue import Venue
from keeper.protocols.adapter import Finding, Found, Meaning, Survey
from keeper.protocols.curie import actions, discovery, promises, reading, reverts, survey, wiring
from keeper.protocols.curie.contracts import CLEARING, VAULT, Contracts
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.tokens import ERC20


class Curie:
    """Perps of one deployment; one account per trader.

    Venue contracts: `ClearingHouse`, `ClearingHouseConfig`, `AccountBalance`, `Exchange`, `Vault`,
    `MarketRegistry`, `OrderBook`, `InsuranceFund`, `SettlementToken`. Market key of `underlyings`: the base
    token's address; the address of a collateral token gives its risk factor, `USD` for a dollar.
    """

    name: ClassVar[str] = "curie"
    liquidation_mode: ClassVar[LiquidationMode] = LiquidationMode.PERMISSIONLESS
    settlement_mode: ClassVar[SettlementMode] = SettlementMode.SYNC
    contracts: ClassVar[frozenset[str]] = frozenset(
        {
            "ClearingHouse",
            "ClearingHouseConfig",
            "AccountBalance",
            "Exchange",
            "Vault",
            "MarketRegistry",
            "OrderBook",
            "InsuranceFund",
            "SettlementToken",
        }
    )
    actions: ClassVar[frozenset[ActionKind]] = frozenset(
        {ActionKind.HEDGE, ActionKind.MOVE_COLLATERAL, ActionKind.LIQUIDATE}
    )
    sends: ClassVar[frozenset[tuple[str, str]]] = frozenset(
        {
            (ERC20, "approve"),
            (CLEARING, "openPosition"),
            (CLEARING, "openPositionFor"),
            (CLEARING, "cancelAllExcessOrders"),
            (CLEARING, "liquidate"),
            (VAULT, "deposit"),
            (VAULT, "depositFor"),
            (VAULT, "withdraw"),
        }
    )
    abis: ClassVar[tuple[str, ...]] = (CLEARING, VAULT)

    def check(self, venue: Venue) -> Reads[tuple[Finding, ...]]:
        """Prove that the configured addresses are wired to each other and answer our ABI."""
        return wiring.check(Contracts(venue))

    def discover(self, venue: Venue, known: Found, at: BlockRef) -> Reads[Found]:
        """Add the traders, makers and depositors that appeared up to `at`. Raises `DiscoveryError`."""
        return discovery.discover(Contracts(venue), known, at)

    def read(self, venue: Venue, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
        """Read the markets, every trader of `found` and `wallets`, and what `wallets` hold for this venue."""
        return reading.read(Contracts(venue), found, wallets, at)

    def survey(self, venue: Venue, known: Found, probes: Sequence[str], at: BlockRef) -> Reads[Survey]:
        """Read prices, ratios, whom events name, and the funding due of `probes`.

        Raises `DiscoveryError`.
        """
        return survey.survey(Contracts(venue), known, probes, at)

    def meaning(self, error: str, args: Mapping[str, object]) -> Meaning | None:
        """Explain a decoded revert."""
        return reverts.meaning(error)

    def encode(self, venue: Venue, action: TxAction, sender: Address) -> Reads[tuple[Send, ...]]:
        """Return the calls that carry out `action`. Raises `UnencodableActionError`."""
        contracts = Contracts(venue)
        match action:
            case Hedge():
                return actions.hedge(contracts, action, sender)
            case MoveCollateral():
                return (yield from actions.move_collateral(contracts, action, sender))
            case Liquidate():
                return (yield from actions.liquidate(contracts, action))
        raise UnencodableActionError(venue.id, action.kind, "perps neither expire nor cache anything")

    def promise(self, venue: Venue, action: TxAction, sender: Address) -> Reads[Promise]:
        """Return what `action` is to change. Raises `UnencodableActionError`."""
        contracts = Contracts(venue)
        match action:
            case Hedge():
                return (yield from promises.hedge(contracts, action, sender))
            case MoveCollateral():
                return (yield from promises.move_collateral(contracts, action, sender))
            case Liquidate():
                return (yield from promises.liquidate(contracts, action, sender))
        raise UnencodableActionError(venue.id, action.kind, "perps neither expire nor cache anything")
