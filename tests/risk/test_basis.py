"""Minimum variance hedges: Hull's numbers and an independent regression."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.basis import basis_charge_usd, hedge_ratio_of, hedge_ratios, minimum_variance_ratio


def test_jet_fuel_with_heating_oil() -> None:
    # Source: Hull: 0.928 x 0.0263 / 0.0313 = 0.78; 2,000,000 / 42,000 gallons -> 37 contracts.
    hedge = minimum_variance_ratio(0.928, 0.0263, 0.0313)
    assert hedge.ratio == pytest.approx(0.7797571884984026, rel=1e-12)
    assert round(hedge.ratio * 2_000_000 / 42_000) == 37
    assert hedge.hedged_share == pytest.approx(0.928**2)


@given(st.floats(-0.99, 0.99), st.floats(0.001, 1.0), st.floats(0.001, 1.0))
def test_no_other_ratio_leaves_less_variance(rho: float, sS: float, sF: float) -> None:
    hedge = minimum_variance_ratio(rho, sS, sF)

    def variance(h: float) -> float:
        return sS**2 - 2 * h * rho * sS * sF + h**2 * sF**2

    least = variance(hedge.ratio)
    assert least <= min(variance(hedge.ratio * 1.01 + 1e-6), variance(hedge.ratio * 0.99 - 1e-6)) + 1e-15
    assert 1.0 - least / sS**2 == pytest.approx(hedge.hedged_share, abs=1e-9)


def test_recorded_moves_give_the_slope_of_the_regression() -> None:
    rng = np.random.default_rng(1)
    future = rng.standard_normal(200) * 0.03 + 0.001
    spot = 0.9 * future + rng.standard_normal(200) * 0.01
    hedge = hedge_ratio_of(spot, future)
    slope, _ = np.polyfit(future, spot, 1)
    assert hedge.ratio == pytest.approx(float(slope))
    assert hedge.hedged_share == pytest.approx(float(np.asarray(np.corrcoef(spot, future))[0, 1]) ** 2)


def test_several_hedges_agree_with_least_squares() -> None:
    rng = np.random.default_rng(2)
    moves = rng.standard_normal((500, 3)) @ np.array([[1.0, 0.8, 0.7], [0.0, 0.3, 0.1], [0.0, 0.0, 0.2]])
    ratios = hedge_ratios(moves.T @ moves / 500, target=0)
    direct, *_ = np.linalg.lstsq(moves[:, 1:], moves[:, 0], rcond=None)
    np.testing.assert_allclose(ratios, [0.0, *direct], rtol=1e-9)


def test_collinear_hedges_share_the_position() -> None:
    twice = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert hedge_ratios(twice, target=0).tolist() == pytest.approx([0.0, 0.5, 0.5])
    assert hedge_ratios([[2.0]], target=0).tolist() == [0.0]


def test_basis_charge() -> None:
    # Source: cross-chain example: 1 % on 9 BTC at 60,000.
    assert float(basis_charge_usd(9.0, 60_000.0)) == pytest.approx(5_400.0)
    assert basis_charge_usd([1.0, 2.0], [10.0, 20.0], rate=[0.1, 0.2]).tolist() == pytest.approx([1.0, 8.0])


def test_unfit_input_is_refused() -> None:
    with pytest.raises(UnfitValueError, match="correlation"):
        minimum_variance_ratio(1.1, 0.1, 0.1)
    with pytest.raises(UnfitValueError, match="vol_hedge"):
        minimum_variance_ratio(0.5, 0.1, 0.0)
    with pytest.raises(UnfitValueError, match="hedge_moves"):
        hedge_ratio_of([0.1, 0.2], [0.3, 0.3])
    with pytest.raises(UnfitValueError, match="moves"):
        hedge_ratio_of([0.1], [0.3])
    with pytest.raises(UnfitValueError, match="target"):
        hedge_ratios([[1.0]], target=1)
    with pytest.raises(UnfitValueError, match="hedged_base"):
        basis_charge_usd(-1.0, 1.0)


def test_a_position_that_stands_still_needs_no_hedge() -> None:
    assert hedge_ratio_of([0.1, 0.1], [0.1, 0.2]).ratio == 0.0


def test_edges_are_allowed() -> None:
    for rho in (-1.0, 1.0):
        perfect = minimum_variance_ratio(rho, 0.02, 0.04)
        assert (perfect.ratio, perfect.hedged_share) == (0.5 * rho, 1.0)
    assert minimum_variance_ratio(0.5, 0.0, 0.04).ratio == 0.0
    assert float(basis_charge_usd(0.0, 0.0, rate=0.0)) == 0.0
    assert hedge_ratios([[1.0, 0.5], [0.5, 1.0]], target=1).tolist() == pytest.approx([0.5, 0.0])
    with pytest.raises(UnfitValueError, match=r"0\.\.1"):
        hedge_ratios([[1.0, 0.5], [0.5, 1.0]], target=-1)
