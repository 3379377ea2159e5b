"""The scripted market: who holds what before the price moves, and how it moves.

The tables are the whole story. After `DROP`, the desk's put on strike 1 stands just above the collateral at
which the venue may take it, its put on strike 7 below the level of a margin call, and its net ETH delta far
outside any sensible band; `dora` is liquidatable on Lyra, `kurt` in part and `lena` in whole on Curie.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from keeper.devnet.anvil import GENESIS_S
from keeper.devnet.curie import Curie, Market
from keeper.devnet.lyra import Board, Lyra
from keeper.devnet.node import Node
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad


class OptionType(IntEnum):
    """Lyra's option types."""

    LONG_CALL = 0
    LONG_PUT = 1
    SHORT_CALL_BASE = 2
    SHORT_CALL_QUOTE = 3
    SHORT_PUT_QUOTE = 4


@dataclass(frozen=True, slots=True)
class OptionLine:
    """One option position to open."""

    owner: str
    kind: OptionType
    strike_id: int
    size: int
    """Units of ETH."""

    cover: int | None = None
    """Collateral in percent of the venue's minimum; None for a long; `FULL` for all that can be lost."""


@dataclass(frozen=True, slots=True)
class PerpLine:
    """One perp position to open."""

    owner: str
    symbol: str
    centi: int
    """Signed size in hundredths of the base."""


FULL: Final = 0

SPOT: Final[Mapping[str, Wad]] = {"ETH": Wad(2_000 * ONE), "BTC": Wad(40_000 * ONE)}
"""USD before the move, the same on both chains."""

DROP: Final[Mapping[str, Wad]] = {"ETH": Wad(1_800 * ONE), "BTC": Wad(37_600 * ONE)}
"""USD after it: ETH -10 %, BTC -6 %."""

ACTORS: Final = (
    "deployer", "maker", "arbitrageur", "desk",
    "anna", "bert", "carl", "dora", "emil", "fred", "gina", "hans",
    "iris", "jack", "kurt", "lena", "mona", "nils", "olga", "paul",
)  # fmt: skip
"""The accounts of the nodes in their order. The desk is the keeper's own signer."""

BOARDS: Final = (
    Board(
        days=14,
        base_iv=Wad(80 * ONE // 100),
        strikes=tuple(
            (strike, Wad(skew * ONE // 100))
            for strike, skew in ((1800, 106), (1900, 103), (2000, 100), (2100, 99), (2200, 100))
        ),
    ),
    Board(
        days=42,
        base_iv=Wad(75 * ONE // 100),
        strikes=tuple(
            (strike, Wad(skew * ONE // 100))
            for strike, skew in ((1600, 110), (1700, 107), (2000, 100), (2300, 100))
        ),
    ),
)
"""Strikes are numbered 1 to 5 on the first board and 6 to 9 on the second."""

OPTIONS: Final = (
    # what the desk holds
    OptionLine("desk", OptionType.SHORT_CALL_QUOTE, 5, 6, 160),
    OptionLine("desk", OptionType.SHORT_CALL_BASE, 9, 2, 170),
    OptionLine("desk", OptionType.SHORT_PUT_QUOTE, 1, 16, 122),  # 1.02 after the move: top up
    OptionLine("desk", OptionType.SHORT_PUT_QUOTE, 7, 10, 130),  # 1.14 after the move: margin call
    # what the others hold
    OptionLine("anna", OptionType.LONG_CALL, 3, 10),
    OptionLine("anna", OptionType.LONG_PUT, 2, 4),
    OptionLine("bert", OptionType.LONG_PUT, 7, 8),
    OptionLine("bert", OptionType.LONG_CALL, 9, 6),
    OptionLine("carl", OptionType.SHORT_PUT_QUOTE, 8, 3, FULL),
    OptionLine("carl", OptionType.SHORT_CALL_BASE, 4, 5, FULL),
    OptionLine("dora", OptionType.SHORT_PUT_QUOTE, 1, 8, 108),  # 0.90 after the move: liquidate
    OptionLine("emil", OptionType.SHORT_PUT_QUOTE, 6, 6, 125),  # 1.09 after the move: close
    OptionLine("emil", OptionType.LONG_PUT, 1, 3),
    OptionLine("fred", OptionType.LONG_CALL, 5, 12),
    OptionLine("fred", OptionType.LONG_PUT, 1, 10),
    OptionLine("gina", OptionType.SHORT_CALL_QUOTE, 9, 5, 140),
    OptionLine("hans", OptionType.SHORT_PUT_QUOTE, 3, 4, 135),
    OptionLine("hans", OptionType.LONG_CALL, 4, 8),
)

DEPOSITS_USD: Final[Mapping[str, int]] = {
    "desk": 60_000,
    "iris": 25_000,
    "jack": 12_000,
    "kurt": 3_430,
    "lena": 750,
    "mona": 20_000,
    "nils": 15_000,
    "olga": 2_430,
    "paul": 60_000,
}
"""Into Curie's vault."""

PERPS: Final = (
    PerpLine("desk", "ETH", -480),
    PerpLine("iris", "ETH", 2_000),
    PerpLine("iris", "BTC", -60),
    PerpLine("jack", "ETH", -2_500),
    PerpLine("kurt", "ETH", 1_200),  # between half the requirement and all of it after the move
    PerpLine("lena", "ETH", 300),  # below half of it
    PerpLine("mona", "BTC", 150),
    PerpLine("nils", "BTC", -100),
    PerpLine("nils", "ETH", -500),
    PerpLine("olga", "BTC", 48),  # close after the move
)

_DESK_WALLET_USD: Final = 100_000
_DESK_WALLET_ETH: Final = 10

READY_S: Final = GENESIS_S + 4 * 3_600
"""Time of both heads when the market is set up."""

_LYRA_FROM_S: Final = READY_S - 600
_LAST_ORACLE_S: Final = READY_S - 60


def markets() -> tuple[Market, ...]:
    """Return the perps to list."""
    return tuple(Market(symbol=symbol, price=price) for symbol, price in SPOT.items())


def addresses(node: Node) -> dict[str, Address]:
    """Return the actors' addresses by name."""
    return dict(zip(ACTORS, node.accounts, strict=False))


def seed_lyra(lyra: Lyra) -> None:
    """Give the pool liquidity, list the boards, and open every position of `OPTIONS`."""
    node, who = lyra.node, addresses(lyra.node)
    node.set_next_time(_LYRA_FROM_S)
    lyra.deposit(who["maker"], Wad(20_000_000 * ONE))
    lyra["ShortPoolHedger"].send("openShortAccount")
    for board in BOARDS:
        lyra.list_board(board)
    for name in dict.fromkeys(line.owner for line in OPTIONS):
        lyra.fund(who[name], quote=Wad(200_000 * ONE), base=Wad(100 * ONE))
    for line in OPTIONS:
        size = Wad(line.size * ONE)
        collateral = _collateral(lyra, line, size)
        lyra.open(who[line.owner], line.kind, line.strike_id, size, collateral)
    _leave_in_wallet(lyra, who["desk"])
    node.set_next_time(_LAST_ORACLE_S)
    lyra.set_spot(SPOT["ETH"])
    lyra["KeeperHelper"].send("updateAllBoardCachedGreeks")
    node.warp_to(READY_S)


def seed_curie(curie: Curie) -> None:
    """Give both pools liquidity, and open every position of `PERPS`."""
    node, who = curie.node, addresses(curie.node)
    for name in ("maker", "arbitrageur"):
        curie.deposit(who[name], 30_000_000)
    curie.mint(curie["InsuranceFund"].address, 1_000_000)
    for symbol, price in SPOT.items():
        spot = price / ONE
        base = Wad(40_000_000 * ONE * ONE // price)
        quote = Wad(40_000_000 * ONE)
        curie.add_liquidity(who["maker"], symbol, low=spot * 0.4, high=spot * 2, base=base, quote=quote)
    for name, usd in DEPOSITS_USD.items():
        curie.deposit(who[name], usd)
    curie.add_liquidity(
        who["paul"], "ETH", low=1_500, high=2_500, base=Wad(20 * ONE), quote=Wad(40_000 * ONE)
    )
    for line in PERPS:
        curie.trade(who[line.owner], line.symbol, Wad(line.centi * ONE // 100))
    curie.fund(who["desk"], _DESK_WALLET_USD)
    node.set_next_time(_LAST_ORACLE_S)
    for symbol, price in SPOT.items():
        curie.set_oracle(symbol, price)
    node.warp_to(READY_S)


def _collateral(lyra: Lyra, line: OptionLine, size: Wad) -> Wad:
    """Return the collateral that a line asks for, in the asset of its type."""
    if line.cover is None:
        return Wad(0)
    if line.cover != FULL:
        return Wad(lyra.min_collateral(line.kind, line.strike_id, size) * line.cover // 100)
    if line.kind is OptionType.SHORT_CALL_BASE:
        return size
    strike, _ = lyra["OptionMarket"].call("getStrikeAndExpiry", line.strike_id)
    return Wad(size * strike // ONE)


def _leave_in_wallet(lyra: Lyra, desk: str) -> None:
    """Give the desk's wallet exactly what the tables say, whatever its premiums came to."""
    for asset, whole in (("QuoteAsset", _DESK_WALLET_USD), ("BaseAsset", _DESK_WALLET_ETH)):
        held = lyra[asset].call("balanceOf", desk)
        target = whole * ONE
        if held > target:
            lyra[asset].send("transfer", lyra.node.accounts[0], held - target, sender=desk)
        else:
            lyra[asset].send("mint", desk, target - held)
