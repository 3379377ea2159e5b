"""The tables of `[policy]`: when something is done about an account, and how much."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from keeper.config.tables import Table
from keeper.config.values import Count, EvmAddress, Fraction, Move, NonNegative, Odd, Positive


class LadderTable(Table):
    """`[policy.ladder]`."""

    warn_below: Positive = 1.5
    call_below: Positive = 1.2
    rebalance_below: Annotated[float, Field(ge=1)] = 1.05

    @model_validator(mode="after")
    def _ordered(self) -> "LadderTable":
        if not self.warn_below >= self.call_below >= self.rebalance_below:
            raise PydanticCustomError(
                "order",
                "expected warn_below >= call_below >= rebalance_below, found {warn} / {call} / {rebalance}",
                {"warn": self.warn_below, "call": self.call_below, "rebalance": self.rebalance_below},
            )
        return self


class HedgeTable(Table):
    """One of `[[policy.hedge]]`."""

    profile: str
    underlying: str
    venue: str
    owner: EvmAddress
    band: Positive
    lot: Positive = 0.001
    max_slippage: Fraction = 0.02
    max_trade: Positive

    @model_validator(mode="after")
    def _fine_enough(self) -> "HedgeTable":
        if self.lot > 2.0 * self.band:
            raise PydanticCustomError(
                "lot",
                "expected lot of at most twice the band, found {lot} for a band of {band}: a trade would "
                "cross it",
                {"lot": self.lot, "band": self.band},
            )
        return self


class TopUpTable(Table):
    """`[policy.top_up]`."""

    target_health: Annotated[float, Field(ge=1)] = 1.3
    min_transfer_usd: NonNegative = 50.0
    rounding_usd: Positive = 10.0
    max_usd: NonNegative
    payer: EvmAddress | None = None


class LiquidationTable(Table):
    """`[policy.liquidation]`."""

    enabled: bool = False
    min_profit_usd: float = 5.0
    gas_margin: Annotated[float, Field(ge=1)] = 1.5
    max_takeover_usd: NonNegative
    taker: EvmAddress | None = None


class TransferTable(Table):
    """`[policy.transfer]`."""

    latency_s: NonNegative = 3600.0
    local_latency_s: NonNegative = 60.0
    stress_vol_factor: Positive = 1.5
    tolerated_probability: Annotated[float, Field(gt=0, lt=1)] = 0.01


class StalenessTable(Table):
    """`[policy.staleness]`."""

    max_quote_age_s: Count = 3600
    max_surface_age_s: Count = 86400
    max_skew_s: Count = 120
    max_deviation: NonNegative = 0.05


class HouseTable(Table):
    """`[policy.house]`."""

    spot_range: Annotated[float, Field(gt=0, lt=1)] = 0.16
    spot_steps: Annotated[Odd, Field(ge=3)] = 9
    vol_up: NonNegative = 0.40
    vol_down: Annotated[float, Field(ge=0, lt=1)] = 0.25
    extended_moves: tuple[Move, ...] = (-0.66, -0.33, 0.5, 1.0, 2.0)
    fallback_vol: Positive = 0.8
    maintenance_factor: Fraction = 0.8
    basis_rate: NonNegative = 0.01
    liquidity_rate: NonNegative = 0.002
    vol_spread: NonNegative = 0.0
    impact: NonNegative = 0.0
    concentration_share: NonNegative = 0.1
    concentration_rate: NonNegative = 0.0
    daily_volume_usd: dict[str, Positive] = Field(default_factory=dict)
    history: str = ""


class SettleTable(Table):
    """`[policy.settle]`."""

    expired: bool = True


class PolicyTable(Table):
    """`[policy]`."""

    ladder: LadderTable
    hedge: tuple[HedgeTable, ...] = ()
    top_up: TopUpTable
    liquidation: LiquidationTable
    transfer: TransferTable
    staleness: StalenessTable
    house: HouseTable
    settle: SettleTable

    @model_validator(mode="after")
    def _restores(self) -> "PolicyTable":
        if self.top_up.target_health < self.ladder.call_below:
            raise PydanticCustomError(
                "target",
                "expected top_up.target_health >= ladder.call_below, found {target} and {call}: what is "
                "topped up would be called again",
                {"target": self.top_up.target_health, "call": self.ladder.call_below},
            )
        return self
