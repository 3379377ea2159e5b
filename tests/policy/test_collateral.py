"""Margin calls and top-ups: enough, rounded up, never more than the wallet or the cap, never on a gap."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account
from keeper.model.margin import Role, Transfer
from keeper.model.plan import MarginCall, MoveCollateral
from keeper.model.reads import Address
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.units import to_float
from keeper.policy.collateral import Purse, Wants, wants
from keeper.policy.ladder import step_for
from tests.support.books import STRANGER, lyra_short, params, snapshot, wallet

PARAMS = params()


def wanted(
    account: Account,
    *,
    snap: Snapshot | None = None,
    role: Role = Role.OWN,
    purse: Purse | None = None,
    prices: dict[str, float] | None = None,
    transfer: Transfer | None = None,
    payer: Address | None = None,
) -> Wants:
    snap = snap or snapshot([account])
    decision = step_for(
        account.id, health=account.venue.health, liquidatable=account.liquidatable, ladder=PARAMS.ladder
    )
    return wants(
        account,
        decision,
        role=role,
        snapshot=snap,
        params=dataclasses.replace(PARAMS, top_up=dataclasses.replace(PARAMS.top_up, payer=payer)),
        reference_usd={"ETH": 1800.0} if prices is None else prices,
        purse=purse or Purse(snap),
        transfer=transfer,
    )


def test_healthy_asks_for_nothing() -> None:
    assert wanted(lyra_short(collateral=4000, needed=3000)).action is None


def test_between_call_and_rebalance_the_owner_is_called() -> None:
    action = wanted(lyra_short(collateral=3300, needed=3000)).action
    assert isinstance(action, MarginCall)
    assert to_float(action.amount_usd) == 600.0  # 1.3 * 3000 - 3300


def test_below_rebalance_the_wallet_pays_to_the_target_rounded_up() -> None:
    action = wanted(lyra_short(collateral=3101, needed=3000)).action
    assert isinstance(action, MoveCollateral)
    assert (action.asset, action.direction, to_float(action.amount)) == ("sUSD", "add", 800.0)


def test_collateral_in_kind_is_moved_in_its_own_unit() -> None:
    account = lyra_short(instrument="lyra:10:1900-C", collateral=1.02, needed=1.0, in_base=True)
    action = wanted(account, snap=snapshot([account], wallets=[wallet(asset="sETH", amount=5.0)])).action
    assert isinstance(action, MoveCollateral)
    assert action.asset == "sETH"
    assert to_float(action.amount) == pytest.approx(510.0 / 1800.0)  # 0.28 * 1800 = 504, rounded up to 510


def test_a_wallet_that_holds_less_pays_what_it_has() -> None:
    account = lyra_short(collateral=3050, needed=3000)
    action = wanted(account, snap=snapshot([account], wallets=[wallet(amount=300.0)])).action
    assert isinstance(action, MoveCollateral)
    assert to_float(action.amount) == 300.0


def test_an_empty_or_unread_wallet_turns_into_a_call() -> None:
    account = lyra_short(collateral=3050, needed=3000)
    empty = wanted(account, snap=snapshot([account], wallets=[wallet(amount=10.0)]))
    unread = wanted(account, snap=snapshot([account], wallets=[wallet(asset="sETH")]))
    assert isinstance(empty.action, MarginCall)
    assert isinstance(unread.action, MarginCall)
    assert "minimum transfer" in (empty.held or "")
    assert "was not read" in (unread.held or "")


def test_the_named_payer_pays_whoever_owns_the_account() -> None:
    account = lyra_short(collateral=3050, needed=3000)
    snap = snapshot([account], wallets=[wallet(amount=900.0), wallet(amount=300.0, owner=STRANGER)])
    paid = wanted(account, snap=snap, payer=STRANGER).action
    assert isinstance(paid, MoveCollateral)
    assert to_float(paid.amount) == 300.0
    unread = wanted(account, snap=snapshot([account], wallets=[wallet()]), payer=STRANGER)
    assert "was not read" in (unread.held or "")


def test_one_dollar_is_promised_once() -> None:
    first, second = (
        lyra_short("1", collateral=3050, needed=3000),
        lyra_short("2", collateral=3050, needed=3000),
    )
    snap = snapshot([first, second], wallets=[wallet(amount=900.0)])
    purse = Purse(snap)
    paid = [wanted(a, snap=snap, purse=purse).action for a in (first, second)]
    assert [to_float(a.amount) for a in paid if isinstance(a, MoveCollateral)] == [850.0, 50.0]


@pytest.mark.parametrize(
    "gap",
    [Gap(what="chain", key="10", reason="down"), Gap(what="venue", key="lyra:10", reason="paused")],
)
def test_a_gap_at_its_venue_leaves_only_the_call(gap: Gap) -> None:
    account = lyra_short(collateral=3050, needed=3000)
    held = wanted(account, snap=snapshot([account], gaps=[gap]))
    assert isinstance(held.action, MarginCall)
    assert (held.held or "").startswith("held: ")


def test_a_gap_on_the_other_chain_does_not_stop_a_rescue() -> None:
    account = lyra_short(collateral=3050, needed=3000)
    gap = Gap(what="chain", key="42161", reason="down", chain_id=42161)
    assert isinstance(wanted(account, snap=snapshot([account], gaps=[gap])).action, MoveCollateral)


def test_in_kind_collateral_without_a_price_is_not_moved() -> None:
    account = lyra_short(collateral=1.02, needed=1.0, in_base=True)
    assert isinstance(wanted(account, prices={}).action, MarginCall)


def test_a_member_is_called_and_never_paid_for() -> None:
    assert isinstance(wanted(lyra_short(collateral=3050, needed=3000), role=Role.MEMBER).action, MarginCall)


def test_a_watched_account_is_left_alone() -> None:
    assert wanted(lyra_short(collateral=3050, needed=3000), role=Role.WATCH).action is None


def test_the_call_is_due_before_the_line_less_the_transfer() -> None:
    transfer = Transfer(
        account="lyra:10:1",
        distance=0.05,
        liquidation_price_usd=1700.0,
        time_to_barrier_s=7200.0,
        latency_s=3600.0,
        hit_probability=0.001,
        feasible=True,
    )
    account = lyra_short(collateral=3300, needed=3000)
    action = wanted(account, transfer=transfer).action
    assert isinstance(action, MarginCall)
    assert action.deadline_s == snapshot([account]).taken_at_s + 3600


@given(st.floats(0.5, 1.049), st.floats(100.0, 1e6), st.floats(0.0, 2e6))
def test_top_up_restores_the_target_or_spends_all_there_is(
    health: float, needed: float, purse: float
) -> None:
    account = lyra_short(collateral=round(needed * health, 6), needed=round(needed, 6))
    snap = snapshot([account], wallets=[wallet(amount=round(purse, 6))])
    action = wanted(account, snap=snap).action
    if isinstance(action, MoveCollateral):
        paid = to_float(action.amount)
        after = to_float(account.venue.equity) + paid
        target = PARAMS.top_up.target_health * to_float(account.venue.maintenance)
        assert paid <= min(purse, PARAMS.top_up.max_usd) + 1e-6
        assert after >= target - 1e-6 or paid >= min(purse, PARAMS.top_up.max_usd) - 1e-5
        assert after <= target + PARAMS.top_up.rounding_usd + 1e-6


def test_no_margin_asset_no_transfer() -> None:
    account = dataclasses.replace(lyra_short(collateral=3050, needed=3000), margin_asset=None)
    assert isinstance(wanted(account).action, MarginCall)
