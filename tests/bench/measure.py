"""Race functions against each other in one process."""

import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of output."""

    name: str
    unit: str
    ours: float
    peer: float
    peer_name: str

    def as_json(self) -> str:
        """Return the record with its ratio, peer / ours, rounded to four digits."""
        fields = {
            "name": self.name,
            "unit": self.unit,
            "ours": float(f"{self.ours:.4g}"),
            "peer": float(f"{self.peer:.4g}"),
            "peer_name": self.peer_name,
            "ratio": float(f"{self.peer / self.ours:.4g}") if self.ours else None,
        }
        return json.dumps(fields)


def race(
    runners: Mapping[str, Work],
    *,
    rounds: int = 7,
    clock: Callable[[], float] = time.thread_time,
    pick: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, float]:
    """Return the seconds of each runner over interleaved rounds, after one that does not count.

    The default clock counts CPU time of this thread, so that a busy machine disturbs little; give
    `time.perf_counter` for work on several threads. `pick` makes one number of the rounds: where a busy
    machine does disturb, `min` is what the work takes when it is left alone.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for round_ in range(rounds + 1):
        for name, work in runners.items():
            begin = clock()
            work()
            if round_:
                seconds[name].append(clock() - begin)
    return {name: pick(taken) for name, taken in seconds.items()}


def peak_bytes(work: Work) -> int:
    """Return the most memory that `work` held at once beyond what was there before, its result included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = work()
        _, peak = tracemalloc.get_traced_memory()
        del result
        return peak - before
    finally:
        tracemalloc.stop()
