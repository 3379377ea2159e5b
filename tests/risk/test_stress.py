"""Moves, proxies, the dark chain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.scenarios import shocked_vol
from keeper.risk.stress import (
    VOL_RESPONSE_CAP,
    Level,
    Proxy,
    StressDay,
    chain_dark,
    covered,
    dark_stretch,
    move_between,
    stress_scenarios,
)

Floats = NDArray[np.float64]
usd = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)
books = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 16)), elements=usd)

BEFORE = Level(spot_usd=100.0, vol_30d=0.5, risk_reversal_30d=-0.02, forward_30d_usd=101.0, perp_usd=100.5)
AFTER = Level(spot_usd=80.0, vol_30d=0.8, risk_reversal_30d=-0.10, forward_30d_usd=80.0, perp_usd=79.0)
DAY = StressDay(name="day", what="", before={"ETH": BEFORE}, after={"ETH": AFTER}, source="made up")


def test_a_move_rebuilds_the_levels_after() -> None:
    move = move_between(BEFORE, AFTER)
    spot = 100.0 * (1.0 + move.spot)
    assert spot == pytest.approx(80.0)
    assert 0.5 * (1.0 + move.vol) == pytest.approx(0.8)
    assert 100.5 * (1.0 + move.spot) * (1.0 + move.perp_basis) == pytest.approx(79.0)
    assert 101.0 * (1.0 + move.spot) * (1.0 + move.future_basis) == pytest.approx(80.0)


def test_a_skew_move_rebuilds_the_risk_reversal() -> None:
    table = stress_scenarios(["ETH"], [DAY], vol_power_short=0.0, vol_power_long=0.0)
    quarter = 0.6744897501960817
    put, call = shocked_vol(
        table, [0.5 + 0.01, 0.5 - 0.01], [30.0] * 2, [0, 0], log_moneyness_sd=[-quarter, quarter]
    )[0]
    assert call - put == pytest.approx(-0.10)


def test_an_unrecorded_vol_follows_the_spot_upwards_only() -> None:
    fall = move_between(Level(spot_usd=100.0), Level(spot_usd=80.0))
    assert fall.vol == pytest.approx(0.8**-3.2 - 1.0)
    assert move_between(Level(spot_usd=100.0), Level(spot_usd=130.0)).vol == 0.0
    assert move_between(Level(spot_usd=100.0), Level(spot_usd=30.0)).vol == VOL_RESPONSE_CAP


def test_what_was_not_recorded_is_refused_without_a_proxy() -> None:
    with pytest.raises(UnfitValueError, match="holds no BTC") as caught:
        stress_scenarios(["ETH", "BTC"], [DAY])
    assert caught.value.row == 0
    table = stress_scenarios(["ETH", "BTC"], [DAY], proxies={"BTC": Proxy(underlying="ETH", beta=0.5)})
    assert table.spot_move[0].tolist() == pytest.approx([-0.2, math.sqrt(0.8) - 1.0])
    assert table.vol_move[0].tolist() == pytest.approx([0.6, 0.6])
    assert table.names == ("stress/day",)


def test_a_proxy_does_not_override_the_record() -> None:
    table = stress_scenarios(["ETH"], [DAY], proxies={"ETH": Proxy(underlying="ETH", beta=3.0)})
    assert table.spot_move[0, 0] == pytest.approx(-0.2)


def test_covered_days_hold_every_underlying() -> None:
    assert covered([DAY], ["ETH"]) == (DAY,)
    assert covered([DAY], ["ETH", "BTC"]) == ()
    assert covered([DAY], ["ETH", "BTC"], {"BTC": Proxy(underlying="ETH")}) == (DAY,)
    assert covered([DAY], ["BTC"], {"BTC": Proxy(underlying="SOL")}) == ()


def test_no_days_give_an_empty_table() -> None:
    assert stress_scenarios(["ETH"], []).spot_move.shape == (0, 1)


def test_hedges_on_a_dark_chain_do_not_count() -> None:
    # Long on one chain, short on the other: flat together, naked when either is dark.
    pnl = [[-100.0, 80.0], [100.0, -80.0]]
    dark = chain_dark(pnl, ["arbitrum", "optimism"])
    assert [d.chain for d in dark] == ["arbitrum", "optimism"]
    assert [d.requirement_usd for d in dark] == [80.0, 100.0]
    assert [d.worst for d in dark] == [1, 0]


def test_losses_on_a_dark_chain_stretch() -> None:
    (alone,) = chain_dark([[-100.0, 100.0]], ["arbitrum"], stretch=1.5)
    assert (alone.requirement_usd, alone.addon_usd) == (150.0, 50.0)
    assert dark_stretch(horizon_s=3_600.0, dark_s=3_600.0) == pytest.approx(math.sqrt(2.0))


@given(books)
def test_a_chain_going_dark_never_lowers_the_requirement(pnl_usd: Floats) -> None:
    chains = [f"chain{i % 3}" for i in range(len(pnl_usd))]
    lit = max(0.0, -float(pnl_usd.sum(axis=0).min()))
    for dark in chain_dark(pnl_usd, chains):
        assert dark.requirement_usd >= lit - 1e-5
        assert dark.addon_usd == pytest.approx(max(0.0, dark.requirement_usd - lit), abs=1e-5)
        assert dark.requirement_usd <= float(-np.minimum(pnl_usd, 0.0).sum(axis=0).min()) + 1e-5


@pytest.mark.parametrize(
    ("pnl_usd", "chain", "stretch"),
    [([[1.0]], ["a", "b"], 1.0), ([[1.0]], ["a"], 0.5), ([[math.nan]], ["a"], 1.0), ([[]], ["a"], 1.0)],
)
def test_unfit_input_is_refused(pnl_usd: list[list[float]], chain: list[str], stretch: float) -> None:
    with pytest.raises(UnfitValueError):
        chain_dark(pnl_usd, chain, stretch=stretch)


def test_times_must_make_sense() -> None:
    with pytest.raises(UnfitValueError, match="horizon_s"):
        dark_stretch(horizon_s=0.0)


@pytest.mark.parametrize(
    "levels",
    [
        {"spot_usd": 0.0},
        {"spot_usd": math.nan},
        {"spot_usd": 1.0, "vol_30d": -0.5},
        {"spot_usd": 1.0, "perp_usd": 0.0},
    ],
)
def test_levels_are_prices_and_vols(levels: dict[str, float]) -> None:
    with pytest.raises(UnfitValueError):
        Level(**levels)


def test_a_day_holds_the_same_coins_before_and_after() -> None:
    with pytest.raises(UnfitValueError, match="'BTC'"):
        StressDay(name="day", what="", before={"ETH": BEFORE}, after={"BTC": AFTER}, source="made up")


def test_a_vol_recorded_at_one_end_only_is_not_recorded() -> None:
    half = move_between(BEFORE, Level(spot_usd=80.0))
    assert half.vol == pytest.approx(0.8**-3.2 - 1.0)
    assert (half.skew, half.perp_basis, half.future_basis) == (0.0, 0.0, 0.0)
    assert move_between(Level(spot_usd=100.0), AFTER).vol == pytest.approx(0.8**-3.2 - 1.0)


def test_an_unrecorded_vol_at_most_triples_and_an_hour_is_dark_by_default() -> None:
    assert VOL_RESPONSE_CAP == 2.0
    assert dark_stretch(horizon_s=1.0) == pytest.approx(math.sqrt(3_601.0))
    with pytest.raises(UnfitValueError, match="dark_s"):
        dark_stretch(horizon_s=1.0, dark_s=-1.0)
