"""SVI: the smile of one expiry as a hyperbola in log-moneyness.

k = ln(K / F) is the log-moneyness, w = vol**2 T the total variance. With x = k - m and
r = sqrt(x**2 + sigma**2), the raw slice and its derivatives are

    w = a + b (rho x + r),   w' = b (rho + x / r),   w'' = b sigma**2 / r**3

The wings are lines of slope -b (1 - rho) to the left and b (1 + rho) to the right; the least variance is
a + b sigma sqrt(1 - rho**2), at k = m - rho sigma / sqrt(1 - rho**2).

The jump-wing parameters of the same slice mean something to a trader and hardly move with time: variance and
skew at the money, the two wings, the least variance. Whether a slice admits arbitrage is asked of
`risk.arbitrage`.

Source: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", arXiv:1204.0646, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.inputs import Floats, finite, require


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSvi:
    """Raw parameters of one or more slices, all of one shape, usually (E,) for E expiries.

    Holds what it is given; `raw_svi` checks. Methods broadcast k against the shape of the parameters:
    `slices[:, None].total_variance(k)` gives a table of E rows.
    """

    a: Floats
    """Level of total variance. May be negative as long as the least variance is not."""

    b: Floats
    """Mean slope of the wings, at least 0."""

    rho: Floats
    """Tilt, strictly between -1 and 1. Negative: the left wing is the steeper one."""

    m: Floats
    """Log-moneyness of the centre."""

    sigma: Floats
    """Width of the bend in log-moneyness, above 0. No vol."""

    def __getitem__(self, key: Any) -> Self:
        """Return the slices at a numpy index, applied to every parameter."""
        return type(self)(**{field.name: getattr(self, field.name)[key] for field in fields(self)})

    @property
    def left_slope(self) -> Floats:
        """Slope of w to the left, towards falling strikes: b (1 - rho), at least 0."""
        slope: Floats = self.b * (1.0 - self.rho)
        return slope

    @property
    def right_slope(self) -> Floats:
        """Slope of w towards rising strikes: b (1 + rho), at least 0."""
        slope: Floats = self.b * (1.0 + self.rho)
        return slope

    @property
    def least_variance(self) -> Floats:
        """Least total variance of the slice."""
        least: Floats = self.a + self.b * self.sigma * np.sqrt(1.0 - self.rho**2)
        return least

    @property
    def least_at(self) -> Floats:
        """Log-moneyness of the least total variance."""
        at: Floats = self.m - self.rho * self.sigma / np.sqrt(1.0 - self.rho**2)
        return at

    def total_variance(self, k: ArrayLike) -> Floats:
        """Return w at log-moneyness k."""
        x = np.asarray(k, dtype=np.float64) - self.m
        w: Floats = self.a + self.b * (self.rho * x + np.hypot(x, self.sigma))
        return w

    def derivatives(self, k: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return w, w' and w'' at log-moneyness k."""
        x = np.asarray(k, dtype=np.float64) - self.m
        r = np.hypot(x, self.sigma)
        w = self.a + self.b * (self.rho * x + r)
        slope = self.b * (self.rho + x / r)
        curvature = self.b * (self.sigma / r) ** 2 / r
        return w, slope, curvature


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JumpWing:
    """Jump-wing parameters of one or more slices, all of one shape."""

    v: Floats
    """Variance per year at the money (K = F), above 0."""

    psi: Floats
    """Skew at the money: slope of the vol in k, times sqrt(T)."""

    p: Floats
    """Slope of the left (put) wing, b (1 - rho) / sqrt(v T), at least 0."""

    c: Floats
    """Slope of the right (call) wing, b (1 + rho) / sqrt(v T), at least 0."""

    v_tilde: Floats
    """Least variance per year, at most `v`."""

    expiry_y: Floats
    """Years to expiry, above 0."""


def raw_svi(a: ArrayLike, b: ArrayLike, rho: ArrayLike, m: ArrayLike, sigma: ArrayLike) -> RawSvi:
    """Return checked raw slices from parameters that broadcast. For the meaning of each see `RawSvi`.

    Raises
    ------
    UnfitValueError
        NaN or infinity; b below 0, |rho| not below 1, sigma not above 0, or a least variance not above 0.

    Examples
    --------
    >>> float(raw_svi(-0.041, 0.1331, 0.306, 0.3586, 0.4153).total_variance(0.0).round(8))
    0.01742625
    """
    given = {"a": a, "b": b, "rho": rho, "m": m, "sigma": sigma}
    arrays = np.broadcast_arrays(*(finite(field, values) for field, values in given.items()))
    slices = RawSvi(**dict(zip(given, arrays, strict=True)))
    require("b", slices.b, slices.b >= 0.0, "at least 0")
    require("rho", slices.rho, np.abs(slices.rho) < 1.0, "between -1 and 1")
    require("sigma", slices.sigma, slices.sigma > 0.0, "above 0")
    require("least_variance", slices.least_variance, slices.least_variance > 0.0, "above 0")
    return slices


def jump_wing(slices: RawSvi, expiry_y: ArrayLike) -> JumpWing:
    """Return the jump-wing parameters of raw slices.

        v = w(0) / T,   psi = w'(0) / (2 sqrt(v T)),   p, c = b (1 -+ rho) / sqrt(v T)

    Raises
    ------
    UnfitValueError
        A time that is not finite and above 0.

    Examples
    --------
    >>> float(jump_wing(raw_svi(-0.041, 0.1331, 0.306, 0.3586, 0.4153), 1.0).psi.round(7))
    -0.1752111
    """
    T = _above_zero("expiry_y", expiry_y)
    w, slope, _ = slices.derivatives(0.0)
    root = np.sqrt(w)
    return JumpWing(
        v=w / T,
        psi=slope / (2.0 * root),
        p=slices.left_slope / root,
        c=slices.right_slope / root,
        v_tilde=slices.least_variance / T,
        expiry_y=np.broadcast_to(T, w.shape),
    )


def from_jump_wing(
    v: ArrayLike, psi: ArrayLike, p: ArrayLike, c: ArrayLike, v_tilde: ArrayLike, expiry_y: ArrayLike
) -> RawSvi:
    """Return the raw slices of jump-wing parameters, the inverse of `jump_wing`.

    With s = sqrt(v T):  b = s (p + c) / 2,  rho = 1 - p s / b,  and beta = m / R = rho - 2 psi s / b, where
    R = sqrt(m**2 + sigma**2). The depth of the bend gives R, since with rho and beta as sines

        (v - v_tilde) T = b R (1 - cos(asin(rho) - asin(beta)))

    This form has no case distinction by the sign of beta, and keeps its digits near beta = rho.

    Raises
    ------
    UnfitValueError
        v or T not above 0, v_tilde not in (0, v], a negative wing or none at all, psi steeper than a wing
        (|beta| not below 1), or a bend without a depth: beta = rho says that the least variance is at the
        money, and then v = v_tilde tells nothing about sigma.

    Notes
    -----
    Source: arXiv:1204.0646, lemma 3.2, whose alpha is sigma sign(beta) / m.
    """
    given = {"v": v, "psi": psi, "p": p, "c": c, "v_tilde": v_tilde, "expiry_y": expiry_y}
    v, psi, p, c, v_tilde, T = np.broadcast_arrays(*(finite(name, array) for name, array in given.items()))
    _above_zero("v", v)
    _above_zero("expiry_y", T)
    require("v_tilde", v_tilde, (v_tilde > 0.0) & (v_tilde <= v), "above 0 and at most v")
    require("p", p, (p >= 0.0) & (p + c > 0.0), "a wing of at least 0, one of both above 0")
    require("c", c, c >= 0.0, "at least 0")
    s = np.sqrt(v * T)
    b = 0.5 * s * (p + c)
    rho = (c - p) / (c + p)
    beta = rho - 4.0 * psi / (p + c)
    require("psi", psi, np.abs(beta) < 1.0, "between the slopes of the wings, -p / 2 and c / 2")
    half_angle = 0.5 * (np.arcsin(rho) - np.arcsin(beta))
    require("psi", psi, half_angle != 0.0, "other than 0 where the least variance is at the money")
    R = (v - v_tilde) * T / (2.0 * b * np.sin(half_angle) ** 2)
    require("v_tilde", v_tilde, R > 0.0, "below v where the skew at the money is not 0")
    sigma = R * np.sqrt(1.0 - beta**2)
    return raw_svi(v_tilde * T - b * sigma * np.sqrt(1.0 - rho**2), b, rho, beta * R, sigma)


def from_wings(
    a: ArrayLike, left_slope: ArrayLike, right_slope: ArrayLike, m: ArrayLike, sigma: ArrayLike
) -> RawSvi:
    """Return raw slices from their two wing slopes: b = (L + R) / 2, rho = (R - L) / (R + L).

    w = a + L (r - x) / 2 + R (r + x) / 2 is linear in (a, L, R), and both of the last terms are at least
    0. A flat slice, L = R = 0, has rho = 0. Slopes are at least 0; a slope of 0 beside a positive one is
    raised to 1e-12 of it, because rho may not reach 1.

    Raises
    ------
    UnfitValueError
        As `raw_svi`.
    """
    left, right = np.broadcast_arrays(finite("left_slope", left_slope), finite("right_slope", right_slope))
    b = 0.5 * (left + right)
    with np.errstate(invalid="ignore"):
        rho = np.where(b > 0.0, 0.5 * (right - left) / b, 0.0)
    return raw_svi(a, b, np.clip(rho, -1.0 + 1e-12, 1.0 - 1e-12), m, sigma)


def _above_zero(field: str, values: ArrayLike) -> Floats:
    array = finite(field, values)
    require(field, array, array > 0.0, "above 0")
    return array


def joined(parts: Sequence[RawSvi]) -> RawSvi:
    """Return slices of shapes (n,), (m,) ... as one of shape (n + m + ...,)."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(RawSvi)
    }
    return RawSvi(**columns)
