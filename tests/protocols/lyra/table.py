"""A small Lyra market, answered by hand: one live board, one settled, longs and shorts of every type."""

from collections.abc import Hashable

from keeper.model.reads import Address, Call, Send
from keeper.model.snapshot import BlockRef
from keeper.model.units import ONE
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.lyra.accounts import NOBODY
from keeper.protocols.lyra.adapter import Lyra
from tests.support.fake_chain import Answers

NAMES = sorted(Lyra.contracts)
AT = {name: Address("0x" + str(i) * 40) for i, name in enumerate(NAMES)}
ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)
VENUE = Venue(
    protocol="lyra",
    chain_id=10,
    contracts=tuple((n, AT[n]) for n in NAMES),
    from_block=3,
    underlyings=(("sETH", "ETH"),),
)
NOW_S = 1_800_000_000
EXPIRY_S = NOW_S + 864_000
BLOCK = BlockRef(chain_id=10, number=100, hash="0x1", parent_hash="0x0", timestamp_s=NOW_S)
WALLETS = (ALICE,)
SPOT = 2_000 * ONE

OPEN, CLOSED = 1, 2
HOLDINGS = (
    # id, strike, type, amount, collateral, state, owner
    (1, 11, 0, 3 * ONE, 0, OPEN, ALICE),
    (2, 12, 1, 2 * ONE, 0, OPEN, BOB),
    (3, 12, 2, 4 * ONE, ONE, OPEN, BOB),
    (4, 12, 3, 5 * ONE, 900 * ONE, OPEN, ALICE),
    (5, 11, 4, 6 * ONE, 800 * ONE, OPEN, BOB),
    (6, 11, 4, ONE, ONE, CLOSED, BOB),
    (7, 21, 0, 2 * ONE, 0, OPEN, ALICE),
    (8, 21, 2, 2 * ONE, ONE, OPEN, BOB),
)
FOUND = Found(keys=tuple(sorted(str(h[0]) for h in HOLDINGS)), next_block=101)
MINIMUM = {3: ONE // 2, 4: 850 * ONE, 5: 801 * ONE}
"""By position id; 5 is below it."""

STRIKES = {
    # id: board, strike, skew
    11: (1, 1_900 * ONE, ONE * 11 // 10),
    12: (1, 2_100 * ONE, ONE),
    21: (2, 1_500 * ONE, ONE),
}
BOARDS = {1: EXPIRY_S, 2: NOW_S - 100}
SETTLED_AT = {1: 0, 2: 1_800 * ONE}
BASE_IV = ONE * 8 // 10
REWARD = 42 * ONE


def struct(holding: tuple[int, ...]) -> dict[str, int]:
    names = ("positionId", "strikeId", "optionType", "amount", "collateral", "state")
    return dict(zip(names, holding[:6], strict=True))


def board(i: int) -> dict[str, object]:
    ids = [s for s, (b, _, _) in STRIKES.items() if b == i]
    return {"id": i, "expiry": BOARDS[i], "iv": BASE_IV, "frozen": False, "strikeIds": ids}


def strike(i: int) -> dict[str, object]:
    board_id, price, skew = STRIKES[i]
    return {"id": i, "strikePrice": price, "skew": skew, "boardId": board_id}


def proof(i: int, *, in_base: bool = False) -> Call:
    """The read that proves a liquidation: what nobody holds after it."""
    token = AT["BaseAsset" if in_base else "QuoteAsset"]
    liquidation = Send("lyra/OptionMarket", AT["OptionMarket"], "liquidatePosition", (i, NOBODY))
    return Call("erc20/ERC20", token, "balanceOf", (NOBODY,), before=(liquidation,))


def answers() -> dict[Hashable, object]:
    """Every answer of a full read, as a fresh dict."""
    market, token, cache = AT["OptionMarket"], AT["OptionToken"], AT["OptionGreekCache"]
    oracle, quote, base = AT["SynthetixAdapter"], AT["QuoteAsset"], AT["BaseAsset"]
    ids = tuple(h[0] for h in HOLDINGS)
    table: dict[Hashable, object] = {
        (oracle, "getSpotPriceForMarket", (market,)): SPOT,
        (oracle, "isMarketPaused", (market,)): False,
        (oracle, "isGlobalPaused", ()): False,
        (market, "getLiveBoards", ()): [1],
        (cache, "getGreekCacheParams", ()): {"rateAndCarry": ONE // 20},
        (cache, "getMinCollatParams", ()): {
            "minStaticQuoteCollateral": 200 * ONE,
            "minStaticBaseCollateral": ONE // 5,
            "shockVolA": 5 * ONE // 2,
            "shockVolPointA": 1_209_600,
            "shockVolB": 9 * ONE // 5,
            "shockVolPointB": 4_838_400,
            "callSpotPriceShock": 6 * ONE // 5,
            "putSpotPriceShock": 4 * ONE // 5,
        },
        (quote, "symbol", ()): "sUSD",
        (base, "symbol", ()): "sETH",
        (token, "getOptionPositions", (ids,)): [struct(h[:6]) for h in HOLDINGS],
        (market, "getBoardAndStrikeDetails", (1,)): (board(1), [strike(11), strike(12)], [0, 0], 0),
        (quote, "balanceOf", (NOBODY,)): 7,
        proof(5): 7 + REWARD,
    }
    for i in STRIKES:
        board_id = STRIKES[i][0]
        table[market, "getStrikeAndBoard", (i,)] = (strike(i), board(board_id))
        settlement = (STRIKES[i][1], SETTLED_AT[board_id], ONE // 10 if board_id == 2 else 0)
        table[market, "getSettlementParameters", (i,)] = settlement
    for i, strike_id, kind, amount, collateral, state, owner in HOLDINGS:
        if state == OPEN:
            table[token, "ownerOf", (i,)] = owner
        if i in MINIMUM:
            price = STRIKES[strike_id][1]
            required = (kind, price, EXPIRY_S, SPOT, amount)
            table[cache, "getMinCollateral", required] = MINIMUM[i]
            position = (i, strike_id, kind, amount, collateral, state)
            table[token, "canLiquidate", (position, EXPIRY_S, price, SPOT)] = collateral < MINIMUM[i]
    for symbol in (quote, base):
        table[symbol, "balanceOf", (ALICE,)] = 9 * ONE
        table[symbol, "allowance", (ALICE, market)] = 8 * ONE
    return table


TABLE: Answers = answers()
