"""Option prices against the contract's, and at the edges where it has its own conventions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.risk.models import model
from keeper.risk.models.derive_black76 import YEAR_S, OptionPrices, option_prices
from keeper.risk.models.documents import document, evaluate
from tests.risk.models.twin import loaded, one


def priced(seconds: float, vol: float, forward: float, strike: float, discount: float = 1.0) -> OptionPrices:
    arguments = (np.array(float(number)) for number in (seconds, vol, forward, strike, discount))
    return option_prices(*arguments)


def test_every_recorded_price() -> None:
    file = loaded("derive/black76.json")
    for row, result in zip(file["rows"], evaluate(model("black76"), document(file)), strict=True):
        recorded = dict(zip(file["columns"], row, strict=True))
        worth = max(one(recorded["forward"]), one(recorded["strike"]))
        assert abs(result.call - one(recorded["call"])) <= 1e-15 * worth
        assert abs(result.put - one(recorded["put"])) <= 1e-15 * worth
        assert abs(result.call_delta - one(recorded["callDelta"])) <= 1e-14


@pytest.mark.parametrize(
    ("seconds", "vol", "forward", "strike", "expected"),
    [
        (0, 0.8, 110.0, 100.0, (10.0, 0.0, 1.0)),  # expired: intrinsic
        (0, 0.8, 90.0, 100.0, (0.0, 10.0, 0.0)),
        (0, 0.8, 100.0, 100.0, (0.0, 0.0, 0.5)),
        (YEAR_S, 0.0, 110.0, 100.0, (10.0, 0.0, 1.0)),
        (YEAR_S, 0.5, 110.0, 0.0, (110.0, 0.0, 1.0)),  # no strike
        (YEAR_S, 0.5, 0.0, 100.0, (0.0, 100.0, 0.0)),  # no forward
        (YEAR_S, 24.0, 90.0, 100.0, (90.0, 100.0, 1.0)),  # anything may happen
    ],
)
def test_edges(
    seconds: float, vol: float, forward: float, strike: float, expected: tuple[float, float, float]
) -> None:
    assert [float(number) for number in priced(seconds, vol, forward, strike)] == pytest.approx(
        expected, abs=1e-12
    )


sizes = st.floats(1e-3, 1e6)


@given(seconds=st.floats(0, 4 * YEAR_S), vol=st.floats(0, 30), F=sizes, K=sizes, discount=st.floats(0.2, 1.5))
def test_prices_stay_in_their_bounds(seconds: float, vol: float, F: float, K: float, discount: float) -> None:
    call, put, delta = (float(number) for number in priced(seconds, vol, F, K, discount))
    slack = 1e-12 * max(F, K)
    assert max(0.0, discount * (F - K)) - slack <= call <= discount * F
    assert max(0.0, discount * (K - F)) - slack <= put <= discount * K
    assert 0.0 <= delta <= discount


@given(seconds=st.floats(1, YEAR_S), vol=st.floats(0.01, 3), F=sizes, K=sizes)
def test_parity(seconds: float, vol: float, F: float, K: float) -> None:
    call, put, _ = priced(seconds, vol, F, K)
    assert float(call - put) == pytest.approx(F - K, abs=1e-12 * max(F, K))
