"""The barrier formula: published numbers, inverses, a simulated path."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.latency import (
    hit_probability,
    latency_addon_usd,
    least_barrier_distance,
    time_to_barrier_s,
    transfer_feasibility,
)

HOUR_S, DAY_S = 3_600, 86_400
drops = st.floats(0.001, 0.9) | st.floats(-2.0, -0.001)
vols = st.floats(0.05, 3.0)
seconds = st.floats(60.0, 30 * DAY_S)


@pytest.mark.parametrize(
    ("window_s", "chance"), [(DAY_S, 0.007930707547647464), (7 * DAY_S, 0.3156207287497146)]
)
def test_published_chances(window_s: int, chance: float) -> None:
    # Source: own worked example `bridge_latency_hit_prob`: d = 8 %, vol 60 %.
    assert float(hit_probability(0.08, 0.6, window_s)) == pytest.approx(chance, rel=1e-12)


def test_short_windows_are_practically_safe() -> None:
    assert float(hit_probability(0.08, 0.6, 20 * 60)) < 1e-30
    assert float(hit_probability(0.08, 0.6, HOUR_S)) < 1e-15


@given(drops, vols, st.floats(1e-9, 0.999))
def test_time_inverts_the_chance(drop: float, vol: float, tolerated: float) -> None:
    window_s = float(time_to_barrier_s(drop, vol, tolerated))
    assert float(hit_probability(drop, vol, window_s)) == pytest.approx(tolerated, rel=1e-7)


@given(vols, seconds, st.floats(1e-9, 0.999))
def test_distance_inverts_the_chance_on_either_side(vol: float, window_s: float, tolerated: float) -> None:
    distance = float(least_barrier_distance(vol, window_s, tolerated))
    for drop in (-math.expm1(-distance), -math.expm1(distance)):
        assert float(hit_probability(drop, vol, window_s)) == pytest.approx(tolerated, rel=1e-6)


@given(drops, vols, seconds)
def test_chance_grows_with_time_and_vol_and_falls_with_distance(
    drop: float, vol: float, window_s: float
) -> None:
    chance = float(hit_probability(drop, vol, window_s))
    assert 0.0 <= chance <= 1.0
    assert float(hit_probability(drop, vol, 2.0 * window_s)) >= chance
    assert float(hit_probability(drop, 1.5 * vol, window_s)) >= chance
    assert float(hit_probability(0.9 * drop, vol, window_s)) >= chance


def test_simulated_paths_touch_as_often() -> None:
    vol, steps = 0.6, 1_000
    step_sd = vol * math.sqrt(7 / 365 / steps)
    paths = np.cumsum(np.random.default_rng(4).standard_normal((8_000, steps)) * step_sd, axis=1)
    # A discrete path looks less often: shift the barrier by 0.5826 sd of a step.
    # Source: Broadie, Glasserman, Kou, "A continuity correction for discrete barrier options" (1997).
    barrier = math.log(0.92) + 0.5826 * step_sd
    touched = float((paths.min(axis=1) <= barrier).mean())
    assert touched == pytest.approx(0.3156, abs=0.016)  # three standard errors


def test_at_the_barrier_and_without_vol() -> None:
    assert float(hit_probability(0.0, 0.6, HOUR_S)) == 1.0
    assert float(hit_probability(0.1, 0.0, HOUR_S)) == 0.0
    assert float(hit_probability(0.1, 0.6, 0.0)) == 0.0
    assert float(time_to_barrier_s(0.1, 0.0, 0.01)) == math.inf
    assert float(time_to_barrier_s(0.0, 0.6, 0.01)) == 0.0


def test_arrays_broadcast() -> None:
    assert hit_probability([0.05, 0.1], 0.6, [[HOUR_S], [DAY_S]]).shape == (2, 2)


@given(st.floats(-1e7, 1e7), st.floats(-1e6, 1e6), vols, seconds, st.floats(0.001, 0.5))
def test_addon_brings_the_chance_down_to_the_tolerated_one(
    delta_usd: float, buffer_usd: float, vol: float, latency_s: float, tolerated: float
) -> None:
    addon = float(latency_addon_usd(delta_usd, buffer_usd, vol, latency_s, tolerated=tolerated))
    assert addon >= 0.0
    held = buffer_usd + addon
    if abs(delta_usd) < 1.0 or held <= 0.0 or held / delta_usd >= 0.999:
        return
    chance = float(hit_probability(held / delta_usd, vol, latency_s))
    assert chance <= tolerated * (1.0 + 1e-6)
    if addon > 1.0:
        assert chance == pytest.approx(tolerated, rel=1e-4)


def test_feasibility_compares_the_deadline_with_the_route() -> None:
    near = transfer_feasibility("a", drop=0.08, vol=0.6, latency_s=7 * DAY_S, tolerated=0.01)
    assert not near.feasible
    assert near.slack_s < 0.0
    assert near.hit_probability == pytest.approx(0.3156207287497146)
    fast = transfer_feasibility("a", drop=0.08, vol=0.6, latency_s=HOUR_S, tolerated=0.01)
    assert fast.feasible
    assert fast.slack_s == pytest.approx(fast.time_to_barrier_s - HOUR_S)


def test_feasibility_without_barrier_or_route() -> None:
    safe = transfer_feasibility("a", drop=None, vol=0.6, latency_s=math.inf, tolerated=0.01)
    assert (safe.feasible, safe.hit_probability) == (True, 0.0)
    stranded = transfer_feasibility("a", drop=0.5, vol=0.6, latency_s=math.inf, tolerated=0.01)
    assert (stranded.feasible, stranded.hit_probability) == (False, 1.0)
    still = transfer_feasibility("a", drop=0.5, vol=0.0, latency_s=math.inf, tolerated=0.01)
    assert (still.feasible, still.hit_probability) == (True, 0.0)
    gone = transfer_feasibility("a", drop=0.0, vol=0.0, latency_s=math.inf, tolerated=0.01)
    assert (gone.feasible, gone.hit_probability) == (False, 1.0)
    at_once = transfer_feasibility("a", drop=0.5, vol=0.6, latency_s=0.0, tolerated=0.01)
    assert (at_once.feasible, at_once.hit_probability) == (True, 0.0)
    with pytest.raises(UnfitValueError, match="latency_s"):
        transfer_feasibility("a", drop=0.5, vol=0.6, latency_s=-1.0, tolerated=0.01)


@pytest.mark.parametrize(
    ("drop", "vol", "window_s", "field"),
    [
        (1.0, 0.6, 1.0, "drop"),
        (math.nan, 0.6, 1.0, "drop"),
        (0.1, -1.0, 1.0, "vol"),
        (0.1, 0.6, -1.0, "seconds"),
    ],
)
def test_unfit_input_is_named(drop: float, vol: float, window_s: float, field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        hit_probability(drop, vol, window_s)
    assert caught.value.field == field


@pytest.mark.parametrize("tolerated", [0.0, 1.0])
def test_a_certain_or_impossible_tolerance_is_refused(tolerated: float) -> None:
    with pytest.raises(UnfitValueError, match="tolerated"):
        time_to_barrier_s(0.1, 0.6, tolerated)
    with pytest.raises(UnfitValueError, match="tolerated"):
        least_barrier_distance(0.6, 1.0, tolerated)
