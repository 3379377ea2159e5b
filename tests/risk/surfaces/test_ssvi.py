"""SSVI: the same slices as raw SVI, and conditions that hold where brute force finds no arbitrage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.arbitrage import least_calendar_gap, least_density_factor, require_no_arbitrage
from keeper.risk.surfaces.ssvi import Ssvi, butterfly_excess, calendar_excess, ssvi, steepest_eta

thetas = st.lists(st.floats(1e-4, 0.5), min_size=1, max_size=4).map(lambda rises: np.cumsum(rises))
rhos, gammas = st.floats(-0.95, 0.95), st.floats(0.0, 1.0)


@given(thetas, rhos, st.floats(0.05, 3.0), gammas)
def test_slices_are_the_surface(theta: np.ndarray, rho: float, eta: float, gamma: float) -> None:
    surface = ssvi(theta, rho, eta, gamma)
    k = np.linspace(-2, 2, 21)
    np.testing.assert_allclose(
        surface.slices()[:, None].total_variance(k), surface.total_variance(k), rtol=1e-9
    )
    np.testing.assert_allclose(surface.total_variance([0.0])[:, 0], theta, rtol=1e-12)


@given(thetas, rhos, gammas, st.floats(0.01, 1.0))
def test_within_the_limit_there_is_no_arbitrage(
    theta: np.ndarray, rho: float, gamma: float, share: float
) -> None:
    surface = ssvi(theta, rho, share * float(steepest_eta(theta, rho, gamma)), gamma)
    assert butterfly_excess(surface).max() <= 1e-9
    assert not calendar_excess(surface).any()
    require_no_arbitrage(surface.slices())


def test_first_limit_is_sharp() -> None:
    """theta phi (1 + |rho|) is twice the steeper wing, so 4 is Lee's bound."""
    theta, rho = np.array([1.5]), -0.4
    eta = 4.0 / np.sqrt(1.5) / 1.4
    assert float(butterfly_excess(ssvi(theta, rho, eta, 0.5))[0]) >= -1e-9
    beyond = ssvi(theta, rho, eta * 1.05, 0.5)
    assert float(butterfly_excess(beyond)[0]) > 0.0
    assert least_density_factor(beyond.slices()).least[0] < 0.0


@given(rhos)
def test_square_root_law_meets_its_familiar_condition(rho: float) -> None:
    """eta (1 + |rho|) <= 2 with gamma 1/2 is free for all variances up to 4 (arXiv:1204.0646, remark 4.4)."""
    theta = np.array([0.001, 0.1, 1.0, 3.9])
    surface = ssvi(theta, rho, 2.0 / (1.0 + abs(rho)), 0.5)
    assert butterfly_excess(surface).max() <= 1e-9
    assert least_density_factor(surface.slices()).least.min() >= -1e-9


def test_falling_variance_is_a_calendar_spread() -> None:
    surface = ssvi([0.04, 0.03, 0.05], -0.3, 0.8, 0.5)
    assert calendar_excess(surface) == pytest.approx([0.25, 0.0])
    slices = surface.slices()
    assert least_calendar_gap(slices[:-1], slices[1:]).least[0] < 0.0


@given(st.floats(-0.99, 0.99), gammas)
def test_the_power_law_never_breaks_the_calendar_condition(rho: float, gamma: float) -> None:
    """d(theta phi)/d theta = (1 - gamma) phi against phi (1 + sqrt(1 - rho**2)) / rho**2."""
    assert 0.0 <= (1.0 - gamma) * rho**2 <= 1.0 + np.sqrt(1.0 - rho**2)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"theta": [0.0]}, "theta"), ({"rho": 1.0}, "rho"), ({"eta": 0.0}, "eta"), ({"gamma": 1.1}, "gamma"),
     ({"eta": np.nan}, "eta"), ({"theta": [[0.1]]}, "theta")],
)  # fmt: skip
def test_unfit_numbers_are_refused(changed: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"theta": [0.04], "rho": 0.0, "eta": 1.0, "gamma": 0.5}
    with pytest.raises(UnfitValueError) as refusal:
        ssvi(**(good | changed))  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_phi_is_a_power() -> None:
    surface: Ssvi = ssvi([0.04, 0.16], 0.0, 0.5, 0.5)
    assert surface.phi == pytest.approx([2.5, 1.25])
