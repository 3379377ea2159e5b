"""Hand-made snapshots and parameters: a desk on two chains, in round numbers."""

import math
from collections.abc import Sequence

from keeper.model.book import (
    Account,
    Balance,
    Bounty,
    LiquidationMode,
    Position,
    Requirement,
    SettlementMode,
    Wallet,
)
from keeper.model.instrument import Option, Perp, Right
from keeper.model.margin import Role
from keeper.model.params import (
    HedgeParams,
    HouseParams,
    LadderParams,
    LiquidationParams,
    Params,
    PriceHistory,
    ProfileParams,
    StalenessParams,
    TopUpParams,
    TransferParams,
)
from keeper.model.quote import Depth, GasPrice, Level, Quote, VolSlice, VolSurface
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Board, Gap, Snapshot, VenueTerms
from keeper.model.units import ONE, Wad

DESK = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
STRANGER = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
NOW_S = 1_767_225_600
MONTH_S = 30 * 86_400
LYRA, CURIE = "lyra:10", "curie:42161"
PERP_ID = f"{CURIE}:0xvETH"
PUT_ID = f"{LYRA}:1600-P"
CALL_ID = f"{LYRA}:1900-C"

PERP = Perp(id=PERP_ID, underlying="ETH", settle="USDC", funding_interval_s=86_400)
PUT = Option(
    id=PUT_ID,
    underlying="ETH",
    settle="sUSD",
    strike=Wad(1600 * ONE),
    expiry_s=NOW_S + MONTH_S,
    right=Right.PUT,
)
CALL = Option(
    id=CALL_ID,
    underlying="ETH",
    settle="sUSD",
    strike=Wad(1900 * ONE),
    expiry_s=NOW_S + MONTH_S,
    right=Right.CALL,
)


def wad(x: float) -> Wad:
    """Round numbers of a test, exactly where they are exact in decimal."""
    return Wad(round(x * 10**9) * 10**9)


def block(chain_id: int, *, timestamp_s: int = NOW_S) -> BlockRef:
    return BlockRef(
        chain_id=chain_id,
        number=100,
        hash=f"0x{chain_id:064x}",
        parent_hash="0x" + "0" * 64,
        timestamp_s=timestamp_s,
    )


def lyra_short(
    key: str = "1",
    *,
    owner: Address = DESK,
    instrument: str = PUT_ID,
    size: float = -8.0,
    collateral: float = 4000.0,
    needed: float = 3000.0,
    in_base: bool = False,
    liquidatable: bool = False,
    bounty: Bounty | None = None,
    spot: float = 1800.0,
) -> Account:
    unit = spot if in_base else 1.0
    asset, factor = ("sETH", "ETH") if in_base else ("sUSD", None)
    return Account(
        id=f"{LYRA}:{key}",
        protocol="lyra",
        chain_id=10,
        key=key,
        owner=owner,
        balances=(Balance(asset=asset, amount=wad(collateral), underlying=factor),),
        positions=(Position(instrument=instrument, size=wad(size)),),
        venue=Requirement(
            equity=wad(collateral * unit), initial=wad(needed * unit), maintenance=wad(needed * unit)
        ),
        liquidatable=liquidatable,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        margin_asset=asset,
        margin_underlying=factor,
        bounty=bounty,
    )


def curie_account(
    *,
    owner: Address = DESK,
    instrument: str = PERP_ID,
    size: float = 10.0,
    entry: float = 1800.0,
    cash: float = 20_000.0,
    mark: float = 1800.0,
    liquidatable: bool = False,
    bounty: Bounty | None = None,
    has_orders: bool = False,
) -> Account:
    equity = cash + size * (mark - entry)
    notional = abs(size) * mark
    return Account(
        id=f"{CURIE}:{owner}",
        protocol="curie",
        chain_id=42161,
        key=owner,
        owner=owner,
        balances=(Balance(asset="USDC", amount=wad(cash)),),
        positions=(Position(instrument=instrument, size=wad(size), entry=wad(entry)),) if size else (),
        venue=Requirement(
            equity=wad(equity), initial=wad(notional * 0.1), maintenance=wad(notional * 0.0625)
        ),
        liquidatable=liquidatable,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        margin_asset="USDC",
        bounty=bounty,
        has_orders=has_orders,
    )


def quotes(spot: float = 1800.0, mark: float | None = None) -> tuple[Quote, ...]:
    common = {"chain_id": 10, "observed_at_s": NOW_S}
    return (
        Quote(subject="ETH", kind="index", price=wad(spot), source=f"{LYRA}:SynthetixAdapter", **common),
        Quote(subject="ETH", kind="reference", price=wad(spot), source="median", **common),
        Quote(
            subject=PERP_ID,
            kind="mark",
            price=wad(spot if mark is None else mark),
            source=f"{CURIE}:AccountBalance",
            chain_id=42161,
            observed_at_s=NOW_S,
        ),
    )


SURFACE = VolSurface(
    underlying="ETH",
    venue=LYRA,
    chain_id=10,
    rate=wad(0.05),
    slices=(
        VolSlice(
            expiry_s=NOW_S + MONTH_S,
            strikes=(wad(1600), wad(1900)),
            vols=(wad(0.9), wad(0.8)),
        ),
    ),
    source="boards",
    observed_at_s=NOW_S,
)

TERMS = (
    VenueTerms(venue=CURIE, chain_id=42161, values=(("im_ratio", wad(0.1)), ("mm_ratio", wad(0.0625)))),
    VenueTerms(
        venue=LYRA,
        chain_id=10,
        values=(
            ("call_spot_shock", wad(1.2)),
            ("min_static_base", wad(0.2)),
            ("min_static_quote", wad(200)),
            ("put_spot_shock", wad(0.8)),
            ("rate", wad(0.05)),
            ("shock_vol_a", wad(2.5)),
            ("shock_vol_b", wad(1.8)),
            ("shock_vol_point_a_s", Wad(14 * 86_400)),
            ("shock_vol_point_b_s", Wad(56 * 86_400)),
        ),
    ),
)

DEPTH = Depth(
    instrument=PERP_ID,
    bids=(Level(price=wad(1799), size=wad(50)), Level(price=wad(1780), size=wad(200))),
    asks=(Level(price=wad(1801), size=wad(50)), Level(price=wad(1820), size=wad(200))),
    fee=wad(0.001),
    source="pool",
    chain_id=42161,
    observed_at_s=NOW_S,
)

GAS = tuple(
    GasPrice(chain_id=c, wei_per_gas=10**9, native_underlying="ETH", observed_at_s=NOW_S) for c in (10, 42161)
)


def wallet(
    chain_id: int = 10, *, asset: str = "sUSD", amount: float = 50_000.0, owner: Address = DESK
) -> Wallet:
    return Wallet(
        owner=owner,
        chain_id=chain_id,
        native=wad(10),
        balances=(Balance(asset=asset, amount=wad(amount), underlying="ETH" if asset == "sETH" else None),),
    )


def snapshot(
    accounts: Sequence[Account],
    *,
    spot: float = 1800.0,
    gaps: Sequence[Gap] = (),
    boards: Sequence[Board] = (),
    wallets: Sequence[Wallet] = (),
    timestamp_s: int = NOW_S,
    without: Sequence[str] = (),
) -> Snapshot:
    """A snapshot of both chains. `without` drops quotes by kind, `surface` or `depth`."""
    return Snapshot(
        blocks=(block(10, timestamp_s=timestamp_s), block(42161, timestamp_s=timestamp_s)),
        accounts=tuple(sorted(accounts, key=lambda a: a.id)),
        instruments=(PERP, PUT, CALL),
        quotes=tuple(q for q in quotes(spot) if q.kind not in without),
        surfaces=() if "surface" in without else (SURFACE,),
        depth=() if "depth" in without else (DEPTH,),
        boards=tuple(boards),
        terms=TERMS,
        wallets=tuple(wallets) or (wallet(), wallet(42161, asset="USDC")),
        gas=() if "gas" in without else GAS,
        gaps=tuple(gaps),
    )


def bounty(
    instrument: str = PERP_ID, *, size: float = 20.0, reward: float = 400.0, takes_over: bool = True
) -> Bounty:
    return Bounty(
        instrument=instrument, size=wad(size), reward_usd=wad(reward), takes_over=takes_over, gas=1_700_000
    )


HEDGE = HedgeParams(
    profile="desk",
    underlying="ETH",
    band_base=2.0,
    venue=CURIE,
    owner=DESK,
    lot_base=0.001,
    max_slippage=0.02,
    max_trade_base=100.0,
)


def params(
    *,
    hedges: Sequence[HedgeParams] = (HEDGE,),
    liquidate: bool = True,
    max_takeover_usd: float = 250_000.0,
    settle: bool = True,
    role: Role = Role.OWN,
    history: PriceHistory | None = None,
) -> Params:
    return Params(
        profiles=(
            ProfileParams(name="desk", role=role, owners=(DESK,)),
            ProfileParams(name="watched", role=Role.WATCH, owners=()),
        ),
        ladder=LadderParams(warn_below=1.5, call_below=1.2, rebalance_below=1.05),
        hedges=tuple(hedges),
        top_up=TopUpParams(target_health=1.3, min_transfer_usd=50.0, rounding_usd=10.0, max_usd=100_000.0),
        liquidation=LiquidationParams(
            enabled=liquidate,
            min_profit_usd=5.0,
            gas_margin=1.5,
            max_takeover_usd=max_takeover_usd,
            taker=DESK,
        ),
        transfer=TransferParams(
            latency_s=3600.0, local_latency_s=60.0, stress_vol_factor=1.5, tolerated_probability=0.01
        ),
        staleness=StalenessParams(
            max_quote_age_s=3600, max_surface_age_s=86_400, max_skew_s=120, max_deviation=0.05
        ),
        house=HouseParams(
            spot_range=0.16,
            spot_steps=9,
            vol_up=0.4,
            vol_down=0.25,
            extended_moves=(-0.66, -0.33, 0.5, 1.0, 2.0),
            fallback_vol=0.8,
            maintenance_factor=0.8,
            basis_rate=0.01,
            liquidity_rate=0.002,
            history=history,
        ),
        settle_expired=settle,
    )


def price_history(*underlyings: str, days: int = 300, daily_vol: float = 0.03) -> PriceHistory:
    """Closes that wander without chance: each underlying by its own irrational rhythm."""
    names = underlyings or ("ETH",)
    levels = {name: 1000.0 * (i + 1) for i, name in enumerate(names)}
    rows = []
    for n in range(days):
        for i, name in enumerate(names):
            levels[name] *= math.exp(daily_vol * math.sqrt(2.0) * math.sin((n + 1.0) * (n + 2.0 + i) ** 0.7))
        rows.append(tuple(round(levels[name], 2) for name in names))
    first_s = (NOW_S // 86_400 - days) * 86_400
    return PriceHistory(
        underlyings=names,
        times_s=tuple(first_s + 86_400 * n for n in range(days)),
        closes_usd=tuple(rows),
    )
