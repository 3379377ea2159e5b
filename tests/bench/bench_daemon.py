"""What the daemon costs with nothing to do, and whether it grows: real processes on two local chains.

The process is `keeper run`, without a stub in it: heads, screened reads, plan, journal, store, health. Idle,
the chains mine a block every two seconds each: at the same time, so that one cycle sees both, and half a
block apart, so that each begins a cycle of its own. For growth they mine as soon as a cycle has ended, so
that each cycle sees new blocks; what is left after `WARM_UP` cycles is compared with what is left at the end.

`KEEPER_BENCH_CYCLES` sets how many cycles that are: 1,000 unless it is set; 5,000 take about ten minutes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from keeper.devnet.deployment import Deployment
from keeper.devnet.lifecycle import BLOCK_S, mine_every, temporary
from keeper.devnet.world import World
from tests.bench.measure import Record

IDLE_S: Final = 60.0
SETTLED_AFTER: Final = 5
"""Cycles until imports and first reads are done."""

PHASES: Final = {"in_phase": 0.0, "half_a_block_apart": BLOCK_S / 2}
"""How much later the second chain has its blocks, seconds."""

CYCLES: Final = int(os.environ.get("KEEPER_BENCH_CYCLES", "1000"))
WARM_UP: Final = CYCLES // 10
SAMPLES: Final = 20
"""Cycles over which a size is averaged."""

LIMIT_PERCENT: Final = 3.0
LIMIT_MB: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a process holds."""

    resident_mb: float
    threads: int
    handles: int


def records() -> Iterator[Record]:
    """Yield the idle CPU, with blocks at the same time and apart, and the growth over many cycles."""
    with (
        tempfile.TemporaryDirectory(prefix="keeper-bench-") as folder,
        temporary(Path(folder)) as (world, deployment),
    ):
        for name, apart_s in PHASES.items():
            percent, cycles = idle(world, deployment, apart_s=apart_s)
            yield Record(
                name=f"daemon.idle_{name}_{cycles / IDLE_S:.1f}_cycles_a_second",
                unit="% of a core",
                ours=percent,
                peer=LIMIT_PERCENT,
                peer_name="limit",
            )
        sizes = grown(world, deployment)
    early, late = sizes[WARM_UP : WARM_UP + SAMPLES], sizes[-SAMPLES:]
    yield Record(
        name=f"daemon.growth_from_cycle_{WARM_UP}_to_{CYCLES}",
        unit="MB resident",
        ours=_mean(late, "resident_mb") - _mean(early, "resident_mb"),
        peer=LIMIT_MB,
        peer_name="limit",
    )
    for name in ("resident_mb", "threads", "handles"):
        yield Record(
            name=f"daemon.{name}",
            unit=f"after {CYCLES} cycles",
            ours=_mean(late, name),
            peer=_mean(early, name),
            peer_name=f"after {WARM_UP} cycles",
        )


def idle(world: World, deployment: Deployment, *, apart_s: float = 0.0) -> tuple[float, int]:
    """Return the CPU that a daemon with nothing to do takes, % of a core, and its cycles meanwhile.

    The second chain has each of its blocks `apart_s` after the first.
    """
    mine_every(world, BLOCK_S)
    time.sleep(apart_s)
    # Mining begins anew.
    list(world.nodes.values())[-1].rpc("evm_setIntervalMining", BLOCK_S)
    try:
        with _running(deployment.config) as (process, log):
            _cycles(log, SETTLED_AFTER)
            begin_s, begin_cpu_s = time.monotonic(), _cpu_s(process.pid)
            cycles = 0
            while time.monotonic() - begin_s < IDLE_S:
                _cycles(log, 1)
                cycles += 1
            taken_s = time.monotonic() - begin_s
            return 100.0 * (_cpu_s(process.pid) - begin_cpu_s) / taken_s, cycles
    finally:
        mine_every(world, 0)


def grown(world: World, deployment: Deployment) -> list[Size]:
    """Return the size of a daemon after each of many cycles."""
    text = deployment.config.read_text(encoding="utf-8")
    for old, new in (("poll_s = 0.5", "poll_s = 0.05"), ("keeper.sqlite", "g.sqlite"), ("journal.", "g.")):
        if old not in text:
            raise RuntimeError(f"the devnet's configuration has no {old}")
        text = text.replace(old, new)
    config = deployment.folder / "growth.toml"
    config.write_text(text, encoding="utf-8")
    sizes: list[Size] = []
    with _running(config) as (process, log):
        while len(sizes) < CYCLES:
            _cycles(log, 1)
            sizes.append(_size(process.pid))
            for node in world.nodes.values():
                node.rpc("evm_mine")
    return sizes


@contextmanager
def _running(config: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run the daemon without --live; its log can be read meanwhile."""
    command = [sys.executable, "-m", "keeper", "run", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr
        finally:
            process.terminate()


def _cycles(log: IO[str], count: int) -> None:
    """Wait for the end of so many cycles."""
    for line in log:
        if line.startswith("{") and json.loads(line).get("event") == "cycle":
            count -= 1
            if count == 0:
                return
    raise RuntimeError("the daemon has ended")


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its threads, also of those that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return float(int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _size(pid: int) -> Size:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    status = dict(line.split(":", 1) for line in text.splitlines())
    return Size(
        resident_mb=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        handles=len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )


def _mean(sizes: list[Size], name: str) -> float:
    return statistics.mean(float(getattr(size, name)) for size in sizes)
