"""What Curie's actions promise, in the integers of its contracts.

What a trade pays or receives is the change of

    open notional of the taker position + owed realised profit - pending funding

since a trade settles its funding and books profit and fee in the same call: profit moves from the first term
to the second, funding from the third to the second, and what is left is the price paid with its fee.
"""

from typing import Final, TypeAlias

from keeper.model.plan import Hedge, Liquidate, MoveCollateral
from keeper.model.promise import Figure, Outflow, Promise, Term
from keeper.model.reads import Address, Reads
from keeper.model.units import from_raw
from keeper.protocols.answers import Asked, answers_to, unanswered, why
from keeper.protocols.curie.actions import base_of, raw_amount, trade_bound, trader_of
from keeper.protocols.curie.contracts import Contracts, risk_factors
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.promises import exactly, in_wallet, term, untouched
from keeper.protocols.tokens import Token

Promised: TypeAlias = Reads[Promise]

PLACES: Final = 18
"""Of sizes and of dollars, except in the vault."""

SIZE_SLACK: Final = 2
"""Whoever sells states what goes into the pool, and the fee is taken on top: a wei may be lost to it. A
maker's orders lose as much to rounding when they are cancelled."""


def hedge(contracts: Contracts, action: Hedge, sender: Address) -> Promised:
    """Promise the size, a price within the limit, and nothing out of wallet or vault."""
    venue = contracts.venue
    base, trader = (
        base_of(venue, action.kind, action.instrument),
        trader_of(venue, action.kind, action.account),
    )
    token = yield from _settlement_token(contracts, action.kind)
    bound = trade_bound(action)
    size = Figure(
        name=f"size of {trader}",
        terms=(term(contracts.balance("getTakerPositionSize", trader, base)),),
        unit=risk_factors(venue)[base],
        decimals=PLACES,
        least=action.size - SIZE_SLACK,
        most=action.size + SIZE_SLACK,
    )
    paid = Figure(
        name=f"paid (-) or received (+) by {trader}",
        terms=(
            term(contracts.balance("getTakerOpenNotional", trader, base)),
            term(contracts.balance("getPnlAndPendingFee", trader), 0),
            term(contracts.exchange("getAllPendingFundingPayment", trader), weight=-1),
        ),
        unit="USD",
        decimals=PLACES,
        least=-bound if action.size > 0 else bound,
        most=-1 if action.size > 0 else None,
    )
    return Promise(
        figures=(size, paid, *_at_rest(contracts, token, trader, sender)),
        holders=(sender, trader),
    )


def move_collateral(contracts: Contracts, action: MoveCollateral, sender: Address) -> Promised:
    """Promise that what leaves the wallet arrives in the vault, or the other way round.

    A withdrawal books owed profit and funding into the vault's balance as well, which are therefore counted
    with it; of these the vault keeps only its own token's places.
    """
    trader = trader_of(contracts.venue, action.kind, action.account)
    token = yield from _settlement_token(contracts, action.kind)
    raw = raw_amount(contracts, action, symbol=token.symbol, decimals=token.decimals)
    if action.direction == "add":
        deposited = exactly(
            f"deposit of {trader}",
            [term(contracts.vault("getBalance", trader))],
            raw,
            unit=token.symbol,
            decimals=token.decimals,
        )
        return Promise(
            figures=(
                deposited,
                *_margin(contracts, token, trader, raw),
                in_wallet(token, sender, least=-raw, most=-raw),
            ),
            holders=(sender, trader),
            outflows=(Outflow(token=token.address, holder=sender, most=raw),),
        )
    places = max(PLACES, token.decimals)
    of_vault, of_value = int(10 ** (places - token.decimals)), int(10 ** (places - PLACES))
    coarser = max(of_vault, of_value)
    left = Figure(
        name=f"deposit, profit and funding of {trader}",
        terms=(
            term(contracts.vault("getBalance", trader), weight=of_vault),
            term(contracts.balance("getPnlAndPendingFee", trader), 0, weight=of_value),
            term(contracts.exchange("getAllPendingFundingPayment", trader), weight=-of_value),
        ),
        unit=token.symbol,
        decimals=places,
        least=-raw * of_vault - coarser,
        most=-raw * of_vault + coarser,
    )
    return Promise(
        figures=(
            left,
            *_margin(contracts, token, trader, -raw),
            in_wallet(token, trader, least=raw, most=raw),
        ),
        holders=(sender,),
    )


def liquidate(contracts: Contracts, action: Liquidate, sender: Address) -> Promised:
    """Promise that the position comes to us at the size that was seen, and pays what was seen.

    The contract takes less than is asked for where its cap has fallen, so size and reward may fall short by
    the tolerance. What the trader gives up and what we receive are the same, whatever the cap.
    """
    venue = contracts.venue
    base, trader = (
        base_of(venue, action.kind, action.instrument),
        trader_of(venue, action.kind, action.account),
    )
    token = yield from _settlement_token(contracts, action.kind)
    taken = _size(contracts, sender, base)
    given = _size(contracts, trader, base)
    factor, size = risk_factors(venue)[base], int(action.max_size)
    inventory = Figure(
        name=f"size of {sender}, taken over",
        terms=(taken,),
        unit=factor,
        decimals=PLACES,
        least=size,
        most=size,
        priced=True,
    )
    together = Figure(
        name=f"sizes of {sender} and {trader} together",
        terms=(taken, given),
        unit=factor,
        decimals=PLACES,
        least=-SIZE_SLACK,
        most=SIZE_SLACK,
    )
    reward = Figure(
        name=f"account value of {sender}",
        terms=(term(contracts.clearing("getAccountValue", sender)),),
        unit="USD",
        decimals=PLACES,
        least=max(0, int(action.reward_usd) - _step(token)),
        most=None,
        priced=True,
    )
    return Promise(
        figures=(inventory, together, reward, *_at_rest(contracts, token, sender, sender)),
        holders=(sender, trader),
    )


def _margin(contracts: Contracts, token: Token, trader: Address, raw: int) -> tuple[Figure, Figure]:
    """Return the venue's own margin figures: equity changes by the amount, the requirement not at all."""
    change, step = int(from_raw(raw, token.decimals)), _step(token)
    equity = Figure(
        name=f"account value of {trader}",
        terms=(term(contracts.clearing("getAccountValue", trader)),),
        unit="USD",
        decimals=PLACES,
        least=change - step,
        most=change + step,
    )
    required = exactly(
        f"requirement of {trader}",
        [term(contracts.balance("getMarginRequirementForLiquidation", trader))],
        0,
        unit="USD",
        decimals=PLACES,
    )
    return equity, required


def _step(token: Token) -> int:
    """Return what an account value is rounded down to: a unit of the vault, 18 places."""
    return int(10 ** max(0, PLACES - token.decimals))


def _size(contracts: Contracts, trader: Address, base: Address) -> Term:
    return term(contracts.balance("getTotalPositionSize", trader, base))


def _at_rest(contracts: Contracts, token: Token, trader: Address, sender: Address) -> tuple[Figure, ...]:
    """Deposit and wallets, which a trade and a take-over leave alone: both are settled between accounts."""
    deposit = exactly(
        f"deposit of {trader}",
        [term(contracts.vault("getBalance", trader))],
        0,
        unit=token.symbol,
        decimals=token.decimals,
    )
    return (deposit, *untouched((token,), (sender, trader)))


def _settlement_token(contracts: Contracts, kind: str) -> Reads[Token]:
    asked: Asked = {"symbol": contracts.settlement("symbol"), "decimals": contracts.settlement("decimals")}
    answers = yield from answers_to(asked)
    if failed := unanswered(answers, *asked):
        raise UnencodableActionError(contracts.venue.id, kind, why(failed))
    return Token(
        address=contracts["SettlementToken"],
        symbol=answers["symbol"],
        decimals=answers["decimals"],
        underlying=None,
    )
