"""Implied vol between the strikes and expiries that a venue quotes."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from keeper.model.errors import UnfitValueError


def vol_at(
    expiries_y: Sequence[float],
    strikes: Sequence[Sequence[float]],
    vols: Sequence[Sequence[float]],
    *,
    expiry_y: float,
    strike: float,
) -> float:
    """Return the vol at one strike and expiry, per square root of a year.

    Linear in strike within a slice, flat outside the quoted strikes; between slices linear in total
    variance w = vol**2 T, outside them the nearest slice's vol. On a quoted node it is the quote itself.

    Parameters
    ----------
    expiries_y
        Years to each quoted expiry, ascending, each above 0.
    strikes, vols
        Per expiry, strikes ascending in USD and vols of the same length.
    expiry_y, strike
        The point asked for.

    Raises
    ------
    UnfitValueError
        No slice, an empty slice, lengths that differ, or a time that is not above 0.

    Examples
    --------
    >>> vol_at([0.1], [[1500.0, 1700.0]], [[0.9, 0.7]], expiry_y=0.1, strike=1600.0)
    0.8
    """
    if not expiries_y:
        raise UnfitValueError("expiries_y", "no slice, expected at least one")
    for row, (T, K, v) in enumerate(zip(expiries_y, strikes, vols, strict=True)):
        if T <= 0.0:
            raise UnfitValueError("expiries_y", f"{T} is not above 0", row=row)
        if not K or len(K) != len(v):
            raise UnfitValueError("vols", f"{len(v)} vols for {len(K)} strikes", row=row)
    at_strike = [float(np.interp(strike, K, v)) for K, v in zip(strikes, vols, strict=True)]
    after = int(np.searchsorted(expiries_y, expiry_y))
    if after < len(expiries_y) and expiries_y[after] == expiry_y:
        return at_strike[after]
    if after == 0:
        return at_strike[0]
    if after == len(expiries_y):
        return at_strike[-1]
    T0, T1 = expiries_y[after - 1], expiries_y[after]
    w0, w1 = at_strike[after - 1] ** 2 * T0, at_strike[after] ** 2 * T1
    w = w0 + (w1 - w0) * (expiry_y - T0) / (T1 - T0)
    return sqrt(w / expiry_y)
