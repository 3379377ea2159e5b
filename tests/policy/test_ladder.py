"""The ladder: exhaustive over its thresholds, monotone, and bound to the venue's word."""

import math

from hypothesis import given
from hypothesis import strategies as st

from keeper.model.params import LadderParams
from keeper.model.plan import Step
from keeper.policy.ladder import step_for

LADDER = LadderParams(warn_below=1.5, call_below=1.2, rebalance_below=1.05)
ORDER = list(Step)


def step(health: float, *, liquidatable: bool = False) -> Step:
    return step_for("a", health=health, liquidatable=liquidatable, ladder=LADDER).step


def test_each_threshold_belongs_to_the_healthier_side() -> None:
    assert [step(h) for h in (1.5, 1.4999, 1.2, 1.1999, 1.05, 1.0499, 0.3)] == [
        Step.NONE, Step.WARN, Step.WARN, Step.MARGIN_CALL, Step.MARGIN_CALL, Step.REBALANCE, Step.REBALANCE,
    ]  # fmt: skip


def test_only_the_venue_says_liquidate() -> None:
    assert step(0.9) is Step.REBALANCE
    assert step(3.0, liquidatable=True) is Step.LIQUIDATE


def test_no_requirement_is_no_risk_and_has_no_ratio() -> None:
    decision = step_for("a", health=math.inf, liquidatable=False, ladder=LADDER)
    assert (decision.step, decision.health, decision.rule) == (Step.NONE, None, "no-requirement")


@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0))
def test_less_health_is_never_a_milder_step(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert ORDER.index(step(low)) >= ORDER.index(step(high))
