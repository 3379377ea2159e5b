"""Processes that outlive us: named so that we end ours, and never one that has taken its number."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TERM_S: Final = 10.0
_KILL_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process, for as long as it runs."""

    pid: int
    started: str
    """When it was started, in the system's own terms: a later process of the same number differs."""


def identify(pid: int) -> Identity | None:
    """Return who runs under `pid` now; None for nobody, or for one that has ended and waits to be reaped."""
    started = _started(pid)
    return None if started is None else Identity(pid=pid, started=started)


def is_running(identity: Identity) -> bool:
    """Say whether this very process still runs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(identity.pid, os.WNOHANG)  # it may be our own child
    return identify(identity.pid) == identity


def end(identity: Identity) -> bool:
    """End the process, kindly at first, and wait until it is gone; False when it was gone before."""
    if not is_running(identity):
        return False
    for ask, patience_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, _KILL_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, ask)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if not is_running(identity):
                return True
            time.sleep(0.02)
    return not is_running(identity)


def _started(pid: int) -> str | None:
    if _PROC.joinpath("self", "stat").exists():
        return _started_linux(pid)
    ps = shutil.which("ps")
    if ps is None:
        return None
    command = [ps, "-o", "stat=,lstart=", "-p", str(pid)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, started = ran.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _started_linux(pid: int) -> str | None:
    """Clock ticks from boot to start, and which boot that was."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may hold spaces and parentheses itself
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    if state in "ZX":
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{ticks}"
