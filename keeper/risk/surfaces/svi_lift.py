"""The repair that always ends: steepen wings where they cross, then lift the slice.

Lifting adds a constant to total variance. With wings of slope at most 2 it cures every butterfly, as
g tends to 1 - w'**2 / 16 + w'' / 2 >= 3 / 4 when the level grows; and it puts a later slice above an earlier
one, once both its wings are at least as steep. It is blunt: at-the-money vols move too. So it is the last
step of a calibration, where it is meant to find nothing left to do, and the fallback of finer repairs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats
from keeper.risk.surfaces.arbitrage import (
    CALENDAR_TOLERANCE,
    DENSITY_TOLERANCE,
    MAX_WING_SLOPE,
    least_calendar_gap,
    least_density_factor,
)
from keeper.risk.surfaces.svi import RawSvi, from_wings, joined

STEEPEST: Final = MAX_WING_SLOPE * (1.0 - 1e-6)
"""Wing slope that repairs allow: strictly below 2, so that far calls are worth nothing."""

_OF_TOLERANCE: Final = 0.1
_FIRST_LIFT: Final = 1e-4
"""First guess of a lift, as a fraction of the variance at the money."""

_TURNS: Final = 8
"""Corrections of a wing before the slice is lifted instead."""

_DOUBLINGS: Final = 60
_ROUNDING: Final = 1e-12
_PRECISION: Final = 1e-3
"""A lift is at most this fraction larger than it had to be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """Slices without arbitrage, and what it took."""

    slices: RawSvi
    """Shape (E,)."""

    lift: Floats
    """Total variance added to each slice, at least 0, shape (E,)."""


def settled(slices: RawSvi) -> Settled:
    """Return slices of shape (E,), ordered by expiry, free of butterflies and of calendar arbitrage.

    From the first expiry on, wings are capped below 2 and made at least as steep as those of the expiry
    before, and the slice is lifted by the least amount that makes g >= 0 and puts it above the slice
    before. Slices that are in order are returned as they are.

    Raises
    ------
    UnfitValueError
        If the parameters are not of shape (E,) with E >= 1, or so extreme that float64 cannot order them.
    """
    if slices.a.ndim != 1 or not slices.a.size:
        raise UnfitValueError("slices", f"shape is {slices.a.shape}, expected one row per expiry")
    lift = np.zeros(slices.a.size)
    if in_order(slices):
        return Settled(slices=slices, lift=lift)
    done: list[RawSvi] = []
    for row in range(slices.a.size):
        now, before = _capped(slices[row : row + 1]), done[-1] if done else None
        if before is not None:
            now = _steepened(now, before)
        lift[row] = _least_lift(now, before)
        done.append(raised(now, lift[row]))
    return Settled(slices=joined(done), lift=lift)


def in_order(slices: RawSvi) -> bool:
    """Return whether slices (E,), ordered by expiry, are free of butterfly and calendar arbitrage."""
    if (np.maximum(slices.left_slope, slices.right_slope) > STEEPEST * (1.0 + _ROUNDING)).any():
        return False
    if (least_density_factor(slices).least < -_OF_TOLERANCE * DENSITY_TOLERANCE).any():
        return False
    rise = least_calendar_gap(slices[:-1], slices[1:])
    return not (rise.least < -_OF_TOLERANCE * CALENDAR_TOLERANCE).any()


def raised(slices: RawSvi, lift: float | Floats) -> RawSvi:
    """Return the slices with a constant added to their total variance."""
    return RawSvi(a=slices.a + lift, b=slices.b, rho=slices.rho, m=slices.m, sigma=slices.sigma)


def _capped(now: RawSvi) -> RawSvi:
    """Return the slice with wings under the cap."""
    left, right = np.minimum(now.left_slope, STEEPEST), np.minimum(now.right_slope, STEEPEST)
    if (left == now.left_slope).all() and (right == now.right_slope).all():
        return now
    return _with_wings(now, left, right)


def _steepened(now: RawSvi, before: RawSvi) -> RawSvi:
    """Return the slice with wings steep enough to stay above the slice before far out.

    A wing that crosses late needs a little more slope, which is hardly felt at the money; a lift that does
    the same would be.
    """
    left = np.maximum(now.left_slope, before.left_slope)
    right = np.maximum(now.right_slope, before.right_slope)
    if (left != now.left_slope).any() or (right != now.right_slope).any():
        now = _with_wings(now, left, right)
    for _ in range(_TURNS):
        rise = least_calendar_gap(before, now)
        side = _side(now, float(rise.at[0]))
        if rise.least[0] >= 0.0 or side == 0 or not np.isfinite(rise.at[0]):
            break
        x = rise.at - now.m
        lack = before.total_variance(rise.at) - now.total_variance(rise.at)
        more = 1.01 * lack / (0.5 * (np.hypot(x, now.sigma) + side * x))
        left = np.minimum(now.left_slope + (more if side < 0 else 0.0), STEEPEST)
        right = np.minimum(now.right_slope + (more if side > 0 else 0.0), STEEPEST)
        now = _with_wings(now, left, right)
    return now


def _with_wings(now: RawSvi, left: Floats, right: Floats) -> RawSvi:
    """Return the slice with other wing slopes, and a least variance no lower than before."""
    bend = now.sigma * (np.sqrt(left * right) - np.sqrt(now.left_slope * now.right_slope))
    return from_wings(now.a - np.minimum(bend, 0.0), left, right, now.m, now.sigma)


def _side(now: RawSvi, k: float) -> int:
    """Return -1 or 1 where k is so far in the left or right wing that its slope decides, else 0."""
    m, sigma = float(now.m[0]), float(now.sigma[0])
    if k < min(0.0, m) - sigma:
        return -1
    return 1 if k > max(0.0, m) + sigma else 0


def _least_lift(now: RawSvi, before: RawSvi | None) -> float:
    """Return the least lift at which the slice is in order after the one before."""

    def fits(lift: float) -> bool:
        higher = raised(now, lift)
        return in_order(higher if before is None else joined([before, higher]))

    if fits(0.0):
        return 0.0
    low, high = 0.0, _FIRST_LIFT * float(now.total_variance(0.0)[0])
    for _ in range(_DOUBLINGS):
        if fits(high):
            break
        low, high = high, 2.0 * high
    else:
        raise UnfitValueError("slices", "cannot be put in order in float64, expected parameters of a market")
    while high - low > _PRECISION * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
