"""Named places at which a test ends the process, to prove that nothing is lost or done twice."""

import os
import signal
from collections.abc import Callable
from typing import Final

CRASH_AT: Final = "KEEPER_CRASH_AT"
"""Environment variable that the command line reads: a boundary, or `<boundary>:<n>` for the n-th time."""

BOUNDARIES: Final = tuple(
    f"{step}.{moment}"
    for step, moments in {
        "planned": ("before", "written", "after"),
        "simulated": ("before", "written", "after"),
        "signed": ("before", "written", "after"),
        "sent": ("before", "written", "after"),
        "broadcast": ("before", "after"),
        "confirmed": ("before", "written", "after"),
        "finalized": ("before", "written", "after"),
        "dropped": ("before", "written", "after"),
    }.items()
    for moment in moments
)
"""`before`: nothing of the step is written; `written`: it is, but not committed; `after`: it is committed."""


def crash_point(name: str) -> Callable[[str], None]:
    """Return a function that kills its own process at a boundary.

    Raises `ValueError` for a boundary that does not exist.
    """
    boundary, _, count = name.partition(":")
    if boundary not in BOUNDARIES:
        raise ValueError(f"{CRASH_AT} is {name!r}, expected one of {', '.join(BOUNDARIES)}")
    left = int(count or "1")

    def crash_at(reached: str) -> None:
        nonlocal left
        if reached == boundary:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return crash_at
