"""Market inputs, exact as read. Each says where it is from and when it was observed."""

from dataclasses import dataclass
from typing import Literal

from keeper.model.units import Wad


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price in USD."""

    subject: str
    """Underlying (`ETH`) for an index or a reference; instrument id for a mark."""

    kind: Literal["index", "mark", "reference"]
    """`index`: a venue's oracle; `mark`: a venue's price of an instrument; `reference`: the trusted
    price of an underlying that `market.oracles` derived from the indices."""

    price: Wad
    source: str
    """Venue and feed, for example `lyra:10:SynthetixAdapter`."""

    chain_id: int
    observed_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSlice:
    """Implied vols of one expiry, strikes ascending."""

    expiry_s: int
    strikes: tuple[Wad, ...]
    vols: tuple[Wad, ...]
    """Per square root of a year, 1.0 is 100 %. Same length as `strikes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSurface:
    """Implied vols of one underlying at one venue, expiries ascending."""

    underlying: str
    venue: str
    """`<protocol>:<chain>`: its options are priced on this surface."""

    chain_id: int
    rate: Wad
    """Rate and carry per year that the venue prices with: forward = spot * exp(rate * T)."""

    slices: tuple[VolSlice, ...]
    source: str
    observed_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """Current funding of a perp."""

    instrument: str
    rate_per_day: Wad
    """Fraction of notional that a long pays per day; negative: a long receives."""

    source: str
    chain_id: int
    observed_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A step of depth: `size` more can be traded at an average of `price`."""

    price: Wad
    size: Wad
    """Units of the underlying, > 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What can be traded now, best price first on each side."""

    instrument: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    fee: Wad
    """Fraction of notional that a taker pays."""

    source: str
    chain_id: int
    observed_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """One tick range of a concentrated-liquidity pool: what `market.depth` turns into levels."""

    instrument: str
    sqrt_price_x96: int
    tick: int
    liquidity: int
    tick_spacing: int
    fee: Wad
    max_tick_move: int
    """Ticks that one trade may cross before the venue refuses it."""

    nets: tuple[tuple[int, int], ...] = ()
    """Initialised ticks in reach, ascending, and the liquidity each adds when crossed upwards. Where an
    adapter does not read them, liquidity is taken as the same throughout `max_tick_move`."""

    chain_id: int
    source: str
    observed_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GasPrice:
    """What gas costs on a chain now."""

    chain_id: int
    wei_per_gas: int
    native_underlying: str
    """Risk factor of the native coin, to value gas in USD."""

    observed_at_s: int
