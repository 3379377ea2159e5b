"""A small Curie venue, answered by hand: two markets, a long, a short, a maker and somebody who has left."""

from collections.abc import Hashable

from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.model.units import ONE
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.curie.adapter import Curie
from tests.support.fake_chain import Answers


def address(digit: str) -> Address:
    return Address("0x" + digit * 40)


NAMES = sorted(Curie.contracts)
AT = {name: address(str(i)) for i, name in enumerate(NAMES)}
VBTC, VETH = Address("0x" + "17" * 20), Address("0x" + "18" * 20)
POOLS = {VETH: Address("0x" + "9a" * 20), VBTC: Address("0x" + "9b" * 20)}
ALICE, BOB, MAKER, GONE = (Address("0x" + c * 20) for c in ("a1", "b0", "3a", "60"))
VENUE = Venue(
    protocol="curie",
    chain_id=42161,
    contracts=tuple((n, AT[n]) for n in NAMES),
    from_block=7,
    underlyings=((VBTC, "BTC"), (VETH, "ETH")),
)
BLOCK = BlockRef(chain_id=42161, number=100, hash="0x1", parent_hash="0x0", timestamp_s=1_800_000_000)
FOUND = Found(keys=tuple(sorted((ALICE, BOB, MAKER, GONE))), next_block=101)
WALLETS = (ALICE,)
MICRO = 10**12
"""One of the vault's units in 10**-18 USD."""


def _trader(
    who: Address,
    *,
    value: int,
    maintenance: int = 0,
    debt: int = 0,
    deposit: int,
    profit: tuple[int, int, int] = (0, 0, 0),
    funding: int = 0,
    positions: dict[Address, tuple[int, int]] | None = None,
    orders: bool = False,
) -> dict[Hashable, object]:
    held = positions or {}
    house, balance, vault = AT["ClearingHouse"], AT["AccountBalance"], AT["Vault"]
    answers: dict[Hashable, object] = {
        (house, "getAccountValue", (who,)): value,
        (balance, "getMarginRequirementForLiquidation", (who,)): maintenance,
        (balance, "getTotalDebtValue", (who,)): debt,
        (balance, "getPnlAndPendingFee", (who,)): profit,
        (AT["Exchange"], "getAllPendingFundingPayment", (who,)): funding,
        (vault, "getBalance", (who,)): deposit,
        (vault, "getCollateralTokens", (who,)): [],
        (vault, "getFreeCollateralByToken", (who, AT["SettlementToken"])): deposit // 2,
        (balance, "getBaseTokens", (who,)): sorted(held),
        (balance, "hasOrder", (who,)): orders,
    }
    for base, (size, notional) in held.items():
        answers[balance, "getTotalPositionSize", (who, base)] = size
        answers[balance, "getTotalOpenNotional", (who, base)] = notional
    return answers


def _market(base: Address, *, mark: int, index: int, tick: int) -> dict[Hashable, object]:
    balance, pool = AT["AccountBalance"], POOLS[base]
    return {
        (AT["MarketRegistry"], "hasPool", (base,)): True,
        (AT["MarketRegistry"], "getMarketInfo", (base,)): {
            "pool": pool,
            "exchangeFeeRatio": 1_000,
            "uniswapFeeRatio": 3_000,
            "insuranceFundFeeRatio": 100_000,
            "maxPriceSpreadRatio": 100_000,
        },
        (AT["Exchange"], "getMaxTickCrossedWithinBlock", (base,)): 1_000,
        (balance, "getMarkPrice", (base,)): mark,
        (base, "getIndexPrice", (0,)): index,
        (base, "isOpen", ()): True,
        (base, "getClosedPrice", ()): 0,
        (base, "getPausedIndexPrice", ()): 0,
        (AT["Exchange"], "getSqrtMarketTwapX96", (base, 900)): 1 << 97,  # a price of 4
        (base, "getIndexPrice", (900,)): 5 * ONE,
        (pool, "slot0", ()): (1 << 97, tick, 0, 0, 0, 0, True),
        (pool, "liquidity", ()): 12_345,
        (pool, "tickSpacing", ()): 60,
    }


def answers() -> dict[Hashable, object]:
    """Every answer of a full read, as a fresh dict."""
    config, token, vault = AT["ClearingHouseConfig"], AT["SettlementToken"], AT["Vault"]
    return {
        (config, "getImRatio", ()): 100_000,
        (config, "getMmRatio", ()): 62_500,
        (config, "getLiquidationPenaltyRatio", ()): 25_000,
        (config, "getMaxFundingRate", ()): 100_000,
        (config, "getTwapInterval", ()): 900,
        (token, "symbol", ()): "USDC",
        (vault, "decimals", ()): 6,
        **_market(VETH, mark=2_000 * ONE, index=2_010 * ONE, tick=-130),
        **_market(VBTC, mark=40_000 * ONE, index=39_900 * ONE, tick=15_360),
        # one word each way from -1130/60 and 870/60, from 14360/60 and 16360/60
        (POOLS[VETH], "tickBitmap", (-1,)): 1 << 255 | 1 << 240 | 1,
        (POOLS[VETH], "tickBitmap", (0,)): 1 << 1 | 1 << 200,
        (POOLS[VETH], "ticks", (-60,)): (5, 5, 0, 0, 0, 0, 0, True),
        (POOLS[VETH], "ticks", (-960,)): (9, 9, 0, 0, 0, 0, 0, True),
        (POOLS[VETH], "ticks", (60,)): (14, -14, 0, 0, 0, 0, 0, True),
        (POOLS[VBTC], "tickBitmap", (0,)): 0,
        (POOLS[VBTC], "tickBitmap", (1,)): 0,
        **_trader(
            ALICE,
            value=900 * ONE,
            maintenance=250 * ONE,
            debt=4_100 * ONE,
            deposit=1_000_000_000,
            profit=(3 * ONE, -100 * ONE, 2 * ONE),
            funding=5 * ONE,
            positions={VETH: (2 * ONE, -4_100 * ONE)},
        ),
        **_trader(
            BOB,
            value=-25 * ONE,
            maintenance=2_500 * ONE,
            debt=40_000 * ONE,
            deposit=975_000_000,
            profit=(0, -1_000 * ONE, 0),
            positions={VBTC: (-ONE, 39_000 * ONE)},
        ),
        **_trader(MAKER, value=500 * ONE, deposit=500_000_000, orders=True, positions={VETH: (0, 0)}),
        **_trader(GONE, value=0, deposit=0),
        (AT["SettlementToken"], "balanceOf", (ALICE,)): 77_000_001,
        (AT["SettlementToken"], "allowance", (ALICE, vault)): 5,
        (AT["AccountBalance"], "getLiquidatablePositionSize", (BOB, VBTC, -25 * ONE)): -ONE,
        (AT["ClearingHouse"], "liquidate", (BOB, VBTC, 0)): None,
    }


TABLE: Answers = answers()
