"""A portfolio's legs as its file has them, and what is none of its fields."""

from typing import Any

import pytest

from keeper.model.errors import DataError
from keeper.risk.models.deribit_portfolio import portfolio
from tests.risk.models.deribit_cases import CALL, EXPIRY_MS, case, result
from tests.risk.models.twin import record


def test_legs_carry_what_their_names_say() -> None:
    held = portfolio("x", record(case({CALL: -2.0, "BTC-PERPETUAL": 1.0})))
    option, perp = held.legs
    assert (option.pair, option.size, option.strike, option.right, option.vol) == (
        "BTC",
        -2.0,
        70e3,
        "C",
        0.6,
    )
    assert (option.days, perp.days, perp.right) == (10.0, None, "")
    assert held.inverse
    assert held.index_of("BTC") == 65_000.0


def test_a_forward_of_its_own_goes_before_the_mark_of_the_future() -> None:
    (marked,) = portfolio("x", record(case({CALL: 1.0}))).legs
    (given,) = portfolio("x", record(case({CALL: 1.0}, forward={CALL: 66_000.0}))).legs
    assert (marked.forward, given.forward) == (65_000.0, 66_000.0)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"position": {}}, "position"),
        ({"position": {"BTC-PERPETUAL": float("nan")}}, "position.BTC-PERPETUAL"),
        ({"position": {"BTC-29FEB23": 1.0}}, "BTC-29FEB23"),
        ({"position": {"BTC-SPOT": 1.0}}, "BTC-SPOT"),
        ({"position": {"ETH-PERPETUAL": 1.0}}, "mark.ETH-PERPETUAL"),
        ({"position": {CALL: 1.0}, "iv": {}}, f"iv.{CALL}"),
        ({"position": {CALL: 1.0}, "mark": {}}, "mark.BTC-28JUN24"),
        ({"timestamp_ms": EXPIRY_MS + 1, "position": {CALL: 1.0}}, "after the expiry"),
        ({"index_price": 0}, "index_price"),
        ({"index_price": {"ETH": 3_000.0}}, "index_price"),
        ({"contract": "quanto"}, "contract"),
        ({"mmp_margin": -1}, "mmp_margin"),
    ],
)
def test_a_bad_portfolio_is_named(over: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        result(**{"position": {"BTC-PERPETUAL": 1.0}, **over})
    assert words in str(caught.value)
