"""Whether the configured addresses of a Curie deployment belong together."""

from typing import Final

from keeper.model.reads import Call, Reads
from keeper.protocols.adapter import Finding
from keeper.protocols.answers import Asked, answers_to
from keeper.protocols.curie.contracts import Contracts, risk_factors
from keeper.protocols.wiring import answered, same

_FROM_CLEARING: Final = {
    "Vault": "getVault",
    "AccountBalance": "getAccountBalance",
    "Exchange": "getExchange",
    "OrderBook": "getOrderBook",
    "InsuranceFund": "getInsuranceFund",
    "ClearingHouseConfig": "getClearingHouseConfig",
}
"""Our name of a contract, and where the clearing house says what it is."""


def check(contracts: Contracts) -> Reads[tuple[Finding, ...]]:
    """Follow the contracts' own references to each other, and ask every configured token what it is."""
    links: dict[str, tuple[str, Call]] = {
        f"ClearingHouse.{fn}": (name, contracts.clearing(fn)) for name, fn in _FROM_CLEARING.items()
    }
    links["Exchange.getMarketRegistry"] = ("MarketRegistry", contracts.exchange("getMarketRegistry"))
    links["Vault.getSettlementToken"] = ("SettlementToken", contracts.vault("getSettlementToken"))
    links["InsuranceFund.getToken"] = ("SettlementToken", contracts.insurance("getToken"))
    asked: Asked = {link: call for link, (_, call) in links.items()}
    asked["mm"] = contracts.config("getMmRatio")
    asked["token places"] = contracts.settlement("decimals")
    asked["vault places"] = contracts.vault("decimals")
    bases = tuple(risk_factors(contracts.venue))
    for base in bases:
        asked["listed", base] = contracts.registry("hasPool", base)
        asked["mark", base] = contracts.balance("getMarkPrice", base)
    answers = yield from answers_to(asked)
    markets = [base for base in bases if answers["listed", base] is True]
    return (
        *(
            same(link, answers[link], contracts[name], f"correct {name}, or whom it was asked of")
            for link, (name, _) in links.items()
        ),
        answered("ClearingHouseConfig ratios", answers["mm"], "correct ClearingHouseConfig"),
        same("places of the vault", answers["vault places"], answers["token places"], "correct Vault"),
        Finding(
            subject="markets",
            ok=bool(markets),
            found=", ".join(markets) or "none",
            expected="at least one base token of the venue",
            remedy="name the base tokens under the venue's underlyings",
        ),
        *(
            answered(
                f"mark price of {base}", answers["mark", base], "wait until the pool has 30 min of history"
            )
            for base in markets
        ),
    )
