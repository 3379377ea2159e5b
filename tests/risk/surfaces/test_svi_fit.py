"""Calibration: known slices come back, the order of quotes is nothing, and arbitrage never survives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper.model.quote import VolSlice, VolSurface
from keeper.model.units import ONE, Wad
from keeper.risk import black76
from keeper.risk.surfaces.arbitrage import SurfaceArbitrageError, require_no_arbitrage
from keeper.risk.surfaces.fit_problem import SparseSmileError
from keeper.risk.surfaces.smile_quotes import SmileQuotes, board_quotes, book_quotes, mark_quotes, rows_of
from keeper.risk.surfaces.surface import surface
from keeper.risk.surfaces.svi import RawSvi, joined, raw_svi
from keeper.risk.surfaces.svi_fit import fit_svi, inside_band

EXPIRIES = np.array([0.02, 0.1, 0.4])
FORWARDS = np.array([3000.0, 3010.0, 3050.0])
KNOWN = raw_svi(
    [0.002, 0.012, 0.05], [0.02, 0.06, 0.12], [-0.3, -0.25, -0.2], [0.0, 0.01, 0.02], [0.06, 0.15, 0.35]
)


def grid(
    n: int = 15, sds: float = 2.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return expiries, forwards and strikes of n strikes an expiry, within some standard deviations."""
    sd = np.sqrt(KNOWN.total_variance(0.0))
    k = sd[:, None] * np.linspace(-sds, sds, n)
    return np.repeat(EXPIRIES, n), np.repeat(FORWARDS, n), (FORWARDS[:, None] * np.exp(k)).ravel()


def marks(slices: RawSvi, noise: NDArray[np.float64] | float = 0.0) -> SmileQuotes:
    T, F, K = grid()
    w = slices[np.searchsorted(EXPIRIES, T)].total_variance(np.log(K / F))
    return mark_quotes(expiry_y=T, strike_usd=K, vol=np.sqrt(w / T) + noise, forward_usd=F)


def books(half_spread_vol: float, shift_vol: NDArray[np.float64] | float = 0.0) -> SmileQuotes:
    T, F, K = grid()
    vol = np.sqrt(KNOWN[np.searchsorted(EXPIRIES, T)].total_variance(np.log(K / F)) / T) + shift_vol
    call = K > F
    bid, ask = (black76.price(F, K, T, vol + side * half_spread_vol, call=call) for side in (-1.0, 1.0))
    return book_quotes(
        expiry_y=T, strike_usd=K, call=call, bid=bid, ask=ask, forward_usd=F, coin=False
    ).quotes


def assert_same_smile(found: RawSvi, wanted: RawSvi, vol_tolerance: float) -> None:
    k = np.sqrt(wanted.total_variance(0.0))[:, None] * np.linspace(-2, 2, 41)
    vols = [np.sqrt(s[:, None].total_variance(k) / EXPIRIES[:, None]) for s in (found, wanted)]
    np.testing.assert_allclose(vols[0], vols[1], atol=vol_tolerance)


def test_known_parameters_are_recovered_from_exact_marks() -> None:
    fit = fit_svi(marks(KNOWN))
    for name in RawSvi.__slots__:
        np.testing.assert_allclose(getattr(fit.slices, name), getattr(KNOWN, name), rtol=1e-3, atol=1e-5)
    assert_same_smile(fit.slices, KNOWN, 1e-6)
    assert not fit.lift.any()
    np.testing.assert_allclose(fit.forward_usd, FORWARDS)


@settings(max_examples=25)
@given(
    st.floats(0.15, 1.2), st.floats(0.2, 0.6), st.floats(-0.5, 0.3), st.floats(-0.3, 0.3), st.floats(0.5, 1.5)
)
def test_any_tame_surface_is_recovered(
    vol: float, slope: float, rho: float, centre: float, width: float
) -> None:
    """All lengths in standard deviations, with wings below the steepness that the fit discourages."""
    sd = vol * np.sqrt(EXPIRIES)
    b, sigma = slope * sd / (1.0 + abs(rho)), width * sd
    known = raw_svi(sd**2 - b * sigma * (1.0 - rho * centre), b, rho, centre * sd, sigma)
    k = sd[:, None] * np.linspace(-2, 2, 15)
    w = known[:, None].total_variance(k)
    quotes = mark_quotes(
        expiry_y=np.repeat(EXPIRIES, 15),
        strike_usd=(FORWARDS[:, None] * np.exp(k)).ravel(),
        vol=np.sqrt(w / EXPIRIES[:, None]).ravel(),
        forward_usd=np.repeat(FORWARDS, 15),
    )
    found = fit_svi(quotes)
    require_no_arbitrage(found.slices)
    try:
        require_no_arbitrage(known)
    except SurfaceArbitrageError:
        return  # cannot come back, and must not
    vols = np.sqrt(found.slices[:, None].total_variance(k) / EXPIRIES[:, None])
    np.testing.assert_allclose(vols, np.sqrt(w / EXPIRIES[:, None]), atol=2e-4 * vol)


def test_quotes_with_a_band_hold_the_fit() -> None:
    zigzag = np.tile([0.004, -0.004, 0.0], 15)
    quotes = books(0.01, zigzag)
    fit = fit_svi(quotes)
    assert inside_band(quotes, fit).all()
    assert_same_smile(fit.slices, KNOWN, 0.006)


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_quotes_does_not_matter(random: object) -> None:
    T, F, K = grid()
    w = KNOWN[np.searchsorted(EXPIRIES, T)].total_variance(np.log(K / F))
    order = list(range(T.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = fit_svi(mark_quotes(expiry_y=T, strike_usd=K, vol=np.sqrt(w / T), forward_usd=F))
    two = fit_svi(
        mark_quotes(expiry_y=T[order], strike_usd=K[order], vol=np.sqrt(w / T)[order], forward_usd=F[order])
    )
    for name in RawSvi.__slots__:
        assert np.array_equal(getattr(one.slices, name), getattr(two.slices, name))


def test_one_stale_quote_does_not_bend_the_smile() -> None:
    shift = np.zeros(45)
    shift[20] = 0.25
    fit = fit_svi(books(0.005, shift))
    assert_same_smile(fit.slices, KNOWN, 0.01)


ARBITRAGE = [
    joined([KNOWN[2:], KNOWN[1:2], KNOWN[:1]]),
    raw_svi([-0.041, -0.041, -0.041], 0.1331, 0.306, 0.3586, 0.4153),
    raw_svi([0.01, 0.012, 0.02], [0.9, 0.3, 0.2], [-0.8, 0.6, 0.0], 0.0, [0.02, 0.05, 0.3]),
]


@pytest.mark.parametrize("case", range(len(ARBITRAGE)))
def test_quotes_with_arbitrage_give_a_surface_without(case: int) -> None:
    require_no_arbitrage(fit_svi(marks(ARBITRAGE[case])).slices)


@settings(max_examples=25)
@given(st.lists(st.floats(-0.15, 0.15), min_size=45, max_size=45))
def test_noise_gives_a_surface_without_arbitrage(noise: list[float]) -> None:
    quotes = marks(KNOWN, np.array(noise))
    fit = fit_svi(quotes)
    require_no_arbitrage(fit.slices)
    k = np.linspace(-1.5, 1.5, 301)
    w = fit.slices[:, None].total_variance(k)
    assert (np.diff(w, axis=0) >= -1e-9 * w[1:]).all()


def test_a_venue_board_becomes_a_surface() -> None:
    """Base vol times skew, as an automated market maker quotes it: six strikes, no bands."""
    strikes, skews = (1400, 1500, 1600, 1700, 1800, 2000), (1.25, 1.1, 1.0, 0.96, 0.97, 1.05)
    boards = tuple(
        VolSlice(
            expiry_s=days * 86_400,
            strikes=tuple(Wad(K * ONE) for K in strikes),
            vols=tuple(Wad(round(base * skew * ONE)) for skew in skews),
        )
        for days, base in ((7, 0.72), (28, 0.68), (84, 0.65))
    )
    venue = VolSurface(
        underlying="ETH",
        venue="lyra:10",
        chain_id=10,
        rate=Wad(0),
        slices=boards,
        source="test",
        observed_at_s=0,
    )
    fit = fit_svi(board_quotes(venue, spot_usd=1620.0, now_s=0))
    require_no_arbitrage(fit.slices)
    whole = surface(fit.expiry_y, fit.forward_usd, fit.slices)
    for T, base in zip(fit.expiry_y, (0.72, 0.68, 0.65), strict=True):
        vols = whole.vol(T, np.array(strikes[1:5], dtype=np.float64))
        np.testing.assert_allclose(vols, base * np.array(skews[1:5]), atol=0.03)


def test_few_strikes_still_give_a_smile() -> None:
    quotes = marks(KNOWN)
    few = rows_of(quotes, np.isin(np.arange(45) % 15, [3, 7, 11]))
    fit = fit_svi(few)
    require_no_arbitrage(fit.slices)
    w = fit.slices[few.expiry].total_variance(few.k)
    np.testing.assert_allclose(np.sqrt(w), np.sqrt(few.w_low), rtol=0.02)


def test_expiries_with_too_few_strikes_are_left_out_and_named() -> None:
    quotes = marks(KNOWN)
    keep = (quotes.expiry != 1) | (np.arange(45) % 15 < 2)
    fit = fit_svi(rows_of(quotes, keep))
    assert fit.left_out_y == (0.1,)
    assert fit.expiry_y.tolist() == [0.02, 0.4]
    assert not inside_band(rows_of(quotes, quotes.expiry == 1), fit).any()
    with pytest.raises(SparseSmileError) as refusal:
        fit_svi(rows_of(quotes, np.arange(45) % 15 < 2))
    assert refusal.value.strikes == (2, 2, 2)


def test_one_expiry_alone() -> None:
    alone = marks(KNOWN)
    fit = fit_svi(rows_of(alone, alone.expiry == 1))
    require_no_arbitrage(fit.slices)
    assert float(fit.slices.total_variance(0.0)[0]) == pytest.approx(
        float(KNOWN.total_variance(0.0)[1]), rel=1e-6
    )
