"""Funding of perps: what a rate comes to, and whether it may be used."""

from collections.abc import Iterable
from typing import Final

from keeper.market.age import fresh
from keeper.model.params import StalenessParams
from keeper.model.quote import Funding
from keeper.model.snapshot import Gap
from keeper.model.units import ONE, Wad

_DAY_S: Final = 86_400


def trusted(
    funding: Iterable[Funding], *, taken_at_s: int, limits: StalenessParams
) -> tuple[tuple[Funding, ...], tuple[Gap, ...]]:
    """Return the rates that are as fresh as a quote must be, and a gap by source for each of the others."""
    return fresh(funding, what="funding", taken_at_s=taken_at_s, limit_s=limits.max_quote_age_s)


def due(rate_per_day: Wad, *, size: Wad, index: Wad, seconds: int) -> Wad:
    """Return what a position pays in funding over `seconds` at a constant rate, USD.

    rate * size * index * seconds / 86400, rounded toward zero. Positive: the position pays. A long pays a
    positive rate, a short receives it; both sides of a trade cancel.

    Parameters
    ----------
    rate_per_day
        Fraction of notional that a long pays per day, 1.0 is 10**18.
    size
        Signed, units of the underlying.
    index
        USD per unit.
    seconds
        At least 0.
    """
    scaled = rate_per_day * size * index * seconds
    magnitude = abs(scaled) // (ONE * ONE * _DAY_S)
    return Wad(magnitude if scaled >= 0 else -magnitude)
