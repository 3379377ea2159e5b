"""The tables of the configuration file, as frozen pydantic models: key, type, range, default.

Every key is explained, with its unit, in `config/example.toml`; attribute names are the keys.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from eth_utils.address import is_address, is_checksum_address, to_checksum_address
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from keeper.model.margin import Role
from keeper.model.reads import Address

MULTICALL3 = Address("0xcA11bde05977b3631167028862bE2a173976CA11")
"""The canonical address, the same on almost every chain."""


def _checksummed(text: str) -> Address:
    """Return an address in EIP-55; one that carries a wrong checksum was mistyped."""
    if not is_address(text) or not text.startswith("0x"):
        raise PydanticCustomError("address", "expected an address: 0x and 40 hexadecimal digits")
    right = to_checksum_address(text)
    if text.lower() != text and not is_checksum_address(text):
        raise PydanticCustomError(
            "checksum", "its checksum is wrong: a mistyped address, or meant {right}", {"right": right}
        )
    return Address(right)


def _leads_to_a_host(text: str, schemes: tuple[str, ...]) -> bool:
    """Whether an URL has one of the schemes, a host, and no port that cannot be."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _http(text: str) -> str:
    """Return an endpoint that a JSON-RPC request can be posted to."""
    if not _leads_to_a_host(text, ("http", "https")):
        raise PydanticCustomError("endpoint", "expected an http:// or https:// URL")
    return text


def _http_or_none(text: str) -> str:
    """Return an endpoint, or the empty text that stands for none."""
    return _http(text) if text else ""


def _private_or_none(text: str) -> str:
    """Return an endpoint that nobody can listen in on: https, or a port of this machine."""
    parts = urlsplit(_http_or_none(text))
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise PydanticCustomError("plain_http", "expected https://; http:// goes to 127.0.0.1 only")
    return text


def _postgres_or_none(text: str) -> str:
    """Return the URL of a database without a password, or the empty text that stands for none."""
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme != "postgresql" or len(parts.path) < 2:
        raise PydanticCustomError("database", "expected postgresql://user@host/database")
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise PydanticCustomError(
            "password", "expected no password: put it into a file of mode 0600, and name it as ?passfile="
        )
    return text


def _ws(text: str) -> str:
    """Return an endpoint that can be subscribed to."""
    if not _leads_to_a_host(text, ("ws", "wss")):
        raise PydanticCustomError("ws_endpoint", "expected a ws:// or wss:// URL")
    return text


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    """Return a path relative to the folder of the configuration file."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


def _odd(steps: int) -> int:
    """Return a number of steps that has a middle: the unchanged spot."""
    if steps % 2 == 0:
        raise PydanticCustomError("odd", "expected an odd number, so that one step is the unchanged spot")
    return steps


def _some(endpoints: tuple[str, ...]) -> tuple[str, ...]:
    """Return endpoints, at least one. A length bound would also fire, wrongly, where one is malformed."""
    if not endpoints:
        raise PydanticCustomError("empty", "expected at least one URL")
    return endpoints


EvmAddress = Annotated[Address, AfterValidator(_checksummed)]
Endpoint = Annotated[str, AfterValidator(_http)]
WsEndpoint = Annotated[str, AfterValidator(_ws)]
FilePath = Annotated[Path, AfterValidator(_beside_file)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Move = Annotated[float, Field(ge=-1)]


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
    url: Annotated[str, AfterValidator(_postgres_or_none), Field(repr=False)] = ""
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
    endpoints: Annotated[tuple[Endpoint, ...], AfterValidator(_some), Field(repr=False)]
    ws_endpoints: Annotated[tuple[WsEndpoint, ...], Field(repr=False)] = ()
    ws_silent_s: Positive = 15.0
    quorum: Annotated[int, Field(ge=1)] = 1
    private_endpoint: Annotated[str, AfterValidator(_http_or_none), Field(repr=False)] = ""
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
    spot_steps: Annotated[int, Field(ge=3), AfterValidator(_odd)] = 9
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
    daily_volume_usd: dict[str, Positive] = {}
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


class UrgentSignerTable(Table):
    """`[signer.urgent]`: where the key lies; the key itself is never here."""

    kind: Literal["keystore", "remote", "kms"] = "keystore"
    keystore: FilePath | None = None
    password_file: FilePath | None = None
    address: EvmAddress | None = None
    url: Annotated[str, AfterValidator(_private_or_none), Field(repr=False)] = ""
    method: Literal["eth_signTransaction", "account_signTransaction"] = "eth_signTransaction"
    key_id: str = ""
    region: str = ""
    kms_endpoint: Annotated[str, AfterValidator(_private_or_none)] = ""
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
