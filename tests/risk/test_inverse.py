"""Coin-settled contracts: their identities, and a hand-worked example."""

import csv
import gzip
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk import black76, inverse
from tests.support.shared import recordings

forwards = st.floats(1e2, 1e6)
ratios = st.floats(-1.5, 1.5).map(np.exp)
times = st.floats(0.01, 2.0)
vols = st.floats(0.1, 2.0)


@given(forwards, ratios, times, vols, st.booleans())
def test_net_delta_is_what_moves_the_coin_price(
    F: float, ratio: float, T: float, vol: float, call: bool
) -> None:
    K, dF = F * ratio, 1e-4 * F
    g = inverse.greeks(F, K, T, vol, call=call)
    up, down = (inverse.price(F + sign * dF, K, T, vol, call=call) for sign in (1, -1))
    assert g.net_delta == pytest.approx(F * (up - down) / (2 * dF), rel=1e-4, abs=1e-6)
    up_delta, down_delta = (inverse.greeks(F + sign * dF, K, T, vol, call=call).net_delta for sign in (1, -1))
    assert g.net_gamma_per_usd * F == pytest.approx(
        F * (up_delta - down_delta) / (2 * dF), rel=1e-4, abs=1e-5
    )


@given(forwards, ratios, times, vols)
def test_coin_parity(F: float, ratio: float, T: float, vol: float) -> None:
    call, put = (inverse.price(F, F * ratio, T, vol, call=right) for right in (True, False))
    assert call - put == pytest.approx(1.0 - ratio, abs=1e-14 * max(1.0, ratio))


@given(forwards, ratios, times, vols)
def test_a_call_never_costs_more_than_its_coin(F: float, ratio: float, T: float, vol: float) -> None:
    assert 0.0 <= inverse.price(F, F * ratio, T, vol, call=True) <= 1.0


def test_coin_greeks_are_the_usd_greeks_over_the_forward() -> None:
    coin = inverse.greeks(50_000.0, 55_000.0, 0.1, 0.6, call=True)
    usd = black76.greeks(50_000.0, 55_000.0, 0.1, 0.6, call=True)
    assert coin.price_coin * 50_000.0 == pytest.approx(usd.price_usd, rel=1e-15)
    assert coin.vega_coin_per_vol * 50_000.0 == pytest.approx(usd.vega_usd_per_vol, rel=1e-15)
    assert coin.theta_coin_per_y * 50_000.0 == pytest.approx(usd.theta_usd_per_y, rel=1e-15)
    assert (coin.delta, coin.gamma_per_usd) == (usd.delta, usd.gamma_per_usd)


def test_linear_pnl_by_hand() -> None:
    # 2 BTC of notional at 50,000 are 100,000 USD. At 40,000 they are 2.5 BTC: half a coin is lost.
    assert inverse.linear_pnl_coin(2.0, -0.2) == pytest.approx(-0.5)
    assert inverse.linear_pnl_coin(2.0, 1.0) == pytest.approx(1.0)


@given(st.floats(-100.0, 100.0), st.floats(-0.95, 10.0))
def test_linear_pnl_is_worth_the_usd_move(size: float, move: float) -> None:
    coins = inverse.linear_pnl_coin(size, move)
    assert coins * (1.0 + move) == pytest.approx(size * move, rel=1e-12, abs=1e-12)


def test_settlement_delta_runs_down_over_the_window() -> None:
    left = inverse.settlement_delta(0.8, [3600, 1800, 900, 0])
    assert left.tolist() == [0.8, 0.8, 0.4, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inverse.price(0.0, 1.0, 1.0, 0.5, call=False), "forward_usd"),
        (lambda: inverse.greeks([1.0, np.nan], 1.0, 1.0, 0.5, call=False), r"forward_usd\[1\]"),
        (lambda: inverse.linear_pnl_coin(1.0, -1.0), "move"),
        (lambda: inverse.settlement_delta(1.0, -1.0), "time_to_expiry_s"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


RECORDED = ("futures_price", "strike", "time_to_maturity", "implied_volatility", "mark_price", "delta")


def test_recorded_marks_of_a_venue_are_reproduced() -> None:
    errors, delta_errors = [], []
    for path in sorted(recordings("deribit_chains").glob("deribit_options_snapshot_*.csv.gz"))[::3]:
        with gzip.open(path, "rt") as file:
            rows = [row for row in csv.DictReader(file) if all(row[name] for name in RECORDED)]
        F, K, T, vol, mark, delta = (np.array([float(row[name]) for row in rows]) for name in RECORDED)
        ours = inverse.greeks(F, K, T, vol, call=[row["option_type"] == "call" for row in rows])
        errors.append(np.abs(ours.price_coin - mark))
        delta_errors.append(np.abs(ours.delta - delta))
    assert max(np.median(snapshot) for snapshot in errors) < 1e-4
    assert np.median(np.concatenate(errors)) < 5e-5
    assert np.median(np.concatenate(delta_errors)) < 1e-3
