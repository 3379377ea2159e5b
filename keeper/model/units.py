"""Number types, and the only place where exact integers become floats.

Exact side (chain, protocols, snapshot, execution): `Wad` and `Wei`, integers, never floats.
Real side (risk, policy): float64, in USD or in units of the underlying.
"""

import math
from typing import Final, NewType

Wad = NewType("Wad", int)
"""Signed fixed point: 1.0 is 10**18. Sizes, prices, rates, vols and USD amounts on chain."""

Wei = NewType("Wei", int)
"""Native coin, 10**-18. Gas fees and transaction value."""

ONE: Final = Wad(10**18)
ZERO: Final = Wad(0)
NO_WEI: Final = Wei(0)

SECONDS_PER_YEAR: Final = 31_536_000
"""365 days, the year of every venue that we price."""


def from_raw(raw: int, decimals: int) -> Wad:
    """Scale a token amount with `decimals` places to a `Wad`; beyond 18 places it rounds toward zero.

    Raises `ValueError` when `decimals` is outside 0..36.
    """
    if not 0 <= decimals <= 36:
        raise ValueError(f"decimals must be in 0..36, was {decimals}")
    if decimals <= 18:
        return Wad(raw * 10 ** (18 - decimals))
    magnitude = abs(raw) // 10 ** (decimals - 18)
    return Wad(magnitude if raw >= 0 else -magnitude)


def to_raw(x: Wad, decimals: int) -> int:
    """Scale a `Wad` back to a token amount with `decimals` places, rounding toward zero.

    Raises `ValueError` when `decimals` is outside 0..36.
    """
    if not 0 <= decimals <= 36:
        raise ValueError(f"decimals must be in 0..36, was {decimals}")
    if decimals >= 18:
        return x * int(10 ** (decimals - 18))
    magnitude = abs(x) // int(10 ** (18 - decimals))
    return magnitude if x >= 0 else -magnitude


def to_float(x: Wad) -> float:
    """Leave the exact side. Relative error at most 2**-53."""
    return x / ONE


def coins(x: Wei) -> float:
    """Leave the exact side for an amount of native coin, in whole coins."""
    return x / ONE


def floor_to_wad(x: float) -> Wad:
    """Return to the exact side, rounding toward zero: never send more than was decided.

    Raises `ValueError` when `x` is not finite.
    """
    if not math.isfinite(x):
        raise ValueError(f"only a finite number can return to the exact side, was {x}")
    numerator, denominator = abs(x).as_integer_ratio()
    return Wad(int(math.copysign(1, x)) * (numerator * ONE // denominator))


def ratio(numerator: Wad, denominator: Wad) -> float:
    """Return `numerator / denominator` as a float; infinite when the denominator is not positive.

    Health is such a ratio: an account without a requirement cannot fall below it.
    """
    if denominator <= 0:
        return math.inf
    return numerator / denominator


def mul(a: Wad, b: Wad) -> Wad:
    """Product of two `Wad`s, rounding toward zero."""
    product = abs(a * b) // ONE
    return Wad(product if (a >= 0) == (b >= 0) else -product)


def years(seconds: int) -> float:
    """Seconds as a fraction of a 365-day year."""
    return seconds / SECONDS_PER_YEAR
