"""Actions as calls to Lyra's contracts. Amounts have 18 places on both sides, so nothing is rounded."""

from collections.abc import Sequence
from typing import TypeAlias

from keeper.model.plan import Liquidate, MoveCollateral, Refresh, Settle
from keeper.model.reads import Address, Failed, Reads, Send
from keeper.model.units import ZERO, Wad
from keeper.model.venue import Venue
from keeper.protocols.answers import Asked, answers_to, key_of, unanswered, why
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.lyra.accounts import Holding, holding_from
from keeper.protocols.lyra.contracts import (
    GREEKS,
    MARKET,
    SETTLED_PER_CALL,
    SHORTS,
    Contracts,
    OptionType,
    PositionState,
)
from keeper.protocols.tokens import approvals, token_call

Sends: TypeAlias = Reads[tuple[Send, ...]]


def position_id(venue: Venue, kind: str, account: str) -> int:
    """Return the token id inside an account id. Raises `UnencodableActionError` when there is none."""
    key = key_of(venue, account)
    if key is None or not key.isdecimal():
        raise UnencodableActionError(venue.id, kind, f"{account} is not one of its accounts")
    return int(key)


def liquidate(contracts: Contracts, action: Liquidate, sender: Address) -> tuple[Send, ...]:
    """Close the position whole; the reward goes to the sender."""
    return (contracts.liquidate(position_id(contracts.venue, action.kind, action.account), sender),)


def move_collateral(contracts: Contracts, action: MoveCollateral, sender: Address) -> Sends:
    """Add collateral for anybody's short, or take some of the sender's own out.

    Taking out is a trade of size 0 that sets the collateral to what remains; the contract refuses it below
    the minimum.
    """
    venue = contracts.venue
    i = position_id(venue, action.kind, action.account)
    if action.amount <= 0:
        raise UnencodableActionError(
            venue.id, action.kind, f"the amount must be positive, was {action.amount}"
        )
    asked: Asked = {
        "position": contracts.token("getOptionPositions", (i,)),
        "owner": contracts.token("ownerOf", i),
        "quote": contracts.quote("symbol"),
        "base": contracts.base("symbol"),
    }
    answers = yield from answers_to(asked)
    if failed := unanswered(answers, *asked):
        raise UnencodableActionError(venue.id, action.kind, why(failed))
    holding = holding_from(answers["position"][0])
    if holding.state is not PositionState.ACTIVE or not holding.type.is_short:
        raise UnencodableActionError(
            venue.id, action.kind, f"position {i} is not an open short, so it has no collateral to move"
        )
    in_base = holding.type is OptionType.SHORT_CALL_BASE
    symbol = answers["base" if in_base else "quote"]
    if action.asset != symbol:
        raise UnencodableActionError(
            venue.id, action.kind, f"position {i} holds {symbol} as collateral, not {action.asset}"
        )
    if action.direction == "withdraw":
        return (_withdrawal(contracts, action, holding, answers["owner"], sender),)
    return (yield from _addition(contracts, action, holding, sender))


def _addition(contracts: Contracts, action: MoveCollateral, holding: Holding, sender: Address) -> Sends:
    asset = contracts["BaseAsset" if holding.type is OptionType.SHORT_CALL_BASE else "QuoteAsset"]
    market = contracts["OptionMarket"]
    (allowed,) = yield (token_call(asset, "allowance", sender, market),)
    if isinstance(allowed, Failed):
        raise UnencodableActionError(contracts.venue.id, action.kind, why(allowed))
    add = contracts.send(MARKET, "OptionMarket", "addCollateral", holding.id, int(action.amount))
    return (*approvals(asset, market, int(action.amount), allowed), add)


def _withdrawal(
    contracts: Contracts, action: MoveCollateral, holding: Holding, owner: Address, sender: Address
) -> Send:
    venue = contracts.venue
    if sender != owner:
        raise UnencodableActionError(
            venue.id, action.kind, f"only {owner} may take collateral out of position {holding.id}"
        )
    remaining = Wad(holding.collateral - action.amount)
    if remaining <= ZERO:
        raise UnencodableActionError(
            venue.id, action.kind, f"position {holding.id} holds {holding.collateral}, less than is asked for"
        )
    trade = {
        "strikeId": holding.strike_id,
        "positionId": holding.id,
        "iterations": 1,
        "optionType": int(holding.type),
        "amount": 0,
        "setCollateralTo": int(remaining),
        "minTotalCost": 0,
        "maxTotalCost": 0,
    }
    return contracts.send(MARKET, "OptionMarket", "openPosition", tuple(trade.values()))


def settle(contracts: Contracts, action: Settle) -> Sends:
    """Settle the board unless it is, then the positions that still wait, in chunks that fit a transaction.

    Empty when somebody else was faster.
    """
    venue = contracts.venue
    if not action.board.isdecimal():
        raise UnencodableActionError(venue.id, action.kind, f"{action.board!r} is not the number of a board")
    board = int(action.board)
    ids = sorted({position_id(venue, action.kind, account) for account in action.accounts})
    asked: Asked = {
        "price": contracts.market("boardToPriceAtExpiry", board),
        "positions": contracts.token("getOptionPositions", tuple(ids)),
    }
    answers = yield from answers_to(asked)
    if failed := unanswered(answers, *asked):
        raise UnencodableActionError(venue.id, action.kind, why(failed))
    sends: list[Send] = []
    if answers["price"] == 0:
        sends.append(contracts.send(MARKET, "OptionMarket", "settleExpiredBoard", board))
    open_ids = [
        holding.id
        for holding in map(holding_from, answers["positions"])
        if holding.state is PositionState.ACTIVE
    ]
    for start in range(0, len(open_ids), SETTLED_PER_CALL):
        chunk = tuple(open_ids[start : start + SETTLED_PER_CALL])
        sends.append(contracts.send(SHORTS, "ShortCollateral", "settleOptions", chunk))
    return tuple(sends)


def refresh(contracts: Contracts, action: Refresh, sender: Address) -> Sends:
    """Update the cached greeks of each stale board. Empty when none is stale.

    One transaction per board rather than the venue's own helper for all of them: that one reverts as a
    whole while an expired board waits for settlement, and many boards would not fit a transaction.
    """
    (boards,) = yield (contracts.market("getLiveBoards"),)
    if isinstance(boards, Failed):
        raise UnencodableActionError(contracts.venue.id, action.kind, why(boards))
    answers = yield from answers_to(_ask_staleness(contracts, boards, sender))
    for answer in answers.values():
        if isinstance(answer, Failed) and not answer.benign:
            raise UnencodableActionError(contracts.venue.id, action.kind, why(answer))
    return tuple(
        contracts.send(GREEKS, "OptionGreekCache", "updateBoardCachedGreeks", board)
        for board in sorted(boards)
        if answers["stale", board] is True and not isinstance(answers["update", board], Failed)
    )


def _ask_staleness(contracts: Contracts, boards: Sequence[int], sender: Address) -> Asked:
    asked: Asked = {}
    for board in sorted(boards):
        asked["stale", board] = contracts.greeks("isBoardCacheStale", board)
        asked["update", board] = contracts.simulated(
            contracts.send(GREEKS, "OptionGreekCache", "updateBoardCachedGreeks", board), sender
        )
    return asked
