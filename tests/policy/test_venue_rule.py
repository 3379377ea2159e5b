"""The twin of each venue's rule: closed forms, the contract's own figures as its start, and no guess."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account, Balance, Position
from keeper.model.units import to_float
from keeper.policy.rule import NOW, Factors, Standing
from keeper.policy.venue_rule import Market, market_of, rule_of, twin_of
from keeper.risk.lyra_collateral import CollateralTerms, min_collateral
from tests.support.books import CALL_ID, CURIE, LYRA, PUT_ID, curie_account, lyra_short, snapshot, wad


def market(*accounts: Account, **parts: object) -> Market:
    return market_of(snapshot(accounts, **parts))  # type: ignore[arg-type]


def asked(account: Account, factors: Factors = NOW) -> Standing:
    rule = rule_of(account, market(account))
    assert rule is not None
    return rule(factors)


def moved(*spots: float, perps: tuple[float, ...] = ()) -> Factors:
    perp = {"ETH": np.array(perps)} if perps else {}
    return Factors(n=len(spots), spot={"ETH": np.array(spots)}, perp=perp)


@given(st.floats(-50, 50).filter(lambda x: abs(x) > 0.01), st.floats(1000, 3000), st.floats(-1e4, 1e5))
def test_today_a_perp_account_stands_where_its_contract_says(size: float, entry: float, cash: float) -> None:
    account = curie_account(size=round(size, 6), entry=round(entry, 6), cash=round(cash, 6))
    now = asked(account)
    assert now.equity_usd == pytest.approx(to_float(account.venue.equity))
    assert now.initial_usd == pytest.approx(to_float(account.venue.initial))
    assert now.maintenance_usd == pytest.approx(to_float(account.venue.maintenance))


def test_perps_move_with_their_own_mark_and_owe_on_the_absolute_notional() -> None:
    then = asked(curie_account(size=-10.0, cash=5_000.0), moved(0.9, 0.9, 1.0, perps=(0.9, 0.95, 1.1)))
    assert then.equity_usd == pytest.approx([5_000 + 1_800, 5_000 + 900, 5_000 - 1_800])
    assert then.maintenance_usd == pytest.approx(np.array([0.9, 0.95, 1.1]) * 18_000 * 0.0625)
    assert then.initial_usd == pytest.approx(np.array([0.9, 0.95, 1.1]) * 18_000 * 0.1)
    assert then.excess_usd == pytest.approx(then.equity_usd - then.maintenance_usd)


def test_a_perp_follows_its_spot_where_nothing_else_is_said() -> None:
    account = curie_account(size=4.0)
    assert asked(account, moved(0.8)).equity_usd == pytest.approx(
        asked(account, moved(1.0, perps=(0.8,))).equity_usd
    )


def test_collateral_in_kind_falls_with_its_spot() -> None:
    account = curie_account(size=1.0, cash=1_000.0)
    account = dataclasses.replace(
        account, balances=(*account.balances, Balance(asset="WETH", amount=wad(2.0), underlying="ETH"))
    )
    fell = asked(account).equity_usd - asked(account, moved(0.5, perps=(1.0,))).equity_usd
    assert fell == pytest.approx(2.0 * 900.0)


@pytest.mark.parametrize(
    ("account", "is_call", "in_base", "strike", "size"),
    [
        (lyra_short(size=-8.0, collateral=4_000.0), False, False, 1600.0, 8.0),
        (lyra_short(size=-3.0, collateral=4_000.0, instrument=CALL_ID), True, False, 1900.0, 3.0),
        (lyra_short(size=-3.0, collateral=2.0, instrument=CALL_ID, in_base=True), True, True, 1900.0, 3.0),
    ],
)
def test_a_short_option_owes_its_minimum_collateral_at_the_moved_spot(
    account: Account, is_call: bool, in_base: bool, strike: float, size: float
) -> None:
    terms = CollateralTerms(**market(account).terms[LYRA])
    spots = np.array([900.0, 1_800.0, 2_700.0])
    needed = min_collateral(
        terms, is_call=is_call, in_base=in_base, strike_usd=strike, seconds=30.0 * 86_400, spot_usd=spots,
        amount_base=size,
    )  # fmt: skip
    then = asked(account, moved(0.5, 1.0, 1.5))
    unit = spots if in_base else np.ones(3)
    assert then.maintenance_usd == pytest.approx(needed * unit)
    assert then.initial_usd == pytest.approx(needed * unit)
    assert then.equity_usd == pytest.approx(to_float(account.balances[0].amount) * unit)


def test_a_long_option_and_an_empty_account_owe_nothing() -> None:
    for account in (
        lyra_short(size=5.0, collateral=0.0, needed=0.0),
        dataclasses.replace(lyra_short(collateral=100.0), positions=()),
    ):
        assert asked(account, moved(0.1, 3.0)).maintenance_usd.tolist() == [0.0, 0.0]


def test_what_is_not_known_has_no_rule() -> None:
    put, perp = lyra_short(), curie_account()
    assert rule_of(put, market(put, without=["index"])) is None
    assert rule_of(perp, market(perp, without=["mark"])) is None
    for account in (put, perp):
        elsewhere = dataclasses.replace(account, protocol="other", chain_id=1)
        assert rule_of(elsewhere, market(account)) is None
        assert twin_of(elsewhere, market(account)) is None
    option_at_curie = dataclasses.replace(
        perp, positions=(*perp.positions, Position(instrument=PUT_ID, size=wad(1.0)))
    )
    assert rule_of(option_at_curie, market(perp)) is None
    two_at_lyra = dataclasses.replace(
        put, positions=(*put.positions, Position(instrument=CALL_ID, size=wad(-1.0)))
    )
    assert rule_of(two_at_lyra, market(put)) is None


def test_a_market_is_looked_up_by_venue() -> None:
    found = market(curie_account())
    assert found.terms[CURIE] == {"im_ratio": 0.1, "mm_ratio": 0.0625}
    assert found.terms[LYRA]["shock_vol_point_a_s"] == 14 * 86_400
    assert found.indices_usd == {(LYRA, "ETH"): 1800.0}
