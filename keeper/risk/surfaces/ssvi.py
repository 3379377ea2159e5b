"""SSVI: one smile shape for all expiries, driven by total variance at the money.

    w(k, theta) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)**2 + 1 - rho**2)),   phi = eta theta**-gamma

theta is the total variance at the money of an expiry, rho and the power law phi belong to the surface. Each
slice is raw SVI: a = theta (1 - rho**2) / 2, b = theta phi / 2, m = -rho / phi, sigma = sqrt(1 - rho**2) /
phi.

No butterflies, for every theta in use:   theta phi (1 + |rho|) < 4   and   theta phi**2 (1 + |rho|) <= 4.
No calendar spreads: theta does not fall, and d(theta phi)/d theta lies in [0, phi (1 + sqrt(1 - rho**2)) /
rho**2]; for the power law 0 <= 1 - gamma <= (1 + sqrt(1 - rho**2)) / rho**2, which holds for every gamma in
0..1.

Few parameters, and arbitrage-free by conditions that are read off: for venues with few quotes, and as a
prior. Where bids and asks are dense, `svi_fit` follows them better.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, section 4: theorems 4.1 and 4.2, equation 4.5.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import Floats, finite, require
from keeper.risk.surfaces.svi import RawSvi, raw_svi

BUTTERFLY_LIMIT: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ssvi:
    """A power-law SSVI surface at E expiries. `ssvi` checks."""

    theta: Floats
    """Total variance at the money, above 0, shape (E,)."""

    rho: float
    """Between -1 and 1, exclusive."""

    eta: float
    """Level of the curvature, above 0."""

    gamma: float
    """Power of theta, 0..1."""

    @property
    def phi(self) -> Floats:
        """Curvature eta theta**-gamma, shape (E,)."""
        phi: Floats = self.eta * self.theta**-self.gamma
        return phi

    def slices(self) -> RawSvi:
        """Return the same slices as raw SVI, shape (E,)."""
        phi, root = self.phi, np.sqrt(1.0 - self.rho**2)
        return raw_svi(
            0.5 * self.theta * root**2, 0.5 * self.theta * phi, self.rho, -self.rho / phi, root / phi
        )

    def total_variance(self, k: ArrayLike) -> Floats:
        """Return w at log-moneyness k of shape (n,) or (E, n), shape (E, n)."""
        theta, z = self.theta[:, None], self.phi[:, None] * np.asarray(k, dtype=np.float64)
        w: Floats = 0.5 * theta * (1.0 + self.rho * z + np.sqrt((z + self.rho) ** 2 + 1.0 - self.rho**2))
        return w


def ssvi(theta: ArrayLike, rho: float, eta: float, gamma: float) -> Ssvi:
    """Return a checked surface. For the meaning of each number see `Ssvi`.

    Raises
    ------
    UnfitValueError
        A number that is not finite or out of its range. Arbitrage is no error here: see
        `butterfly_excess` and `calendar_excess`.
    """
    given = finite("theta", theta, shape=(None,))
    require("theta", given, given > 0.0, "above 0")
    for field, value, fits, expected in (
        ("rho", rho, abs(rho) < 1.0, "between -1 and 1"),
        ("eta", eta, eta > 0.0, "above 0"),
        ("gamma", gamma, 0.0 <= gamma <= 1.0, "in 0..1"),
    ):
        require(field, finite(field, value), fits, expected)
    return Ssvi(theta=given, rho=float(rho), eta=float(eta), gamma=float(gamma))


def butterfly_excess(surface: Ssvi) -> Floats:
    """Return by how much each expiry exceeds the limit of 4 on butterflies; at most 0 is free, shape (E,).

    The larger of theta phi (1 + |rho|) - 4 and theta phi**2 (1 + |rho|) - 4. The first has to stay below 4,
    the second at most at 4; a surface with exactly 4 in the first is reported as 0.
    """
    tilt, phi = 1.0 + abs(surface.rho), surface.phi
    excess: Floats = surface.theta * phi * np.maximum(1.0, phi) * tilt - BUTTERFLY_LIMIT
    return excess


def calendar_excess(surface: Ssvi) -> Floats:
    """Return by how much theta falls from each expiry to the next, relative, shape (E - 1,); 0 is free.

    With gamma in 0..1, which `ssvi` demands, the condition on phi holds for every rho.
    """
    return np.maximum(0.0, 1.0 - surface.theta[1:] / surface.theta[:-1])


def steepest_eta(theta: ArrayLike, rho: ArrayLike, gamma: ArrayLike) -> Floats:
    """Return the greatest eta that is free of butterflies at all expiries: the lesser of both limits.

    eta <= 4 theta**(gamma - 1) / (1 + |rho|),   eta <= 2 theta**(gamma - 1/2) / sqrt(1 + |rho|)

    theta of shape (E,), rho and gamma broadcast; the result has their shape. For gamma = 1/2 and variances
    below 4 this is the familiar eta <= 2 / sqrt(1 + |rho|), implied by eta (1 + |rho|) <= 2.
    """
    theta = np.asarray(theta, dtype=np.float64)
    tilt, power = (np.asarray(values, dtype=np.float64)[..., None] for values in (rho, gamma))
    tilt = 1.0 + np.abs(tilt)
    first = BUTTERFLY_LIMIT * theta ** (power - 1.0) / tilt
    second = np.sqrt(BUTTERFLY_LIMIT * theta ** (2.0 * power - 1.0) / tilt)
    limit: Floats = np.minimum(first * (1.0 - 1e-9), second).min(axis=-1)
    return limit
