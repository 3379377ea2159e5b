"""Hundreds or thousands of further positions, for load tests: many transactions to a block, in our order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.devnet.contract import MAX, Contract, revert_reason
from keeper.devnet.curie import USDC, Curie
from keeper.devnet.errors import RevertError
from keeper.devnet.lyra import Lyra
from keeper.devnet.node import Node
from keeper.devnet.scenario import BOARDS, OptionType
from keeper.devnet.world import World
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad

_PER_BLOCK: Final = 100
_GAS: Final = 4_000_000
_GWEI: Final = 10**9
_TRADER_USD: Final = 1_000
_POSITIONS_PER_OWNER: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What was added."""

    owners: tuple[Address, ...]
    """Holders of options on Lyra."""

    traders: tuple[Address, ...]
    """Holders of perps on Curie."""

    options: int
    perps: int


@dataclass(frozen=True, slots=True)
class _Tx:
    sender: str
    contract: Contract
    function: str
    args: tuple[object, ...]


def seed_many(world: World, *, options: int, traders: int) -> Bulk:
    """Open `options` option positions, 25 to an owner, and perps for `traders` new addresses.

    Longs and shorts alternate and sizes are small, so that prices hardly move. Every second trader holds both
    perps. Deterministic. Raises `RevertError` when one of them is refused.
    """
    owners = tuple(_address("owner", n) for n in range(-(-options // _POSITIONS_PER_OWNER)))
    people = tuple(_address("trader", n) for n in range(traders))
    _seed_options(world.lyra, owners, options)
    perps = _seed_perps(world.curie, people)
    world.align()
    return Bulk(owners=owners, traders=people, options=options, perps=perps)


def _seed_options(lyra: Lyra, owners: Sequence[Address], count: int) -> None:
    quote, market, node = lyra["QuoteAsset"], lyra["OptionMarket"], lyra.node
    deployer = node.accounts[0]
    cash = Wad(250_000 * ONE)
    _endow(node, owners)
    _mine_all(node, [_Tx(deployer, quote, "mint", (owner, cash)) for owner in owners])
    _mine_all(node, [_Tx(owner, quote, "approve", (market.address, MAX)) for owner in owners])
    cover: dict[tuple[int, int, int], Wad] = {}
    trades: list[_Tx] = []
    for n in range(count):
        kind, strike_id, size = _option(n)
        if (kind, strike_id, size) not in cover:
            minimum = 0 if kind <= OptionType.LONG_PUT else lyra.min_collateral(kind, strike_id, size)
            cover[kind, strike_id, size] = Wad(minimum)
        trade = {
            "strikeId": strike_id,
            "positionId": 0,
            "iterations": 1,
            "optionType": kind,
            "amount": size,
            "setCollateralTo": cover[kind, strike_id, size] * (130 + n % 70) // 100,
            "minTotalCost": 0,
            "maxTotalCost": MAX,
        }
        owner = owners[n // _POSITIONS_PER_OWNER]
        trades.append(_Tx(owner, market, "openPosition", (trade,)))
    _mine_all(node, trades)


def _option(n: int) -> tuple[OptionType, int, Wad]:
    """Return the type, strike and size of the n-th position: each bought option is sold again next."""
    pairs = (
        (OptionType.LONG_CALL, OptionType.SHORT_CALL_QUOTE),
        (OptionType.LONG_PUT, OptionType.SHORT_PUT_QUOTE),
    )
    pair, side = divmod(n, 2)
    strikes = sum(len(board.strikes) for board in BOARDS)
    return pairs[pair % 2][side], 1 + pair // 2 % strikes, Wad((1 + pair % 3) * ONE)


def _seed_perps(curie: Curie, traders: Sequence[Address]) -> int:
    usdc, vault, house, node = curie["SettlementToken"], curie["Vault"], curie["ClearingHouse"], curie.node
    deployer = node.accounts[0]
    curie.fund(deployer, _TRADER_USD * len(traders))
    _endow(node, traders)
    amount = _TRADER_USD * USDC
    _mine_all(node, [_Tx(deployer, vault, "depositFor", (t, usdc.address, amount)) for t in traders])

    def order(trader: str, symbol: str, size: Wad) -> _Tx:
        return _Tx(trader, house, "openPosition", (curie.order(symbol, size),))

    first = [order(t, *_perp(n)) for n, t in enumerate(traders)]
    second = [order(t, *_perp(n + 1)) for n, t in enumerate(traders) if n % 2]
    _mine_all(node, [*first, *second], pause_s=16)  # the exchange limits how far a pool moves in 15 s
    return len(first) + len(second)


def _perp(n: int) -> tuple[str, Wad]:
    symbol, size = (("ETH", ONE), ("BTC", Wad(ONE // 20)))[n % 2]
    return symbol, Wad(size if n // 2 % 2 else -size)


def _address(kind: str, n: int) -> Address:
    return Address(to_checksum_address(keccak(text=f"{kind} {n}")[12:]))


def _endow(node: Node, people: Sequence[Address]) -> None:
    node.batch([("anvil_setBalance", (person, hex(1_000 * ONE))) for person in people])


def _mine_all(node: Node, txs: Sequence[_Tx], *, pause_s: int = 1) -> None:
    """Mine all transactions in the order given, `_PER_BLOCK` to a block. Raises `RevertError`."""
    node.batch([("anvil_autoImpersonateAccount", (True,)), ("evm_setAutomine", (False,))])
    try:
        nonces = _nonces(node, {tx.sender for tx in txs})
        for start in range(0, len(txs), _PER_BLOCK):
            _mine_block(node, txs[start : start + _PER_BLOCK], nonces, pause_s)
    finally:
        node.batch([("evm_setAutomine", (True,)), ("anvil_autoImpersonateAccount", (False,))])


def _mine_block(node: Node, txs: Sequence[_Tx], nonces: dict[str, int], pause_s: int) -> None:
    requests = [("eth_sendTransaction", (body,)) for body in _bodies(txs, nonces)]
    hashes = node.batch(requests)
    node.warp(pause_s)
    receipts: list[dict[str, Any] | None] = node.batch(
        [("eth_getTransactionReceipt", (digest,)) for digest in hashes]
    )
    for tx, receipt in zip(txs, receipts, strict=True):
        if receipt is None or receipt["status"] != "0x1":
            # once more on the state after the block, for the reason
            node.call(
                tx.contract.address,
                tx.contract.data(tx.function, *tx.args),
                sender=tx.sender,
                reason=revert_reason,
                what=f"{tx.contract.name}.{tx.function} for {tx.sender}",
            )
            raise RevertError(f"{tx.contract.name}.{tx.function} for {tx.sender}", "not mined, or out of gas")


def _bodies(txs: Sequence[_Tx], nonces: dict[str, int]) -> Iterator[dict[str, str]]:
    """Yield requests whose tips fall from one to the next: the node fills a block by tips."""
    for n, tx in enumerate(txs):
        nonce = nonces[tx.sender]
        nonces[tx.sender] = nonce + 1
        yield {
            "from": tx.sender,
            "to": tx.contract.address,
            "data": tx.contract.data(tx.function, *tx.args),
            "gas": hex(_GAS),
            "nonce": hex(nonce),
            "maxFeePerGas": hex(1_000 * _GWEI),
            "maxPriorityFeePerGas": hex(_GWEI + (len(txs) - n)),
        }


def _nonces(node: Node, senders: set[str]) -> dict[str, int]:
    ordered = sorted(senders)
    counts = node.batch([("eth_getTransactionCount", (sender, "latest")) for sender in ordered])
    return {sender: int(count, 16) for sender, count in zip(ordered, counts, strict=True)}
