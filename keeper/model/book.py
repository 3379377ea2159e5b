"""Accounts as their venues count them: balances, positions, requirement, and how they end."""

from dataclasses import dataclass
from enum import StrEnum

from keeper.model.reads import Address
from keeper.model.units import ZERO, Wad, ratio


class LiquidationMode(StrEnum):
    """Who may close an account that fails its requirement, and in how many steps."""

    PERMISSIONLESS = "permissionless"
    TWO_STEP = "two-step"
    AUCTION = "auction"
    ROLE_GATED = "role-gated"
    VENUE_INTERNAL = "venue-internal"
    NONE = "none"


class SettlementMode(StrEnum):
    """When the effect of a transaction is final at the venue."""

    SYNC = "sync"
    ASYNC_BY_KEEPER = "async-by-keeper"
    FIRE_AND_RECONCILE = "fire-and-reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An amount of an asset at a venue or in a wallet; a debt is negative."""

    asset: str
    """Symbol, for example `USDC`."""

    amount: Wad
    underlying: str | None = None
    """Risk factor of the asset; None for a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A signed holding of one instrument: long +, short -."""

    instrument: str
    size: Wad
    """Units of the underlying."""

    entry: Wad | None = None
    """Average entry price, USD per unit; None where the venue does not keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """The venue's own margin figures, USD, as its contract counts them at the pinned block."""

    equity: Wad
    """What the contract compares with `maintenance`: account value (Curie), collateral (Lyra)."""

    initial: Wad
    maintenance: Wad

    @property
    def health(self) -> float:
        """Equity / maintenance; infinite without a requirement."""
        return ratio(self.equity, self.maintenance)

    @property
    def shortfall(self) -> Wad:
        """max(0, maintenance - equity), USD."""
        return Wad(max(0, self.maintenance - self.equity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounty:
    """What the venue offers to whoever liquidates an account now."""

    instrument: str
    size: Wad
    """Signed size that one call closes, the sign of the position."""

    reward_usd: Wad
    """Value received by the liquidator, before gas, >= 0."""

    takes_over: bool
    """True where the liquidator receives the position at the venue's mark and must margin it."""

    gas: int
    """Gas that the call typically uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The unit that a venue margins, and may liquidate, on its own."""

    id: str
    """`<protocol>:<chain>:<key>`."""

    protocol: str
    chain_id: int
    key: str
    """The venue's own key: a trader's address, a position's token id."""

    owner: Address
    balances: tuple[Balance, ...]
    """Collateral at the venue, in whole units; accrued cash such as owed profit and funding included."""

    positions: tuple[Position, ...]
    venue: Requirement
    liquidatable: bool
    """The contract's own answer at the pinned block, never ours."""

    liquidation_mode: LiquidationMode
    settlement_mode: SettlementMode
    funding_due: Wad = ZERO
    """Funding accrued and not yet paid, USD; positive: the account pays. Already in `venue.equity`."""

    withdrawable: Wad | None = None
    """USD that the owner may take out now; None where the venue does not say."""

    has_orders: bool = False
    """Resting liquidity stands in the way of a liquidation."""

    margin_asset: str | None = None
    """Asset that anybody may add as collateral; None where nothing can be added."""

    margin_underlying: str | None = None
    """Risk factor of `margin_asset`; None for a dollar."""

    bounty: Bounty | None = None
    """Set when `liquidatable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What an address holds outside any venue, on one chain."""

    owner: Address
    chain_id: int
    native: Wad
    """Native coin for gas, in whole coins times 10**18."""

    balances: tuple[Balance, ...]
    allowances: tuple["Allowance", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much of an asset a contract may take from the wallet."""

    asset: str
    spender: Address
    amount: Wad
