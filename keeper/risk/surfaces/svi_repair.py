"""Taking the butterfly arbitrage out of an SVI slice without moving it at the money.

Jump-wing parameters show what may be given up: variance, skew and the flatter wing stay, the steeper wing
and the least variance go.

* guaranteed: c' = p + 2 psi, v_tilde' = v 4 p c' / (p + c')**2. The slice is then an SSVI slice, free of
  butterflies if sqrt(v T) max(p, c') < 2 and (p + c') max(p, c') <= 2.
* closest: the pair (c, v_tilde) between the guaranteed one and the original that moves out-of-the-money
  prices least while g >= 0.

Where the left wing is the steeper one, both are done in the mirror, k -> -k. Where the conditions fail (the
wings are too steep altogether, or there is hardly any skew to hang them on) the slice is lifted instead.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, section 5.1 and corollary 4.1. The paper prints (c,
v_tilde) = (0.8564763, 0.0116249) as optimal for its example, without the strikes and the size of the
penalty that led there. Its g is nowhere below 0.008, so that pair is free of butterflies, but not the
closest: the pair found here moves prices less.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from keeper.model.errors import UnfitValueError
from keeper.risk.black76 import time_value
from keeper.risk.inputs import Floats
from keeper.risk.surfaces.arbitrage import least_density_factor
from keeper.risk.surfaces.svi import JumpWing, RawSvi, from_jump_wing, joined, jump_wing
from keeper.risk.surfaces.svi_lift import settled

_LEAST_SKEW: Final = 1e-4
"""Below this psi, relative to the wings, the least variance is at the money and says nothing of sigma."""

_GRID: Final = np.linspace(0.0, 1.0, 11)
_ZOOMS: Final = 8
_ZOOM: Final = 0.35
_PRICED_SD: Final = np.linspace(-8.0, 8.0, 65)


def guaranteed_repair(slices: RawSvi) -> RawSvi:
    """Return slices of shape (E,) without butterflies, by closed form where there is one.

    Slices that are free already come back as they are.

    Examples
    --------
    >>> from keeper.risk.surfaces.svi import raw_svi
    >>> vogt = raw_svi([-0.041], 0.1331, 0.306, 0.3586, 0.4153)
    >>> jump_wing(guaranteed_repair(vogt), 1.0).c.round(7).tolist()
    [0.3493158]
    """
    return _each(slices, _guaranteed)


def closest_repair(slices: RawSvi) -> RawSvi:
    """Return slices of shape (E,) without butterflies, as near to the given ones as prices can tell.

    Distance is `price_distance`. Slices that are free already come back as they are.
    """
    return _each(slices, _closest)


def price_distance(slices: RawSvi, reference: RawSvi) -> Floats:
    """Return the sum of squared differences of out-of-the-money prices, in units of the forward squared.

    Summed over 65 values of k, evenly spaced within 8 standard deviations of the reference at the money.
    Slices of shape (n,), reference of shape (1,) or (n,).
    """
    k = _PRICED_SD * np.sqrt(reference.total_variance(0.0))[:, None]
    near = np.minimum(1.0, np.exp(k))
    wanted = near * _time_value(reference[:, None].total_variance(k), k)
    got = near * _time_value(slices[:, None].total_variance(k), k)
    distance: Floats = ((got - wanted) ** 2).sum(axis=1)
    return distance


def _each(slices: RawSvi, repair: Callable[[RawSvi], RawSvi]) -> RawSvi:
    if slices.a.ndim != 1:
        raise UnfitValueError("slices", f"shape is {slices.a.shape}, expected one row per slice")
    offends = least_density_factor(slices).least < 0.0
    rows = [slices[row : row + 1] for row in range(slices.a.size)]
    return joined([repair(slice_) if bad else slice_ for slice_, bad in zip(rows, offends, strict=True)])


def _guaranteed(slice_: RawSvi) -> RawSvi:
    flip = bool(slice_.rho[0] < 0.0)
    target = _ssvi_target(jump_wing(mirrored(slice_) if flip else slice_, 1.0))
    if target is None:
        return settled(slice_).slices
    return mirrored(target) if flip else target


def _closest(slice_: RawSvi) -> RawSvi:
    flip = bool(slice_.rho[0] < 0.0)
    original = mirrored(slice_) if flip else slice_
    jw = jump_wing(original, 1.0)
    best = _ssvi_target(jw)
    if best is None:
        return settled(slice_).slices
    start = jump_wing(best, 1.0)
    # Both coordinates run from the guaranteed pair, 0, to the original, 1.
    centre, width = np.array([0.0, 0.0]), 1.0
    for _ in range(_ZOOMS):
        low = np.clip(centre - width, 0.0, 1.0)
        high = np.clip(centre + width, 0.0, 1.0)
        s, t = (axis.ravel() for axis in np.meshgrid(*(low + (high - low) * _GRID[:, None]).T))
        tried = from_jump_wing(
            jw.v, jw.psi, jw.p, start.c + s * (jw.c - start.c),
            start.v_tilde + t * (jw.v_tilde - start.v_tilde), 1.0,
        )  # fmt: skip
        distance = np.where(least_density_factor(tried).least >= 0.0, price_distance(tried, original), np.inf)
        at = int(distance.argmin())
        if distance[at] < price_distance(best, original)[0]:
            best, centre = tried[at : at + 1], np.array([s[at], t[at]])
        width *= _ZOOM
    return mirrored(best) if flip else best


def mirrored(slices: RawSvi) -> RawSvi:
    """Return the slices with k and -k exchanged."""
    return RawSvi(a=slices.a, b=slices.b, rho=-slices.rho, m=-slices.m, sigma=slices.sigma)


def _ssvi_target(jw: JumpWing) -> RawSvi | None:
    """Return the SSVI slice with the same v, psi and p, or None where there is none free of butterflies."""
    c = jw.p + 2.0 * jw.psi
    steepest = np.maximum(jw.p, c)
    fits = (c > 0.0) & (np.abs(jw.psi) > _LEAST_SKEW * (jw.p + jw.c))
    fits &= (np.sqrt(jw.v) * steepest < 2.0) & ((jw.p + c) * steepest <= 2.0)
    if not fits.all():
        return None
    target = from_jump_wing(jw.v, jw.psi, jw.p, c, jw.v * 4.0 * jw.p * c / (jw.p + c) ** 2, 1.0)
    return target if least_density_factor(target).least.min() >= 0.0 else None


def _time_value(w: Floats, k: Floats) -> Floats:
    distance, sd = np.broadcast_arrays(np.abs(k), np.sqrt(w))
    return time_value(distance, sd)
