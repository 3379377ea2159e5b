"""Static arbitrage of SVI slices: butterflies within an expiry, calendar spreads between two.

A slice is free of butterfly arbitrage where the density of the forward at expiry is nowhere negative, that is

    g(k) = (1 - k w' / (2 w))**2 - (w'**2 / 4) (1 / w + 1 / 4) + w'' / 2  >=  0   for every k,

and where a call of ever higher strike is worth ever less, which the wings decide: b (1 + |rho|) <= 2. At
k = +-infinity g tends to (1 - slope**2 / 4) / 4. Two slices are free of calendar arbitrage where the later
one has at least the total variance of the earlier at every k, K / F being what is held fixed.

Both are questions about the whole line. The minimum is searched on nodes that are dense where a hyperbola
can bend, around its centre on the scale of sigma, and around its least variance on the scale on which w
doubles, and that reach far into the wings; the lowest local minima are then closed in on by zooming.

Rejected: the closed conditions on the raw parameters (Martini and Mingone), which need the root of an
implicit equation for each slice anyway; and, for calendar spreads, the roots of the quartic, whose double
roots are the normal case at the edge of arbitrage and the worst case for a root finder. A test keeps it as
the oracle.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, definitions 2.1-2.3, lemmas 2.1-2.2, equation 2.1;
Lee (2004) for the wings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.inputs import Floats
from keeper.risk.surfaces.svi import RawSvi

MAX_WING_SLOPE: Final = 2.0
"""Greatest slope of total variance in a wing, b (1 + |rho|)."""

DENSITY_TOLERANCE: Final = 1e-9
"""g may fall this far below 0: its rounding error where 1 / w is large."""

CALENDAR_TOLERANCE: Final = 1e-9
"""Total variance may fall by this fraction from one expiry to the next: rounding of the parameters."""

_REACH: Final = 12.0
"""Nodes reach sinh(12) = 8e4 widths into the wings, where g is at its limit to 1e-5 of a slope."""

_NODES: Final = np.sinh(np.linspace(-_REACH, _REACH, 193))
_FLAT_WING: Final = 1e-9
"""A slope this small beside the other wing is rounding of rho, which may not reach 1."""

_CANDIDATES: Final = 3
_ZOOMS: Final = 6
_ZOOM_NODES: Final = np.linspace(0.0, 1.0, 13)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extremes:
    """Least value of a test over all k, one per slice or pair of slices."""

    least: Floats
    """The least value; at least 0 means free of arbitrage."""

    at: Floats
    """Log-moneyness where it is taken; infinite where it is the limit of a wing."""


class SurfaceArbitrageError(DataError):
    """A fitted or given surface admits arbitrage."""

    butterflies: tuple[tuple[int, float, float], ...]
    """(Row of the expiry, k, g there), for slices whose density is negative or whose wing is too steep."""

    calendars: tuple[tuple[int, float, float], ...]
    """(Row of the later expiry, k, relative change of total variance from the row before), where it falls."""

    def __init__(
        self,
        butterflies: tuple[tuple[int, float, float], ...],
        calendars: tuple[tuple[int, float, float], ...],
    ) -> None:
        parts = [f"butterfly in row {row}: g({k:.4g}) = {g:.3g}" for row, k, g in butterflies]
        parts += [
            f"calendar between rows {row - 1} and {row}: w changes by {100.0 * gap:.3g} % at k = {k:.4g}"
            for row, k, gap in calendars
        ]
        super().__init__("; ".join(parts) + "; repair the slices or leave the expiries out")
        self.butterflies = butterflies
        self.calendars = calendars


def density_factor(slices: RawSvi, k: ArrayLike) -> Floats:
    """Return g(k), by which a slice's density differs from the lognormal one of the same d2.

    Broadcasts as `RawSvi` does. The density of ln(S_T / F) at k is g(k) n(d2) / sqrt(w).

    Examples
    --------
    >>> from keeper.risk.surfaces.svi import raw_svi
    >>> float(density_factor(raw_svi(-0.041, 0.1331, 0.306, 0.3586, 0.4153), 0.9).round(8))
    -0.03268513
    """
    k = np.asarray(k, dtype=np.float64)
    w, slope, curvature = slices.derivatives(k)
    g: Floats = (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * curvature
    return g


def least_density_factor(slices: RawSvi) -> Extremes:
    """Return the minimum of g over the whole line and where it is, shape (E,) for slices of shape (E,).

    Includes the limits of the wings, which are negative where a slope exceeds 2.
    """
    column = slices[:, None]
    least, at = _minimum(lambda k: density_factor(column, k), _nodes(column))
    return _with_wings(
        least,
        at,
        left=0.25 * (1.0 - 0.25 * slices.left_slope**2),
        right=0.25 * (1.0 - 0.25 * slices.right_slope**2),
    )


def least_calendar_gap(earlier: RawSvi, later: RawSvi) -> Extremes:
    """Return the minimum over all k of the relative rise of total variance, w_later / w_earlier - 1.

    Slices of shape (n,) are compared one by one. In the wings it tends to the ratio of the slopes less 1; two
    wings that are both flat are compared where the nodes end.
    """
    low, high = earlier[:, None], later[:, None]

    def rise(k: Floats) -> Floats:
        relative: Floats = high.total_variance(k) / low.total_variance(k) - 1.0
        return relative

    least, at = _minimum(rise, np.concatenate([_nodes(low), _nodes(high)], axis=1))
    return _with_wings(
        least,
        at,
        left=_ratio(later.left_slope, earlier.left_slope, earlier.b) - 1.0,
        right=_ratio(later.right_slope, earlier.right_slope, earlier.b) - 1.0,
    )


def require_no_arbitrage(slices: RawSvi) -> None:
    """Check slices of shape (E,), ordered by expiry, for butterflies and for calendars between neighbours.

    Neighbours suffice, as the order of total variance carries over from pair to pair.

    Raises
    ------
    SurfaceArbitrageError
        With every offending expiry and log-moneyness.
    UnfitValueError
        If the parameters are not of shape (E,) with E >= 1.
    """
    if slices.a.ndim != 1 or not slices.a.size:
        raise UnfitValueError("slices", f"shape is {slices.a.shape}, expected one row per expiry")
    density = least_density_factor(slices)
    rise = least_calendar_gap(slices[:-1], slices[1:])
    butterflies = tuple(
        (int(row), float(density.at[row]), float(density.least[row]))
        for row in np.flatnonzero(density.least < -DENSITY_TOLERANCE)
    )
    calendars = tuple(
        (int(row) + 1, float(rise.at[row]), float(rise.least[row]))
        for row in np.flatnonzero(rise.least < -CALENDAR_TOLERANCE)
    )
    if butterflies or calendars:
        raise SurfaceArbitrageError(butterflies, calendars)


def _nodes(column: RawSvi) -> Floats:
    """Return nodes of shape (E, n) around the centre, around the least variance, and at the money."""
    least, at = column.least_variance, column.least_at
    _, _, curvature = column.derivatives(at)
    with np.errstate(divide="ignore"):
        doubling = np.sqrt(2.0 * least / curvature)
    width = np.minimum(doubling, column.sigma)
    centre = column.m + column.sigma * _NODES
    bottom = at + width * _NODES[np.abs(_NODES) < 1e3]
    return np.concatenate([centre, bottom, np.zeros_like(column.m)], axis=1)


def _minimum(value: Callable[[Floats], Floats], nodes: Floats) -> tuple[Floats, Floats]:
    """Return the minimum of a row-wise function and its place, both of shape (E,)."""
    E = nodes.shape[0]
    rows = np.arange(E)[:, None]
    k = np.sort(nodes, axis=1)
    values = value(k)
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
    is_local = (values <= padded[:, :-2]) & (values <= padded[:, 2:])
    best = np.argpartition(np.where(is_local, values, np.inf), _CANDIDATES, axis=1)[:, :_CANDIDATES]
    low = k[rows, np.maximum(best - 1, 0)]
    high = k[rows, np.minimum(best + 1, k.shape[1] - 1)]
    for _ in range(_ZOOMS):
        grid = low[..., None] + (high - low)[..., None] * _ZOOM_NODES
        found = value(grid.reshape(E, _CANDIDATES * _ZOOM_NODES.size)).reshape(grid.shape)
        place = found.argmin(axis=2)[..., None]
        low = np.take_along_axis(grid, np.maximum(place - 1, 0), axis=2)[..., 0]
        high = np.take_along_axis(grid, np.minimum(place + 1, _ZOOM_NODES.size - 1), axis=2)[..., 0]
    flat, places = (table.reshape(E, _CANDIDATES * _ZOOM_NODES.size) for table in (found, grid))
    winner = flat.argmin(axis=1)[:, None]
    least = np.take_along_axis(flat, winner, axis=1)[:, 0]
    at = np.take_along_axis(places, winner, axis=1)[:, 0]
    return least, at


def _with_wings(least: Floats, at: Floats, *, left: Floats, right: Floats) -> Extremes:
    """Return the extremes, or the limit of a wing where that is lower."""
    at = np.where(left < least, -np.inf, at)
    least = np.minimum(left, least)
    return Extremes(at=np.where(right < least, np.inf, at), least=np.minimum(right, least))


def _ratio(later: Floats, earlier: Floats, total: Floats) -> Floats:
    """Return later / earlier, infinite where the earlier wing is flat: there the nodes decide."""
    flat = earlier <= _FLAT_WING * total
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = np.where(flat, np.inf, later / earlier)
    return ratio
