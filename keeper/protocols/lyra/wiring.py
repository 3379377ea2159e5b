"""Whether the configured addresses of a Lyra market belong together."""

from typing import Final

from keeper.model.reads import Failed, Reads
from keeper.protocols.adapter import Finding
from keeper.protocols.answers import Answers, Asked, answers_to
from keeper.protocols.lyra.contracts import DECIMALS, Contracts
from keeper.protocols.wiring import answered, same

_LISTED: Final = {
    "OptionToken": "optionToken",
    "OptionGreekCache": "greekCache",
    "ShortCollateral": "shortCollateral",
    "QuoteAsset": "quoteAsset",
    "BaseAsset": "baseAsset",
}
"""Our name of a contract, and the viewer's."""

_HELPED: Final = {
    "OptionMarket": "optionMarket",
    "ShortCollateral": "shortCollateral",
    "OptionGreekCache": "greekCache",
}
"""Our name of a contract, and the helper's."""


def check(contracts: Contracts) -> Reads[tuple[Finding, ...]]:
    """Compare the addresses with what the viewer and the helper say, and ask each contract something."""
    asked: Asked = {
        "markets": contracts.viewer("getMarketAddresses"),
        "spot": contracts.oracle("getSpotPriceForMarket", contracts["OptionMarket"]),
        "boards": contracts.market("getLiveBoards"),
        "symbol": contracts.base("symbol"),
        "quote": contracts.quote("decimals"),
        "base": contracts.base("decimals"),
        **{("helper", ours): contracts.helper(theirs) for ours, theirs in _HELPED.items()},
    }
    answers = yield from answers_to(asked)
    named = dict(contracts.venue.underlyings)
    symbol = answers["symbol"]
    known = f"a key of underlyings: {', '.join(named) or 'none there'}"
    return (
        *_listed(contracts, answers),
        *(
            same(
                f"KeeperHelper.{theirs}",
                answers["helper", ours],
                contracts[ours],
                f"correct KeeperHelper or {ours} in the venue's contracts",
            )
            for ours, theirs in _HELPED.items()
        ),
        answered("SynthetixAdapter price", answers["spot"], "correct SynthetixAdapter, or wait for its feed"),
        answered("OptionMarket boards", answers["boards"], "correct OptionMarket"),
        same("QuoteAsset decimals", answers["quote"], DECIMALS, "correct QuoteAsset"),
        same("BaseAsset decimals", answers["base"], DECIMALS, "correct BaseAsset"),
        Finding(
            subject="risk factor of the market",
            ok=not isinstance(symbol, Failed) and symbol in named,
            found=str(symbol),
            expected=known,
            remedy="name the base asset's symbol under the venue's underlyings",
        ),
    )


def _listed(contracts: Contracts, answers: Answers) -> tuple[Finding, ...]:
    """Compare ours with the contracts that the viewer lists for the same market."""
    markets, ours = answers["markets"], contracts["OptionMarket"]
    if isinstance(markets, Failed):
        return (answered("OptionMarketViewer", markets, "correct OptionMarketViewer"),)
    listed = next((m for m in markets if m["optionMarket"] == ours), None)
    if listed is None:
        return (
            Finding(
                subject="OptionMarket",
                ok=False,
                found=ours,
                expected=f"a market of the viewer: {', '.join(m['optionMarket'] for m in markets) or 'none'}",
                remedy="correct OptionMarket or OptionMarketViewer in the venue's contracts",
            ),
        )
    return tuple(
        same(name, listed[theirs], contracts[name], f"correct {name} in the venue's contracts")
        for name, theirs in _LISTED.items()
    )
