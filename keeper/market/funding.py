"""Funding of perps: which of the rates that venues show may be used."""

from collections.abc import Iterable

from keeper.market.age import fresh
from keeper.model.params import StalenessParams
from keeper.model.quote import Funding
from keeper.model.snapshot import Gap


def trusted(
    funding: Iterable[Funding], *, taken_at_s: int, limits: StalenessParams
) -> tuple[tuple[Funding, ...], tuple[Gap, ...]]:
    """Return the rates that are as fresh as a quote must be, and a gap by source for each of the others."""
    return fresh(funding, what="funding", taken_at_s=taken_at_s, limit_s=limits.max_quote_age_s)
