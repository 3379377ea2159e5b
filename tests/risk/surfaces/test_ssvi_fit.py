"""SSVI from quotes: a known surface comes back, and nothing that goes in brings arbitrage out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.risk.surfaces.arbitrage import require_no_arbitrage
from keeper.risk.surfaces.fit_problem import SparseSmileError
from keeper.risk.surfaces.smile_quotes import SmileQuotes, mark_quotes
from keeper.risk.surfaces.ssvi import Ssvi, butterfly_excess, calendar_excess, ssvi
from keeper.risk.surfaces.ssvi_fit import fit_ssvi

EXPIRIES = np.array([0.05, 0.2, 0.5])


def marks(surface: Ssvi, noise: list[float] | None = None, strikes: int = 9) -> SmileQuotes:
    sd = np.sqrt(surface.theta)
    k = sd[:, None] * np.linspace(-1.5, 1.5, strikes)
    w = np.array([surface.total_variance(k[i])[i] for i in range(sd.size)])
    vol = np.sqrt(w / EXPIRIES[: sd.size, None]).ravel()
    return mark_quotes(
        expiry_y=np.repeat(EXPIRIES[: sd.size], strikes),
        strike_usd=(2000.0 * np.exp(k)).ravel(),
        vol=vol + (0.0 if noise is None else np.array(noise)),
        forward_usd=np.full(vol.size, 2000.0),
    )


@settings(max_examples=15)
@given(st.floats(-0.6, 0.4), st.floats(0.3, 0.9), st.floats(0.3, 0.7))
def test_a_known_surface_is_recovered(rho: float, eta: float, gamma: float) -> None:
    known = ssvi([0.02, 0.08, 0.2], rho, eta, gamma)
    found = fit_ssvi(marks(known)).surface
    np.testing.assert_allclose(found.theta, known.theta, rtol=1e-4)
    assert found.rho == pytest.approx(rho, abs=2e-3)
    assert found.gamma == pytest.approx(gamma, abs=5e-3)
    assert found.eta == pytest.approx(eta, rel=1e-2)


@settings(max_examples=15)
@given(st.lists(st.floats(-0.2, 0.2), min_size=27, max_size=27))
def test_noise_gives_a_surface_without_arbitrage(noise: list[float]) -> None:
    fit = fit_ssvi(marks(ssvi([0.02, 0.08, 0.2], -0.3, 0.8, 0.5), noise))
    assert butterfly_excess(fit.surface).max() <= 1e-9
    assert not calendar_excess(fit.surface).any()
    require_no_arbitrage(fit.surface.slices())


def test_variance_that_falls_in_time_is_flattened() -> None:
    fit = fit_ssvi(marks(ssvi([0.2, 0.08, 0.02], -0.3, 0.4, 0.5)))
    require_no_arbitrage(fit.surface.slices())
    assert 0.02 < fit.surface.theta[0] <= fit.surface.theta[-1] < 0.2


def test_too_few_strikes_are_refused() -> None:
    with pytest.raises(SparseSmileError):
        fit_ssvi(marks(ssvi([0.02], -0.3, 0.8, 0.5), strikes=2))
