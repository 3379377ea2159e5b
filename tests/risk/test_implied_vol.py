"""Implied vols price back, in the wings as at the money, and impossible prices are refused by row."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk import black76
from keeper.risk.implied_vol import NoImpliedVolError, has_implied_vol, implied_vol
from tests.risk.test_black76 import columns, relative

log_strikes = st.floats(-6.0, 6.0)
spreads = st.floats(np.log(1e-3), np.log(8.0)).map(np.exp)


@given(log_strikes, spreads)
def test_out_of_the_money_prices_come_back_in_every_digit(x: float, sd: float) -> None:
    K, call = np.exp(x), x >= 0.0
    price = black76.price(1.0, K, 1.0, sd, call=call)
    assume(price > 1e-290 and has_implied_vol(price, 1.0, K, 1.0, call=call))
    vol = implied_vol(price, 1.0, K, 1.0, call=call)
    assert black76.price(1.0, K, 1.0, vol, call=call) == pytest.approx(float(price), rel=2e-12)
    if price < 0.99 * min(1.0, K):  # else hardly any price is left above it to tell vols apart
        assert vol == pytest.approx(sd, rel=1e-11)


@given(st.floats(1.0, 1e5), st.floats(-1.0, 1.0), st.floats(0.01, 3.0), st.floats(0.05, 3.0), st.booleans())
def test_any_price_comes_back_to_rounding(F: float, x: float, T: float, vol: float, call: bool) -> None:
    K, D = F * np.exp(x), 0.97
    price = black76.price(F, K, T, vol, call=call, discount=D)
    assume(has_implied_vol(price, F, K, T, call=call, discount=D))
    back = black76.price(F, K, T, implied_vol(price, F, K, T, call=call, discount=D), call=call, discount=D)
    assert back == pytest.approx(float(price), abs=1e-12 * max(F, K))


def test_lets_be_rational_rows_price_back() -> None:
    t = columns("lets_be_rational/test_values.csv")
    call = t["q"] > 0
    vol = implied_vol(t["black"], t["F"], t["K"], t["T"], call=call)
    assert relative(black76.price(t["F"], t["K"], t["T"], vol, call=call), t["black"]) < 1e-12
    # The library's own vols, where the price still knows them: out of the money and not worthless.
    informative = (call == (t["K"] > t["F"])) & (t["black"] > 0.0)
    theirs = t["implied_volatility_from_a_transformed_rational_guess"]
    assert relative(vol[informative], theirs[informative]) < 1e-10
    assert informative.sum() > 200


def test_derive_and_strata_vols_come_back() -> None:
    t = columns("strata_black/prices.csv")
    vol = implied_vol(t["undiscounted_price"], t["forward"], t["strike"], t["t"], call=t["type"] == "call")
    assert np.max(np.abs(vol - t["vol"])) < 1e-9


@given(log_strikes, st.floats(0.0, 0.5))
def test_a_higher_price_has_a_higher_vol(x: float, share: float) -> None:
    K, call = np.exp(x), x >= 0.0
    top = min(1.0, K)
    low, high = implied_vol([share * top, min(0.999, 1.5 * share + 1e-6) * top], 1.0, K, 1.0, call=call)
    assert low <= high


def test_intrinsic_value_has_no_vol() -> None:
    F, K = np.array([110.0, 90.0, 100.0, 0.0, 100.0, 0.0]), np.array([100.0, 100.0, 100.0, 100.0, 0.0, 0.0])
    intrinsic = 0.9 * np.maximum(F - K, 0.0)
    assert implied_vol(intrinsic, F, K, 0.25, call=True, discount=0.9).tolist() == [0.0] * 6
    assert implied_vol(10.0, 110.0, 100.0, 0.0, call=True) == 0.0


def test_rounding_below_intrinsic_value_is_forgiven_but_no_more() -> None:
    assert implied_vol(10.0 * (1 - 1e-15), 110.0, 100.0, 0.25, call=True) == 0.0
    with pytest.raises(NoImpliedVolError, match="below intrinsic"):
        implied_vol(10.0 * (1 - 1e-9), 110.0, 100.0, 0.25, call=True)


def test_prices_that_no_vol_explains_are_refused_with_all_their_rows() -> None:
    prices = np.array([5.0, 9.0, 110.0, 12.0, -0.1])
    inside = has_implied_vol(prices, 110.0, 100.0, 0.25, call=True)
    assert inside.tolist() == [False, False, False, True, False]
    with pytest.raises(NoImpliedVolError, match=r"price_usd\[0\]: 5.0 is below intrinsic") as caught:
        implied_vol(prices, 110.0, 100.0, 0.25, call=True)
    assert caught.value.rows == (0, 1, 4)
    assert isinstance(caught.value, DataError)
    assert implied_vol(prices[inside], 110.0, 100.0, 0.25, call=True) > 0.0


@pytest.mark.parametrize(
    ("price", "F", "K", "T", "call"),
    [
        (110.0, 110.0, 100.0, 0.25, True),
        (100.0, 90.0, 100.0, 0.25, False),
        (10.5, 110.0, 100.0, 0.0, True),
        (0.5, 90.0, 100.0, 0.0, True),
        (1.0, 0.0, 100.0, 0.25, True),
    ],
)
def test_prices_above_their_bound_are_refused(price: float, F: float, K: float, T: float, call: bool) -> None:
    with pytest.raises(NoImpliedVolError, match="leaves no vol"):
        implied_vol(price, F, K, T, call=call)


@pytest.mark.parametrize("field", ["price_usd", "forward_usd", "strike_usd", "expiry_y", "discount"])
def test_nan_is_named(field: str) -> None:
    good = {"price_usd": 5.0, "forward_usd": 100.0, "strike_usd": 100.0, "expiry_y": 0.5, "discount": 1.0}
    with pytest.raises(DataError, match=rf"{field}\[1\]"):
        implied_vol(**{name: [x, np.nan if name == field else x] for name, x in good.items()}, call=True)


def test_shapes_broadcast_and_empty_is_empty() -> None:
    assert implied_vol([], 100.0, 100.0, 0.5, call=True).shape == (0,)
    assert implied_vol([[5.0], [6.0]], 100.0, [95.0, 105.0], 0.5, call=[False, True]).shape == (2, 2)
