"""Limits and gates: what is missing is never fine."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import StaleDataError, UnfitValueError
from keeper.risk.monitoring import (
    Feed,
    FeedState,
    Limit,
    feed_state,
    leverage,
    limit_breaches,
    margin_ratio,
    require_fresh,
)


def test_margin_ratio() -> None:
    assert margin_ratio(150.0, 100.0) == 1.5
    assert margin_ratio(-50.0, 100.0) == -0.5
    assert margin_ratio(-1.0, 0.0) == math.inf
    with pytest.raises(UnfitValueError, match="maintenance_usd"):
        margin_ratio(1.0, -1.0)


def test_leverage_counts_both_sides() -> None:
    assert leverage([300.0, -100.0], 100.0) == 4.0
    assert leverage([], -5.0) == 0.0
    assert leverage([1.0], 0.0) == leverage([1.0], -3.0) == math.inf


def test_limits_compare_sizes_and_keep_their_order() -> None:
    limits = [
        Limit(name="position/ETH", most=10.0),
        Limit(name="leverage", most=3.0),
        Limit(name="hhi", most=0.5),
    ]
    found = limit_breaches({"position/ETH": -10.5, "leverage": 3.0, "hhi": 0.7}, limits)
    assert [(b.name, b.value, b.most) for b in found] == [("position/ETH", -10.5, 10.0), ("hhi", 0.7, 0.5)]
    assert found[0].excess == pytest.approx(0.5)


def test_a_figure_that_is_missing_breaches_its_limit() -> None:
    (breach,) = limit_breaches({}, [Limit(name="leverage", most=3.0)])
    assert breach.value is None
    assert breach.excess == math.inf


def test_infinite_leverage_is_beyond_every_limit() -> None:
    (breach,) = limit_breaches({"leverage": math.inf}, [Limit(name="leverage", most=1e9)])
    assert breach.excess == math.inf


@pytest.mark.parametrize(
    ("figures", "limits", "field"),
    [
        ({}, [Limit(name="a", most=-1.0)], "limits"),
        ({}, [Limit(name="a", most=math.nan)], "limits"),
        ({}, [Limit(name="a", most=1.0), Limit(name="a", most=2.0)], "limits"),
        ({"a": math.nan}, [Limit(name="a", most=1.0)], "a"),
    ],
)
def test_unfit_limits_are_refused(figures: dict[str, float], limits: list[Limit], field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        limit_breaches(figures, limits)
    assert caught.value.field == field


@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(-10, 10)), st.floats(0.0, 10.0), st.floats(0.0, 10.0)
)
def test_a_tighter_limit_breaches_at_least_as_often(
    figures: dict[str, float], most: float, slack: float
) -> None:
    loose = {b.name for b in limit_breaches(figures, [Limit(name=n, most=most + slack) for n in "abc"])}
    tight = {b.name for b in limit_breaches(figures, [Limit(name=n, most=most) for n in "abc"])}
    assert loose <= tight


@pytest.mark.parametrize(
    ("observed_at_s", "state"),
    [
        (1_000, FeedState.FRESH),
        (940, FeedState.FRESH),
        (939, FeedState.STALE),
        (1_002, FeedState.FRESH),
        (1_003, FeedState.AHEAD),
        (None, FeedState.SILENT),
    ],
)
def test_feed_states(observed_at_s: int | None, state: FeedState) -> None:
    feed = Feed(source="lyra.eth.vol", observed_at_s=observed_at_s, limit_s=60)
    assert feed_state(feed, 1_000, skew_s=2) is state
    if state is FeedState.FRESH:
        require_fresh(feed, 1_000, skew_s=2)
        return
    with pytest.raises(
        StaleDataError if state is FeedState.STALE else UnfitValueError, match=r"lyra\.eth\.vol"
    ):
        require_fresh(feed, 1_000, skew_s=2)


def test_a_stale_feed_says_how_stale() -> None:
    with pytest.raises(StaleDataError) as caught:
        require_fresh(Feed(source="f", observed_at_s=900, limit_s=60), 1_000)
    assert (caught.value.age_s, caught.value.limit_s) == (100, 60)


def test_cents_are_amounts() -> None:
    assert margin_ratio(0.02, 0.01) == 2.0
    assert leverage([0.02], 0.01) == 2.0


def test_nothing_may_be_ahead_unless_allowed() -> None:
    feed = Feed(source="f", observed_at_s=1_001, limit_s=60)
    assert feed_state(feed, 1_000) is FeedState.AHEAD
    with pytest.raises(UnfitValueError, match="1 s ahead"):
        require_fresh(feed, 1_000)
