"""Model-free variance: the CBOE's printed examples, and an identity that needs no strip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from keeper.model.errors import UnfitValueError
from keeper.risk import black76
from keeper.risk.surfaces.svi import RawSvi, raw_svi
from keeper.risk.surfaces.variance_index import (
    EmptyStripError,
    index_level,
    smile_index,
    smile_variance,
    strip_variance,
)
from tests.risk.surfaces.cboe_2009 import NEAR, NEXT, RATE, Strip

NEAR_Y, NEXT_Y = 12_960 / 525_600, 53_280 / 525_600
"""Minutes to settlement as printed: 9 and 37 days."""


def variance(strip: Strip, expiry_y: float) -> float:
    return strip_variance(
        strike_usd=strip.strike,
        call_bid=strip.call_bid,
        call_ask=strip.call_ask,
        put_bid=strip.put_bid,
        put_ask=strip.put_ask,
        expiry_y=expiry_y,
        rate=RATE,
    ).variance_per_y


def test_cboe_2009_strip() -> None:
    near, following = variance(NEAR, NEAR_Y), variance(NEXT, NEXT_Y)
    assert near == pytest.approx(0.4727679, abs=5e-6)
    assert following == pytest.approx(0.3668180, abs=5e-7)
    assert index_level((NEAR_Y, near), (NEXT_Y, following)) == pytest.approx(61.22, abs=5e-3)


def test_cboe_2009_intermediate_figures() -> None:
    near = strip_variance(
        strike_usd=NEAR.strike, call_bid=NEAR.call_bid, call_ask=NEAR.call_ask, put_bid=NEAR.put_bid,
        put_ask=NEAR.put_ask, expiry_y=NEAR_Y, rate=RATE,
    )  # fmt: skip
    assert near.forward_usd == pytest.approx(920.50005, abs=1e-5)
    assert near.middle_strike_usd == 920.0
    # Two zero bids in a row, 350 and 375, end the puts at 400; 1225 and 1230 end the calls at 1220.
    assert near.strike_usd[[0, -1]].tolist() == [400.0, 1220.0]
    growth = np.exp(RATE * NEAR_Y)
    for strike, gap, price in ((400.0, 25.0, 0.125), (920.0, 5.0, 36.9), (1220.0, 5.0, 0.525)):
        own = float(near.contribution[near.strike_usd == strike][0])
        assert own == pytest.approx(gap / strike**2 * growth * price, rel=1e-12)


def test_cboe_indices_from_printed_variances() -> None:
    assert index_level((NEAR_Y, 0.4727679), (NEXT_Y, 0.3668180)) == pytest.approx(61.22, abs=5e-3)
    # White paper of 2014: minutes 35,924 and 46,394. The inputs are printed to 8 decimals.
    level = index_level((35_924 / 525_600, 0.01846292), (46_394 / 525_600, 0.01882101))
    assert level == pytest.approx(13.685821, abs=5e-6)


@given(st.floats(0.05, 2.0), st.floats(0.005, 1.0))
def test_flat_smiles_have_their_vol(vol: float, expiry_y: float) -> None:
    flat = raw_svi([vol**2 * expiry_y], 0.0, 0.0, 0.0, 0.1)
    assert float(smile_variance(flat, [expiry_y])[0]) == pytest.approx(vol**2, rel=1e-9)


def fukasawa(slice_: RawSvi) -> float:
    """Variance as the mean of w over a normal d2, another road to the same number.

    w_mf = integral of w(k(z)) n(z) dz with z = d2(k), decreasing in k (Fukasawa 2012, "The normalizing
    transformation of the implied volatility smile"; Gatheral, "The Volatility Surface", chapter 11).
    """
    k = np.concatenate([-np.geomspace(60.0, 1e-4, 60_000), np.geomspace(1e-4, 60.0, 60_000)])
    w = slice_.total_variance(k)
    z = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    assert (np.diff(z) < 0.0).all()
    mass = -np.diff(ndtr(z))
    return float((0.5 * (w[1:] + w[:-1]) * mass).sum())


@pytest.mark.parametrize(
    ("a", "b", "rho", "m", "sigma"),
    [(0.02, 0.1, -0.3, 0.0, 0.2), (0.002, 0.03, -0.5, 0.01, 0.05), (0.05, 0.3, 0.2, -0.1, 0.6)],
)
def test_strip_and_transform_agree(a: float, b: float, rho: float, m: float, sigma: float) -> None:
    slice_ = raw_svi([a], b, rho, m, sigma)
    assert float(smile_variance(slice_, [1.0])[0]) == pytest.approx(fukasawa(slice_), rel=1e-5)


def test_a_fine_strip_is_the_integral() -> None:
    slice_ = raw_svi([0.01], 0.05, -0.3, 0.0, 0.1)
    K = np.arange(200.0, 4000.0, 5.0)
    vol = np.sqrt(slice_.total_variance(np.log(K / 1000.0)) / 0.25)
    call, put = (black76.price(1000.0, K, 0.25, vol, call=right) for right in (True, False))
    strip = strip_variance(
        strike_usd=K, call_bid=call, call_ask=call, put_bid=put, put_ask=put, expiry_y=0.25
    )
    assert strip.forward_usd == pytest.approx(1000.0)
    assert strip.variance_per_y == pytest.approx(float(smile_variance(slice_, [0.25])[0]), rel=1e-3)


def test_smile_index_takes_the_expiries_around_30_days() -> None:
    flat = raw_svi(np.array([0.25, 0.16, 0.36]) * [0.02, 0.2, 0.5], 0.0, 0.0, 0.0, 0.1)
    T = [0.02, 0.2, 0.5]
    assert smile_index(flat, T) == pytest.approx(index_level((0.02, 0.25), (0.2, 0.16)), rel=1e-9)
    assert smile_index(flat, T, tenor_y=0.5) == pytest.approx(60.0, rel=1e-9)
    with pytest.raises(UnfitValueError):
        smile_index(flat[:1], [0.02])


def test_one_missing_bid_is_skipped_and_two_end_the_strip() -> None:
    K = np.arange(70.0, 135.0, 5.0)
    call, put = (black76.price(100.0, K, 0.1, 0.5, call=right) for right in (True, False))
    bids = np.where(np.isin(K, [85.0, 115.0, 120.0]), 0.0, 1.0)
    strip = strip_variance(
        strike_usd=K, call_bid=call * bids, call_ask=call, put_bid=put * bids, put_ask=put, expiry_y=0.1
    )
    assert strip.strike_usd.tolist() == [70.0, 75.0, 80.0, 90.0, 95.0, 100.0, 105.0, 110.0]


def test_strips_that_say_nothing_are_refused() -> None:
    K = np.array([90.0, 100.0, 110.0])
    ones, none = np.ones(3), np.zeros(3)
    for call_bid, put_bid, problem in (
        (ones, none, "both call and put"),
        (np.array([12.0, 5.0, 0.0]), np.array([1.0, 5.0, 11.0]), "no put below or no call"),
    ):
        with pytest.raises(EmptyStripError, match=problem):
            strip_variance(
                strike_usd=K,
                call_bid=call_bid,
                call_ask=call_bid,
                put_bid=put_bid,
                put_ask=put_bid,
                expiry_y=0.1,
            )
    with pytest.raises(EmptyStripError, match="below the forward"):
        strip_variance(
            strike_usd=K, call_bid=ones, call_ask=ones, put_bid=30 * ones, put_ask=30 * ones, expiry_y=0.1
        )
    with pytest.raises(UnfitValueError):
        strip_variance(
            strike_usd=K[::-1], call_bid=ones, call_ask=ones, put_bid=ones, put_ask=ones, expiry_y=0.1
        )
    with pytest.raises(UnfitValueError):
        strip_variance(strike_usd=K, call_bid=-ones, call_ask=ones, put_bid=ones, put_ask=ones, expiry_y=0.1)
    with pytest.raises(UnfitValueError):
        strip_variance(strike_usd=K, call_bid=ones, call_ask=ones, put_bid=ones, put_ask=ones, expiry_y=0.0)


@pytest.mark.parametrize(
    ("near", "following"), [((0.1, 0.2), (0.1, 0.2)), ((0.0, 0.2), (0.1, 0.2)), ((0.05, 5.0), (0.06, 0.01))]
)
def test_unfit_expiries_are_refused(near: tuple[float, float], following: tuple[float, float]) -> None:
    with pytest.raises(UnfitValueError):
        index_level(near, following)
