"""Curie's contracts: where they are, and the calls that are made to each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from keeper.model.addresses import checksummed
from keeper.model.instrument import instrument_id
from keeper.model.reads import Address, Call, Send
from keeper.model.units import Wad, from_raw
from keeper.model.venue import Venue
from keeper.protocols.errors import VenueUnfitError
from keeper.protocols.tokens import token_call

CLEARING: Final = "curie/ClearingHouse"
CONFIG: Final = "curie/ClearingHouseConfig"
BALANCE: Final = "curie/AccountBalance"
EXCHANGE: Final = "curie/Exchange"
VAULT: Final = "curie/Vault"
REGISTRY: Final = "curie/MarketRegistry"
ORDERS: Final = "curie/OrderBook"
INSURANCE: Final = "curie/InsuranceFund"
BASE: Final = "curie/BaseToken"
POOL: Final = "uniswap/UniswapV3Pool"

RATIO_PLACES: Final = 6
"""Ratios: 62500 is 6.25 %."""

FUNDING_PERIOD_S: Final = 86_400
"""A premium of x is paid in full over a day. Source: `Funding`, one day by default."""

LIQUIDATION_GAS: Final = 2_300_000
"""Source: measured on the package's bytecode, 1.38 M to 2.27 M."""


@cache
def risk_factors(venue: Venue) -> Mapping[Address, str]:
    """Return the configured risk factors by token, addresses as the chain spells them, sorted.

    Raises `VenueUnfitError` for a key that is no address.
    """
    factors: dict[Address, str] = {}
    for key, underlying in venue.underlyings:
        try:
            factors[checksummed(key)] = underlying
        except ValueError:
            raise VenueUnfitError(
                venue.id, f"underlyings names {key!r}, which is no token's address"
            ) from None
    return MappingProxyType(dict(sorted(factors.items())))


def ratio_to_wad(ratio: int) -> Wad:
    """Scale one of the venue's ratios: 62500 becomes 0.0625."""
    return from_raw(ratio, RATIO_PLACES)


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of one deployment."""

    venue: Venue

    def __getitem__(self, name: str) -> Address:
        return self.venue.address(name)

    def instrument(self, base: Address) -> str:
        """Return the instrument id of a market."""
        return instrument_id(self.venue.protocol, self.venue.chain_id, base)

    def clearing(self, fn: str, *args: Any) -> Call:
        """Call what trades and liquidates. 18 places."""
        return Call(CLEARING, self["ClearingHouse"], fn, args)

    def balance(self, fn: str, *args: Any) -> Call:
        """Call what knows positions, requirements and mark prices. 18 places."""
        return Call(BALANCE, self["AccountBalance"], fn, args)

    def exchange(self, fn: str, *args: Any) -> Call:
        """Call what knows funding and the limits of trading. 18 places."""
        return Call(EXCHANGE, self["Exchange"], fn, args)

    def vault(self, fn: str, *args: Any) -> Call:
        """Call what holds the collateral. Places of the token asked about, else the settlement token's."""
        return Call(VAULT, self["Vault"], fn, args)

    def config(self, fn: str, *args: Any) -> Call:
        """Call what knows the ratios. 6 places."""
        return Call(CONFIG, self["ClearingHouseConfig"], fn, args)

    def registry(self, fn: str, *args: Any) -> Call:
        """Call what lists the markets."""
        return Call(REGISTRY, self["MarketRegistry"], fn, args)

    def orders(self, fn: str, *args: Any) -> Call:
        """Call what knows resting liquidity."""
        return Call(ORDERS, self["OrderBook"], fn, args)

    def insurance(self, fn: str, *args: Any) -> Call:
        """Call what covers bad debt."""
        return Call(INSURANCE, self["InsuranceFund"], fn, args)

    def settlement(self, fn: str, *args: Any) -> Call:
        """Call the settlement token."""
        return token_call(self["SettlementToken"], fn, *args)

    def base(self, base: Address, fn: str, *args: Any) -> Call:
        """Call a base token: index price and state of its market. 18 places."""
        return Call(BASE, base, fn, args)

    def pool(self, pool: Address, fn: str, *args: Any) -> Call:
        """Call a market's pool."""
        return Call(POOL, pool, fn, args)

    def send(self, abi: str, name: str, fn: str, *args: Any) -> Send:
        """Return a transaction's call to the contract that the venue knows under `name`."""
        return Send(abi, self[name], fn, args)

    def cancel_orders(self, trader: Address, base: Address) -> Send:
        """Take a trader's resting liquidity out of a market; allowed once his margin is short."""
        return self.send(CLEARING, "ClearingHouse", "cancelAllExcessOrders", trader, base)

    def liquidate(self, trader: Address, base: Address, size: int) -> Send:
        """Take a position over, at most `size`, which has the sign of the position; 0 is the most allowed."""
        return self.send(CLEARING, "ClearingHouse", "liquidate", trader, base, size)
