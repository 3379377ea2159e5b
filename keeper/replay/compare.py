"""Comparing what was recorded with what comes out now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

TOLERANCE: Final = 1e-9
"""Relative to the greater of both numbers, and to 1 for numbers below: sums that cancel leave noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two trees differ."""

    where: str
    """Path, for example `profiles[0].house.scan_usd`."""

    recorded: Any
    recomputed: Any
    relative: float
    """|a - b| / max(|a|, |b|, 1) for floats; infinite for anything else."""


def differences(recorded: Any, recomputed: Any, where: str = "") -> Iterator[Difference]:
    """Yield every place where two JSON trees differ at all; integers, texts and shapes count exactly."""
    if isinstance(recorded, dict) and isinstance(recomputed, dict):
        for key in sorted(recorded.keys() | recomputed.keys()):
            inner = f"{where}.{key}" if where else key
            yield from differences(recorded.get(key), recomputed.get(key), inner)
    elif isinstance(recorded, list) and isinstance(recomputed, list) and len(recorded) == len(recomputed):
        for i, (a, b) in enumerate(zip(recorded, recomputed, strict=True)):
            yield from differences(a, b, f"{where}[{i}]")
    elif isinstance(recorded, float) and isinstance(recomputed, float):
        if recorded != recomputed:
            relative = abs(recorded - recomputed) / max(abs(recorded), abs(recomputed), 1.0)
            yield Difference(where=where, recorded=recorded, recomputed=recomputed, relative=relative)
    elif recorded != recomputed or type(recorded) is not type(recomputed):
        yield Difference(where=where, recorded=recorded, recomputed=recomputed, relative=float("inf"))
