"""The gate that every market input passes: how old it may be."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from keeper.model.snapshot import Gap


class _Observed(Protocol):
    @property
    def source(self) -> str: ...

    @property
    def chain_id(self) -> int: ...

    @property
    def observed_at_s(self) -> int: ...


T = TypeVar("T", bound=_Observed)


def too_old(observed_at_s: int, *, taken_at_s: int, limit_s: int) -> str | None:
    """Say why an input is too old, None when it is not. Chain times; an age of `limit_s` passes."""
    age_s = taken_at_s - observed_at_s
    return f"{age_s} s old, limit is {limit_s} s" if age_s > limit_s else None


def fresh(
    items: Iterable[T], *, what: str, taken_at_s: int, limit_s: int
) -> tuple[tuple[T, ...], tuple[Gap, ...]]:
    """Return the inputs within the limit, and a gap of kind `what` for each of the others, by its source."""
    kept: list[T] = []
    gaps: list[Gap] = []
    for item in items:
        problem = too_old(item.observed_at_s, taken_at_s=taken_at_s, limit_s=limit_s)
        if problem is None:
            kept.append(item)
        else:
            gaps.append(Gap(what=what, key=item.source, reason=problem, chain_id=item.chain_id))
    return tuple(kept), tuple(gaps)
