"""The Lyra adapter: what it offers, and where each part of it is."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from keeper.model.book import LiquidationMode, SettlementMode
from keeper.model.plan import ActionKind, Liquidate, MoveCollateral, Refresh, Settle, TxAction
from keeper.model.promise import Promise
from keeper.model.reads import Address, Reads, Send
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.venue import Venue
from keeper.protocols.adapter import Finding, Found, Meaning, Survey
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.lyra import actions, discovery, promises, reading, reverts, survey, wiring
from keeper.protocols.lyra.contracts import ABIS, GREEKS, MARKET, SHORTS, Contracts
from keeper.protocols.tokens import ERC20


class Lyra:
    """Options of one market; one account per position.

    Venue contracts: `OptionMarket`, `OptionMarketViewer`, `OptionToken`, `OptionGreekCache`,
    `ShortCollateral`, `SynthetixAdapter`, `KeeperHelper`, `QuoteAsset`, `BaseAsset`. Market key of
    `underlyings`: the base asset's symbol, for example `sETH`.
    """

    name: ClassVar[str] = "lyra"
    liquidation_mode: ClassVar[LiquidationMode] = LiquidationMode.PERMISSIONLESS
    settlement_mode: ClassVar[SettlementMode] = SettlementMode.SYNC
    contracts: ClassVar[frozenset[str]] = frozenset(
        {
            "OptionMarket",
            "OptionMarketViewer",
            "OptionToken",
            "OptionGreekCache",
            "ShortCollateral",
            "SynthetixAdapter",
            "KeeperHelper",
            "QuoteAsset",
            "BaseAsset",
        }
    )
    actions: ClassVar[frozenset[ActionKind]] = frozenset(
        {ActionKind.MOVE_COLLATERAL, ActionKind.LIQUIDATE, ActionKind.SETTLE, ActionKind.REFRESH}
    )
    sends: ClassVar[frozenset[tuple[str, str]]] = frozenset(
        {
            (ERC20, "approve"),
            (MARKET, "addCollateral"),
            (MARKET, "openPosition"),
            (MARKET, "liquidatePosition"),
            (MARKET, "settleExpiredBoard"),
            (SHORTS, "settleOptions"),
            (GREEKS, "updateBoardCachedGreeks"),
        }
    )
    abis: ClassVar[tuple[str, ...]] = ABIS

    def check(self, venue: Venue) -> Reads[tuple[Finding, ...]]:
        """Prove that the configured addresses are wired to each other and answer our ABI."""
        return wiring.check(Contracts(venue))

    def discover(self, venue: Venue, known: Found, at: BlockRef) -> Reads[Found]:
        """Add the positions opened up to `at`. Raises `DiscoveryError`."""
        return discovery.discover(Contracts(venue), known, at)

    def survey(self, venue: Venue, known: Found, probes: Sequence[str], at: BlockRef) -> Reads[Survey]:
        """Read spot, parameters and the positions that events name; an option has no funding to probe.

        Raises `DiscoveryError`.
        """
        return survey.survey(Contracts(venue), known, at)

    def meaning(self, error: str, args: Mapping[str, object]) -> Meaning | None:
        """Explain a decoded revert."""
        return reverts.meaning(error, args)

    def encode(self, venue: Venue, action: TxAction, sender: Address) -> Reads[tuple[Send, ...]]:
        """Return the calls that carry out `action`; empty when nothing is left to do.

        Raises `UnencodableActionError`.
        """
        contracts = Contracts(venue)
        match action:
            case Liquidate():
                return actions.liquidate(contracts, action, sender)
            case MoveCollateral():
                return (yield from actions.move_collateral(contracts, action, sender))
            case Settle():
                return (yield from actions.settle(contracts, action))
            case Refresh():
                return (yield from actions.refresh(contracts, action, sender))
        raise UnencodableActionError(venue.id, action.kind, "options are not traded by the keeper")

    def promise(self, venue: Venue, action: TxAction, sender: Address) -> Reads[Promise]:
        """Return what is left of `action` is to change. Raises `UnencodableActionError`."""
        contracts = Contracts(venue)
        match action:
            case Liquidate():
                return (yield from promises.liquidate(contracts, action, sender))
            case MoveCollateral():
                return (yield from promises.move_collateral(contracts, action, sender))
            case Settle():
                return (yield from promises.settle(contracts, action, sender))
            case Refresh():
                return (yield from promises.refresh(contracts, action, sender))
        raise UnencodableActionError(venue.id, action.kind, "options are not traded by the keeper")

    def read(self, venue: Venue, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
        """Read the market, every open position of `found`, and what `wallets` hold for this venue."""
        return reading.read(Contracts(venue), found, wallets, at)
