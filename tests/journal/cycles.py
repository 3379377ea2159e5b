"""Cycles of a small book, a day apart, and journals that begin a segment with each of them."""

from collections.abc import Callable
from pathlib import Path

from keeper.journal.journal import Journal
from keeper.model.plan import Plan
from tests.service.sample import PARAMS, at

FIRST_S = 1_700_000_000
DAY_S = 86_400
CYCLES = [at(FIRST_S + n * DAY_S) for n in range(8)]


class Clock:
    """The machine's."""

    now_s = float(FIRST_S)

    def __call__(self) -> float:
        return self.now_s


def cycle(journal: Journal, n: int) -> None:
    """Journal a cycle that decides nothing: four records, or five where it begins a segment."""
    plan = Plan(snapshot_digest=CYCLES[n].digest, params_digest=PARAMS.digest, decisions=(), actions=())
    journal.decided(f"c{n}", CYCLES[n], PARAMS, plan, ())
    journal.done(f"c{n}", CYCLES[n].taken_at_s, plan.id, ())


def never(_boundary: str) -> None:
    """Crash nowhere."""


def opened(
    path: Path,
    *,
    segment_bytes: int = 1,
    keep_days: int = 0,
    clock: Callable[[], float] | None = None,
    crash_at: Callable[[str], None] = never,
) -> Journal:
    """Open a journal that begins a segment with every cycle."""
    return Journal.open(
        path, segment_bytes=segment_bytes, keep_days=keep_days, clock=clock or Clock(), crash_at=crash_at
    )


def fill(
    path: Path,
    count: int = 5,
    *,
    segment_bytes: int = 1,
    keep_days: int = 0,
    each: Callable[[Journal, int], None] = cycle,
) -> None:
    """A segment per cycle; the last one is being written."""
    clock = Clock()
    with opened(path, segment_bytes=segment_bytes, keep_days=keep_days, clock=clock) as journal:
        for n in range(count):
            clock.now_s = FIRST_S + n * DAY_S
            each(journal, n)
