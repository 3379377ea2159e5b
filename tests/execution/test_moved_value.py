"""What an action moves, in USD: each kind against the definition, and never less than the exact product."""

from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.execution.errors import UnvaluedError
from keeper.execution.moved_value import Movement, movement
from keeper.model.book import Account, Balance, LiquidationMode, Requirement, SettlementMode, Wallet
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, Reason, Refresh, Settle, TxAction
from keeper.model.quote import GasPrice, Quote
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import ONE, ZERO, Wad, Wei

OWNER: Final = Address("0x51000000000000000000000000000000000000AA")
WHY: Final = Reason(text="a test asks for it")
PERP: Final = "curie:10:0xETH"


def quote(subject: str, price: int, kind: str) -> Quote:
    return Quote(
        subject=subject,
        kind=kind,  # type: ignore[arg-type]
        price=Wad(price),
        source="test",
        chain_id=10,
        observed_at_s=0,
    )


def account(asset: str | None, underlying: str | None) -> Account:
    return Account(
        id="lyra:10:7",
        protocol="lyra",
        chain_id=10,
        key="7",
        owner=OWNER,
        balances=(),
        positions=(),
        venue=Requirement(equity=ONE, initial=ONE, maintenance=ONE),
        liquidatable=False,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
        margin_asset=asset,
        margin_underlying=underlying,
    )


def snapshot(*quotes: Quote, asset: str | None = "sUSD", underlying: str | None = None) -> Snapshot:
    return Snapshot(
        blocks=(),
        accounts=(account(asset, underlying),),
        instruments=(),
        quotes=quotes,
        gas=(GasPrice(chain_id=10, wei_per_gas=1, native_underlying="ETH", observed_at_s=0),),
    )


def top_up(amount: int, asset: str = "sUSD", direction: str = "add") -> MoveCollateral:
    return MoveCollateral(
        subject="lyra:10:7",
        reason=WHY,
        protocol="lyra",
        chain_id=10,
        account="lyra:10:7",
        owner=OWNER,
        asset=asset,
        amount=Wad(amount),
        direction=direction,  # type: ignore[arg-type]
    )


def hedge(size: int, limit: int) -> Hedge:
    return Hedge(
        subject="desk/ETH",
        reason=WHY,
        protocol="curie",
        chain_id=10,
        account="curie:10:0xA",
        owner=OWNER,
        instrument=PERP,
        size=Wad(size),
        limit_price=Wad(limit),
        deadline_s=1,
    )


def liquidation(size: int, *, takes_over: bool) -> Liquidate:
    return Liquidate(
        subject="curie:10:0xB",
        reason=WHY,
        protocol="curie",
        chain_id=10,
        account="curie:10:0xB",
        owner=OWNER,
        instrument=PERP,
        max_size=Wad(size),
        takes_over=takes_over,
        reward_usd=Wad(10**30),
        cost_usd=ZERO,
    )


NOTHING_OF_OURS: Final[tuple[TxAction, ...]] = (
    Refresh(subject="lyra:10", reason=WHY, protocol="lyra", chain_id=10),
    Settle(
        subject="1", reason=WHY, protocol="lyra", chain_id=10, board="1", board_settled=False, accounts=()
    ),
    liquidation(-5 * ONE, takes_over=False),
)

wads = st.integers(1, 10**30).map(Wad)


@given(wads, wads)
def test_a_top_up_counts_its_amount_at_the_trusted_price(amount: Wad, price: Wad) -> None:
    seen = snapshot(quote("ETH", price, "reference"), asset="sETH", underlying="ETH")
    found = movement(top_up(amount, "sETH"), seen)
    assert found.usd == ceil(Fraction(amount) * Fraction(price, ONE))
    assert (found.asset, found.outgoing) == ("sETH", amount)


@given(wads)
def test_a_dollar_is_a_dollar(amount: Wad) -> None:
    assert movement(top_up(amount), snapshot()).usd == amount


def test_a_withdrawal_moves_and_leaves_no_wallet() -> None:
    found = movement(top_up(7, direction="withdraw"), snapshot())
    assert found == Movement(usd=Wad(7), asset="sUSD", outgoing=ZERO)


@given(wads, st.sampled_from([1, -1]), wads, wads)
def test_a_hedge_counts_its_notional_at_the_worse_price(size: Wad, side: int, limit: Wad, mark: Wad) -> None:
    found = movement(hedge(side * size, limit), snapshot(quote(PERP, mark, "mark")))
    assert found == Movement(usd=Wad(ceil(Fraction(size) * Fraction(max(limit, mark), ONE))))
    assert movement(hedge(side * size, limit), snapshot()).usd <= found.usd


@given(wads, st.sampled_from([1, -1]), wads)
def test_a_take_over_counts_the_position(size: Wad, side: int, mark: Wad) -> None:
    found = movement(liquidation(side * size, takes_over=True), snapshot(quote(PERP, mark, "mark")))
    assert found == Movement(usd=Wad(ceil(Fraction(size) * Fraction(mark, ONE))))


@pytest.mark.parametrize("action", NOTHING_OF_OURS)
def test_what_moves_nothing_of_ours_counts_nothing(action: TxAction) -> None:
    assert movement(action, snapshot()) == Movement(usd=ZERO)


@given(st.integers(1, 10**24), wads)
def test_native_coin_counts_on_top(value: int, price: Wad) -> None:
    seen = snapshot(quote("ETH", price, "reference"))
    carried = ceil(Fraction(value) * Fraction(price, ONE))
    assert movement(NOTHING_OF_OURS[0], seen, native_value=Wei(value)).usd == carried
    assert movement(top_up(5), seen, native_value=Wei(value)).usd == 5 + carried


@pytest.mark.parametrize(
    ("action", "seen", "asset"),
    [
        (top_up(1, "sETH"), snapshot(asset="sETH", underlying="ETH"), "sETH"),
        (top_up(1, "sETH"), snapshot(quote("ETH", 1, "index"), asset="sETH", underlying="ETH"), "sETH"),
        (top_up(1, "DOGE"), snapshot(), "DOGE"),
        (liquidation(1, takes_over=True), snapshot(quote(PERP, 1, "reference")), PERP),
        (hedge(1, 0), snapshot(), PERP),
    ],
)
def test_what_has_no_trusted_price_is_not_moved(action: TxAction, seen: Snapshot, asset: str) -> None:
    with pytest.raises(UnvaluedError, match="no trusted price") as found:
        movement(action, seen)
    assert found.value.asset == asset


def test_native_coin_without_a_price_is_not_moved() -> None:
    with pytest.raises(UnvaluedError):
        movement(top_up(1), snapshot(), native_value=Wei(1))


def test_wallets_tell_the_asset_where_the_account_does_not() -> None:
    held = Wallet(
        owner=OWNER, chain_id=10, native=ZERO, balances=(Balance(asset="X", amount=ONE, underlying="ETH"),)
    )
    other = replace(held, balances=(Balance(asset="X", amount=ONE),))
    seen = replace(snapshot(quote("ETH", 3 * ONE, "reference"), asset=None), wallets=(held,))
    assert movement(top_up(2, "X"), seen).usd == 6
    with pytest.raises(UnvaluedError):
        movement(top_up(2, "X"), replace(seen, wallets=(held, other)))
