"""A volatility surface: arbitrage-free slices, and what lies between and beyond them.

Between expiries total variance is linear in time at fixed k = ln(K / F(T)), so it rises wherever the slices
do: no calendar arbitrage. Butterflies between slices are not excluded by a theorem, as they would be by
interpolating prices; on recorded chains there are none, and `require_no_arbitrage` on `Surface.slice_at`
tells. Forwards are log-linear in time, as with a constant carry.

Beyond the quotes:

* before the first expiry, vol at fixed k is that of the first: w = w_1 T / T_1. Free of butterflies if the
  first slice is: with w scaled by s, g is (1 - k w' / (2 w))**2 + s B - s**2 C with C >= 0, concave in s,
  and at least 0 at both s = 0 and s = 1;
* after the last, w rises in parallel by the last vol at the money: w = w_n(k) + (T - T_n) w_n(0) / T_n. Wings
  keep their slope, so Lee's bound holds for ever, and total variance rises;
* forwards beyond either end are those of the nearest expiry;
* strikes beyond the quotes follow the slice's wings, which are lines in k.

Rejected: interpolating vol, which can make total variance fall; scaling the last slice beyond its expiry,
which steepens wings without end; flat vol in strike beyond the quotes, which has a kink, so a negative
density, at the last quote.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, section 5.3.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.surfaces import arbitrage
from keeper.risk.surfaces.svi import RawSvi


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """Slices of one underlying, one per expiry. Holds what it is given; `surface` checks."""

    expiry_y: Floats
    """Years to expiry, above 0, rising, shape (E,)."""

    forward_usd: Floats
    """Forward per expiry, above 0, shape (E,)."""

    slices: RawSvi
    """Shape (E,)."""

    def forward(self, expiry_y: ArrayLike) -> Floats:
        """Return the forward at any expiry, USD, in the shape of `expiry_y`."""
        T = finite("expiry_y", expiry_y)
        forward: Floats = np.exp(np.interp(T, self.expiry_y, np.log(self.forward_usd)))
        return forward

    def total_variance(self, expiry_y: ArrayLike, k: ArrayLike) -> Floats:
        """Return w at years to expiry (at least 0) and log-moneyness, which broadcast.

        Raises
        ------
        UnfitValueError
            NaN, infinity, or a negative time.
        """
        T, k = np.broadcast_arrays(finite("expiry_y", expiry_y), finite("k", k))
        require("expiry_y", T, T >= 0.0, "at least 0")
        last = self.expiry_y.size - 1
        after = np.searchsorted(self.expiry_y, T)
        low, high = np.clip(after - 1, 0, last), np.clip(after, 0, last)
        T0, T1 = self.expiry_y[low], self.expiry_y[high]
        w0, w1 = self.slices[low].total_variance(k), self.slices[high].total_variance(k)
        share = np.where(T1 > T0, (T - T0) / np.where(T1 > T0, T1 - T0, 1.0), 0.0)
        between = w0 + (w1 - w0) * share
        beyond = w1 + (T - T1) * self.slices[high].total_variance(0.0) / T1
        w: Floats = np.where(after == 0, w1 * T / T1, np.where(after > last, beyond, between))
        return w

    def vol(self, expiry_y: ArrayLike, strike_usd: ArrayLike) -> Floats:
        """Return the vol per square root of a year at expiries and strikes, which broadcast.

        Raises
        ------
        UnfitValueError
            NaN, infinity, a time or a strike that is not above 0.

        Examples
        --------
        >>> from keeper.risk.surfaces.svi import raw_svi
        >>> flat = surface([0.25], [100.0], raw_svi([0.04], 0.0, 0.0, 0.0, 0.1))
        >>> flat.vol([0.1, 0.25, 1.0], 120.0).round(12).tolist()
        [0.4, 0.4, 0.4]
        """
        T, K = np.broadcast_arrays(finite("expiry_y", expiry_y), finite("strike_usd", strike_usd))
        require("expiry_y", T, T > 0.0, "above 0")
        require("strike_usd", K, K > 0.0, "above 0")
        vol: Floats = np.sqrt(self.total_variance(T, np.log(K / self.forward(T))) / T)
        return vol

    def least_density_factor(self, expiry_y: float) -> float:
        """Return the least g at any one expiry, on the nodes of the slices around it; see `arbitrage`.

        Between slices derivatives are those of the interpolation, so this is a check on a grid, dense where
        either slice bends, rather than the search that slices themselves allow.
        """
        T = float(finite("expiry_y", expiry_y))
        at = int(np.searchsorted(self.expiry_y, T))
        rows = sorted({min(max(row, 0), self.expiry_y.size - 1) for row in (at - 1, at)})
        near = self.slices[rows]
        k = np.unique(near.m[:, None] + near.sigma[:, None] * np.sinh(np.linspace(-8.0, 8.0, 401)))
        weights = np.array([self._weight(T, row) for row in rows])
        w, slope, curvature = ((weights[:, None] * part).sum(axis=0) for part in near[:, None].derivatives(k))
        w = self.total_variance(T, k)
        g = (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * curvature
        return float(g.min())

    def _weight(self, T: float, row: int) -> float:
        """Return the weight of a slice's derivatives at time T."""
        first, last = float(self.expiry_y[0]), float(self.expiry_y[-1])
        if first >= T:
            return T / first if row == 0 else 0.0
        if last <= T:
            return 1.0 if row == self.expiry_y.size - 1 else 0.0
        return float(np.interp(T, self.expiry_y, np.eye(self.expiry_y.size)[row]))

    def require_no_arbitrage(self) -> None:
        """Raise `arbitrage.SurfaceArbitrageError` where the slices admit butterflies or calendar spreads."""
        arbitrage.require_no_arbitrage(self.slices)


def surface(expiry_y: ArrayLike, forward_usd: ArrayLike, slices: RawSvi) -> Surface:
    """Return a checked surface. Slices come from `svi.raw_svi`, `svi_fit.fit_svi` or `ssvi`.

    Raises
    ------
    UnfitValueError
        No expiry, expiries that are not above 0 and rising, forwards not above 0, or shapes that differ.
    """
    T = finite("expiry_y", expiry_y, shape=(None,))
    if not T.size:
        raise UnfitValueError("expiry_y", "no expiry, expected at least one")
    require("expiry_y", T, np.diff(T, prepend=0.0) > 0.0, "above 0 and above the expiry before")
    F = finite("forward_usd", forward_usd, shape=(T.size,))
    require("forward_usd", F, F > 0.0, "above 0")
    if slices.a.shape != T.shape:
        raise UnfitValueError("slices", f"shape is {slices.a.shape}, expected {T.shape}")
    return Surface(expiry_y=T, forward_usd=F, slices=slices)


def sticky_moneyness(before: Surface, *, forward_move: float, vol_move: ArrayLike = 0.0) -> Surface:
    """Return the surface after the forwards moved and the smile moved along: vol is kept at fixed K / F.

    Parameters
    ----------
    forward_move
        Relative move of all forwards, above -1.
    vol_move
        Relative move of vols, above -1: one number or one per expiry, shape (E,). Total variance is
        multiplied by (1 + vol_move)**2. One number keeps the order of expiries; different ones may not,
        and large rises may bring butterflies: `Surface.require_no_arbitrage` tells.

    Raises
    ------
    UnfitValueError
        A move that is not finite and above -1.
    """
    move = _above_minus_one("forward_move", forward_move)
    scale = (1.0 + _above_minus_one("vol_move", vol_move)) ** 2
    old = before.slices
    slices = replace(old, a=old.a * scale, b=old.b * scale)
    return replace(before, forward_usd=before.forward_usd * (1.0 + move), slices=slices)


def sticky_strike(before: Surface, *, forward_move: float, vol_move: ArrayLike = 0.0) -> Surface:
    """Return the surface after the forwards moved and the smile stayed: vol is kept at fixed K.

    In log-moneyness every slice shifts by -ln(1 + forward_move), and stays a raw SVI slice. The density at
    a strike depends on k itself, so a large move may leave butterflies where there were none, though never
    a calendar spread. Arguments and errors as in `sticky_moneyness`.
    """
    moved = sticky_moneyness(before, forward_move=forward_move, vol_move=vol_move)
    return replace(moved, slices=replace(moved.slices, m=moved.slices.m - np.log1p(forward_move)))


def _above_minus_one(field: str, values: ArrayLike) -> Floats:
    moves = finite(field, values)
    require(field, moves, moves > -1.0, "above -1")
    return moves
