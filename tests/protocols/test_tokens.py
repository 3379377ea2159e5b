"""Wallets and approvals in tokens of any number of places."""

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from keeper.model.reads import Address, Send
from keeper.model.units import ONE
from keeper.model.venue import Venue
from keeper.protocols.answers import Asked
from keeper.protocols.tokens import ERC20, Token, approvals, ask_wallets, wallets_from
from tests.support.fake_chain import failing

A, B = Address("0x" + "aa" * 20), Address("0x" + "bb" * 20)
USDC, WBTC, SPENDER = (Address("0x" + c * 40) for c in "123")
VENUE = Venue(protocol="curie", chain_id=10, contracts=(), from_block=0)
TOKENS = (
    Token(address=USDC, symbol="USDC", decimals=6, underlying=None),
    Token(address=WBTC, symbol="WBTC", decimals=8, underlying="BTC"),
)
ANSWERS: dict[Hashable, object] = {
    ("balance", A, USDC): 1_500_000,
    ("allowance", A, USDC): 2**256 - 1,
    ("balance", A, WBTC): 25,
    ("allowance", A, WBTC): 0,
    ("balance", B, USDC): 0,
    ("allowance", B, USDC): 1,
    ("balance", B, WBTC): 10**8,
    ("allowance", B, WBTC): 10**8,
}


def test_what_is_asked_is_what_is_needed() -> None:
    asked: Asked = {}
    ask_wallets(asked, (A, B), (USDC, WBTC), SPENDER)
    assert set(asked) == set(ANSWERS)


def test_amounts_have_18_places_whatever_the_token_has() -> None:
    (a, b), gaps = wallets_from(VENUE, ANSWERS, (B, A), TOKENS, SPENDER)
    assert gaps == ()
    assert [(x.asset, x.amount, x.underlying) for x in a.balances] == [
        ("USDC", ONE * 3 // 2, None),
        ("WBTC", 25 * 10**10, "BTC"),
    ]
    assert a.allowances[0].amount == (2**256 - 1) * 10**12
    assert b.balances[1].amount == ONE
    assert {x.spender for x in (*a.allowances, *b.allowances)} == {SPENDER}
    assert a.native == 0


def test_an_unread_wallet_is_a_gap_and_leaves_the_others() -> None:
    for kind in ("balance", "allowance"):
        for lost, left in ((A, B), (B, A)):
            for token in (USDC, WBTC):
                table = failing(ANSWERS, (kind, lost, token))
                wallets, (gap,) = wallets_from(VENUE, table, (A, B), TOKENS, SPENDER)
                assert [w.owner for w in wallets] == [left]
                assert (gap.what, gap.key) == ("wallet", f"curie:10:{lost}")


@given(st.integers(0, 2**200), st.integers(0, 2**200))
def test_an_approval_is_exact_and_only_where_less_is_allowed(raw: int, allowed: int) -> None:
    sends = approvals(USDC, SPENDER, raw, allowed)
    assert sends == (() if allowed >= raw else (Send(ERC20, USDC, "approve", (SPENDER, raw)),))
