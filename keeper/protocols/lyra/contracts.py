"""Lyra's contracts: where they are, and the calls that are made to each."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from keeper.model.instrument import Right
from keeper.model.reads import Address, Call, Send
from keeper.model.venue import Venue
from keeper.protocols.tokens import token_call

MARKET: Final = "lyra/OptionMarket"
TOKEN: Final = "lyra/OptionToken"  # noqa: S105  the ERC-721, not a secret
GREEKS: Final = "lyra/OptionGreekCache"
SHORTS: Final = "lyra/ShortCollateral"
ADAPTER: Final = "lyra/SynthetixAdapter"
KEEPER: Final = "lyra/KeeperHelper"
VIEWER: Final = "lyra/OptionMarketViewer"

ABIS: Final = (
    MARKET,
    TOKEN,
    GREEKS,
    SHORTS,
    ADAPTER,
    "lyra/OptionMarketPricer",
    "lyra/LiquidityPool",
)
"""Every ABI whose custom errors a transaction may come back with."""

DECIMALS: Final = 18
"""Of sUSD and sETH; the contracts assume it, and `check` proves it."""

IDS_PER_CALL: Final = 400
"""Positions read by one `getOptionPositions`: 15 k gas each, 6 M gas in all."""

SETTLED_PER_CALL: Final = 50
"""Positions settled by one transaction: about 90 k gas each, 4.5 M gas in all."""

LIQUIDATION_GAS: Final = 1_100_000
"""Source: measured on the package's bytecode, 0.95 M (quote) to 1.07 M (base collateral)."""


class OptionType(IntEnum):
    """What a position is, and what its collateral is in."""

    LONG_CALL = 0
    LONG_PUT = 1
    SHORT_CALL_BASE = 2
    SHORT_CALL_QUOTE = 3
    SHORT_PUT_QUOTE = 4

    @property
    def is_short(self) -> bool:
        """Only shorts have collateral and a requirement."""
        return self >= OptionType.SHORT_CALL_BASE

    @property
    def right(self) -> Right:
        """Call or put."""
        return Right.PUT if self in (OptionType.LONG_PUT, OptionType.SHORT_PUT_QUOTE) else Right.CALL


class PositionState(IntEnum):
    """What became of a position. All but ACTIVE are final; EMPTY was never opened."""

    EMPTY = 0
    ACTIVE = 1
    CLOSED = 2
    LIQUIDATED = 3
    SETTLED = 4
    MERGED = 5


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of one option market."""

    venue: Venue

    def __getitem__(self, name: str) -> Address:
        return self.venue.address(name)

    def market(self, fn: str, *args: Any) -> Call:
        """Call what knows boards and strikes, and trades."""
        return Call(MARKET, self["OptionMarket"], fn, args)

    def token(self, fn: str, *args: Any) -> Call:
        """Call what knows positions and their owners."""
        return Call(TOKEN, self["OptionToken"], fn, args)

    def greeks(self, fn: str, *args: Any) -> Call:
        """Call what knows pricing parameters and the minimum collateral."""
        return Call(GREEKS, self["OptionGreekCache"], fn, args)

    def oracle(self, fn: str, *args: Any) -> Call:
        """Call what knows the spot price and pauses."""
        return Call(ADAPTER, self["SynthetixAdapter"], fn, args)

    def viewer(self, fn: str, *args: Any) -> Call:
        """Call what lists all markets of the chain."""
        return Call(VIEWER, self["OptionMarketViewer"], fn, args)

    def helper(self, fn: str, *args: Any) -> Call:
        """Call the venue's own batches for keepers."""
        return Call(KEEPER, self["KeeperHelper"], fn, args)

    def quote(self, fn: str, *args: Any) -> Call:
        """Call the dollar token."""
        return token_call(self["QuoteAsset"], fn, *args)

    def base(self, fn: str, *args: Any) -> Call:
        """Call the underlying's token."""
        return token_call(self["BaseAsset"], fn, *args)

    def send(self, abi: str, name: str, fn: str, *args: Any) -> Send:
        """Return a transaction's call to the contract that the venue knows under `name`."""
        return Send(abi, self[name], fn, args)

    def liquidate(self, position_id: int, beneficiary: Address) -> Send:
        """Close a position whole; the reward goes to `beneficiary`."""
        return self.send(MARKET, "OptionMarket", "liquidatePosition", position_id, beneficiary)

    def simulated(self, send: Send, sender: Address) -> Call:
        """Return a transaction as a read: whether it would go through, changing nothing."""
        return Call(send.contract, send.to, send.fn, send.args, sender=sender)
