"""What a miss of each quote costs."""

import numpy as np
import pytest

from keeper.risk import black76
from keeper.risk.surfaces.fit_problem import SparseSmileError, dense_quotes, fit_problem
from keeper.risk.surfaces.smile_quotes import book_quotes, mark_quotes

K = np.array([60.0, 80.0, 95.0, 100.0, 105.0, 125.0, 160.0])
F, T, VOL = np.full(7, 100.0), np.full(7, 0.25), 0.6


def test_marks_miss_equally_when_they_miss_equally_in_price() -> None:
    problem = fit_problem(mark_quotes(expiry_y=T, strike_usd=K, vol=np.full(7, VOL), forward_usd=F))
    vega = black76.greeks(F, K, T, VOL, call=True).vega_usd_per_vol
    vols = problem.scale / (2.0 * VOL * T)
    near = slice(1, 6)
    np.testing.assert_allclose((vols * vega)[near], (vols * vega)[3], rtol=0.02)
    assert float(vols[3]) == pytest.approx(0.01, rel=0.02)
    assert (vols <= 0.1 * (1 + 1e-12)).all()  # far wings are not forgotten
    assert not problem.half.any()


def test_bands_count_by_their_half_width_but_not_below_a_twentieth_of_a_point() -> None:
    call = K > F
    width = np.array([0.02, 0.02, 0.02, 1e-5, 0.02, 0.02, 0.02])
    bid, ask = (black76.price(F, K, T, VOL + side * width, call=call) for side in (-1, 1))
    bid[0] = 1e-12 + bid[0] * 0.0  # a bid of next to nothing
    quotes = book_quotes(
        expiry_y=T, strike_usd=K, call=call, bid=bid, ask=ask, forward_usd=F, coin=False
    ).quotes
    problem = fit_problem(quotes)
    np.testing.assert_allclose(problem.scale[[1, 2, 4, 5]], problem.half[[1, 2, 4, 5]])
    assert float(problem.scale[3]) == pytest.approx(2 * VOL * 0.25 * 0.0005, rel=1e-6)
    assert float(problem.half[3]) < float(problem.scale[3])
    assert float(problem.w_money[0]) == pytest.approx(VOL**2 * 0.25, rel=0.01)


def test_a_bid_without_vol_does_not_pull() -> None:
    call = np.ones(7, dtype=bool)
    mid = black76.price(F, K, T, VOL, call=call)
    bid, ask = mid * 0.97, mid * 1.03
    bid[0] = 39.0  # below the intrinsic value of 40
    quotes = book_quotes(
        expiry_y=T, strike_usd=K, call=call, bid=bid, ask=ask, forward_usd=F, coin=False
    ).quotes
    dense, strikes, left_out_y = dense_quotes(quotes)
    assert (strikes.tolist(), left_out_y) == ([6], ())
    assert fit_problem(dense).pull.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_two_strikes_are_no_smile() -> None:
    with pytest.raises(SparseSmileError, match=r"\[2\] distinct strikes"):
        dense_quotes(mark_quotes(expiry_y=T[:2], strike_usd=K[:2], vol=[0.6, 0.6], forward_usd=F[:2]))
