"""Liquidations: only where the venue allows it, where it pays, and where we can carry what we take over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.book import Account, Bounty
from keeper.model.plan import Liquidate
from keeper.model.snapshot import Gap, Snapshot
from keeper.policy.ladder import step_for
from keeper.policy.liquidations import Budget, Room, Verdict, gas_usd, judge, most_rewarding_first
from tests.support.books import (
    CURIE,
    LYRA,
    PERP_ID,
    PUT_ID,
    STRANGER,
    bounty,
    curie_account,
    lyra_short,
    params,
    snapshot,
)

PARAMS = params().liquidation


def victim(offer: Bounty | None, *, has_orders: bool = False) -> Account:
    return curie_account(
        owner=STRANGER, size=20.0, cash=1_000.0, liquidatable=True, bounty=offer, has_orders=has_orders
    )


def room(free: float = 50_000.0) -> dict[str, Room]:
    return {CURIE: Room(account=f"{CURIE}:us", free_usd=free, initial_ratio=0.1)}


def judged(
    account: Account, *, snap: Snapshot | None = None, budget: Budget | None = None, enabled: bool = True
) -> Verdict:
    return judge(
        account,
        step_for(account.id, health=account.venue.health, liquidatable=True, ladder=params().ladder),
        snapshot=snap or snapshot([account]),
        params=PARAMS if enabled else params(liquidate=False).liquidation,
        reference_usd={"ETH": 1800.0},
        marks_usd={PERP_ID: 1800.0},
        budget=budget or Budget(room(), PARAMS.max_takeover_usd),
    )


def test_a_paying_bounty_is_taken_with_its_numbers() -> None:
    verdict = judged(victim(bounty(reward=400.0)))
    assert isinstance(verdict.action, Liquidate)
    numbers = dict(verdict.numbers)
    assert numbers["gas_usd"] == pytest.approx(1_700_000 * 1e-9 * 1800.0)
    assert numbers["profit_usd"] == pytest.approx(400.0 - numbers["gas_usd"])


@pytest.mark.parametrize(("reward", "taken"), [(3.05, False), (4.6, False), (8.0, False), (8.1, True)])
def test_it_must_cover_gas_with_a_margin_and_leave_a_profit(reward: float, taken: bool) -> None:
    # gas is 3.06 USD: 1.5 times is 4.59, and 5 USD of profit need 8.06
    assert (judged(victim(bounty(reward=reward))).action is not None) is taken


def test_switched_off_or_refused_by_the_venue_is_explained() -> None:
    assert "switched off" in judged(victim(bounty()), enabled=False).text
    assert "resting orders" in judged(victim(None, has_orders=True)).text


def test_a_take_over_needs_our_own_margin_there() -> None:
    assert "the taker has no account" in judged(victim(bounty()), budget=Budget({}, 1e9)).text
    assert "needs 3,600 USD of margin" in judged(victim(bounty()), budget=Budget(room(3_599.0), 1e9)).text
    assert judged(victim(bounty()), budget=Budget(room(3_600.0), 1e9)).action is not None


def test_take_overs_share_one_budget() -> None:
    budget = Budget(room(), 50_000.0)
    verdicts = [judged(victim(bounty()), budget=budget).action is not None for _ in range(3)]
    assert verdicts == [True, False, False]  # 36,000 each


def test_a_venue_that_closes_needs_no_margin_of_ours() -> None:
    account = lyra_short(
        owner=STRANGER, collateral=2_900, needed=3_000, liquidatable=True,
        bounty=bounty(PUT_ID, size=-8.0, reward=150.0, takes_over=False),
    )  # fmt: skip
    assert judged(account, budget=Budget({}, 0.0)).action is not None


@pytest.mark.parametrize(
    "gap",
    [
        Gap(what="chain", key="42161", reason="x"),
        Gap(what="venue", key=CURIE, reason="x"),
        Gap(what="quote", key="ETH", reason="x"),
    ],
)
def test_a_gap_that_decides_holds_it(gap: Gap) -> None:
    account = victim(bounty())
    assert judged(account, snap=snapshot([account], gaps=[gap])).text.startswith("held: ")


def test_a_gap_elsewhere_does_not() -> None:
    account = victim(bounty())
    gap = Gap(what="venue", key=LYRA, reason="x", chain_id=10)
    assert judged(account, snap=snapshot([account], gaps=[gap])).action is not None


def test_gas_without_a_price_is_no_free_gas() -> None:
    account = victim(bounty())
    assert judged(account, snap=snapshot([account], without=["gas"])).action is None
    assert gas_usd(snapshot([account]), 42161, 21_000, {}) is None


@given(st.lists(st.floats(0.0, 1e6), max_size=8))
def test_margin_goes_where_it_earns_most(rewards: list[float]) -> None:
    accounts = [victim(bounty(reward=r)) for r in rewards]
    ordered = [a.bounty.reward_usd for a in most_rewarding_first(accounts) if a.bounty]
    assert ordered == sorted(ordered, reverse=True)
