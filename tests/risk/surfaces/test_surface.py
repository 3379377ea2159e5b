"""Between and beyond slices: nodes are met, total variance rises, and shocks do what they are named for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.arbitrage import SurfaceArbitrageError, density_factor, least_density_factor
from keeper.risk.surfaces.surface import Surface, sticky_moneyness, sticky_strike, surface
from keeper.risk.surfaces.svi import RawSvi, joined, raw_svi
from keeper.risk.surfaces.svi_lift import settled
from tests.risk.surfaces.test_svi import slices

EXPIRIES, FORWARDS = np.array([0.02, 0.1, 0.4]), np.array([3000.0, 3010.0, 3050.0])
SMILES = raw_svi(
    [0.002, 0.012, 0.05], [0.02, 0.06, 0.12], [-0.3, -0.25, -0.2], [0.0, 0.01, 0.02], [0.06, 0.15, 0.35]
)
SURFACE = surface(EXPIRIES, FORWARDS, SMILES)
STRIKES = np.array([1500.0, 2500.0, 3000.0, 3500.0, 6000.0])


def test_slices_are_met_on_their_expiry() -> None:
    k = np.linspace(-1, 1, 9)
    for row, T in enumerate(EXPIRIES):
        np.testing.assert_allclose(SURFACE.total_variance(T, k), SMILES[row].total_variance(k), rtol=1e-14)
        vols = np.sqrt(SMILES[row].total_variance(np.log(STRIKES / FORWARDS[row])) / T)
        np.testing.assert_allclose(SURFACE.vol(T, STRIKES), vols, rtol=1e-14)


def test_many_points_at_once_are_the_points_one_by_one() -> None:
    T = np.array([0.01, 0.05, 0.1, 0.3, 0.9])
    whole = SURFACE.vol(T[:, None], STRIKES)
    assert whole.shape == (5, 5)
    for i, time in enumerate(T):
        for j, strike in enumerate(STRIKES):
            assert float(whole[i, j]) == float(SURFACE.vol(time, strike))


@settings(max_examples=40)
@given(st.lists(slices(), min_size=1, max_size=3), st.floats(-2.0, 2.0))
def test_total_variance_never_falls_in_time(parts: list[RawSvi], k: float) -> None:
    done = settled(joined(parts)).slices
    whole = surface(np.arange(1, done.a.size + 1) * 0.1, np.full(done.a.size, 100.0), done)
    w = whole.total_variance(np.linspace(0.0, 0.6, 61), k)
    assert (np.diff(w) >= -1e-9 * w[1:]).all()
    assert w[0] == 0.0


@given(slices(), st.floats(0.01, 1.0))
def test_before_the_first_expiry_no_butterfly_appears(slice_: RawSvi, share: float) -> None:
    """Scaling total variance down keeps g at least 0, as the module's proof says."""
    done = settled(slice_).slices
    scaled = raw_svi(done.a * share, done.b * share, done.rho, done.m, done.sigma)
    assert least_density_factor(scaled).least[0] >= -1e-8


def test_beyond_the_last_expiry_vol_at_the_money_stays() -> None:
    at = SURFACE.vol([0.4, 0.8, 4.0], 3050.0)
    np.testing.assert_allclose(at, at[0], rtol=1e-14)
    k = np.linspace(-3, 3, 13)
    rise = SURFACE.total_variance(0.8, k) - SURFACE.total_variance(0.4, k)
    np.testing.assert_allclose(rise, rise[0], rtol=1e-12)


def test_forwards_are_log_linear_and_flat_outside() -> None:
    assert SURFACE.forward([0.0, 0.02, 0.06, 0.1, 9.0]) == pytest.approx(
        [3000.0, 3000.0, np.sqrt(3000.0 * 3010.0), 3010.0, 3050.0]
    )


def test_density_between_slices_is_checked_on_the_interpolation() -> None:
    for row, T in enumerate(EXPIRIES):
        k = SMILES.m[row] + SMILES.sigma[row] * np.sinh(np.linspace(-8, 8, 401))
        own = float(density_factor(SMILES[row], k).min())
        assert SURFACE.least_density_factor(T) <= own + 1e-12
    T, k, h = 0.25, np.array([-0.5, 0.1, 0.7]), 1e-4
    w, up, down = (SURFACE.total_variance(T, k + shift) for shift in (0.0, h, -h))
    slope, curvature = (up - down) / (2 * h), (up - 2 * w + down) / h**2
    by_difference = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + curvature / 2
    assert SURFACE.least_density_factor(T) <= by_difference.min() + 1e-6
    assert SURFACE.least_density_factor(0.01) > 0.0
    assert SURFACE.least_density_factor(1.0) > 0.0


def test_sticky_moneyness_keeps_vol_at_fixed_moneyness() -> None:
    moved = sticky_moneyness(SURFACE, forward_move=-0.2)
    np.testing.assert_allclose(moved.vol(0.1, STRIKES * 0.8), SURFACE.vol(0.1, STRIKES), rtol=1e-12)
    assert moved.forward(0.1) == pytest.approx(3010.0 * 0.8)


@given(st.floats(-0.6, 1.5), st.floats(0.01, 0.39))
def test_sticky_strike_keeps_vol_at_fixed_strike(move: float, T: float) -> None:
    moved = sticky_strike(SURFACE, forward_move=move)
    np.testing.assert_allclose(moved.vol(T, STRIKES), SURFACE.vol(T, STRIKES), rtol=1e-9)
    assert moved.forward(T) == pytest.approx(float(SURFACE.forward(T)) * (1.0 + move))


@pytest.mark.parametrize("shock", [sticky_strike, sticky_moneyness])
def test_vol_moves_scale_every_vol(shock: type) -> None:
    moved = shock(SURFACE, forward_move=0.0, vol_move=0.25)
    np.testing.assert_allclose(
        moved.vol([[0.05], [0.4]], STRIKES), 1.25 * SURFACE.vol([[0.05], [0.4]], STRIKES)
    )
    each = shock(SURFACE, forward_move=0.0, vol_move=[0.5, 0.2, 0.0])
    np.testing.assert_allclose(each.vol(0.4, STRIKES), SURFACE.vol(0.4, STRIKES))
    np.testing.assert_allclose(each.vol(0.02, STRIKES), 1.5 * SURFACE.vol(0.02, STRIKES))


def test_arbitrage_after_a_shock_is_told() -> None:
    SURFACE.require_no_arbitrage()
    sticky_moneyness(SURFACE, forward_move=0.3, vol_move=-0.5).require_no_arbitrage()
    with pytest.raises(SurfaceArbitrageError):
        sticky_moneyness(SURFACE, forward_move=0.0, vol_move=[3.0, 0.0, 0.0]).require_no_arbitrage()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"expiry_y": []}, "expiry_y"),
        ({"expiry_y": [0.1, 0.02, 0.4]}, "expiry_y"),
        ({"expiry_y": [0.0, 0.02, 0.4]}, "expiry_y"),
        ({"forward_usd": [1.0, 1.0, 0.0]}, "forward_usd"),
        ({"forward_usd": [1.0]}, "forward_usd"),
        ({"slices": SMILES[:2]}, "slices"),
    ],
)
def test_unfit_surfaces_are_refused(changed: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"expiry_y": EXPIRIES, "forward_usd": FORWARDS, "slices": SMILES}
    with pytest.raises(UnfitValueError) as refusal:
        surface(**(good | changed))  # type: ignore[arg-type]
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("T", "K"), [(-0.1, 100.0), (np.nan, 100.0), (0.1, 0.0), (0.1, np.inf), (0.0, 100.0)]
)
def test_unfit_points_are_refused(T: float, K: float) -> None:
    with pytest.raises(UnfitValueError):
        SURFACE.vol(T, K)


def test_unfit_moves_are_refused() -> None:
    with pytest.raises(UnfitValueError):
        sticky_strike(SURFACE, forward_move=-1.0)
    with pytest.raises(UnfitValueError):
        sticky_moneyness(SURFACE, forward_move=0.0, vol_move=np.nan)


def test_a_surface_is_a_value() -> None:
    assert isinstance(SURFACE, Surface)
    with pytest.raises(AttributeError):
        SURFACE.slices = SMILES  # type: ignore[misc]
