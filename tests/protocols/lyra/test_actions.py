"""Lyra's encoders: what leaves in calldata is what was decided."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.abi import encode
from keeper.model.plan import Liquidate, MoveCollateral, Reason, Refresh, Settle, TxAction
from keeper.model.reads import Address, Call, Failed, Send
from keeper.model.units import ONE, ZERO, Wad
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.lyra import Lyra
from keeper.protocols.lyra.contracts import SETTLED_PER_CALL
from tests.protocols.lyra.table import ALICE, AT, BOB, HOLDINGS, VENUE, struct
from tests.support.fake_chain import Answers, drive

REASON = Reason(text="test")
TRADE = "(uint256,uint256,uint256,uint8,uint256,uint256,uint256,uint256)"
MARKET = AT["OptionMarket"]


def move(i: int, amount: int, **changes: Any) -> MoveCollateral:
    action = MoveCollateral(
        subject=f"lyra:10:{i}",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        account=f"lyra:10:{i}",
        owner=BOB,
        asset="sETH" if i == 3 else "sUSD",
        amount=Wad(amount),
        direction="add",
    )
    return replace(action, **changes)


def position_answers(i: int, sender: Address, *, allowed: int = 0) -> dict[Hashable, object]:
    holding = next(h for h in HOLDINGS if h[0] == i)
    token = AT["OptionToken"]
    answers: dict[Hashable, object] = {
        (token, "getOptionPositions", ((i,),)): [struct(holding[:6])],
        (token, "ownerOf", (i,)): holding[6],
        (AT["QuoteAsset"], "symbol", ()): "sUSD",
        (AT["BaseAsset"], "symbol", ()): "sETH",
    }
    for asset in ("QuoteAsset", "BaseAsset"):
        answers[AT[asset], "allowance", (sender, MARKET)] = allowed
    return answers


def encoded(action: TxAction, sender: Address, table: Answers | None = None) -> tuple[Send, ...]:
    return drive(Lyra().encode(VENUE, action, sender), table or {})


def arguments(send: Send, *types: str) -> tuple[Any, ...]:
    return tuple(decode(types, bytes.fromhex(encode(send)[10:])))


@given(st.sampled_from((3, 4, 5)), st.integers(1, 10**30), st.integers(0, 10**30))
def test_added_collateral_is_exact_in_the_positions_own_asset(i: int, amount: int, allowed: int) -> None:
    *before, send = encoded(move(i, amount), ALICE, position_answers(i, ALICE, allowed=allowed))
    assert (send.to, send.fn) == (MARKET, "addCollateral")
    assert arguments(send, "uint256", "uint256") == (i, amount)
    if allowed >= amount:
        assert before == []
    else:
        (approve,) = before
        assert approve.to == AT["BaseAsset" if i == 3 else "QuoteAsset"]
        assert arguments(approve, "address", "uint256") == (MARKET, amount)


@given(st.integers(1, 800 * ONE - 1))
def test_a_withdrawal_sets_the_collateral_to_what_remains(amount: int) -> None:
    (send,) = encoded(move(5, amount, direction="withdraw"), BOB, position_answers(5, BOB))
    (trade,) = arguments(send, TRADE)
    strike_id, position_id, iterations, kind, size, collateral, least, most = trade
    assert (strike_id, position_id, kind) == (11, 5, 4)
    assert (iterations, size, least, most) == (1, 0, 0, 0), "nothing is traded, nothing may be paid"
    assert collateral == 800 * ONE - amount


@pytest.mark.parametrize(
    ("action", "sender", "problem"),
    [
        (move(5, 0), BOB, "positive"),
        (move(5, -1), BOB, "positive"),
        (move(5, ONE, asset="sETH"), BOB, "holds sUSD"),
        (move(3, ONE, asset="sUSD"), BOB, "holds sETH"),
        (move(1, ONE), ALICE, "not an open short"),
        (move(6, ONE), BOB, "not an open short"),
        (move(5, ONE, direction="withdraw"), ALICE, "only"),
        (move(5, 800 * ONE, direction="withdraw"), BOB, "less than"),
        (move(5, ONE, account="lyra:1:5"), BOB, "not one of its accounts"),
        (move(5, ONE, account="lyra:10:0x5"), BOB, "not one of its accounts"),
    ],
)
def test_what_does_not_fit_the_position_is_refused(
    action: MoveCollateral, sender: Address, problem: str
) -> None:
    key = action.account.rpartition(":")[2]
    i = int(key) if key.isdecimal() else 5
    with pytest.raises(UnencodableActionError, match=problem):
        encoded(action, sender, position_answers(i, sender))


def test_unread_answers_are_not_taken_for_zero() -> None:
    whole = position_answers(5, BOB)
    for lost in whole:
        if lost == (AT["BaseAsset"], "allowance", (BOB, MARKET)):
            continue  # not asked for a position in dollars
        with pytest.raises(UnencodableActionError, match="timed out"):
            encoded(move(5, ONE), BOB, {**whole, lost: Failed(str(lost), "timed out")})


@given(st.integers(1, 2**64))
def test_the_reward_of_a_liquidation_goes_to_the_sender(i: int) -> None:
    action = Liquidate(
        subject="x",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        account=f"lyra:10:{i}",
        owner=BOB,
        instrument="lyra:10:1-11-put",
        max_size=Wad(-ONE),
        takes_over=False,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )
    (send,) = encoded(action, ALICE)
    assert arguments(send, "uint256", "address") == (i, ALICE)


def settle(ids: list[int], *, settled: bool = False, board: str = "2") -> Settle:
    return Settle(
        subject="lyra:10",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        board=board,
        board_settled=settled,
        accounts=tuple(f"lyra:10:{i}" for i in ids),
    )


def settle_answers(states: dict[int, int], price: int) -> Answers:
    ids = tuple(sorted(states))
    return {
        (MARKET, "boardToPriceAtExpiry", (2,)): price,
        (AT["OptionToken"], "getOptionPositions", (ids,)): [
            struct((i, 21, 0, ONE, 0, state)) for i, state in sorted(states.items())
        ],
    }


@given(st.dictionaries(st.integers(1, 10**6), st.sampled_from((1, 1, 1, 2, 4)), max_size=200), st.booleans())
def test_all_that_waits_is_settled_once_in_chunks_that_fit(states: dict[int, int], settled: bool) -> None:
    sends = encoded(settle(list(states)[::-1]), ALICE, settle_answers(states, ONE if settled else 0))
    boards = [s for s in sends if s.fn == "settleExpiredBoard"]
    assert [s.args for s in boards] == ([] if settled else [(2,)])
    assert list(sends[: len(boards)]) == boards, "the board comes first"
    chunks = [arguments(s, "uint256[]")[0] for s in sends[len(boards) :]]
    assert all(0 < len(c) <= SETTLED_PER_CALL for c in chunks)
    assert [i for c in chunks for i in c] == [i for i, state in sorted(states.items()) if state == 1]


def test_a_board_is_a_number() -> None:
    with pytest.raises(UnencodableActionError, match="number of a board"):
        encoded(settle([1], board="0x2"), ALICE)


def test_boards_that_need_it_and_can_are_refreshed() -> None:
    cache = AT["OptionGreekCache"]
    expired = Failed("updateBoardCachedGreeks", "CannotUpdateExpiredBoard", True)

    def update(board: int) -> Call:
        return Call("lyra/OptionGreekCache", cache, "updateBoardCachedGreeks", (board,), sender=ALICE)

    table: Answers = {
        (MARKET, "getLiveBoards", ()): [4, 1, 2, 3],
        (cache, "isBoardCacheStale", (1,)): True,
        (cache, "isBoardCacheStale", (2,)): False,
        (cache, "isBoardCacheStale", (3,)): True,
        (cache, "isBoardCacheStale", (4,)): True,
        update(1): None,
        update(2): None,
        update(3): expired,
        update(4): None,
    }
    action = Refresh(subject="lyra:10", reason=REASON, protocol="lyra", chain_id=10)
    assert [s.args for s in encoded(action, ALICE, table)] == [(1,), (4,)]
    for lost in table:
        with pytest.raises(UnencodableActionError, match="timed out"):
            encoded(action, ALICE, {**table, lost: Failed(str(lost), "timed out")})
