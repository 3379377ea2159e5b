"""Funding told by a few for all: exact where they agree, unknown where they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.policy.accrual import PROBES, accrued_usd, probes
from keeper.policy.screen import Holding, OptionHolding, PerpHolding

ETH, BTC = "curie:42161:0xvETH", "curie:42161:0xvBTC"


def perp(*legs: tuple[str, float], due: float = 0.0, since: float = 0.0) -> PerpHolding:
    return PerpHolding(still_usd=0.0, legs=legs, due_usd=due, accrued_usd=tuple(since for _ in legs))


OPTION = OptionHolding(
    underlying="ETH", call=True, in_base=False, strike_usd=1.0, expiry_s=1, short_base=1.0, collateral=1.0
)
BOOK: dict[str, Holding] = {
    "small": perp((ETH, 1.0)),
    "large": perp((ETH, -30.0)),
    "middle": perp((ETH, 5.0)),
    "tiny": perp((ETH, 0.1)),
    "both": perp((ETH, 90.0), (BTC, 1.0)),
    "coin": perp((BTC, 2.0)),
    "cash": perp(),
    "option": OPTION,
}


def test_the_largest_of_those_in_one_market_only_are_asked() -> None:
    assert PROBES == 3
    assert probes(BOOK) == ("coin", "large", "middle", "small")
    assert probes({"cash": perp(), "both": BOOK["both"]}) == ()


sizes = st.floats(-50, 50).filter(lambda x: abs(x) > 0.01)


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3), st.tuples(sizes, st.floats(-9, 9)), min_size=1, max_size=5
    ),
    st.floats(-40, 40),
)
def test_whoever_is_asked_tells_what_a_unit_has_paid(
    asked: dict[str, tuple[float, float]], paid: float
) -> None:
    """Each was read at a moment of its own, when so much had been paid and something was due already."""
    due_then = 7.0
    holdings: dict[str, Holding] = {
        key: perp((ETH, size), due=due_then, since=since) for key, (size, since) in asked.items()
    }
    dues = {key: due_then + size * (paid - since) for key, (size, since) in asked.items()}
    assert accrued_usd(holdings, dues, ()) == {ETH: pytest.approx(paid, abs=1e-8)}


def test_who_was_touched_or_stands_in_two_markets_tells_nothing() -> None:
    dues = {"large": -60.0, "both": 1.0, "cash": 0.0, "option": 3.0, "stranger": 4.0}
    assert accrued_usd(BOOK, dues, ()) == {ETH: 2.0}
    assert accrued_usd(BOOK, dues, {"large"}) == {}


def test_what_two_tell_differently_is_not_known() -> None:
    agreed = {"large": -60.0, "middle": 10.0, "coin": 1.0}
    assert accrued_usd(BOOK, agreed, ()) == {ETH: 2.0, BTC: 0.5}
    assert accrued_usd(BOOK, {**agreed, "middle": 10.01}, ()) == {BTC: 0.5}
    assert accrued_usd(BOOK, {**agreed, "middle": 10.01}, {"middle"}) == {ETH: 2.0, BTC: 0.5}
