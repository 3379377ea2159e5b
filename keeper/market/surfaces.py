"""Vol surfaces: which of those that venues show may be priced with."""

from collections.abc import Iterable
from itertools import pairwise

from keeper.market.age import too_old
from keeper.model.params import StalenessParams
from keeper.model.quote import VolSlice, VolSurface
from keeper.model.snapshot import Gap


def trusted(
    surfaces: Iterable[VolSurface], *, taken_at_s: int, limits: StalenessParams
) -> tuple[tuple[VolSurface, ...], tuple[Gap, ...]]:
    """Return the surfaces that are fresh and well formed, and a gap for each of the others.

    Well formed: expiries ascending, each with at least one strike, strikes ascending and positive, as many
    vols as strikes, vols positive. The gap's key is `<venue>/<underlying>`.
    """
    kept: list[VolSurface] = []
    gaps: list[Gap] = []
    for surface in surfaces:
        problem = _malformed(surface) or too_old(
            surface.observed_at_s, taken_at_s=taken_at_s, limit_s=limits.max_surface_age_s
        )
        if problem is None:
            kept.append(surface)
        else:
            key = f"{surface.venue}/{surface.underlying}"
            gaps.append(Gap(what="surface", key=key, reason=problem, chain_id=surface.chain_id))
    return tuple(kept), tuple(gaps)


def _malformed(surface: VolSurface) -> str | None:
    expiries = [s.expiry_s for s in surface.slices]
    if not expiries:
        return "holds no expiry"
    if any(a >= b for a, b in pairwise(expiries)):
        return f"expiries {expiries} do not ascend"
    return next((problem for s in surface.slices if (problem := _malformed_slice(s))), None)


def _malformed_slice(slice_: VolSlice) -> str | None:
    where = f"expiry {slice_.expiry_s}"
    if not slice_.strikes or len(slice_.strikes) != len(slice_.vols):
        return f"{where} has {len(slice_.strikes)} strikes and {len(slice_.vols)} vols"
    if slice_.strikes[0] <= 0 or any(a >= b for a, b in pairwise(slice_.strikes)):
        return f"{where}: strikes {list(slice_.strikes)} are not positive and ascending"
    if min(slice_.vols) <= 0:
        return f"{where}: vol {min(slice_.vols)} is not positive"
    return None
