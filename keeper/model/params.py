"""The parameters of a decision, as frozen values. Together with a snapshot they determine the plan."""

from dataclasses import dataclass

from keeper.model.canonical import digest
from keeper.model.margin import Role
from keeper.model.reads import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileParams:
    """A named set of accounts."""

    name: str
    role: Role
    owners: tuple[Address, ...]
    """Empty: everybody who belongs to no other profile."""

    chains: tuple[int, ...] = ()
    """Empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderParams:
    """Thresholds on health = equity / maintenance; warn > call > rebalance >= 1."""

    warn_below: float
    call_below: float
    rebalance_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeParams:
    """No-trade band of one underlying for one profile, and where to trade."""

    profile: str
    underlying: str
    band_base: float
    """Half width: nothing is done while |net delta| <= band."""

    venue: str
    """`<protocol>:<chain>`."""

    owner: Address
    """Whose account at the venue trades."""

    lot_base: float
    """Sizes are rounded toward zero to a multiple of this."""

    max_slippage: float
    """Worst average price against the mark, as a fraction."""

    max_trade_base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpParams:
    """How much collateral an account under `rebalance_below` receives."""

    target_health: float
    min_transfer_usd: float
    rounding_usd: float
    """Amounts are rounded up to a multiple of this."""

    max_usd: float
    """Most that one action may move."""

    payer: Address | None = None
    """Whose wallet pays: the signer's. None: the owner of each account, who then has to be the signer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationParams:
    """When a watched account is worth liquidating."""

    enabled: bool
    min_profit_usd: float
    gas_margin: float
    """Expected reward must exceed this multiple of the gas cost."""

    max_takeover_usd: float
    """Most notional of taken-over positions per cycle."""

    taker: Address | None
    """Whose account receives what a liquidation takes over: the signer's. None: nothing is taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferParams:
    """Routes of collateral, for the third figure."""

    latency_s: float
    """From another chain."""

    local_latency_s: float
    """From the owner's wallet on the same chain."""

    stress_vol_factor: float
    """Multiplies the vol in the barrier formula, which knows no jumps."""

    tolerated_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StalenessParams:
    """Gates on inputs. An input beyond its gate is a gap."""

    max_quote_age_s: int
    max_surface_age_s: int
    max_skew_s: int
    """Between the pinned blocks of different chains."""

    max_deviation: float
    """Between two venues' prices of one underlying, as a fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """Daily closes of several underlyings on the same days: what VaR and ES rest on.

    Closes, not returns: a decimal is the same float on every machine, a logarithm need not be, and the
    digest of the parameters must not depend on the machine.
    """

    underlyings: tuple[str, ...]
    """Unique, at least one."""

    times_s: tuple[int, ...]
    """Midnight UTC at which each day ends, rising."""

    closes_usd: tuple[tuple[float, ...], ...]
    """One row per time, one close > 0 per underlying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseParams:
    """The house requirement by full revaluation on a grid."""

    spot_range: float
    spot_steps: int
    """Odd number of moves from -range to +range."""

    vol_up: float
    """Relative change at 30 days."""

    vol_down: float
    extended_moves: tuple[float, ...]
    """Relative spot moves beyond the range, weighted range/|move|."""

    fallback_vol: float
    """Vol of an underlying without a surface, for the barrier formula only."""

    maintenance_factor: float
    """House maintenance / house initial."""

    basis_rate: float
    """Charge on the notional that offsets in another contract (another perp, expiry, venue or spot), as a
    fraction."""

    liquidity_rate: float
    """Half the spread: charge on the delta notional of every netted contract, as a fraction."""

    vol_spread: float = 0.0
    """Half the spread of options, in vol per year: charge on every netted option's vega."""

    impact: float = 0.0
    """Factor of the square-root law: 1 costs one day's vol for one day's volume. Needs `daily_volume_usd`."""

    concentration_share: float = 0.1
    """Share of a day's volume that is free of the concentration charge."""

    concentration_rate: float = 0.0
    """Charge on the net delta notional per day's volume beyond that share. Needs `daily_volume_usd`."""

    daily_volume_usd: tuple[tuple[str, float], ...] = ()
    """Traded per day, by underlying, > 0. Sorted."""

    history: PriceHistory | None = None
    """None: no VaR, no ES and no floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """All parameters of `policy.decide`."""

    schema: str = "keeper.params/1"
    profiles: tuple[ProfileParams, ...]
    ladder: LadderParams
    hedges: tuple[HedgeParams, ...]
    top_up: TopUpParams
    liquidation: LiquidationParams
    transfer: TransferParams
    staleness: StalenessParams
    house: HouseParams
    settle_expired: bool

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON, hexadecimal."""
        return digest(self)
