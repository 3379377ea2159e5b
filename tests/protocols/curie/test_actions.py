"""Curie's encoders: what leaves in calldata is what was decided, or a little less, never more."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.abi import encode
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, Reason, TxAction
from keeper.model.reads import Address, Failed, Send
from keeper.model.units import ONE, ZERO, Wad
from keeper.protocols.curie import Curie
from keeper.protocols.errors import UnencodableActionError
from tests.protocols.curie.table import ALICE, AT, BOB, VBTC, VENUE, VETH
from tests.support.fake_chain import Answers, drive

OTHER = Address("0x" + "0d" * 20)
TRADE = "(address,bool,bool,uint256,uint256,uint256,uint160,bytes32)"

sizes = st.integers(1, 10**27).flatmap(lambda n: st.sampled_from((n, -n)))
prices = st.integers(10**12, 10**24)
places = st.sampled_from((6, 8, 18, 27))

HEDGE = Hedge(
    subject="desk/ETH",
    reason=Reason(text="test"),
    protocol="curie",
    chain_id=42161,
    account=f"curie:42161:{ALICE}",
    owner=ALICE,
    instrument=f"curie:42161:{VETH}",
    size=Wad(ONE),
    limit_price=Wad(2_000 * ONE),
    deadline_s=1_800_000_300,
)
MOVE = MoveCollateral(
    subject=ALICE,
    reason=Reason(text="test"),
    protocol="curie",
    chain_id=42161,
    account=f"curie:42161:{ALICE}",
    owner=ALICE,
    asset="USDC",
    amount=Wad(ONE),
    direction="add",
)
LIQUIDATE = Liquidate(
    subject=BOB,
    reason=Reason(text="test"),
    protocol="curie",
    chain_id=42161,
    account=f"curie:42161:{BOB}",
    owner=BOB,
    instrument=f"curie:42161:{VBTC}",
    max_size=Wad(-ONE),
    takes_over=True,
    reward_usd=ZERO,
    cost_usd=ZERO,
)


def token_answers(sender: Address, *, decimals: int = 6, allowed: int = 0) -> dict[Hashable, object]:
    token = AT["SettlementToken"]
    return {
        (token, "symbol", ()): "USDC",
        (token, "decimals", ()): decimals,
        (token, "allowance", (sender, AT["Vault"])): allowed,
    }


def encoded(action: TxAction, sender: Address, table: Answers | None = None) -> tuple[Send, ...]:
    return drive(Curie().encode(VENUE, action, sender), table or {})


def arguments(send: Send, *types: str) -> tuple[Any, ...]:
    """Read the arguments back out of the calldata."""
    return tuple(decode(types, bytes.fromhex(encode(send)[10:])))


@given(sizes, prices)
def test_a_trade_says_exactly_the_size_and_never_a_worse_price(size: int, price: int) -> None:
    action = replace(HEDGE, size=Wad(size), limit_price=Wad(price))
    if abs(size) * price < ONE:
        return
    (send,) = encoded(action, ALICE)
    (trade,) = arguments(send, TRADE)
    base, is_short, is_exact_input, amount, bound, deadline, price_limit, referral = trade
    assert (base, deadline, price_limit, referral) == (VETH, HEDGE.deadline_s, 0, bytes(32))
    assert is_short == is_exact_input == (size < 0)
    assert amount == abs(size)
    value = amount * price
    if is_short:  # at least so much is received: rounded up
        assert 0 <= bound * ONE - value < ONE
    else:  # at most so much is paid: rounded down
        assert 0 <= value - bound * ONE < ONE
    assert bound > 0, "0 would mean any price"


@given(sizes, prices)
def test_for_another_owner_the_trade_is_the_same(size: int, price: int) -> None:
    action = replace(HEDGE, size=Wad(size), limit_price=Wad(price))
    if abs(size) * price < ONE:
        return
    (own,), (other,) = encoded(action, ALICE), encoded(action, OTHER)
    assert (own.fn, other.fn) == ("openPosition", "openPositionFor")
    trader, trade = arguments(other, "address", TRADE)
    assert trader == ALICE
    assert (trade,) == arguments(own, TRADE)


@pytest.mark.parametrize(
    "change",
    [
        {"size": ZERO},
        {"limit_price": ZERO},
        {"limit_price": Wad(-1)},
        {"deadline_s": 0},
        {"size": Wad(1), "limit_price": Wad(1)},
        {"instrument": "curie:42161:0xdead"},
        {"instrument": f"curie:10:{VETH}"},
        {"account": f"lyra:42161:{ALICE}"},
    ],
)
def test_a_trade_without_bounds_or_of_another_venue_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnencodableActionError) as caught:
        encoded(replace(HEDGE, **change), ALICE)
    assert (caught.value.venue, caught.value.kind) == ("curie:42161", "hedge")


@given(st.integers(1, 10**33), places, st.sampled_from(("add", "withdraw")))
def test_amounts_go_over_to_the_tokens_places_rounding_toward_zero(
    amount: int, decimals: int, direction: Any
) -> None:
    action = replace(MOVE, amount=Wad(amount), direction=direction)
    table = token_answers(ALICE, decimals=decimals)
    unit = 10 ** (18 - decimals) if decimals <= 18 else 1
    if amount < unit:
        with pytest.raises(UnencodableActionError, match="nothing in"):
            encoded(action, ALICE, table)
        return
    *before, send = encoded(action, ALICE, table)
    token, raw = arguments(send, "address", "uint256")
    assert token == AT["SettlementToken"].lower()
    if decimals <= 18:
        assert 0 <= amount - raw * unit < unit
    else:
        assert raw == amount * 10 ** (decimals - 18)
    if direction == "add":
        (approve,) = before
        assert arguments(approve, "address", "uint256") == (AT["Vault"].lower(), raw)
    else:
        assert before == []


@given(st.integers(0, 2**256 - 1), st.integers(1, 10**24))
def test_an_approval_goes_before_only_where_less_is_allowed(allowed: int, amount: int) -> None:
    table = token_answers(OTHER, decimals=18, allowed=allowed)
    sends = encoded(replace(MOVE, amount=Wad(amount)), OTHER, table)
    assert [s.fn for s in sends] == (["depositFor"] if allowed >= amount else ["approve", "depositFor"])
    assert arguments(sends[-1], "address", "address", "uint256") == (
        ALICE,
        AT["SettlementToken"].lower(),
        amount,
    )


def test_only_the_settlement_token_moves_and_only_the_owner_withdraws() -> None:
    with pytest.raises(UnencodableActionError, match="only USDC"):
        encoded(replace(MOVE, asset="WETH"), ALICE, token_answers(ALICE))
    with pytest.raises(UnencodableActionError, match="only"):
        encoded(replace(MOVE, direction="withdraw"), OTHER, token_answers(OTHER))


def test_an_unread_allowance_is_not_taken_for_none() -> None:
    for lost in token_answers(ALICE):
        table = {**token_answers(ALICE), lost: Failed("allowance", "timed out")}
        with pytest.raises(UnencodableActionError, match="timed out"):
            encoded(MOVE, ALICE, table)


@given(sizes)
def test_a_liquidation_names_the_most_to_take_with_its_sign(size: int) -> None:
    balance = AT["AccountBalance"]
    table: Answers = {(balance, "hasOrder", (BOB,)): False, (balance, "getBaseTokens", (BOB,)): []}
    (send,) = encoded(replace(LIQUIDATE, max_size=Wad(size)), OTHER, table)
    assert arguments(send, "address", "address", "int256") == (BOB, VBTC, size)


def test_orders_in_every_market_are_cancelled_first() -> None:
    balance, book = AT["AccountBalance"], AT["OrderBook"]
    table: Answers = {
        (balance, "hasOrder", (BOB,)): True,
        (balance, "getBaseTokens", (BOB,)): [VETH, VBTC],
        (book, "getOpenOrderIds", (BOB, VETH)): [b"x"],
        (book, "getOpenOrderIds", (BOB, VBTC)): [],
    }
    sends = encoded(LIQUIDATE, OTHER, table)
    assert [(s.fn, s.args) for s in sends] == [
        ("cancelAllExcessOrders", (BOB, VETH)),
        ("liquidate", (BOB, VBTC, -ONE)),
    ]
    for name in table:
        with pytest.raises(UnencodableActionError, match="timed out"):
            encoded(LIQUIDATE, OTHER, {**table, name: Failed(str(name), "timed out")})


def test_a_size_of_zero_would_take_everything_and_is_refused() -> None:
    with pytest.raises(UnencodableActionError, match="as much as possible"):
        encoded(replace(LIQUIDATE, max_size=ZERO), OTHER)
