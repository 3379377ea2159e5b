"""Curie's accounts: one per trader, every market and collateral in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keeper.model.book import Account, Balance, LiquidationMode, Position, Requirement, SettlementMode
from keeper.model.reads import Address, Failed
from keeper.model.units import ONE, Wad, from_raw, mul
from keeper.protocols.answers import Answers, Asked, unanswered, why
from keeper.protocols.curie.contracts import Contracts, risk_factors
from keeper.protocols.curie.market import Market, Ratios
from keeper.protocols.tokens import token_call


def ask_trader(asked: Asked, contracts: Contracts, trader: Address, *, ours: bool) -> None:
    """Add the figures of a whole account, and what it is made of.

    What is free to withdraw is asked for our own accounts only: it takes as much gas as all the rest.
    """
    asked["value", trader] = contracts.clearing("getAccountValue", trader)
    asked["maintenance", trader] = contracts.balance("getMarginRequirementForLiquidation", trader)
    asked["debt", trader] = contracts.balance("getTotalDebtValue", trader)
    asked["profit", trader] = contracts.balance("getPnlAndPendingFee", trader)
    asked["funding", trader] = contracts.exchange("getAllPendingFundingPayment", trader)
    asked["deposit", trader] = contracts.vault("getBalance", trader)
    asked["collateral", trader] = contracts.vault("getCollateralTokens", trader)
    asked["bases", trader] = contracts.balance("getBaseTokens", trader)
    asked["orders", trader] = contracts.balance("hasOrder", trader)
    if ours:
        asked["free", trader] = contracts.vault(
            "getFreeCollateralByToken", trader, contracts["SettlementToken"]
        )


_OF_EVERYBODY: Final = (
    "value",
    "maintenance",
    "debt",
    "profit",
    "funding",
    "deposit",
    "collateral",
    "bases",
    "orders",
)


def unread(answers: Answers, trader: Address) -> Failed | None:
    """Return the first figure of `ask_trader` that is missing."""
    names = [(name, trader) for name in _OF_EVERYBODY]
    return unanswered(answers, *names, *([("free", trader)] if ("free", trader) in answers else []))


def ask_parts(asked: Asked, contracts: Contracts, trader: Address, answers: Answers) -> None:
    """Add every market that the trader is in, and every collateral token that he has."""
    for base in answers["bases", trader]:
        asked["size", trader, base] = contracts.balance("getTotalPositionSize", trader, base)
        asked["notional", trader, base] = contracts.balance("getTotalOpenNotional", trader, base)
    for token in answers["collateral", trader]:
        asked["amount", trader, token] = contracts.vault("getBalanceByToken", trader, token)
        asked["token symbol", token] = token_call(token, "symbol")
        asked["token decimals", token] = token_call(token, "decimals")


@dataclass(frozen=True, slots=True)
class Book:
    """What all accounts share when they are put together."""

    contracts: Contracts
    ratios: Ratios
    markets: Mapping[Address, Market]
    answers: Answers


def account_from(book: Book, trader: Address) -> Account | str:
    """Return the account, not yet asked whether it may be liquidated, or why it cannot be known.

    A part that has no risk factor makes the whole account unknown: leaving it out would change its risk.
    """
    answers, venue = book.answers, book.contracts.venue
    positions = _positions(book, trader)
    collateral = _collateral(book, trader)
    if isinstance(positions, str):
        return positions
    if isinstance(collateral, str):
        return collateral
    owed, _, fee = answers["profit", trader]
    funding = Wad(answers["funding", trader])
    free = answers.get(("free", trader))
    cash = Wad(from_raw(answers["deposit", trader], book.ratios.decimals) + owed + fee - funding)
    return Account(
        id=f"{venue.id}:{trader}",
        protocol=venue.protocol,
        chain_id=venue.chain_id,
        key=trader,
        owner=trader,
        balances=(Balance(asset=book.ratios.symbol, amount=cash), *collateral),
        positions=positions,
        venue=Requirement(
            equity=Wad(answers["value", trader]),
            initial=mul(Wad(answers["debt", trader]), book.ratios.im),
            maintenance=Wad(answers["maintenance", trader]),
        ),
        liquidatable=False,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        funding_due=funding,
        withdrawable=None if free is None else from_raw(free, book.ratios.decimals),
        has_orders=answers["orders", trader],
        margin_asset=book.ratios.symbol,
    )


def is_empty(account: Account) -> bool:
    """Tell whether a trader has left: nothing deposited, owed, held or resting."""
    return not (
        account.positions
        or account.has_orders
        or account.venue.equity
        or account.venue.maintenance
        or any(b.amount for b in account.balances)
    )


def _positions(book: Book, trader: Address) -> tuple[Position, ...] | str:
    answers = book.answers
    positions: list[Position] = []
    for base in sorted(answers["bases", trader]):
        if failed := unanswered(answers, ("size", trader, base), ("notional", trader, base)):
            return why(failed)
        size = answers["size", trader, base]
        if size == 0:
            continue
        market = book.markets.get(base)
        if market is None and base in risk_factors(book.contracts.venue):
            return f"a position in base token {base}, whose market could not be read"
        if market is None:
            return f"a position in base token {base}, which has no risk factor: name it under underlyings"
        positions.append(
            Position(
                instrument=market.instrument,
                size=Wad(size),
                entry=_entry(size, answers["notional", trader, base]),
            )
        )
    return tuple(positions)


def _entry(size: int, notional: int) -> Wad:
    """Average entry price: open notional has the sign opposite to the size."""
    price = abs(notional) * ONE // abs(size)
    return Wad(-price if (notional > 0) == (size > 0) else price)


def _collateral(book: Book, trader: Address) -> tuple[Balance, ...] | str:
    answers = book.answers
    factors = risk_factors(book.contracts.venue)
    balances: list[Balance] = []
    for token in sorted(answers["collateral", trader]):
        names = (("amount", trader, token), ("token symbol", token), ("token decimals", token))
        if failed := unanswered(answers, *names):
            return why(failed)
        if token not in factors:
            return f"collateral {token} has no risk factor: name it under underlyings, USD for a dollar"
        amount, symbol, decimals = (answers[name] for name in names)
        underlying = factors[token]
        balances.append(
            Balance(
                asset=symbol,
                amount=from_raw(amount, decimals),
                underlying=None if underlying == "USD" else underlying,
            )
        )
    return tuple(balances)
