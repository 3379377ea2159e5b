"""What Curie's actions promise: the plan's own amounts, in the contracts' places, with the right sign."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.plan import TxAction
from keeper.model.promise import Figure, Outflow, Promise
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad, to_raw
from keeper.protocols.curie import Curie
from keeper.protocols.errors import UnencodableActionError
from tests.protocols.curie.table import ALICE, AT, BOB, VBTC, VENUE
from tests.protocols.curie.test_actions import (
    HEDGE,
    LIQUIDATE,
    MOVE,
    OTHER,
    encoded,
    places,
    prices,
    sizes,
    token_answers,
)
from tests.support.fake_chain import Answers, drive, failing

USDC = AT["SettlementToken"]


def promised(action: TxAction, sender: Address, table: Answers | None = None) -> Promise:
    return drive(Curie().promise(VENUE, action, sender), table or token_answers(sender))


def figure(promise: Promise, name: str) -> Figure:
    (found,) = (f for f in promise.figures if name in f.name)
    return found


@given(sizes, prices)
def test_a_trade_promises_its_size_and_the_bound_of_its_calldata(size: int, price: int) -> None:
    action = replace(HEDGE, size=Wad(size), limit_price=Wad(price))
    if abs(size) * price < ONE:
        return
    promise = promised(action, ALICE)
    (send,) = encoded(action, ALICE)
    bound = send.args[0][4]  # type: ignore[index]
    moved, paid = figure(promise, "size of"), figure(promise, "paid (-) or received (+)")
    assert (moved.least, moved.most) == (size - 2, size + 2)
    assert (paid.least, paid.most) == ((-bound, -1) if size > 0 else (bound, None))
    assert (moved.priced, paid.priced) == (False, False)
    assert promise.outflows == ()
    assert promise.holders == (ALICE, ALICE)


def test_who_trades_for_another_watches_both_wallets() -> None:
    promise = promised(HEDGE, OTHER)
    assert promise.holders == (OTHER, ALICE)
    wallets = {f.wallet for f in promise.figures if f.wallet is not None}
    assert wallets == {(USDC, OTHER), (USDC, ALICE)}
    assert all(f.least == f.most == 0 for f in promise.figures if f.wallet is not None)
    assert f"size of {ALICE}" in [f.name for f in promise.figures]


@given(st.integers(10**12, 10**30), places)
def test_collateral_is_exact_in_the_tokens_own_places(amount: int, decimals: int) -> None:
    raw = to_raw(Wad(amount), decimals)
    table = token_answers(OTHER, decimals=decimals)
    promise = promised(replace(MOVE, amount=Wad(amount)), OTHER, table)
    deposit, wallet = figure(promise, f"deposit of {ALICE}"), figure(promise, "in the wallet of")
    assert deposit.least == deposit.most == raw
    assert wallet.least == wallet.most == -raw
    assert wallet.wallet == (USDC, OTHER)
    assert promise.outflows == (Outflow(token=USDC, holder=OTHER, most=raw),)
    equity = figure(promise, "account value")
    step = 10 ** max(0, 18 - decimals)
    assert equity.least is not None
    assert equity.most is not None
    assert equity.most - equity.least == 2 * step
    assert abs((equity.most + equity.least) // 2 - amount) <= step
    assert figure(promise, "requirement").least == figure(promise, "requirement").most == 0


@given(st.integers(10**12, 10**30), places, st.integers(-(10**24), 10**24), st.integers(-(10**24), 10**24))
def test_a_withdrawal_counts_booked_profit_and_funding_with_the_deposit(
    amount: int, decimals: int, profit: int, funding: int
) -> None:
    """The vault books both when it pays out, rounded down to its own places."""
    raw = to_raw(Wad(amount), decimals)
    table = token_answers(ALICE, decimals=decimals)
    promise = promised(replace(MOVE, amount=Wad(amount), direction="withdraw"), ALICE, table)
    left, wallet = figure(promise, "deposit, profit and funding"), figure(promise, "in the wallet of")
    assert wallet.least == wallet.most == raw
    assert promise.outflows == ()
    of_deposit, of_profit, of_funding = (t.weight for t in left.terms)
    booked = to_raw(Wad(profit - funding), decimals)
    before = of_profit * profit + of_funding * funding
    after = of_deposit * (booked - raw)
    assert left.least is not None
    assert left.most is not None
    assert left.least <= after - before <= left.most
    assert (
        not left.least <= after - of_deposit * raw // 2 - before - 2 * (left.most - left.least) <= left.most
    )


@given(sizes, st.integers(0, 10**24), st.sampled_from((6, 18)))
def test_a_take_over_promises_size_reward_and_that_nothing_is_lost_between_the_two(
    size: int, reward: int, decimals: int
) -> None:
    action = replace(LIQUIDATE, max_size=Wad(size), reward_usd=Wad(reward))
    promise = promised(action, OTHER, token_answers(OTHER, decimals=decimals))
    taken, both = figure(promise, "taken over"), figure(promise, "together")
    assert (taken.least, taken.most, taken.priced) == (size, size, True)
    assert (both.least, both.most, both.priced) == (-2, 2, False)
    assert len(both.terms) == 2
    assert {t.read.args for t in both.terms} == {(OTHER, VBTC), (BOB, VBTC)}
    value = figure(promise, "account value")
    assert (value.least, value.most) == (max(0, reward - 10 ** (18 - decimals)), None)
    assert promise.outflows == ()
    assert promise.holders == (OTHER, BOB)


@pytest.mark.parametrize("action", [HEDGE, MOVE, LIQUIDATE])
def test_what_cannot_be_read_promises_nothing(action: TxAction) -> None:
    for fn in ("symbol", "decimals"):
        with pytest.raises(UnencodableActionError, match="withheld"):
            promised(action, ALICE, failing(token_answers(ALICE), (USDC, fn, ())))


def test_what_cannot_be_encoded_promises_nothing() -> None:
    for action in (
        replace(HEDGE, instrument="curie:42161:0x1"),
        replace(HEDGE, account="lyra:10:1"),
        replace(MOVE, asset="DAI"),
        replace(MOVE, amount=Wad(1)),
        replace(LIQUIDATE, instrument="nothing"),
    ):
        with pytest.raises(UnencodableActionError):
            promised(action, ALICE)
