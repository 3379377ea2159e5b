"""The tables of the configuration file, as frozen pydantic models: key, type, range, default.

Every key is explained, with its unit, in `config/example.toml`; attribute names are the keys. The tables
of `[policy]` are in `policy_tables`, the kinds of value in `values`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from keeper.config.values import (
    Count,
    DatabaseOrNone,
    EndpointOrNone,
    Endpoints,
    EvmAddress,
    FilePath,
    Fraction,
    NonNegative,
    Positive,
    PrivateOrNone,
    WsEndpoint,
)
from keeper.model.margin import Role
from keeper.model.reads import Address

MULTICALL3 = Address("0xcA11bde05977b3631167028862bE2a173976CA11")
"""The canonical address, the same on almost every chain."""


class Table(BaseModel):
    """A table of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def with_empty_tables(raw: Mapping[str, Any], table: type[Table]) -> dict[str, Any]:
    """Return `raw` with an empty table for each absent one, so that its required keys are reported."""
    filled = dict(raw)
    for name, field in table.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table):
            given = raw.get(name, {})
            filled[name] = with_empty_tables(given, field.annotation) if isinstance(given, dict) else given
    return filled


class StoreTable(Table):
    """`[store]`: an SQLite file, or a PostgreSQL database instead."""

    path: FilePath
    url: DatabaseOrNone = ""
    standby: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("url"):
            return given
        if "path" in given:
            raise PydanticCustomError("two_places", "expected path or url, found both: which is the store?")
        return {**given, "path": ""}

    @property
    def place(self) -> Path | str:
        """The file, or the URL of the database."""
        return self.url or self.path


class JournalTable(Table):
    """`[journal]`."""

    path: FilePath
    segment_mb: Count = 64
    keep_days: Count = 0


class CycleTable(Table):
    """`[cycle]`."""

    interval_s: Annotated[int, Field(ge=1)] = 60
    on_new_head: bool = True
    poll_s: Positive = 1.0
    max_age_s: Annotated[int, Field(ge=1)] = 300


class ScreenTable(Table):
    """`[screen]`."""

    enabled: bool = True
    min_accounts: Count = 200
    margin: Fraction = 0.01
    full_read_s: Positive = 60.0


class ChainTable(Table):
    """`[chains.NAME]`."""

    chain_id: Annotated[int, Field(ge=1)]
    endpoints: Endpoints
    ws_endpoints: Annotated[tuple[WsEndpoint, ...], Field(repr=False)] = ()
    ws_silent_s: Positive = 15.0
    quorum: Annotated[int, Field(ge=1)] = 1
    private_endpoint: EndpointOrNone = ""
    private_blocks: Annotated[int, Field(ge=1)] = 25
    private_only: bool = False
    max_lag_blocks: Count = 5
    pin_at: Literal["latest", "safe", "finalized"] = "latest"
    confirmations: Count = 0
    finality: Literal["auto", "confirmations", "safe", "finalized"] = "auto"
    finality_fallback: bool = False
    final_after_blocks: Count = 12
    call_gas: Annotated[int, Field(ge=1_000_000)] = 50_000_000
    gas_by: Literal["auto", "estimate", "simulation"] = "auto"
    log_blocks: Annotated[int, Field(ge=1)] = 10_000
    timeout_s: Positive = 20.0
    max_head_age_s: Annotated[int, Field(ge=1)] = 120
    l1_fee: Literal["none", "op-stack", "arbitrum"] = "none"
    fee_blocks: Annotated[int, Field(ge=1, le=1024)] = 20
    fee_percentile: Annotated[int, Field(ge=0, le=100)] = 50
    min_tip_gwei: NonNegative = 0.0
    max_tip_gwei: NonNegative = 1000.0
    native: str = "ETH"
    multicall: EvmAddress = MULTICALL3

    @model_validator(mode="after")
    def _tips_in_order(self) -> "ChainTable":
        if self.min_tip_gwei > self.max_tip_gwei:
            raise PydanticCustomError(
                "tips",
                "min_tip_gwei {least} is above max_tip_gwei {most}",
                {"least": self.min_tip_gwei, "most": self.max_tip_gwei},
            )
        return self

    @model_validator(mode="after")
    def _enough_endpoints(self) -> "ChainTable":
        if self.quorum > len(self.endpoints):
            raise PydanticCustomError(
                "quorum",
                "quorum is {quorum} of {count} endpoints: name more, or ask for fewer",
                {"quorum": self.quorum, "count": len(self.endpoints)},
            )
        return self


class VenueTable(Table):
    """`[venues.NAME]`."""

    protocol: str
    chain: str
    from_block: Count = 0
    contracts: dict[str, EvmAddress]
    underlyings: dict[str, str]


class ProfileTable(Table):
    """`[profiles.NAME]`."""

    role: Role
    owners: tuple[EvmAddress, ...] = ()
    chains: tuple[str, ...] = ()


class UrgentSignerTable(Table):
    """`[signer.urgent]`: where the key lies; the key itself is never here."""

    kind: Literal["keystore", "remote", "kms"] = "keystore"
    keystore: FilePath | None = None
    password_file: FilePath | None = None
    address: EvmAddress | None = None
    url: PrivateOrNone = ""
    method: Literal["eth_signTransaction", "account_signTransaction"] = "eth_signTransaction"
    key_id: str = ""
    region: str = ""
    kms_endpoint: PrivateOrNone = ""
    timeout_s: Positive = 5.0

    @model_validator(mode="after")
    def _complete(self) -> "UrgentSignerTable":
        needed = {
            "keystore": ("keystore", "password_file"),
            "remote": ("address", "url"),
            "kms": ("address", "key_id"),
        }[self.kind]
        if missing := [key for key in needed if not getattr(self, key)]:
            raise PydanticCustomError(
                "incomplete",
                'kind = "{kind}" needs {missing}',
                {"kind": self.kind, "missing": " and ".join(missing)},
            )
        return self


class SignerTable(UrgentSignerTable):
    """`[signer]`: the same keys, and the table of another signer for urgent work."""

    urgent: UrgentSignerTable | None = None


SentKind = Literal["move_collateral", "liquidate", "hedge", "settle", "refresh"]


class LimitTable(Table):
    """`[limits]`."""

    max_gas_wei_per_tx: Annotated[int, Field(ge=0)]
    max_gas_wei_per_hour: Annotated[int, Field(ge=0)]
    max_gas_wei_per_day: Annotated[int, Field(ge=0)]
    min_native: NonNegative = 0.05
    max_fee_gwei: Positive = 100.0
    valid_blocks: Annotated[int, Field(ge=1)] = 50
    urgent_kinds: tuple[SentKind, ...] = ("move_collateral", "liquidate")
    emergency_kinds: tuple[SentKind, ...] = ("move_collateral", "liquidate")
    emergency_max_fee_gwei: Positive = 2000.0
    emergency_max_gas_wei_per_day: Annotated[int, Field(ge=0)] = 500_000_000_000_000_000
    max_moved_usd_per_tx: NonNegative = 500_000.0
    max_moved_usd_per_hour: NonNegative = 1_000_000.0
    max_moved_usd_per_day: NonNegative = 5_000_000.0
    promise_tolerance_bps: Annotated[int, Field(ge=0, lt=10_000)] = 500
    require_promise: bool = True

    @model_validator(mode="after")
    def _emergency_above(self) -> "LimitTable":
        if self.emergency_kinds and self.emergency_max_fee_gwei < self.max_fee_gwei:
            raise PydanticCustomError("order", "expected max_fee_gwei <= emergency_max_fee_gwei")
        return self

    @model_validator(mode="after")
    def _nested(self) -> "LimitTable":
        if not self.max_gas_wei_per_tx <= self.max_gas_wei_per_hour <= self.max_gas_wei_per_day:
            raise PydanticCustomError(
                "order", "expected max_gas_wei_per_tx <= max_gas_wei_per_hour <= max_gas_wei_per_day"
            )
        if not self.max_moved_usd_per_tx <= self.max_moved_usd_per_hour <= self.max_moved_usd_per_day:
            raise PydanticCustomError(
                "order", "expected max_moved_usd_per_tx <= max_moved_usd_per_hour <= max_moved_usd_per_day"
            )
        return self


Mode = Literal["dry-run", "live"]
