"""Deploy Lyra Avalon: its sETH option market, and the Synthetix stand-ins that its package brings along.

The order matters: the resolver is filled before the adapter caches it, the adapter is set up before the pools
are, and the pool's first deposit comes before the first board (it is minted at once; later ones queue).

Source: the deployment scripts of the package, `dist/test/utils`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_utils.address import to_checksum_address

from keeper.devnet.artifacts import load
from keeper.devnet.contract import MAX, Contract, deploy
from keeper.devnet.lyra_parameters import PARAMETERS, SECURITY_MODULE
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad

BASE: Final = "sETH"
QUOTE: Final = "sUSD"

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One expiry to list."""

    days: int
    """From the time of listing."""

    base_iv: Wad
    strikes: tuple[tuple[int, Wad], ...]
    """(strike in USD, skew)"""


class Lyra:
    """The deployed contracts by their names, and what the market does with them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.contracts: dict[str, Contract] = {}

    def __getitem__(self, name: str) -> Contract:
        return self.contracts[name]

    def addresses(self) -> dict[str, str]:
        """Return every contract's address by name."""
        return {name: str(contract.address) for name, contract in self.contracts.items()}

    def set_spot(self, price: Wad) -> None:
        """Answer `price`, USD per ETH, to whoever asks the exchange rates from now on."""
        self["ExchangeRates"].send("setRateAndInvalid", _key(BASE), price, False)

    def spot(self) -> Wad:
        """Return the price at which the market trades."""
        return Wad(self["SynthetixAdapter"].call("getSpotPriceForMarket", self["OptionMarket"].address))

    def deposit(self, provider: str, quote: Wad) -> None:
        """Mint quote to a liquidity provider and put it into the pool."""
        pool = self["LiquidityPool"]
        self["QuoteAsset"].send("mint", provider, quote)
        self["QuoteAsset"].send("approve", pool.address, MAX, sender=provider)
        pool.send("initiateDeposit", provider, quote, sender=provider)

    def list_board(self, board: Board) -> None:
        """List an expiry; strikes are numbered on from the last."""
        strikes = [strike * ONE for strike, _ in board.strikes]
        skews = [skew for _, skew in board.strikes]
        expiry_s = self.node.now_s() + board.days * DAY_S
        self["OptionMarket"].send("createOptionBoard", expiry_s, board.base_iv, strikes, skews, False)

    def fund(self, owner: str, *, quote: Wad, base: Wad) -> None:
        """Mint both assets to a trader, who lets the market take them."""
        for asset, amount in (("QuoteAsset", quote), ("BaseAsset", base)):
            if amount:
                self[asset].send("mint", owner, amount)
            self[asset].send("approve", self["OptionMarket"].address, MAX, sender=owner)

    def min_collateral(self, option_type: int, strike_id: int, amount: Wad, spot: Wad | None = None) -> Wad:
        """Return the collateral below which a short may be liquidated, in its own asset."""
        strike, expiry_s = self["OptionMarket"].call("getStrikeAndExpiry", strike_id)
        at = self.spot() if spot is None else spot
        return Wad(
            self["OptionGreekCache"].call("getMinCollateral", option_type, strike, expiry_s, at, amount)
        )

    def owner_of(self, position_id: int) -> Address:
        """Return who holds an active position. Raises `RevertError` for any other."""
        return Address(to_checksum_address(self["OptionToken"].call("ownerOf", position_id)))

    def open(self, owner: str, option_type: int, strike_id: int, amount: Wad, collateral: Wad) -> int:
        """Open a position and return its id."""
        market = self["OptionMarket"]
        trade = {
            "strikeId": strike_id,
            "positionId": 0,
            "iterations": 1,
            "optionType": option_type,
            "amount": amount,
            "setCollateralTo": collateral,
            "minTotalCost": 0,
            "maxTotalCost": MAX,
        }
        receipt = market.send("openPosition", trade, sender=owner)
        return int(next(market.events(receipt, "Trade"))["positionId"])


def deploy_lyra(node: Node, spot: Wad) -> Lyra:
    """Deploy everything, price ETH at `spot`, and leave the market without boards or liquidity.

    Raises `RevertError`, or `PackageMissingError` when the packages were not fetched.
    """
    lyra = Lyra(node)
    install_multicall3(node)
    _deploy_contracts(lyra)
    _wire_synthetix(lyra)
    _wire_market(lyra)
    for (name, function), values in PARAMETERS.items():
        lyra[name].send(function, values)
    lyra["ShortPoolHedger"].send("setShortBuffer", 2 * ONE)
    exchanger = lyra["Exchanger"]
    exchanger.send("setFeeRateForExchange", _key(BASE), _key(QUOTE), 75 * ONE // 10_000)
    exchanger.send("setFeeRateForExchange", _key(QUOTE), _key(BASE), 50 * ONE // 10_000)
    lyra.set_spot(spot)
    return lyra


def attach_lyra(node: Node, addresses: Mapping[str, str]) -> Lyra:
    """Work with contracts that were deployed before. Raises `KeyError` when one has no address."""
    lyra = Lyra(node)
    for name, artifact, _ in _CONTRACTS:
        lyra.contracts[name] = Contract(node, addresses[name], load("lyra", artifact))
    return lyra


def _key(symbol: str) -> bytes:
    """Return Synthetix's bytes32 form of a symbol."""
    return symbol.encode().ljust(32, b"\0")


_CONTRACTS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("GWAV", "GWAV", ()),
    ("BlackScholes", "BlackScholes", ()),
    ("SynthetixAdapter", "SynthetixAdapter", ()),
    ("OptionMarketViewer", "OptionMarketViewer", ()),
    ("LyraRegistry", "LyraRegistry", ()),
    ("Exchanger", "TestExchanger", ()),
    ("ExchangeRates", "TestExchangeRates", ()),
    ("QuoteAsset", "TestERC20Fail", ("Synthetic USD", QUOTE)),
    ("Synthetix", "TestSynthetixReturnZero", ()),
    ("DelegateApprovals", "TestDelegateApprovals", ()),
    ("CollateralShort", "TestCollateralShort", ()),
    ("AddressResolver", "TestAddressResolver", ()),
    ("OptionMarket", "OptionMarket", ()),
    ("OptionMarketPricer", "OptionMarketPricer", ()),
    ("OptionGreekCache", "OptionGreekCache", ()),
    ("LiquidityPool", "LiquidityPool", ()),
    ("LiquidityToken", "LiquidityToken", ("sUSD/sETH Pool Tokens", "LyraELPT")),
    ("OptionToken", "OptionToken", ("sUSD/sETH Option Tokens", "LyraEOT")),
    ("ShortCollateral", "ShortCollateral", ()),
    ("ShortPoolHedger", "ShortPoolHedger", ()),
    ("GWAVOracle", "GWAVOracle", ()),
    ("KeeperHelper", "KeeperHelper", ()),
    ("BaseAsset", "TestERC20Fail", ("Synthetic ETH", BASE)),
)
"""(our name, the artifact's name, constructor arguments), in order of deployment"""


def _deploy_contracts(lyra: Lyra) -> None:
    libraries: dict[str, str] = {}
    for name, artifact, args in _CONTRACTS:
        contract = deploy(lyra.node, load("lyra", artifact), *args, libraries=libraries)
        lyra.contracts[name] = contract
        libraries[name] = contract.address


def _wire_synthetix(lyra: Lyra) -> None:
    """Let the stand-ins know each other, then let the adapter read the resolver."""
    a = lyra.addresses()
    lyra["SynthetixAdapter"].send("initialize")
    lyra["Synthetix"].send("init", a["SynthetixAdapter"], a["QuoteAsset"], a["AddressResolver"])
    lyra["CollateralShort"].send("init", a["SynthetixAdapter"], a["QuoteAsset"])
    resolved = {
        "ProxySynthetix": a["Synthetix"],
        "Exchanger": a["Exchanger"],
        "ExchangeRates": a["ExchangeRates"],
        "CollateralShort": a["CollateralShort"],
        "DelegateApprovals": a["DelegateApprovals"],
    }
    names = [_key(name) for name in resolved]
    lyra["AddressResolver"].send("setAddresses", names, list(resolved.values()))
    lyra["SynthetixAdapter"].send("setAddressResolver", a["AddressResolver"])
    lyra["OptionMarketViewer"].send("init", a["SynthetixAdapter"])
    for minter in ("Synthetix", "CollateralShort"):
        lyra["QuoteAsset"].send("permitMint", a[minter], True)
        lyra["BaseAsset"].send("permitMint", a[minter], True)
        lyra[minter].send("addBaseAsset", _key(BASE), a["BaseAsset"], a["OptionMarket"])


def _wire_market(lyra: Lyra) -> None:
    a = lyra.addresses()
    adapter, market, pool = a["SynthetixAdapter"], a["OptionMarket"], a["LiquidityPool"]
    cache, token, shorts = a["OptionGreekCache"], a["OptionToken"], a["ShortCollateral"]
    hedger, pricer = a["ShortPoolHedger"], a["OptionMarketPricer"]
    quote, base = a["QuoteAsset"], a["BaseAsset"]
    inits: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("OptionMarket", (adapter, pool, pricer, cache, shorts, token, quote, base)),
        ("OptionMarketPricer", (market, cache)),
        ("OptionGreekCache", (adapter, market, pricer)),
        ("LiquidityPool", (adapter, market, a["LiquidityToken"], cache, hedger, shorts, quote, base)),
        ("LiquidityToken", (pool,)),
        ("ShortPoolHedger", (adapter, market, cache, pool, quote, base)),
        ("ShortCollateral", (market, pool, token, adapter, quote, base)),
        ("OptionToken", (market, cache, shorts, adapter)),
        ("GWAVOracle", (market, cache, adapter)),
        ("KeeperHelper", (market, shorts, cache)),
    )
    for name, args in inits:
        lyra[name].send("init", *args)
    no_tracking = bytes(32)
    lyra["SynthetixAdapter"].send(
        "setGlobalsForContract", market, _key(QUOTE), _key(BASE), SECURITY_MODULE, no_tracking
    )
    listing = {
        "liquidityPool": pool,
        "liquidityToken": a["LiquidityToken"],
        "greekCache": cache,
        "optionMarket": market,
        "optionMarketPricer": pricer,
        "optionToken": token,
        "poolHedger": hedger,
        "shortCollateral": shorts,
        "baseAsset": base,
        "quoteAsset": quote,
    }
    lyra["OptionMarketViewer"].send("addMarket", listing)
    lyra["LyraRegistry"].send("addMarket", {**listing, "gwavOracle": a["GWAVOracle"]})
    globals_ = {
        "SYNTHETIX_ADAPTER": adapter,
        "MARKET_VIEWER": a["OptionMarketViewer"],
        "GWAV": a["GWAV"],
        "BLACK_SCHOLES": a["BlackScholes"],
    }
    names = [_key(name) for name in globals_]
    lyra["LyraRegistry"].send("updateGlobalAddresses", names, list(globals_.values()))
