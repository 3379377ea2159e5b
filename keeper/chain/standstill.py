"""A chain that makes no blocks: what is true at its head may be true no longer, so nothing is sent there.

Ages count from when a head was first seen here: the clocks of chains and machines disagree.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from keeper.model.intent import Simulation
from keeper.model.snapshot import BlockRef


class Standstill:
    """Remembers since when a chain has had its head."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._hash = ""
        self._since_s = 0.0

    def note(self, head: BlockRef) -> None:
        """Take note of a head."""
        if head.hash != self._hash:
            self._hash, self._since_s = head.hash, self._clock()

    def hold(self, found: tuple[Simulation, ...]) -> tuple[Simulation, ...]:
        """Return simulations that fail where the chain has stood still for too long."""
        age_s = self._clock() - self._since_s
        if not self._hash or age_s <= self._limit_s:
            return found
        reason = f"the chain has shown no new block for {age_s:.0f} s, limit is {self._limit_s:g} s"
        return tuple(replace(s, ok=False, gas=None, error=reason) if s.ok else s for s in found)
