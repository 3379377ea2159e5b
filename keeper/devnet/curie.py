"""Deploy Perp Curie: two perp markets over Uniswap v3 pools, USDC as settlement token, settable oracles.

Implementations are used directly, without proxies. The quote token must sort above every base token, so its
CREATE2 salt is searched until its address begins with 0xff.

Source: `initialize` and the setters of the package's contracts; the collateral manager's numbers are ours.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.devnet.artifacts import Artifact, load
from keeper.devnet.contract import MAX, Contract, deploy
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.model.units import ONE, Wad

USDC: Final = 10**6
"""One USDC in the token's own unit."""

_CREATE2: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
_FEE: Final = 3_000
_TICK_SPACING: Final = 60
_TICK: Final = 1.0001
_STEP_TICKS: Final = 900
"""Of the 1000 ticks that the exchange lets a pool move within 15 s."""

_STEP_S: Final = 16
_CARDINALITY: Final = 400
"""Observations a pool remembers; more makes every block slower, and 400 cover an hour of trades."""

_USDC_DECIMALS_SLOT: Final = 6
_NO_REFERRAL: Final = bytes(32)
_PER_MARKET: Final = (
    ("Aggregator", "chainlink", "MockV3Aggregator"),
    ("Feed", "oracle", "ChainlinkPriceFeedV3"),
    ("Dispatcher", "oracle", "PriceFeedDispatcher"),
    ("Pool", "uniswap", "UniswapV3Pool"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One perp to list."""

    symbol: str
    price: Wad


class Curie:
    """The deployed contracts by their names, and what markets and traders do with them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.contracts: dict[str, Contract] = {}

    def __getitem__(self, name: str) -> Contract:
        return self.contracts[name]

    def addresses(self) -> dict[str, str]:
        """Return every contract's address by name."""
        return {name: str(contract.address) for name, contract in self.contracts.items()}

    def base(self, symbol: str) -> str:
        """Return the address of a market: its base token."""
        return self[f"v{symbol}"].address

    def set_oracle(self, symbol: str, price: Wad) -> None:
        """Publish an index price; it counts from the next second on."""
        self[f"{symbol}Aggregator"].send("updateAnswer", price * 10**8 // ONE)

    def pool_price(self, symbol: str) -> float:
        """Return the vAMM's price, USD per unit: for walking it, not for risk."""
        return float(self[f"{symbol}Pool"].call("slot0")[0] / 2**96) ** 2

    def mint(self, owner: str, usd: int) -> None:
        """Mint USDC."""
        self["SettlementToken"].send("mint", owner, usd * USDC)

    def fund(self, owner: str, usd: int) -> None:
        """Mint USDC to a trader, who lets the vault take it."""
        self.mint(owner, usd)
        self["SettlementToken"].send("approve", self["Vault"].address, MAX, sender=owner)

    def deposit(self, owner: str, usd: int) -> None:
        """Mint USDC to a trader and put it into the vault."""
        self.fund(owner, usd)
        self["Vault"].send("deposit", self["SettlementToken"].address, usd * USDC, sender=owner)

    def add_liquidity(
        self, maker: str, symbol: str, *, low: float, high: float, base: Wad, quote: Wad
    ) -> None:
        """Offer liquidity between two prices."""
        self["ClearingHouse"].send(
            "addLiquidity",
            {
                "baseToken": self.base(symbol),
                "base": base,
                "quote": quote,
                "lowerTick": _tick(low, math.floor),
                "upperTick": _tick(high, math.ceil),
                "minBase": 0,
                "minQuote": 0,
                "useTakerBalance": False,
                "deadline": MAX,
            },
            sender=maker,
        )

    def trade(self, owner: str, symbol: str, size: Wad, *, to_price: float | None = None) -> dict[str, Any]:
        """Buy (size > 0) or sell (size < 0) `size` of base; stop when the pool is at `to_price`."""
        return self["ClearingHouse"].send("openPosition", self.order(symbol, size, to_price), sender=owner)

    def order(self, symbol: str, size: Wad, to_price: float | None = None) -> dict[str, object]:
        """Return the parameters of such a trade."""
        return {
            "baseToken": self.base(symbol),
            "isBaseToQuote": size < 0,
            "isExactInput": size < 0,
            "amount": abs(size),
            "oppositeAmountBound": 0,
            "deadline": MAX,
            "sqrtPriceLimitX96": 0 if to_price is None else int(math.sqrt(to_price) * 2**96),
            "referralCode": _NO_REFERRAL,
        }

    def walk(self, arbitrageur: str, symbol: str, price: Wad) -> int:
        """Bring oracle and vAMM to `price` and return the number of steps taken.

        The oracle goes first, because the exchange refuses to leave it by more than a tenth; then the pool
        follows in steps short enough for the exchange's limit per 15 s. The last pause lets the pool's own
        15 s average, one of the three inputs of the mark price, arrive.
        """
        self.set_oracle(symbol, price)
        target = price / ONE
        steps = 0
        while abs(self.pool_price(symbol) / target - 1) > 1e-6:
            here = self.pool_price(symbol)
            reach = _TICK**_STEP_TICKS
            there = max(target, here / reach) if target < here else min(target, here * reach)
            self.node.set_next_time(self.node.now_s() + _STEP_S)
            side = 1 if there > here else -1
            self.trade(arbitrageur, symbol, Wad(side * 10**5 * ONE), to_price=there)
            steps += 1
        self.node.warp(_STEP_S)
        return steps


def deploy_curie(node: Node, markets: tuple[Market, ...]) -> Curie:
    """Deploy everything and list `markets`, without liquidity, and with half an hour of price history.

    Raises `RevertError`, or `PackageMissingError` when the packages were not fetched.
    """
    curie = Curie(node)
    install_multicall3(node)
    _deploy_contracts(curie)
    _wire(curie)
    for market in markets:
        _list(curie, market)
    node.warp(1_801)  # the mark price needs 30 minutes of pool history
    for market in markets:
        curie.set_oracle(market.symbol, market.price)
    return curie


def attach_curie(node: Node, addresses: Mapping[str, str]) -> Curie:
    """Work with contracts that were deployed before."""
    curie = Curie(node)
    for name, address in addresses.items():
        curie.contracts[name] = Contract(node, address, _artifact(name))
    return curie


def _artifact(name: str) -> Artifact:
    """Return what one of our names is an instance of; a market's contracts carry its symbol."""
    if name == "SettlementToken":
        return load("openzeppelin", "ERC20PresetMinterPauser")
    if name == "UniswapV3Factory":
        return load("uniswap", name)
    for suffix, source, artifact in _PER_MARKET:
        if name.endswith(suffix):
            return load(source, artifact)
    return load("curie", "BaseToken" if name.startswith("v") else name)


def _tick(price: float, toward: Any) -> int:
    return int(toward(math.log(price) / math.log(_TICK) / _TICK_SPACING)) * _TICK_SPACING


def _deploy_contracts(curie: Curie) -> None:
    node, contracts = curie.node, curie.contracts
    usdc = deploy(node, _artifact("SettlementToken"), "USD Coin", "USDC")
    # the preset has 18 places and no way to change them
    slot, six = hex(_USDC_DECIMALS_SLOT), f"0x{6:064x}"
    node.rpc("anvil_setStorageAt", usdc.address, slot, six)
    contracts["SettlementToken"] = usdc
    contracts["UniswapV3Factory"] = deploy(node, _artifact("UniswapV3Factory"))
    contracts["QuoteToken"] = _deploy_above_all(node, _artifact("QuoteToken"))
    for name in (
        "ClearingHouseConfig",
        "MarketRegistry",
        "OrderBook",
        "InsuranceFund",
        "Exchange",
        "AccountBalance",
        "Vault",
        "CollateralManager",
        "ClearingHouse",
        "DelegateApproval",
    ):
        contracts[name] = deploy(node, _artifact(name))


def _deploy_above_all(node: Node, artifact: Artifact) -> Contract:
    """Deploy at an address that begins with 0xff."""
    code = bytes.fromhex(artifact.bytecode)
    prefix, suffix = b"\xff" + bytes.fromhex(_CREATE2[2:]), keccak(code)
    for salt in (n.to_bytes(32, "big") for n in count()):
        address = keccak(prefix + salt + suffix)[12:]
        if address[0] == 0xFF:
            break
    node.send(node.accounts[0], _CREATE2, "0x" + (salt + code).hex(), what=f"deployment of {artifact.name}")
    return Contract(node, "0x" + address.hex(), artifact)


def _wire(curie: Curie) -> None:
    a = curie.addresses()
    config, registry, book = a["ClearingHouseConfig"], a["MarketRegistry"], a["OrderBook"]
    fund, exchange, balance = a["InsuranceFund"], a["Exchange"], a["AccountBalance"]
    vault, house, quote = a["Vault"], a["ClearingHouse"], a["QuoteToken"]
    usdc, factory, manager = a["SettlementToken"], a["UniswapV3Factory"], a["CollateralManager"]
    steps: tuple[tuple[str, str, tuple[object, ...]], ...] = (
        ("QuoteToken", "initialize", ("vUSD", "vUSD")),
        ("ClearingHouseConfig", "initialize", ()),
        ("ClearingHouseConfig", "setSettlementTokenBalanceCap", (MAX,)),  # 0 at first: no deposit passes
        ("MarketRegistry", "initialize", (factory, quote)),
        ("OrderBook", "initialize", (registry,)),
        ("InsuranceFund", "initialize", (usdc,)),
        ("Exchange", "initialize", (registry, book, config)),
        ("OrderBook", "setExchange", (exchange,)),
        ("AccountBalance", "initialize", (config, book)),
        ("Exchange", "setAccountBalance", (balance,)),
        ("Vault", "initialize", (fund, config, balance, exchange)),
        ("InsuranceFund", "setVault", (vault,)),
        ("AccountBalance", "setVault", (vault,)),
        # most tokens, share of debt allowed, share taken per liquidation, buffer, fund's fee, debt, dust
        (
            "CollateralManager",
            "initialize",
            (config, vault, 5, 750_000, 500_000, 2_000, 30_000, 10_000 * USDC, 500 * USDC),
        ),
        ("Vault", "setCollateralManager", (manager,)),
        ("ClearingHouse", "initialize", (config, vault, quote, factory, exchange, balance, fund)),
        *(
            (name, "setClearingHouse", (house,))
            for name in ("MarketRegistry", "OrderBook", "Exchange", "AccountBalance", "Vault")
        ),
        ("DelegateApproval", "initialize", ()),
        ("ClearingHouse", "setDelegateApproval", (a["DelegateApproval"],)),
        ("QuoteToken", "mintMaximumTo", (house,)),
        ("QuoteToken", "addWhitelist", (house,)),
    )
    for name, function, args in steps:
        curie[name].send(function, *args)


def _list(curie: Curie, market: Market) -> None:
    """Deploy one market's oracle, base token and pool, and open it for trading."""
    node, contracts, symbol = curie.node, curie.contracts, market.symbol
    aggregator = deploy(node, _artifact(f"{symbol}Aggregator"), 8, market.price * 10**8 // ONE)
    feed = deploy(node, _artifact(f"{symbol}Feed"), aggregator.address, 40 * 60, 15 * 60)
    dispatcher = deploy(node, _artifact(f"{symbol}Dispatcher"), feed.address)
    base = deploy(node, _artifact(f"v{symbol}"))
    contracts[f"{symbol}Aggregator"], contracts[f"{symbol}Feed"] = aggregator, feed
    contracts[f"{symbol}Dispatcher"], contracts[f"v{symbol}"] = dispatcher, base

    factory, quote, house = curie["UniswapV3Factory"], curie["QuoteToken"], curie["ClearingHouse"]
    base.send("initialize", f"v{symbol}", f"v{symbol}", dispatcher.address)
    base.send("mintMaximumTo", house.address)
    base.send("addWhitelist", house.address)
    factory.send("createPool", base.address, quote.address, _FEE)
    address = factory.call("getPool", base.address, quote.address, _FEE)
    pool = contracts[f"{symbol}Pool"] = Contract(node, address, _artifact(f"{symbol}Pool"))
    base.send("addWhitelist", pool.address)
    quote.send("addWhitelist", pool.address)
    pool.send("initialize", int(math.sqrt(market.price / ONE) * 2**96))
    pool.send("increaseObservationCardinalityNext", _CARDINALITY)

    registry = curie["MarketRegistry"]
    registry.send("addPool", base.address, _FEE)
    registry.send("setFeeRatio", base.address, 1_000)  # 0.1 % of each trade
    registry.send("setInsuranceFundFeeRatio", base.address, 100_000)  # a tenth of the fees
    curie["Exchange"].send("setMaxTickCrossedWithinBlock", base.address, 1_000)  # 0 at first: no trade passes
