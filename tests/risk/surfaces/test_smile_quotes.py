"""Quotes to bands of total variance: what is kept, what is left out and why, and that units agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.model.quote import VolSlice, VolSurface
from keeper.model.units import ONE, Wad
from keeper.risk import black76
from keeper.risk.surfaces.smile_quotes import (
    YEAR_S,
    Left,
    Screened,
    board_quotes,
    book_quotes,
    mark_quotes,
    rows_of,
)

K = np.repeat([80.0, 90.0, 100.0, 110.0, 125.0], 2)
CALL = np.tile([True, False], 5)
F, T, VOL = 102.0, 0.25, 0.6
MID = black76.price(F, K, T, VOL, call=CALL)


def quoted(**changed: object) -> Screened:
    columns: dict[str, object] = {
        "expiry_y": np.full(10, T),
        "strike_usd": K,
        "call": CALL,
        "bid": MID * 0.98,
        "ask": MID * 1.02,
        "forward_usd": np.full(10, F),
        "coin": False,
    }
    return book_quotes(**(columns | changed))  # type: ignore[arg-type]


def test_bands_hold_the_vol_that_priced_them() -> None:
    quotes = quoted().quotes
    assert (quotes.w_low < VOL**2 * T).all()
    assert (quotes.w_high > VOL**2 * T).all()
    np.testing.assert_allclose(
        black76.price(F, quotes.strike_usd, T, np.sqrt(quotes.w_high / T), call=True) / F,
        quotes.call_high,
        atol=1e-12,
    )


def test_coin_discount_and_usd_say_the_same() -> None:
    usd = quoted().quotes
    for other in (
        quoted(bid=MID * 0.98 / F, ask=MID * 1.02 / F, coin=True).quotes,
        quoted(bid=MID * 0.98 * 0.97, ask=MID * 1.02 * 0.97, discount=0.97).quotes,
    ):
        np.testing.assert_allclose(other.w_low, usd.w_low, rtol=1e-9)
        np.testing.assert_allclose(other.w_high, usd.w_high, rtol=1e-9)
        np.testing.assert_allclose(other.call_low, usd.call_low, rtol=1e-12)


def test_every_row_left_out_has_its_reason() -> None:
    bid, ask, age, expiry = MID * 0.98, MID * 1.02, np.zeros(10), np.full(10, T)
    bid[0], bid[1], ask[2], ask[3] = 0.0, np.nan, np.nan, bid[3]
    age[4], expiry[5] = 61.0, -0.01
    left = quoted(bid=bid, ask=ask, age_s=age, age_limit_s=60.0, expiry_y=expiry).left
    assert left.tolist() == [
        Left.NO_BID, Left.NO_BID, Left.NO_ASK, Left.CROSSED, Left.STALE, Left.EXPIRED, 0, 0, 0, 0,
    ]  # fmt: skip


def test_unknown_forwards_come_from_the_expiry_or_from_parity() -> None:
    known = np.full(10, F)
    known[3:] = np.nan
    assert quoted(forward_usd=known).quotes.forward_usd == pytest.approx([F])
    unknown = quoted(forward_usd=np.full(10, np.nan))
    assert unknown.quotes.forward_usd == pytest.approx([F], rel=1e-3)
    assert not unknown.left.any()


def test_an_expiry_without_any_forward_is_left_out() -> None:
    expiry = np.where(np.arange(10) < 8, T, 0.5)
    bid = MID * 0.98
    bid[9] = 0.0  # the last strike has no put: no parity at 0.5 years
    screened = quoted(forward_usd=np.full(10, np.nan), expiry_y=expiry, bid=bid)
    assert screened.left[8] == Left.NO_FORWARD
    assert screened.quotes.expiry_y.tolist() == [T]


def test_a_bid_below_intrinsic_value_still_bounds_from_above() -> None:
    bid = MID.copy() * 0.98
    bid[0] = 20.0  # intrinsic value is 22
    quotes = quoted(bid=bid).quotes
    call = (quotes.strike_usd == 80.0) & quotes.call
    assert quotes.w_low[call].tolist() == [0.0]
    assert VOL**2 * T < float(quotes.w_high[call][0]) < np.inf


def test_absurd_asks_are_marked_not_solved() -> None:
    ask = MID * 1.02
    ask[8] = 150.0  # a call above the forward
    bid = MID * 0.98
    bid[0], ask[0] = 15.0, 16.0  # a call sold below its intrinsic value of 22
    quotes = quoted(bid=bid, ask=ask).quotes
    assert np.isinf(quotes.w_high[-1])
    assert np.isnan(quotes.w_high[(quotes.strike_usd == 80.0) & quotes.call]).all()


@given(st.permutations(range(10)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    width = np.linspace(0.01, 0.05, 10)
    bid, ask = MID * (1 - width), MID * (1 + width)
    one = quoted(bid=bid, ask=ask).quotes
    two = quoted(strike_usd=K[order], call=CALL[order], bid=bid[order], ask=ask[order]).quotes
    for name in ("k", "w_low", "w_high", "call_low", "call_high", "strike_usd", "call"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"bid": -MID}, "bid"),
        ({"ask": np.full(10, np.inf)}, "ask"),
        ({"strike_usd": np.zeros(10)}, "strike_usd"),
        ({"expiry_y": np.full(10, np.nan)}, "expiry_y"),
        ({"discount": 0.0}, "discount"),
        ({"call": [True]}, "call"),
        ({"forward_usd": np.ones(3)}, "forward_usd"),
        ({"expiry_y": np.zeros(10)}, "strike_usd"),
    ],
)
def test_unfit_columns_are_refused(changed: dict[str, object], field: str) -> None:
    with pytest.raises(UnfitValueError) as refusal:
        quoted(**changed)
    assert refusal.value.field == field


def test_marks_leave_no_band() -> None:
    marks = mark_quotes(expiry_y=[T, T], strike_usd=[90.0, 110.0], vol=[0.7, 0.6], forward_usd=[F, F])
    assert np.array_equal(marks.w_low, marks.w_high)
    assert marks.w_low == pytest.approx([0.49 * T, 0.36 * T])
    with pytest.raises(UnfitValueError):
        mark_quotes(expiry_y=[T, T], strike_usd=[90.0, 110.0], vol=[0.7, 0.0], forward_usd=[F, F])
    with pytest.raises(UnfitValueError):
        mark_quotes(expiry_y=[T], strike_usd=[90.0, 110.0], vol=[0.7, 0.6], forward_usd=[F, F])


def wad(x: float) -> Wad:
    return Wad(round(x * ONE))


def board(*slices: VolSlice) -> VolSurface:
    return VolSurface(
        underlying="ETH",
        venue="lyra:10",
        chain_id=10,
        rate=wad(0.04),
        slices=slices,
        source="test",
        observed_at_s=0,
    )


def test_boards_are_read_at_their_forward() -> None:
    live = VolSlice(expiry_s=YEAR_S // 4, strikes=(wad(1500), wad(1700)), vols=(wad(0.9), wad(0.7)))
    gone = VolSlice(expiry_s=-1, strikes=(wad(1500),), vols=(wad(0.9),))
    quotes = board_quotes(board(gone, live), spot_usd=1600.0, now_s=0)
    assert quotes.forward_usd == pytest.approx([1600.0 * np.exp(0.01)])
    assert np.sqrt(quotes.w_low / 0.25) == pytest.approx([0.9, 0.7])
    with pytest.raises(UnfitValueError, match="lyra:10 ETH"):
        board_quotes(board(gone), spot_usd=1600.0, now_s=0)
    torn = VolSlice(expiry_s=YEAR_S, strikes=(wad(1500),), vols=())
    with pytest.raises(UnfitValueError):
        board_quotes(board(torn), spot_usd=1600.0, now_s=0)


def test_rows_can_be_chosen() -> None:
    quotes = quoted(expiry_y=np.where(K > 100.0, 0.5, T)).quotes
    short = rows_of(quotes, quotes.expiry == 0)
    assert short.expiry_y.tolist() == [T]
    late = rows_of(quotes, quotes.expiry == 1)
    assert late.expiry.tolist() == [0] * late.k.size
    with pytest.raises(UnfitValueError):
        rows_of(quotes, np.zeros(10, dtype=bool))
