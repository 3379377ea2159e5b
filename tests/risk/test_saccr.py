"""SA-CCR's building blocks; whole netting sets are in `tests/risk/models/test_saccr.py`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk import saccr


def _trade(option: saccr.OptionTerms | None = None, *, factor: str = "equity") -> saccr.Trade:
    return saccr.Trade(
        factor=factor,
        hedging_set=factor,
        entity="A",
        market_value=0.0,
        notional=100.0,
        long=True,
        maturity_y=1.0,
        start_y=0.0,
        end_y=1.0,
        option=option,
    )


@pytest.mark.parametrize("bought", [True, False])
@pytest.mark.parametrize("right", ["call", "put"])
def test_option_signs(right: str, bought: bool) -> None:
    terms = saccr.OptionTerms(
        is_call=right == "call", bought=bought, price=100.0, strike=120.0, exercise_y=0.5
    )
    delta = saccr.supervisory_delta(_trade(terms), 1.2)
    assert 0.0 < abs(delta) < 1.0
    assert (delta > 0.0) is ((right == "call") == bought)


def test_the_swaption_of_the_basel_example() -> None:
    """BCBS 279, annex 4a, example 1: 1 into 10 years, rate 6 %, strike 5 %, vol 50 %: delta -0.27."""
    terms = saccr.OptionTerms(is_call=False, bought=True, price=0.06, strike=0.05, exercise_y=1.0)
    assert saccr.supervisory_delta(_trade(terms), 0.5) == pytest.approx(-0.2693952177105327, rel=1e-12)
    assert saccr.supervisory_duration(1.0, 11.0) == pytest.approx(7.485592282404547, rel=1e-12)


def test_an_option_needs_a_supervisory_vol() -> None:
    terms = saccr.OptionTerms(is_call=True, bought=True, price=1.0, strike=1.0, exercise_y=1.0)
    with pytest.raises(UnfitValueError, match="option_vol"):
        saccr.supervisory_delta(_trade(terms), 0.0)


def test_an_unknown_factor_is_named() -> None:
    held = saccr.NettingSet(trades=(_trade(factor="coin"),), collateral=0.0, agreement=None)
    with pytest.raises(UnfitValueError, match="coin"):
        saccr.exposure(held)


def test_maturity_factor() -> None:
    assert saccr.maturity_factor(0.25, None) == 0.5
    assert saccr.maturity_factor(7.0, None) == 1.0
    assert saccr.maturity_factor(0.0, None) == pytest.approx(math.sqrt(10 / 250))
    weekly = saccr.MarginAgreement(threshold=0.0, minimum_transfer=0.0, nica=0.0, period_days=14.0)
    assert saccr.maturity_factor(7.0, weekly) == pytest.approx(0.354964786985977, rel=1e-12)


@given(value=st.floats(-1e9, 1e9), addon=st.floats(0, 1e9))
def test_excess_collateral_is_recognised_down_to_a_floor(value: float, addon: float) -> None:
    found = saccr.multiplier(value, addon)
    assert 0.05 <= found <= 1.0
    assert saccr.multiplier(value - 1.0, addon) <= found
