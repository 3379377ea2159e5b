"""The whole decision: deterministic, explained for every subject, ordered, and held back by gaps."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.book import Account
from keeper.model.margin import Role
from keeper.model.params import ProfileParams
from keeper.model.plan import ActionKind, Hedge, Liquidate, MarginCall, MoveCollateral, Plan, Step, action_id
from keeper.model.reads import Address
from keeper.model.snapshot import Board, Gap, Snapshot
from keeper.model.units import to_float
from keeper.policy.decide import decide
from tests.support.books import (
    CURIE,
    LYRA,
    NOW_S,
    PUT_ID,
    STRANGER,
    bounty,
    curie_account,
    lyra_short,
    params,
    snapshot,
)

OTHER = Address("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc")


def plan_of(accounts: list[Account], **snapshot_parts: object) -> Plan:
    return decide(snapshot(accounts, **snapshot_parts), params()).plan  # type: ignore[arg-type]


STORY = [
    curie_account(size=-30.0, cash=60_000.0),
    lyra_short("1", size=-4.0, collateral=3_050, needed=3_000),
    lyra_short("2", size=-4.0, collateral=3_300, needed=3_000),
    curie_account(owner=STRANGER, size=20.0, cash=1_000.0, liquidatable=True, bounty=bounty()),
    lyra_short(
        "3", owner=STRANGER, collateral=2_900, needed=3_000, liquidatable=True,
        bounty=bounty(PUT_ID, size=-8.0, reward=150.0, takes_over=False),
    ),
]  # fmt: skip


def test_the_story_in_the_order_in_which_it_is_carried_out() -> None:
    plan = plan_of(STORY)
    assert [a.kind for a in plan.actions] == [
        ActionKind.MOVE_COLLATERAL,
        ActionKind.LIQUIDATE,
        ActionKind.LIQUIDATE,
        ActionKind.HEDGE,
        ActionKind.MARGIN_CALL,
    ]
    rewards = [a.reward_usd for a in plan.actions if isinstance(a, Liquidate)]
    assert rewards == sorted(rewards, reverse=True)


def test_the_hedge_counts_on_the_inventory_of_the_plans_own_liquidations() -> None:
    plan = plan_of(STORY)
    (hedge,) = [a for a in plan.actions if isinstance(a, Hedge)]
    (expected,) = plan.expected
    assert expected.after_base == pytest.approx(expected.before_base + 20.0 + to_float(hedge.size))
    assert abs(expected.after_base) <= 2.0 + 1e-9
    taken = [a for a in plan.actions if isinstance(a, Liquidate) and a.takes_over]
    assert hedge.counts_on == tuple(action_id(a) for a in taken)


def test_every_account_hedge_and_board_has_a_decision_with_a_reason() -> None:
    board = Board(
        venue=LYRA, chain_id=10, key="1", expiry_s=NOW_S - 1, settled=False, open_positions=("lyra:10:1",)
    )
    plan = plan_of(STORY, boards=[board])
    assert {d.subject for d in plan.decisions} == {
        *(a.id for a in STORY), "desk/ETH", f"{LYRA}:board:1",
    }  # fmt: skip
    assert all(d.reason.text for d in plan.decisions)


def test_same_inputs_same_plan_and_anything_else_another() -> None:
    base = plan_of(STORY)
    assert base.id == plan_of(list(reversed(STORY))).id
    assert base.id != plan_of(STORY[:-1]).id
    assert base.id != plan_of(STORY, spot=1801.0).id
    other = dataclasses.replace(params(), settle_expired=False)
    assert base.id != decide(snapshot(STORY), other).plan.id


def test_healthy_and_flat_does_nothing_and_says_why() -> None:
    plan = plan_of([curie_account(size=1.0), lyra_short(collateral=9_000, size=-0.1)])
    assert plan.actions == ()
    assert {d.step for d in plan.decisions} == {Step.NONE}


def test_watched_accounts_that_are_merely_weak_are_left_alone() -> None:
    plan = plan_of([curie_account(owner=STRANGER, size=10.0, cash=1_130.0)])
    assert plan.actions == ()
    decision = next(d for d in plan.decisions if d.subject.endswith(STRANGER))
    assert decision.step is Step.NONE
    assert "watched, not liquidatable" in decision.reason.text


@pytest.mark.parametrize(
    ("gap", "left"),
    [
        (Gap(what="chain", key="10", reason="down", chain_id=10), {Liquidate}),
        (Gap(what="chain", key="42161", reason="down", chain_id=42161), {MoveCollateral, Liquidate}),
        (Gap(what="skew", key="10/42161", reason="300 s apart"), {MoveCollateral, Liquidate}),
        (Gap(what="depth", key="x", reason="no pool"), {MoveCollateral, Liquidate, Hedge}),
    ],
)
def test_a_gap_holds_what_it_could_make_wrong_and_nothing_else(gap: Gap, left: set[type]) -> None:
    plan = plan_of(STORY, gaps=[gap])
    assert {type(a) for a in plan.actions} - {MarginCall} == left
    if gap.what == "chain":
        chains = {getattr(a, "chain_id", None) for a in plan.actions if not isinstance(a, MarginCall)}
        assert gap.chain_id not in chains


def test_without_a_trusted_price_only_calls_and_dollar_rescues_remain() -> None:
    plan = plan_of(STORY, without=["reference"])
    assert {type(a) for a in plan.actions} <= {MarginCall, MoveCollateral}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(0.5, 3.0), st.booleans()), min_size=0, max_size=5),
    st.floats(900, 3000),
)
def test_for_every_book_the_plan_is_sane(rows: list[tuple[float, float, bool]], spot: float) -> None:
    accounts = [
        lyra_short(
            str(i), size=round(size, 4), collateral=round(3_000 * health, 3), needed=3_000.0,
            owner=STRANGER if watched else lyra_short().owner,
        )
        for i, (size, health, watched) in enumerate(rows)
    ]  # fmt: skip
    snap: Snapshot = snapshot([*accounts, curie_account(mark=spot, entry=spot)], spot=round(spot, 6))
    decided = decide(snap, params())
    assert decided.plan.id == decide(snap, params()).plan.id
    for action in decided.plan.actions:
        assert not isinstance(action, Liquidate)
        if isinstance(action, MoveCollateral):
            assert 0 < to_float(action.amount) <= 50_000
    for expected in decided.plan.expected:
        # A hedge never leaves the book further from flat than it was, and never on the other side.
        assert abs(expected.after_base) <= abs(expected.before_base) + 1e-9
    assert {d.subject for d in decided.plan.decisions} >= {a.id for a in snap.accounts}


def test_liquidations_never_touch_our_own_accounts() -> None:
    ours = curie_account(size=20.0, cash=1_000.0, liquidatable=True, bounty=bounty())
    plan = plan_of([ours])
    assert not any(isinstance(a, Liquidate) for a in plan.actions)
    assert any(isinstance(a, MoveCollateral) for a in plan.actions)
    assert f"{CURIE}:" in plan.decisions[0].subject


def test_inventory_is_hedged_by_the_profile_that_receives_it_and_by_no_other() -> None:
    base = params()
    other = dataclasses.replace(
        base,
        profiles=(*base.profiles, ProfileParams(name="second", role=Role.OWN, owners=(OTHER,))),
        hedges=(*base.hedges, dataclasses.replace(base.hedges[0], profile="second", owner=OTHER)),
    )
    accounts = [*STORY, curie_account(owner=OTHER, size=10.0, cash=50_000.0)]
    sizes = {
        a.subject: to_float(a.size)
        for a in decide(snapshot(accounts), other).plan.actions
        if isinstance(a, Hedge)
    }
    assert sizes["second/ETH"] == pytest.approx(-8.0)


def test_without_a_taker_nothing_is_taken_over() -> None:
    nobody = dataclasses.replace(params(), liquidation=dataclasses.replace(params().liquidation, taker=None))
    taken = [a for a in decide(snapshot(STORY), nobody).plan.actions if isinstance(a, Liquidate)]
    assert [a.takes_over for a in taken] == [False]
