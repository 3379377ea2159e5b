"""What Lyra's actions promise, in the integers of its contracts. Amounts have 18 places on both sides."""

from collections.abc import Hashable, Sequence
from typing import TypeAlias

from keeper.model.plan import Liquidate, MoveCollateral, Refresh, Settle
from keeper.model.promise import Figure, Outflow, Promise, Term
from keeper.model.reads import Address, Reads
from keeper.model.units import ONE, Wad
from keeper.protocols.answers import Answers, Asked, answers_to, unanswered, why
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.lyra.accounts import Holding, holding_from, settlement_claim
from keeper.protocols.lyra.actions import position_id
from keeper.protocols.lyra.contracts import DECIMALS, Contracts, OptionType, PositionState
from keeper.protocols.lyra.market import Strike, ask_strikes, strike_from
from keeper.protocols.promises import exactly, in_wallet, term, untouched
from keeper.protocols.tokens import Token, token_call

Promised: TypeAlias = Reads[Promise]


def liquidate(contracts: Contracts, action: Liquidate, sender: Address) -> Promised:
    """Promise that the position is closed whole, and its reward paid in the token of its collateral."""
    i = position_id(contracts.venue, action.kind, action.account)
    holding, answers = yield from _position(contracts, action.kind, i, _spot(contracts))
    tokens = _tokens(contracts, answers)
    in_base = holding.type is OptionType.SHORT_CALL_BASE
    reward, spot = int(action.reward_usd), answers["spot"]
    if in_base:
        reward = reward * ONE // spot if spot > 0 else 0
    paid, other = (tokens[1], tokens[0]) if in_base else tokens
    closed = exactly(
        f"state of position {i} (1 open, 3 liquidated)",
        [_state(contracts, (i,), 0)],
        PositionState.LIQUIDATED - PositionState.ACTIVE,
        unit="",
        decimals=0,
    )
    return Promise(
        figures=(
            closed,
            in_wallet(paid, sender, least=reward, most=None, priced=True),
            *untouched((other,), (sender,)),
        ),
        holders=(sender, action.owner),
        # The contract burns the position, whose owner it is.
        outflows=(Outflow(token=contracts["OptionToken"], holder=action.owner, most=i, item=True),),
    )


def move_collateral(contracts: Contracts, action: MoveCollateral, sender: Address) -> Promised:
    """Promise that what leaves the wallet is the position's collateral, to the last unit, or vice versa."""
    i = position_id(contracts.venue, action.kind, action.account)
    holding, answers = yield from _position(contracts, action.kind, i, {})
    tokens = _tokens(contracts, answers)
    in_base = holding.type is OptionType.SHORT_CALL_BASE
    moved, other = (tokens[1], tokens[0]) if in_base else tokens
    adds = action.direction == "add"
    change = int(action.amount) if adds else -int(action.amount)
    read = contracts.token("getOptionPositions", (i,))
    collateral = exactly(
        f"collateral of position {i}",
        [term(read, 0, "collateral")],
        change,
        unit=moved.symbol,
        decimals=DECIMALS,
    )
    size = exactly(f"size of position {i}", [term(read, 0, "amount")], 0, unit="", decimals=DECIMALS)
    return Promise(
        figures=(
            collateral,
            size,
            in_wallet(moved, sender, least=-change, most=-change),
            *untouched((other,), (sender,)),
        ),
        holders=(sender, action.owner),
        outflows=(Outflow(token=moved.address, holder=sender, most=change),) if adds else (),
    )


def settle(contracts: Contracts, action: Settle, sender: Address) -> Promised:
    """Promise that every position that waits is settled, and its owner paid what strike and price make of it.

    A board that is not settled yet will be at the spot of that moment, which the head shows; what a
    base-collateralised call then returns is only known between nothing and the whole collateral.
    """
    ids = tuple(sorted({position_id(contracts.venue, action.kind, account) for account in action.accounts}))
    asked: Asked = {
        **_symbols(contracts),
        **_spot(contracts),
        "positions": contracts.token("getOptionPositions", ids),
    }
    first = yield from answers_to(asked)
    _require(contracts, action.kind, first, "quote", "base", "positions")
    found = [holding_from(answer) for answer in first["positions"]]
    holdings = [h for h in found if h.state is PositionState.ACTIVE]
    asked = {}
    ask_strikes(asked, contracts, [h.strike_id for h in holdings])
    for holding in holdings:
        asked["owner", holding.id] = contracts.token("ownerOf", holding.id)
    second = yield from answers_to(asked)
    _require(contracts, action.kind, second, *second)
    owners = {h.id: Address(second["owner", h.id]) for h in holdings}
    settled = exactly(
        "states of the positions (1 open, 4 settled)",
        [_state(contracts, ids, at) for at, h in enumerate(found) if h.state is PositionState.ACTIVE],
        len(holdings) * (PositionState.SETTLED - PositionState.ACTIVE),
        unit="",
        decimals=0,
    )
    claims = [_claim(contracts, action.kind, h, {**second, "spot": first["spot"]}) for h in holdings]
    proceeds = [
        _proceeds(token, sorted(set(owners.values())), [c[i] for c in claims])
        for i, token in enumerate(_tokens(contracts, first))
    ]
    return Promise(
        figures=(settled, *proceeds) if holdings else (),
        holders=(sender,),
        outflows=tuple(
            Outflow(token=contracts["OptionToken"], holder=owner, most=i, item=True)
            for i, owner in owners.items()
            if owner == sender
        ),
    )


def refresh(contracts: Contracts, action: Refresh, sender: Address) -> Promised:
    """Promise that nothing moves."""
    answers = yield from answers_to(_symbols(contracts))
    _require(contracts, action.kind, answers, *answers)
    return Promise(figures=untouched(_tokens(contracts, answers), (sender,)), holders=(sender,))


def _claim(
    contracts: Contracts, kind: str, holding: Holding, answers: Answers
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return least and most that the owner of a position receives, in the dollar token and in the other."""
    strike = strike_from(answers, holding.strike_id)
    if not isinstance(strike, Strike):
        raise UnencodableActionError(contracts.venue.id, kind, why(strike))
    nothing = (0, 0)
    price = strike.settled_at
    if holding.type is OptionType.SHORT_CALL_BASE and price is None:
        return nothing, (0, int(holding.collateral))
    if price is None:
        _require(contracts, kind, answers, "spot")
        price = Wad(answers["spot"])
    claim = int(settlement_claim(holding, strike, price))
    exact = (claim, claim)
    return (nothing, exact) if holding.type is OptionType.SHORT_CALL_BASE else (exact, nothing)


def _proceeds(token: Token, owners: Sequence[Address], claims: Sequence[tuple[int, int]]) -> Figure:
    return Figure(
        name=f"{token.symbol} of the {len(owners)} owners",
        terms=tuple(term(token_call(token.address, "balanceOf", owner)) for owner in owners),
        unit=token.symbol,
        decimals=token.decimals,
        least=sum(least for least, _ in claims),
        most=sum(most for _, most in claims),
    )


def _state(contracts: Contracts, ids: tuple[int, ...], at: int) -> Term:
    return term(contracts.token("getOptionPositions", ids), at, "state")


def _position(contracts: Contracts, kind: str, i: int, also: Asked) -> Reads[tuple[Holding, Answers]]:
    asked: Asked = {
        **_symbols(contracts),
        **also,
        "position": contracts.token("getOptionPositions", (i,)),
    }
    answers = yield from answers_to(asked)
    _require(contracts, kind, answers, *answers)
    return holding_from(answers["position"][0]), answers


def _symbols(contracts: Contracts) -> Asked:
    return {"quote": contracts.quote("symbol"), "base": contracts.base("symbol")}


def _spot(contracts: Contracts) -> Asked:
    return {"spot": contracts.oracle("getSpotPriceForMarket", contracts["OptionMarket"])}


def _tokens(contracts: Contracts, answers: Answers) -> tuple[Token, Token]:
    """Return the dollar token and the other one."""

    def token(name: str, symbol: str) -> Token:
        return Token(address=contracts[name], symbol=symbol, decimals=DECIMALS, underlying=None)

    return token("QuoteAsset", answers["quote"]), token("BaseAsset", answers["base"])


def _require(contracts: Contracts, kind: str, answers: Answers, *names: Hashable) -> None:
    if failed := unanswered(answers, *names):
        raise UnencodableActionError(contracts.venue.id, kind, why(failed))
