"""A small book over two chains, by hand: what the commands and the service are tested with."""

import dataclasses

from keeper.model.book import (
    Account,
    Allowance,
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
    ProfileParams,
    StalenessParams,
    TopUpParams,
    TransferParams,
)
from keeper.model.quote import Depth, Funding, GasPrice, Level, Quote, VolSlice, VolSurface
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import ONE, Wad

DESK = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
KURT = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
NOW_S = 1_700_000_000
PUT = "lyra:10:strike-7-put"
PERP = "curie:42161:0x8C835DFaA34e2AE61775e80EE29E2c724c6AE2BB"


def wad(x: float) -> Wad:
    return Wad(round(x * 10**6) * 10**12)


def block(chain_id: int, number: int, timestamp_s: int = NOW_S) -> BlockRef:
    return BlockRef(
        chain_id=chain_id,
        number=number,
        hash=f"0x{number:064x}",
        parent_hash=f"0x{number - 1:064x}",
        timestamp_s=timestamp_s,
    )


def short_put(key: str, size: float, collateral: float, maintenance: float) -> Account:
    return Account(
        id=f"lyra:10:{key}",
        protocol="lyra",
        chain_id=10,
        key=key,
        owner=DESK,
        balances=(Balance(asset="sUSD", amount=wad(collateral)),),
        positions=(Position(instrument=PUT, size=wad(-size)),),
        venue=Requirement(equity=wad(collateral), initial=wad(maintenance), maintenance=wad(maintenance)),
        liquidatable=False,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        margin_asset="sUSD",
    )


def perp_account(owner: Address, size: float, equity: float, bounty_usd: float | None = None) -> Account:
    notional = abs(size) * 1_800
    return Account(
        id=f"curie:42161:{owner}",
        protocol="curie",
        chain_id=42161,
        key=owner,
        owner=owner,
        balances=(Balance(asset="USDC", amount=wad(equity)),),
        positions=(Position(instrument=PERP, size=wad(size), entry=wad(1_800)),),
        venue=Requirement(
            equity=wad(equity), initial=wad(notional * 0.1), maintenance=wad(notional * 0.0625)
        ),
        liquidatable=bounty_usd is not None,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        margin_asset="USDC",
        bounty=None
        if bounty_usd is None
        else Bounty(
            instrument=PERP, size=wad(size), reward_usd=wad(bounty_usd), takes_over=True, gas=900_000
        ),
    )


def quote(subject: str, kind: str, price: float, chain_id: int, venue: str = "lyra:10") -> Quote:
    return Quote(
        subject=subject,
        kind=kind,  # type: ignore[arg-type]
        price=wad(price),
        source=f"{venue}:feed",
        chain_id=chain_id,
        observed_at_s=NOW_S,
    )


SNAPSHOT = Snapshot(
    blocks=(block(10, 1_234), block(42161, 5_678)),
    accounts=(
        perp_account(KURT, 3.0, 200.0, bounty_usd=67.5),
        perp_account(DESK, 9.0, 60_000.0),
        short_put("3", 10.0, 1_530.0, 1_500.0),
        short_put("4", 8.0, 1_368.0, 1_200.0),
    ),
    instruments=(
        Perp(id=PERP, underlying="ETH", settle="USDC", funding_interval_s=86_400),
        Option(
            id=PUT,
            underlying="ETH",
            settle="sUSD",
            strike=Wad(1_700 * ONE),
            expiry_s=NOW_S + 42 * 86_400,
            right=Right.PUT,
        ),
    ),
    quotes=(
        quote("ETH", "index", 1_800, 10),
        quote("ETH", "index", 1_800, 42161, "curie:42161"),
        quote("ETH", "reference", 1_800, 10),
        quote(PERP, "mark", 1_800, 42161, "curie:42161"),
    ),
    surfaces=(
        VolSurface(
            underlying="ETH",
            venue="lyra:10",
            chain_id=10,
            rate=Wad(0),
            slices=(
                VolSlice(
                    expiry_s=NOW_S + 42 * 86_400,
                    strikes=(Wad(1_700 * ONE),),
                    vols=(wad(0.8),),
                ),
            ),
            source="sample",
            observed_at_s=NOW_S,
        ),
    ),
    funding=(
        Funding(instrument=PERP, rate_per_day=wad(0.0001), source="s", chain_id=42161, observed_at_s=NOW_S),
    ),
    depth=(
        Depth(
            instrument=PERP,
            bids=(Level(price=wad(1_798), size=wad(500)),),
            asks=(Level(price=wad(1_802), size=wad(500)),),
            fee=wad(0.001),
            source="s",
            chain_id=42161,
            observed_at_s=NOW_S,
        ),
    ),
    wallets=(
        Wallet(
            owner=DESK,
            chain_id=10,
            native=wad(10),
            balances=(Balance(asset="sUSD", amount=wad(100_000)),),
            allowances=(Allowance(asset="sUSD", spender=KURT, amount=Wad(0)),),
        ),
        Wallet(
            owner=DESK,
            chain_id=42161,
            native=wad(10),
            balances=(Balance(asset="USDC", amount=wad(100_000)),),
        ),
    ),
    gas=tuple(
        GasPrice(chain_id=c, wei_per_gas=10**8, native_underlying="ETH", observed_at_s=NOW_S)
        for c in (10, 42161)
    ),
)

PARAMS = Params(
    profiles=(
        ProfileParams(name="desk", role=Role.OWN, owners=(DESK,)),
        ProfileParams(name="watched", role=Role.WATCH, owners=()),
    ),
    ladder=LadderParams(warn_below=1.5, call_below=1.2, rebalance_below=1.05),
    hedges=(
        HedgeParams(
            profile="desk",
            underlying="ETH",
            band_base=2.0,
            venue="curie:42161",
            owner=DESK,
            lot_base=0.001,
            max_slippage=0.02,
            max_trade_base=100.0,
        ),
    ),
    top_up=TopUpParams(target_health=1.3, min_transfer_usd=50.0, rounding_usd=10.0, max_usd=100_000.0),
    liquidation=LiquidationParams(
        enabled=True, min_profit_usd=5.0, gas_margin=1.5, max_takeover_usd=250_000.0, taker=None
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
    ),
    settle_expired=True,
)

CHAINS = {10: "optimism", 42161: "arbitrum"}


def at(time_s: int) -> Snapshot:
    """Return the same book, seen later."""
    return dataclasses.replace(SNAPSHOT, blocks=(block(10, 1_235, time_s), block(42161, 5_679, time_s)))
