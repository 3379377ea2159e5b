"""One look at everything: what was read, at which blocks, and what could not be read."""

from dataclasses import dataclass

from keeper.model.book import Account, Wallet
from keeper.model.canonical import digest
from keeper.model.instrument import Instrument
from keeper.model.quote import Depth, Funding, GasPrice, PoolState, Quote, VolSurface
from keeper.model.units import Wad

SNAPSHOT_SCHEMA = "keeper.snapshot/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRef:
    """The block that all reads of a chain were made at."""

    chain_id: int
    number: int
    hash: str
    parent_hash: str
    timestamp_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStamp:
    """Time or sequence of a venue whose book lives outside the EVM."""

    venue: str
    sequence: str
    timestamp_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that should be known and is not. Never replaced by a zero."""

    what: str
    """Kind of the missing thing: `chain`, `venue`, `account`, `quote`, `surface`, `funding`, `depth`,
    `wallet` or `gas`; `skew` where a chain was read but lags the others; `screen` where what was carried of a
    venue's accounts is in doubt, so that all of them were read."""

    key: str
    """Which one: `42161`, `curie:42161:0xabc...`, `ETH`."""

    reason: str
    chain_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """An option expiry of a venue that is past or near its end: what settlement needs to know."""

    venue: str
    """`<protocol>:<chain>`."""

    chain_id: int
    key: str
    expiry_s: int
    settled: bool
    open_positions: tuple[str, ...]
    """Account ids that wait for settlement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTerms:
    """The venue's margin parameters, as its contracts answer them: what our twin of its rule needs.

    Curie: `mm_ratio`, `im_ratio`, `liquidation_penalty`. Lyra: `min_static_quote`, `min_static_base`,
    `shock_vol_a`, `shock_vol_point_a_s`, `shock_vol_b`, `shock_vol_point_b_s`, `call_spot_shock`,
    `put_spot_shock`, `rate`.
    """

    venue: str
    """`<protocol>:<chain>`."""

    chain_id: int
    values: tuple[tuple[str, Wad], ...]
    """Name and value, 1.0 is 10**18; names ending in `_s` are plain seconds. Sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueState:
    """All that one adapter read from its venue at one block."""

    accounts: tuple[Account, ...]
    instruments: tuple[Instrument, ...]
    quotes: tuple[Quote, ...]
    surfaces: tuple[VolSurface, ...] = ()
    funding: tuple[Funding, ...] = ()
    depth: tuple[Depth, ...] = ()
    boards: tuple[Board, ...] = ()
    terms: tuple[VenueTerms, ...] = ()
    pools: tuple[PoolState, ...] = ()
    """Raw pools of a venue whose liquidity is an AMM; the snapshot turns them into `depth`."""

    wallets: tuple[Wallet, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Accounts of a venue that were not read: no event named them, and our twin finds them far from a line.

    They are not in the snapshot: whatever is in it was read at its blocks.
    """

    venue: str
    """`<protocol>:<chain>`."""

    chain_id: int
    unread: int
    """How many there are."""

    full_read: BlockRef
    """Where all of them were last read."""

    margin: Wad
    """Each has more than 1 + `margin` times its requirement, by the twin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The only input of a decision besides the parameters. Every number in it is an exact integer.

    Tuples are sorted by id, so that two readings of the same state are the same bytes.
    """

    schema: str = SNAPSHOT_SCHEMA
    blocks: tuple[BlockRef, ...]
    stamps: tuple[VenueStamp, ...] = ()
    accounts: tuple[Account, ...]
    instruments: tuple[Instrument, ...]
    quotes: tuple[Quote, ...]
    surfaces: tuple[VolSurface, ...] = ()
    funding: tuple[Funding, ...] = ()
    depth: tuple[Depth, ...] = ()
    boards: tuple[Board, ...] = ()
    terms: tuple[VenueTerms, ...] = ()
    wallets: tuple[Wallet, ...] = ()
    gas: tuple[GasPrice, ...] = ()
    screens: tuple[Screen, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def taken_at_s(self) -> int:
        """Chain time of the latest pinned block; 0 when no chain answered."""
        return max((b.timestamp_s for b in self.blocks), default=0)

    @property
    def skew_s(self) -> int:
        """Latest minus earliest pinned block time."""
        return self.taken_at_s - min((b.timestamp_s for b in self.blocks), default=0)

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON, hexadecimal. Computed at each call: keep it, do not ask twice."""
        return digest(self)
