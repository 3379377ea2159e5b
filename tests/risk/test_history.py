"""Historical and filtered-historical scenarios: their laws, and the recorded series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.backtest import BackTest, backtest
from keeper.risk.history import (
    FactorHistory,
    FactorSeries,
    filtered_returns,
    filtered_scenarios,
    filtered_var_forecasts,
    historical_scenarios,
    historical_var_forecasts,
    joint_history,
    refreshed_returns,
)
from keeper.risk.tail import value_at_risk
from tests.risk.recorded import DAY_S, btc_daily, eth_daily, eth_daily_joined, index_iv, log_returns

Floats = NDArray[np.float64]


def correlation(table: Floats) -> float:
    return float(np.asarray(np.corrcoef(table.T))[0, 1])


tables = arrays(
    np.float64,
    st.tuples(st.integers(2, 30), st.integers(1, 3)),
    elements=st.floats(-0.3, 0.3, allow_subnormal=False),
)


def days(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) * DAY_S


def walk(count: int, seed: int, sd: float = 0.03) -> Floats:
    steps = np.random.default_rng(seed).standard_normal(count) * sd
    prices: Floats = 100.0 * np.exp(np.cumsum(steps))
    return prices


def history_of(returns: Floats) -> FactorHistory:
    still = np.zeros_like(returns)
    return FactorHistory(
        ends_s=days(len(returns)),
        underlyings=tuple(f"U{i}" for i in range(returns.shape[1])),
        spot=returns,
        vol=still,
        perp_basis=still,
        future_basis=still,
        dropped=0,
    )


# Laws of the filter


@given(st.integers(2, 40), st.floats(0.001, 0.2), st.integers(0, 2**32 - 1))
def test_constant_vol_gives_plain_historical_simulation(count: int, vol: float, seed: int) -> None:
    signs = np.where(np.random.default_rng(seed).random((count, 1)) < 0.5, -vol, vol)
    np.testing.assert_allclose(filtered_returns(signs), signs, rtol=1e-12)
    plain = historical_scenarios(history_of(signs)).spot_move
    np.testing.assert_allclose(filtered_scenarios(history_of(signs)).spot_move, plain, rtol=1e-9)


@given(tables, st.floats(-5.0, 5.0), st.floats(0.001, 0.2))
def test_doubling_todays_vol_doubles_the_var_of_a_linear_book(
    returns: Floats, size: float, vol_now: float
) -> None:
    delta = np.full(returns.shape[1], size)
    single, double = (filtered_returns(returns, vol_now=m * vol_now) @ delta for m in (1.0, 2.0))
    for level in (0.5, 0.9, 0.99):
        expected = 2.0 * float(value_at_risk(single, level))
        assert float(value_at_risk(double, level)) == pytest.approx(expected, rel=1e-12)


@given(tables, st.floats(0.1, 10.0))
def test_filter_is_homogeneous(returns: Floats, size: float) -> None:
    np.testing.assert_allclose(
        filtered_returns(size * returns), size * filtered_returns(returns), rtol=1e-9, atol=1e-12
    )


def test_a_crisis_in_the_record_is_scaled_to_a_calm_today_and_back() -> None:
    rng = np.random.default_rng(7)
    wild, calm = rng.standard_normal((200, 1)) * 0.08, rng.standard_normal((200, 1)) * 0.02
    today_calm = filtered_returns(np.vstack([wild, calm]))
    today_wild = filtered_returns(np.vstack([calm, wild]))
    plain = float(value_at_risk(np.vstack([wild, calm])[:, 0], 0.99))
    assert float(value_at_risk(today_calm[:, 0], 0.99)) < plain
    assert float(value_at_risk(today_wild[:, 0], 0.99)) > plain


def test_whole_dates_keep_the_correlation() -> None:
    rng = np.random.default_rng(2)
    first = rng.standard_normal(2_000) * 0.03
    returns = np.column_stack([first, 0.8 * first + 0.6 * rng.standard_normal(2_000) * 0.03])
    kept = correlation(filtered_returns(returns))
    assert kept == pytest.approx(correlation(returns), abs=0.03)


def test_refresh_brings_the_correlation_to_todays() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2_000, 2)) * 0.03
    apart = x[:1_000]
    together = np.column_stack([x[1_000:, 0], 0.95 * x[1_000:, 0] + 0.3122 * x[1_000:, 1]])
    returns = np.vstack([apart, together])
    plain = correlation(filtered_returns(returns)[:1_000])
    fresh = correlation(refreshed_returns(returns, decay=0.97)[:1_000])
    assert abs(plain) < 0.15
    assert fresh > 0.85


@given(arrays(np.float64, st.tuples(st.integers(2, 30), st.just(1)), elements=st.floats(0.01, 0.3)))
def test_with_one_factor_the_refresh_is_the_filter(returns: Floats) -> None:
    np.testing.assert_allclose(refreshed_returns(returns), filtered_returns(returns), rtol=1e-9)


def test_refresh_leaves_still_factors_still_and_names_collinear_ones() -> None:
    rng = np.random.default_rng(4)
    first = rng.standard_normal((50, 1)) * 0.02
    assert not refreshed_returns(np.hstack([first, np.zeros((50, 1))]))[:, 1].any()
    assert not refreshed_returns(np.zeros((5, 2))).any()
    with pytest.raises(UnfitValueError, match="singular"):
        refreshed_returns(np.hstack([first, np.zeros((50, 1)), first]), seed=np.ones((3, 3)))


def test_a_move_after_no_variance_is_refused() -> None:
    with pytest.raises(UnfitValueError) as caught:
        filtered_returns([[0.0], [0.1]], seed=0.0)
    assert caught.value.row == 1
    assert filtered_returns(np.zeros((3, 2))).tolist() == [[0.0, 0.0]] * 3


# Joint dates


def test_only_joint_dates_are_used_and_gaps_are_dropped() -> None:
    eth_times = np.delete(days(10), 4)
    btc, eth = walk(10, 1), walk(10, 2)
    history = joint_history(
        {
            "BTC": FactorSeries(times_s=days(10), spot_usd=btc),
            "ETH": FactorSeries(times_s=eth_times, spot_usd=np.delete(eth, 4)),
        },
        step_s=DAY_S,
    )
    assert (len(history), history.dropped) == (7, 1)
    full = np.diff(np.log(np.column_stack([btc, eth])), axis=0)
    np.testing.assert_allclose(history.spot, np.delete(full, [3, 4], axis=0))
    assert history.ends_s.tolist() == np.delete(days(10)[1:], [3, 4]).tolist()


def test_basis_is_what_perp_and_forward_do_beyond_the_spot() -> None:
    spot, perp = np.array([100.0, 110.0]), np.array([101.0, 110.0])
    history = joint_history(
        {"ETH": FactorSeries(times_s=days(2), spot_usd=spot, perp_usd=perp, vol=np.array([0.5, 0.6]))},
        step_s=DAY_S,
    )
    table = historical_scenarios(history)
    assert table.spot_move[0, 0] == pytest.approx(0.10)
    assert (1.0 + table.spot_move[0, 0]) * (1.0 + table.perp_basis_move[0, 0]) == pytest.approx(110 / 101)
    assert table.vol_move[0, 0] == pytest.approx(0.2)
    assert table.future_basis_move[0, 0] == 0.0
    assert table.names == ("historical/1970-01-02T00:00:00",)


def test_a_longer_horizon_grows_with_the_square_root_and_never_below_minus_one() -> None:
    history = history_of(np.array([[-0.9], [0.1]]))
    far = historical_scenarios(history, horizon_steps=25.0)
    assert far.spot_move[:, 0] == pytest.approx(np.expm1([-4.5, 0.5]))
    assert (far.spot_move > -1.0).all()


def test_burn_in_rows_feed_the_filter_only() -> None:
    history = history_of(np.log1p(np.random.default_rng(1).uniform(-0.1, 0.1, (40, 2))))
    whole, part = filtered_scenarios(history), filtered_scenarios(history, burn_in=30)
    assert part.names == whole.names[30:]
    np.testing.assert_array_equal(part.spot_move, whole.spot_move[30:])
    with pytest.raises(UnfitValueError, match="burn_in"):
        filtered_scenarios(history, burn_in=40)


@pytest.mark.parametrize(
    ("series", "field"),
    [
        ({}, "series"),
        ({"ETH": FactorSeries(times_s=days(2)[::-1], spot_usd=walk(2, 1))}, "ETH.times_s"),
        ({"ETH": FactorSeries(times_s=days(2), spot_usd=np.array([1.0, 0.0]))}, "ETH.spot_usd"),
        ({"ETH": FactorSeries(times_s=days(2), spot_usd=np.array([1.0, np.nan]))}, "ETH.spot_usd"),
        ({"ETH": FactorSeries(times_s=days(2), spot_usd=walk(3, 1))}, "ETH.spot_usd"),
        ({"ETH": FactorSeries(times_s=days(2), spot_usd=walk(2, 1), vol=np.array([-1.0, 1.0]))}, "ETH.vol"),
        ({"ETH": FactorSeries(times_s=days(2) * 2, spot_usd=walk(2, 1))}, "series"),
    ],
)
def test_unfit_series_are_named(series: dict[str, FactorSeries], field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        joint_history(series, step_s=DAY_S)
    assert caught.value.field == field


# Forecasts


def test_forecasts_equal_a_loop_that_sees_only_the_past() -> None:
    pnl = np.random.default_rng(11).standard_normal(120) * np.linspace(1.0, 3.0, 120)
    window, level = 50, 0.95
    seed = float(np.mean(pnl[:window] ** 2))
    for i, forecast in enumerate(filtered_var_forecasts(pnl, window=window, level=level)):
        past = pnl[: i + window]
        again = filtered_returns(past[:, None], seed=seed)[-window:, 0]
        assert forecast == pytest.approx(float(value_at_risk(again, level)), rel=1e-10)
    plain = historical_var_forecasts(pnl, window=window, level=level)
    assert plain[3] == float(value_at_risk(pnl[3:53], level))


def test_a_flat_series_has_no_risk_until_it_moves() -> None:
    pnl = np.zeros(12)
    pnl[8] = -1.0
    forecasts = filtered_var_forecasts(pnl, window=5, level=0.9)
    assert forecasts[:4].tolist() == [0.0] * 4


@pytest.mark.parametrize("window", [0, 3, 4])
def test_the_window_must_fit(window: int) -> None:
    with pytest.raises(UnfitValueError, match="window"):
        historical_var_forecasts([1.0, 2.0, 3.0], window=window, level=0.9)


# The recorded series


def filtered(returns: Floats, window: int = 500) -> BackTest:
    forecasts = filtered_var_forecasts(returns, window=window, level=0.99)
    return backtest(returns[window:], forecasts, 0.99)


@pytest.mark.parametrize("side", [1.0, -1.0], ids=["long", "short"])
def test_recorded_btc_passes_kupiec(side: float) -> None:
    report = filtered(side * log_returns(btc_daily().close))
    assert report.observations == 4651
    assert not report.kupiec.rejected
    assert report.breaches == (51 if side > 0 else 56)


@pytest.mark.parametrize(("side", "breaches"), [(1.0, 8), (-1.0, 6)], ids=["long", "short"])
def test_recorded_eth_passes_kupiec(side: float, breaches: int) -> None:
    starts, close = eth_daily_joined()
    one_day = np.diff(starts) == DAY_S
    report = filtered(side * log_returns(close)[one_day])
    assert not report.kupiec.rejected
    assert report.breaches == breaches


@pytest.mark.parametrize("window", [250, 500, 1000])
def test_any_usual_window_passes_on_btc(window: int) -> None:
    assert not filtered(log_returns(btc_daily().close), window).kupiec.rejected


def test_joint_btc_and_eth_record_becomes_scenarios() -> None:
    btc, eth = btc_daily(), eth_daily()
    history = joint_history(
        {
            "BTC": FactorSeries(times_s=btc.starts_s + DAY_S, spot_usd=btc.close),
            "ETH": FactorSeries(times_s=eth.starts_s + DAY_S, spot_usd=eth.close),
        },
        step_s=DAY_S,
    )
    table = filtered_scenarios(history, burn_in=30)
    assert len(table) > 400
    assert correlation(table.spot_move) > 0.6


def test_recorded_index_and_vol_move_against_each_other() -> None:
    rows = [row for row in index_iv() if row["currency"] == "BTC" and row["atm_iv_30d"]]
    stamps = np.array(
        [np.datetime64(row["timestamp"]).astype("datetime64[s]").astype(np.int64) for row in rows]
    )
    history = joint_history(
        {
            "BTC": FactorSeries(
                times_s=stamps,
                spot_usd=np.array([float(row["index_price"]) for row in rows]),
                vol=np.array([float(row["atm_iv_30d"]) for row in rows]),
                forward_usd=np.array([float(row["fwd_30d"]) for row in rows]),
            )
        },
        step_s=6 * 3_600,
        slack_s=2 * 3_600,
    )
    table = historical_scenarios(history)
    assert len(table) > 500
    assert correlation(np.hstack([table.spot_move, table.vol_move])) < -0.4


def test_edges_of_the_record() -> None:
    cheap = FactorSeries(times_s=days(3), spot_usd=np.array([1e-9, 2e-9, 1e-9]))
    history = joint_history({"DUST": cheap}, step_s=DAY_S)
    assert historical_scenarios(history).spot_move[:, 0].tolist() == pytest.approx([1.0, -0.5])
    assert not historical_scenarios(history, horizon_steps=0.0).spot_move.any()
    assert len(filtered_scenarios(history, burn_in=1)) == 1
    with pytest.raises(UnfitValueError, match="horizon_steps"):
        historical_scenarios(history, horizon_steps=-1.0)
    with pytest.raises(UnfitValueError, match="burn_in"):
        filtered_scenarios(history, burn_in=-1)
    with pytest.raises(UnfitValueError, match="rising"):
        joint_history({"A": FactorSeries(times_s=days(2) * 0, spot_usd=np.ones(2))}, step_s=DAY_S)
    with pytest.raises(UnfitValueError, match="vol_now"):
        filtered_returns([[0.1]], vol_now=-0.1)
