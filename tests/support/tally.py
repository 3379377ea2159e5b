"""What the tests did to the keeper and what it did in turn, counted where it happens.

Proxies, simulated chains, the tests that kill, and `tests.support.audit` report here; the end of every run
shows the sums (`tests.support.summary`). A process forked by a test counts for itself alone: its parent
counts the kill.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

FAULT: Final = "fault: "
KILLS: Final = "kills"
REORGS: Final = "reorgs"
INTENTS: Final = "intents decided"
LANDED: Final = "transactions landed"
DUPLICATES: Final = "duplicates"
LOST: Final = "lost"
GAPS: Final = "gaps in nonce lanes"
DRY_SENDS: Final = "sends in dry-run"
NEVER: Final = (DUPLICATES, LOST, GAPS, DRY_SENDS)
"""What no run may count."""

DONE: Final = (KILLS, REORGS, INTENTS, LANDED)

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def count(what: str, times: int = 1) -> None:
    """Count something that happened; safe in every thread."""
    with _lock:
        _counts[what] += times


def fault(kind: str, times: int = 1) -> None:
    """Count a fault that was injected between the keeper and its nodes, store or clock."""
    count(FAULT + kind, times)


def counted() -> dict[str, int]:
    """Return the counts of this process."""
    with _lock:
        return dict(_counts)


def merge(counts: Mapping[str, int]) -> None:
    """Add the counts of another process."""
    with _lock:
        _counts.update(counts)


def faults(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the faults of `counts` by kind, the most frequent first."""
    found = [(name.removeprefix(FAULT), n) for name, n in counts.items() if name.startswith(FAULT) and n]
    return sorted(found, key=lambda kind: (-kind[1], kind[0]))


def violated(counts: Mapping[str, int]) -> list[str]:
    """Return what was counted that must never happen."""
    return [name for name in NEVER if counts.get(name, 0)]
