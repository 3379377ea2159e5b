"""A small book over two chains, by hand: what the commands and the service are tested with."""

import dataclasses

from keeper.model.book import Account, Allowance, Bounty
from keeper.model.instrument import Option, Perp, Right
from keeper.model.quote import Depth, Funding, GasPrice, Level, Quote, VolSlice, VolSurface
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import ONE, Wad
from tests.support import books

DESK, KURT, wad = books.DESK, books.STRANGER, books.wad
NOW_S = 1_700_000_000
PUT = "lyra:10:strike-7-put"
PERP = "curie:42161:0x8C835DFaA34e2AE61775e80EE29E2c724c6AE2BB"


def block(chain_id: int, number: int, timestamp_s: int = NOW_S) -> BlockRef:
    return BlockRef(
        chain_id=chain_id,
        number=number,
        hash=f"0x{number:064x}",
        parent_hash=f"0x{number - 1:064x}",
        timestamp_s=timestamp_s,
    )


def short_put(key: str, size: float, collateral: float, maintenance: float) -> Account:
    return books.lyra_short(key, instrument=PUT, size=-size, collateral=collateral, needed=maintenance)


def perp_account(owner: Address, size: float, equity: float, bounty_usd: float | None = None) -> Account:
    taken = (
        None
        if bounty_usd is None
        else Bounty(instrument=PERP, size=wad(size), reward_usd=wad(bounty_usd), takes_over=True, gas=900_000)
    )
    return books.curie_account(
        owner=owner, instrument=PERP, size=size, cash=equity, liquidatable=taken is not None, bounty=taken
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
        dataclasses.replace(
            books.wallet(amount=100_000), allowances=(Allowance(asset="sUSD", spender=KURT, amount=Wad(0)),)
        ),
        books.wallet(42161, asset="USDC", amount=100_000),
    ),
    gas=tuple(
        GasPrice(chain_id=c, wei_per_gas=10**8, native_underlying="ETH", observed_at_s=NOW_S)
        for c in (10, 42161)
    ),
)

PARAMS = dataclasses.replace(
    books.params(), liquidation=dataclasses.replace(books.params().liquidation, taker=None)
)

CHAINS = {10: "optimism", 42161: "arbitrum"}


def at(time_s: int) -> Snapshot:
    """Return the same book, seen later."""
    return dataclasses.replace(SNAPSHOT, blocks=(block(10, 1_235, time_s), block(42161, 5_679, time_s)))
