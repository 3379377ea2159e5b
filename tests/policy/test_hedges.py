"""Hedging: to the edge of the band, never across it, never on a gap, never beyond margin or depth."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.plan import Hedge, Step
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.units import to_float
from keeper.policy.hedges import Hedged, hedge, to_edge
from tests.support.books import DESK, HEDGE, STRANGER, curie_account, lyra_short, params, snapshot

PROFILE = params().profiles[0]


def decided(
    net: float, *, inventory: float = 0.0, snap: Snapshot | None = None, unpriced: tuple[str, ...] = ()
) -> Hedged:
    snap = snap or snapshot([curie_account()])
    return hedge(
        HEDGE,
        PROFILE,
        net_base=net,
        inventory_base=inventory,
        accounts=snap.accounts,
        unpriced=unpriced,
        snapshot=snap,
    )


@given(st.floats(-1e6, 1e6), st.floats(0.01, 100.0), st.floats(0.0001, 1.0))
def test_trade_ends_inside_the_band_and_on_its_own_side(net: float, band: float, lot_share: float) -> None:
    lot = lot_share * band
    after = net + to_edge(net, band, lot)
    assert abs(after) <= band * (1 + 1e-9) + abs(net) * 1e-12
    if abs(net) > band:
        assert after * net >= -1e-9 * abs(net) or abs(after) <= lot


@pytest.mark.parametrize("lot", [0.0, -1.0, 4.1])
def test_a_lot_wider_than_the_band_is_refused(lot: float) -> None:
    with pytest.raises(ValueError, match="lot must be above 0"):
        to_edge(10.0, 2.0, lot)


def test_a_long_book_sells_to_the_upper_edge() -> None:
    action = decided(10.0).action
    assert isinstance(action, Hedge)
    assert to_float(action.size) == pytest.approx(-8.0)
    assert to_float(action.limit_price) == pytest.approx(1800.0 * 0.98)


def test_a_short_book_buys_and_pays_at_most_the_slippage() -> None:
    action = decided(-10.0).action
    assert action is not None
    assert to_float(action.size) == pytest.approx(8.0)
    assert to_float(action.limit_price) == pytest.approx(1800.0 * 1.02)


def test_inventory_of_the_same_plan_is_hedged_with_the_rest() -> None:
    assert decided(1.0, inventory=20.0).size_base == pytest.approx(-19.0)
    assert decided(-20.0, inventory=20.0).action is None


@pytest.mark.parametrize("what", ["chain", "venue", "quote", "surface", "skew"])
def test_an_unread_leg_holds_the_hedge(what: str) -> None:
    held = decided(10.0, snap=snapshot([curie_account()], gaps=[Gap(what=what, key="x", reason="timeout")]))
    assert held.action is None
    assert held.decision.rule == "gap"


def test_our_own_unread_account_holds_the_hedge_and_a_strangers_does_not() -> None:
    def with_gap(owner: str) -> Hedged:
        gap = Gap(what="account", key=f"curie:42161:{owner}", reason="reverted", chain_id=42161)
        return decided(10.0, snap=snapshot([curie_account()], gaps=[gap]))

    assert with_gap(DESK).action is None
    assert with_gap(STRANGER).action is not None


def test_an_unpriced_member_holds_the_hedge() -> None:
    assert decided(10.0, unpriced=("lyra:10:7",)).decision.rule == "unpriced"


def test_without_a_trusted_market_nothing_is_traded() -> None:
    held = decided(10.0, snap=snapshot([curie_account()], without=["mark"]))
    assert (held.action, held.decision.rule, held.decision.step) == (None, "no-market", Step.REBALANCE)


def test_depth_and_margin_bound_the_trade() -> None:
    # 20,000 USD equity, 10 ETH held: 1,800 USD used, 18,200 free at 10 % of 1,800: 101.1 more.
    assert decided(-500.0).size_base == pytest.approx(100.0)
    poor = snapshot([curie_account(size=10.0, cash=1_900.0)])
    assert 0.0 < decided(-500.0, snap=poor).size_base <= 100.0 / 180.0
    # Closing 10 and opening 10 the other way needs no margin beyond today's; 100 USD are free on top.
    assert decided(500.0, snap=poor).size_base == pytest.approx(-20.555, abs=1e-3)


def test_without_an_account_at_the_venue_nothing_is_traded() -> None:
    assert decided(10.0, snap=snapshot([lyra_short()])).action is None


def test_trade_never_exceeds_what_the_slippage_limit_leaves() -> None:
    tight = dataclasses.replace(HEDGE, max_slippage=0.003, max_trade_base=1000.0)
    snap = snapshot([curie_account(cash=1e6)])
    result = hedge(
        tight, PROFILE, net_base=500.0, inventory_base=0.0, accounts=snap.accounts, unpriced=(), snapshot=snap
    )
    assert result.size_base == pytest.approx(-50.0)
