"""Black-76 against published numbers, its own identities, and the limits it promises."""

import csv
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk import black76
from keeper.risk.inputs import Floats
from tests.support.shared import vectors

forwards = st.floats(1e-3, 1e6)
ratios = st.floats(-3.0, 3.0).map(np.exp)
times = st.floats(0.0, 5.0)
vols = st.floats(0.0, 4.0)
factors = st.floats(0.2, 1.0)


def columns(path: str) -> dict[str, Any]:
    """Return a CSV file by column; numbers where all entries are."""
    with vectors(path).open() as file:
        rows = list(csv.DictReader(file))
    table: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        try:
            table[name] = np.array([float(value) for value in values])
        except ValueError:
            table[name] = np.array(values)
    return table


def relative(ours: Floats, theirs: Floats) -> float:
    """Return the largest relative difference, with 0 against 0 as none."""
    return float(np.max(np.abs(ours - theirs) / np.where(theirs == 0.0, 1.0, np.abs(theirs))))


# Haug, "The Complete Guide to Option Pricing Formulas", 1st ed. 1998, as printed: call, spot, strike,
# dividend yield, rate, years, vol, price.
HAUG = [
    (True, 60.0, 65.0, 0.00, 0.08, 0.25, 0.30, 2.1334),
    (False, 100.0, 95.0, 0.05, 0.10, 0.50, 0.20, 2.4648),
    (True, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    (False, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    (True, 110.0, 100.0, 0.10, 0.10, 0.50, 0.35, 15.3086),
]


@pytest.mark.parametrize(("call", "S", "K", "q", "r", "T", "vol", "printed"), HAUG)
def test_haug_prices_as_printed(
    call: bool, S: float, K: float, q: float, r: float, T: float, vol: float, printed: float
) -> None:
    forward, discount = S * np.exp((r - q) * T), np.exp(-r * T)
    assert black76.price(forward, K, T, vol, call=call, discount=discount) == pytest.approx(printed, abs=5e-5)


def test_haug_bulk_values() -> None:
    t = columns("haug/bsm_values.csv")
    forward, discount = t["spot"] * np.exp((t["r"] - t["q"]) * t["t"]), np.exp(-t["r"] * t["t"])
    ours = black76.price(forward, t["strike"], t["t"], t["vol"], call=t["type"] == "call", discount=discount)
    assert np.all(np.abs(ours - t["price"]) <= t["tol"])


def test_haug_greeks() -> None:
    t = columns("haug/bsm_greeks.csv")
    carry, forward = t["r"] - t["q"], t["spot"] * np.exp((t["r"] - t["q"]) * t["t"])
    g = black76.greeks(
        forward, t["strike"], t["t"], t["vol"], call=t["type"] == "call", discount=np.exp(-t["r"] * t["t"])
    )
    per_spot = forward / t["spot"]
    theta = g.theta_usd_per_y - g.delta * carry * forward
    spot_delta = g.delta * per_spot
    ours = {
        "delta": spot_delta,
        "elasticity": spot_delta * t["spot"] / g.price_usd,
        "gamma": g.gamma_per_usd * per_spot**2,
        "vega": g.vega_usd_per_vol,
        "theta": theta,
        "theta per day": theta / 365.0,
        "rho": t["t"] * (spot_delta * t["spot"] - g.price_usd),
        "dividendRho": -t["t"] * spot_delta * t["spot"],
    }
    for row, name in enumerate(t["greek"]):
        assert ours[name][row] == pytest.approx(t["value"][row], abs=1e-4), name


def test_strata_prices() -> None:
    t = columns("strata_black/prices.csv")
    ours = black76.price(t["forward"], t["strike"], t["t"], t["vol"], call=t["type"] == "call")
    assert relative(ours, t["undiscounted_price"]) < 1e-12


def test_lets_be_rational_prices() -> None:
    t = columns("lets_be_rational/test_values.csv")
    ours = black76.price(t["F"], t["K"], t["T"], t["sigma"], call=t["q"] > 0)
    assert relative(ours, t["black"]) < 1e-12


def test_vollib_prices_and_greeks() -> None:
    t = columns("vollib/test_data.csv")
    S, K, r, T, vol = (t[name] for name in ("S", "K", "R", "t", "v"))
    forward, discount = S * np.exp(r * T), np.exp(-r * T)
    for right, call in (("C", True), ("P", False)):
        g = black76.greeks(forward, K, T, vol, call=call, discount=discount)
        spot_delta = g.delta * forward / S
        expected = {
            f"{right}D": spot_delta,
            f"{right}G": g.gamma_per_usd * (forward / S) ** 2,
            f"{right}T": g.theta_usd_per_y - g.delta * r * forward,
            f"{right}V": g.vega_usd_per_vol,
            f"{right}R": T * (spot_delta * S - g.price_usd),
            "bs_call" if call else "bs_put": g.price_usd,
        }
        for name, ours in expected.items():
            assert np.all(np.abs(ours - t[name]) <= 1e-6 * np.abs(t[name]) + 1e-8), name


def test_derive_contract_prices() -> None:
    document = json.loads(vectors("derive/black76.json").read_text())
    table = np.array(
        [[int(x) / (1.0 if i == 0 else 1e18) for i, x in enumerate(row)] for row in document["rows"]]
    )
    seconds, discount, vol, forward, strike, call_price, put_price, call_delta = table.T
    T = seconds / (365 * 86_400)
    call = black76.greeks(forward, strike, T, vol, call=True, discount=discount)
    put = black76.price(forward, strike, T, vol, call=False, discount=discount)
    tolerance = 1e-13 * np.maximum(forward, strike)
    assert np.all(np.abs(call.price_usd - call_price) <= tolerance)
    assert np.all(np.abs(put - put_price) <= tolerance)
    assert np.all(np.abs(call.delta - call_delta) <= 1e-12)


@given(forwards, ratios, times, vols, factors)
def test_put_call_parity(F: float, ratio: float, T: float, vol: float, D: float) -> None:
    K = F * ratio
    call = black76.price(F, K, T, vol, call=True, discount=D)
    put = black76.price(F, K, T, vol, call=False, discount=D)
    assert call - put == pytest.approx(D * (F - K), abs=4e-16 * 4 * max(F, K))


@given(forwards, ratios, times, vols, factors, st.booleans())
def test_price_and_delta_stay_within_their_bounds(
    F: float, ratio: float, T: float, vol: float, D: float, call: bool
) -> None:
    K = F * ratio
    g = black76.greeks(F, K, T, vol, call=call, discount=D)
    intrinsic = max(F - K, 0.0) if call else max(K - F, 0.0)
    slack = 1e-15 * max(F, K)
    assert D * intrinsic - slack <= g.price_usd <= D * (F if call else K) + slack
    assert (0.0 <= g.delta <= D) if call else (-D <= g.delta <= 0.0)
    assert min(g.gamma_per_usd, g.vega_usd_per_vol) >= 0.0


@given(forwards, ratios, times, vols, st.floats(0.0, 2.0), st.booleans())
def test_price_rises_with_vol_and_time(
    F: float, ratio: float, T: float, vol: float, more: float, call: bool
) -> None:
    K = F * ratio
    base = black76.price(F, K, T, vol, call=call)
    slack = 1e-14 * max(F, K)
    assert black76.price(F, K, T, vol + more, call=call) >= base - slack
    assert black76.price(F, K, T + more, vol, call=call) >= base - slack


@given(forwards, ratios, times, vols, st.booleans(), st.floats(1e-3, 1e3))
def test_price_is_homogeneous(F: float, ratio: float, T: float, vol: float, call: bool, scale: float) -> None:
    K = F * ratio
    scaled = black76.price(scale * F, scale * K, T, vol, call=call)
    assert scaled == pytest.approx(
        scale * black76.price(F, K, T, vol, call=call), rel=1e-9, abs=1e-14 * scale * F
    )


@given(forwards, ratios, ratios, times, vols)
def test_calls_are_convex_in_the_strike(F: float, low: float, high: float, T: float, vol: float) -> None:
    strikes = F * np.array([low, 0.5 * (low + high), high])
    left, middle, right = black76.price(F, strikes, T, vol, call=True)
    assert middle <= 0.5 * (left + right) + 1e-14 * F * max(low, high, 1.0)


@given(
    st.floats(10.0, 1e5), st.floats(-1.0, 1.0).map(np.exp), st.floats(0.02, 3.0), st.floats(0.1, 2.0), factors
)
def test_greeks_are_the_slopes_of_the_price(F: float, ratio: float, T: float, vol: float, D: float) -> None:
    K = F * ratio
    for call in (True, False):
        g = black76.greeks(F, K, T, vol, call=call, discount=D)
        dF, dv, dT = 1e-4 * F, 1e-4, 1e-4 * T
        rate = -np.log(D) / T

        def value(f: float, v: float, t: float, call: bool = call, rate: float = rate) -> black76.Greeks:
            return black76.greeks(f, K, t, v, call=call, discount=np.exp(-rate * t))

        up, down = value(F + dF, vol, T), value(F - dF, vol, T)
        assert g.delta == pytest.approx((up.price_usd - down.price_usd) / (2 * dF), rel=1e-4, abs=1e-6)
        assert g.gamma_per_usd * F == pytest.approx(
            (up.delta - down.delta) / (2 * dF) * F, rel=1e-4, abs=1e-5
        )
        up, down = value(F, vol + dv, T), value(F, vol - dv, T)
        assert g.vega_usd_per_vol == pytest.approx(
            (up.price_usd - down.price_usd) / (2 * dv), rel=1e-4, abs=1e-6 * F
        )
        assert g.vanna_per_vol == pytest.approx((up.delta - down.delta) / (2 * dv), rel=1e-4, abs=1e-6)
        assert g.volga_usd_per_vol2 == pytest.approx(
            (up.vega_usd_per_vol - down.vega_usd_per_vol) / (2 * dv), rel=1e-4, abs=1e-5 * F
        )
        later, sooner = value(F, vol, T - dT), value(F, vol, T + dT)
        assert g.theta_usd_per_y == pytest.approx(
            (later.price_usd - sooner.price_usd) / (2 * dT), rel=1e-4, abs=1e-5 * F
        )


@pytest.mark.parametrize(("T", "vol"), [(0.0, 0.5), (0.25, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("F", [0.0, 90.0, 100.0, 110.0])
def test_without_spread_an_option_is_its_intrinsic_value(F: float, T: float, vol: float) -> None:
    for call, sign in ((True, 1.0), (False, -1.0)):
        g = black76.greeks(F, 100.0, T, vol, call=call, discount=0.9)
        assert g.price_usd == pytest.approx(0.9 * max(sign * (F - 100.0), 0.0), abs=0.0)
        slope = 0.5 if F == 100.0 else float(sign * (F - 100.0) > 0.0)
        assert g.delta == sign * 0.9 * slope
        assert g.gamma_per_usd == 0.0
        assert np.isfinite([g.theta_usd_per_y, g.vanna_per_vol, g.volga_usd_per_vol2]).all()
        if T == 0.0 or F != 100.0:
            assert not np.any([g.vega_usd_per_vol, g.vanna_per_vol, g.volga_usd_per_vol2])


def test_at_the_kink_with_time_left_the_limits_in_vol_exist() -> None:
    at_zero = black76.greeks(100.0, 100.0, 0.25, 0.0, call=True)
    nearby = black76.greeks(100.0, 100.0, 0.25, 1e-7, call=True)
    assert at_zero.vega_usd_per_vol == pytest.approx(nearby.vega_usd_per_vol, rel=1e-9)
    assert at_zero.vega_usd_per_vol == pytest.approx(100.0 * 0.3989422804014327 * 0.5, rel=1e-15)
    assert at_zero.vanna_per_vol == pytest.approx(nearby.vanna_per_vol, rel=1e-6)


@pytest.mark.parametrize(("F", "K"), [(0.0, 100.0), (100.0, 0.0), (0.0, 0.0)])
def test_worthless_forward_and_free_strike(F: float, K: float) -> None:
    assert black76.price(F, K, 1.0, 0.5, call=True, discount=0.9) == 0.9 * F
    assert black76.price(F, K, 1.0, 0.5, call=False, discount=0.9) == 0.9 * K
    for call in (True, False):
        g = black76.greeks(F, K, 1.0, 0.5, call=call)
        assert np.isfinite([g.delta, g.gamma_per_usd, g.vega_usd_per_vol, g.theta_usd_per_y]).all()


def test_deep_wings_keep_their_digits() -> None:
    # exp(-x^2 / (2 s^2)) dominates: x = 1, s = 0.03 gives about 1e-245, far below 1 - N(d) in float64.
    far = black76.price(1.0, np.e, 1.0, 0.03, call=True)
    asymptote = np.exp(-0.5 * (1.0 / 0.03 - 0.015) ** 2) * 0.3989422804014327 * 0.03**3
    assert far == pytest.approx(asymptote, rel=5e-3)
    assert black76.price(1.0, 1e300, 1.0, 0.5, call=True) == 0.0
    assert black76.price(1e-300, 1e300, 1.0, 0.5, call=False) == 1e300


def test_arguments_broadcast() -> None:
    table = black76.price([[100.0], [110.0]], [90.0, 100.0, 120.0], 0.5, 0.4, call=[True, False, True])
    assert table.shape == (2, 3)
    assert table[1, 1] == black76.price(110.0, 100.0, 0.5, 0.4, call=False)
    assert black76.price([], [], 0.5, 0.4, call=True).shape == (0,)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("forward_usd", [100.0, np.nan]),
        ("forward_usd", [100.0, -1.0]),
        ("strike_usd", [100.0, np.inf]),
        ("expiry_y", [0.1, -1e-12]),
        ("vol", [0.5, -0.5]),
        ("discount", [1.0, 0.0]),
    ],
)
def test_bad_input_names_argument_and_row(argument: str, value: list[float]) -> None:
    arguments: dict[str, Any] = {
        "forward_usd": 100.0,
        "strike_usd": 100.0,
        "expiry_y": 0.1,
        "vol": 0.5,
        "discount": 1.0,
        argument: value,
    }
    for function in (black76.price, black76.greeks):
        with pytest.raises(DataError, match=rf"{argument}\[1\]"):
            function(**arguments, call=True)
