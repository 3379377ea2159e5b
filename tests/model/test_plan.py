"""Identity of actions and plans: what is done, not how it is explained."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.model.plan import Decision, ExpectedDelta, Hedge, Liquidate, Plan, Reason, Step, action_id
from keeper.model.reads import Address
from keeper.model.units import ONE, Wad

OWNER = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
HEDGE = Hedge(
    subject="desk/ETH",
    reason=Reason(text="net delta is outside the band", numbers=(("net_delta_base", 12.5),)),
    protocol="curie",
    chain_id=42161,
    account=f"curie:42161:{OWNER}",
    owner=OWNER,
    instrument="curie:42161:0xvETH",
    size=Wad(-10 * ONE),
    limit_price=Wad(1764 * ONE),
    deadline_s=1_767_226_200,
)
LIQUIDATION = Liquidate(
    subject="lyra:10:7",
    reason=Reason(text="below its requirement"),
    protocol="lyra",
    chain_id=10,
    account="lyra:10:7",
    owner=OWNER,
    instrument="lyra:10:1600-P",
    max_size=Wad(-ONE),
    takes_over=False,
    reward_usd=Wad(30 * ONE),
    cost_usd=Wad(ONE),
)
DECISION = Decision(
    subject="desk/ETH",
    step=Step.NONE,
    rule="hedge",
    health=None,
    threshold=2.0,
    reason=Reason(text="outside"),
)
PLAN = Plan(snapshot_digest="a" * 64, params_digest="b" * 64, decisions=(DECISION,), actions=(HEDGE,))


@pytest.mark.parametrize(
    "change",
    [
        {"reason": Reason(text="in other words", numbers=(("net_delta_base", 13.0),))},
        {"limit_price": Wad(1700 * ONE)},
        {"deadline_s": 0},
    ],
)
def test_words_and_moving_limits_do_not_make_another_action(change: dict[str, Any]) -> None:
    assert action_id(replace(HEDGE, **change)) == action_id(HEDGE)


@pytest.mark.parametrize(
    "change",
    [
        {"size": Wad(-10 * ONE - 1)},
        {"owner": Address("0x0000000000000000000000000000000000000001")},
        {"account": "curie:42161:0x1"},
        {"chain_id": 10},
        {"instrument": "curie:42161:0xvBTC"},
    ],
)
def test_what_is_done_to_whom_makes_another_action(change: dict[str, Any]) -> None:
    assert action_id(replace(HEDGE, **change)) != action_id(HEDGE)


def test_reward_and_cost_do_not_make_another_liquidation() -> None:
    dearer = replace(LIQUIDATION, reward_usd=Wad(31 * ONE), cost_usd=Wad(2 * ONE))
    assert action_id(dearer) == action_id(LIQUIDATION) != action_id(HEDGE)


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_digest": "c" * 64},
        {"params_digest": "c" * 64},
        {"decisions": ()},
        {"decisions": (replace(DECISION, step=Step.WARN),)},
        {"decisions": (replace(DECISION, rule="other"),)},
        {"actions": ()},
        {"actions": (HEDGE, LIQUIDATION)},
    ],
)
def test_a_plan_is_another_when_inputs_steps_or_actions_are(change: dict[str, Any]) -> None:
    assert replace(PLAN, **change).id != PLAN.id


def test_the_order_of_actions_counts() -> None:
    one = replace(PLAN, actions=(HEDGE, LIQUIDATION))
    assert replace(one, actions=(LIQUIDATION, HEDGE)).id != one.id


def test_explanations_and_risk_figures_do_not_change_a_plan() -> None:
    told = replace(
        PLAN,
        decisions=(replace(DECISION, reason=Reason(text="other words"), health=1.1, threshold=3.0),),
        expected=(ExpectedDelta(profile="desk", underlying="ETH", before_base=12.5, after_base=2.0),),
    )
    assert told.id == PLAN.id
