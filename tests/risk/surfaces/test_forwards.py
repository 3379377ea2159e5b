"""Forwards from parity and from futures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk import black76, inverse
from keeper.risk.surfaces.forwards import NoForwardError, listed_forward, parity_forward

K = np.array([80.0, 90.0, 100.0, 110.0, 120.0])
STRIKES, CALLS = np.repeat(K, 2), np.tile([True, False], 5)


@given(st.floats(70.0, 140.0), st.floats(0.001, 0.05), st.floats(0.9, 1.0))
def test_parity_returns_the_forward_that_priced_the_options(F: float, spread: float, discount: float) -> None:
    usd = black76.price(F, STRIKES, 0.5, 0.6, call=CALLS, discount=discount)
    found = parity_forward(
        strike_usd=STRIKES, call=CALLS, bid=usd - spread, ask=usd + spread, coin=False, discount=discount
    )
    assert found.forward_usd == pytest.approx(F, rel=1e-9)
    assert found.low_usd <= F <= found.high_usd
    coins = inverse.price(F, STRIKES, 0.5, 0.6, call=CALLS)
    found = parity_forward(strike_usd=STRIKES, call=CALLS, bid=coins * 0.99, ask=coins * 1.01, coin=True)
    assert found.forward_usd == pytest.approx(F, rel=0.01)
    assert found.low_usd <= F * (1 + 1e-12)
    assert found.high_usd >= F * (1 - 1e-12)


def test_a_stale_quote_does_not_move_the_forward() -> None:
    usd = black76.price(100.0, STRIKES, 0.5, 0.6, call=CALLS)
    bid, ask = usd - 0.1, usd + 0.1
    bid[0], ask[0] = bid[0] + 9.0, ask[0] + 9.0
    found = parity_forward(strike_usd=STRIKES, call=CALLS, bid=bid, ask=ask, coin=False)
    assert found.forward_usd == pytest.approx(100.0)
    assert found.low_usd > found.high_usd  # and the bracket says that something is wrong


def test_order_of_rows_does_not_matter() -> None:
    usd = black76.price(101.0, STRIKES, 0.5, 0.6, call=CALLS)
    widths = np.linspace(0.1, 0.9, 10)
    order = np.array([3, 7, 1, 0, 9, 5, 2, 8, 6, 4])
    one, two = (
        parity_forward(
            strike_usd=STRIKES[o], call=CALLS[o], bid=(usd - widths)[o], ask=(usd + widths)[o], coin=False
        )
        for o in (np.arange(10), order)
    )
    assert one == two


def test_no_pair_no_forward() -> None:
    with pytest.raises(NoForwardError) as refusal:
        parity_forward(
            strike_usd=[90.0, 110.0], call=[True, False], bid=[1, 1], ask=[2, 2], coin=False, expiry_y=0.25
        )
    assert refusal.value.expiry_y == 0.25
    assert "none of 2 strikes" in str(refusal.value)
    with pytest.raises(NoForwardError):
        parity_forward(strike_usd=K[:1], call=[True], bid=[np.nan], ask=[2.0], coin=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"strike_usd": [90.0, -1.0]},
        {"strike_usd": [90.0, 90.0], "call": [True, True]},
        {"bid": [1.0]},
        {"strike_usd": [90.0, np.nan]},
    ],
)
def test_unfit_quotes_are_refused(changed: dict[str, list[float]]) -> None:
    good: dict[str, list[float]] = {
        "strike_usd": [90.0, 90.0],
        "call": [True, False],
        "bid": [9, 1],
        "ask": [10, 2],
    }
    with pytest.raises(UnfitValueError):
        parity_forward(**(good | changed), coin=False)  # type: ignore[arg-type]


def test_listed_futures_are_met_and_carry_is_constant_between() -> None:
    at = listed_forward(
        [0.0, 0.25, 0.375, 0.5, 1.0], spot_usd=100.0, listed_y=[0.25, 0.5], listed_usd=[102.0, 105.0]
    )
    assert at[[0, 1, 3]] == pytest.approx([100.0, 102.0, 105.0])
    assert at[2] == pytest.approx(np.sqrt(102.0 * 105.0))
    assert at[4] == pytest.approx(105.0 * (105.0 / 102.0) ** 2)


@pytest.mark.parametrize(
    "changed",
    [
        {"listed_y": [0.5, 0.25]},
        {"listed_y": [0.0, 0.25]},
        {"listed_usd": [100.0, 0.0]},
        {"listed_y": [], "listed_usd": []},
        {"spot_usd": np.nan},
        {"expiry_y": [-0.1]},
    ],
)
def test_unfit_futures_are_refused(changed: dict[str, object]) -> None:
    good: dict[str, object] = {
        "expiry_y": [0.1],
        "spot_usd": 100.0,
        "listed_y": [0.25, 0.5],
        "listed_usd": [101.0, 102.0],
    }
    with pytest.raises(UnfitValueError):
        listed_forward(**(good | changed))  # type: ignore[arg-type]
