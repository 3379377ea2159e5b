"""A process that journals a cycle a day, and kills itself at a step, or goes on until it is killed.

python -m tests.journal.writer <path> <step> <how often it is reached>
"""

import os
import signal
import sys
from pathlib import Path

from tests.journal.cycles import DAY_S, FIRST_S, Clock, cycle, opened

path, step, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
clock = Clock()


def crash_at(name: str) -> None:
    global left
    if name == step:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


with opened(path, keep_days=2, clock=clock, crash_at=crash_at) as journal:
    for n in range(10**6 if step == "never" else 8):
        clock.now_s = FIRST_S + (n % 8) * DAY_S
        cycle(journal, n % 8)
        sys.stdout.write("done\n")
        sys.stdout.flush()
