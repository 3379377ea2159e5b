"""The daemon as a process on real chains: killed at its worst moments, told to stop, doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.execution.crash import CRASH_AT
from keeper.journal.verify import verify
from keeper.model.intent import TxState
from keeper.replay.replay import replay
from keeper.service.health import Health, Status, read_health
from keeper.service.wire import assemble
from keeper.store.store import Store
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

pytestmark = pytest.mark.devnet

KEEPER = (sys.executable, "-m", "keeper")


class Files:
    """A keeper's files on the chains, and the commands that work on them."""

    def __init__(self, chains: Chains, folder: Path) -> None:
        self.chains = chains
        self.folder = folder
        self.config = keeper_config(chains, folder, ("interval_s = 30", "interval_s = 3600"))

    def start(self, *arguments: str, crash_at: str = "") -> subprocess.Popen[str]:
        environment = os.environ | ({CRASH_AT: crash_at} if crash_at else {})
        with (self.folder / "stderr").open("a") as log:
            return subprocess.Popen(
                [*KEEPER, *arguments, "-c", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                env=environment,
            )

    def run(self, *arguments: str, crash_at: str = "") -> int:
        process = self.start(*arguments, crash_at=crash_at)
        return process.wait(timeout=180)

    def health(self) -> Health:
        return read_health(load(self.config), time.time())

    def wait_for(self, what: str, condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not condition():
            log = (self.folder / "stderr").read_text()
            assert time.monotonic() < deadline_s, f"{what} did not come within {seconds} s: {log[-2000:]}"
            time.sleep(0.2)

    def mined(self) -> int:
        """Transactions of the desk on both chains."""
        desk = self.chains.actor("desk")
        return sum(
            int(self.chains.node(name).rpc("eth_getTransactionCount", desk, "latest"), 16)
            for name in ("optimism", "arbitrum")
        )


@pytest.fixture
def files(chains: Chains, tmp_path: Path) -> Files:
    chains.move()
    return Files(chains, tmp_path)


@pytest.fixture
def daemon(files: Files) -> Iterator[subprocess.Popen[str]]:
    process = files.start("run", "--live")
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def finish(files: Files, before: int) -> None:
    """Run to the end of the work, and prove that everything took effect exactly once."""
    settings = load(files.config)
    for _ in range(4):
        with assemble(settings, live=True) as keeper:
            assert keeper.daemon.run_once()
        assert keeper.recorder.last is not None
        if not keeper.recorder.last.outcomes:
            break
    with Store.attach(files.folder / "keeper.sqlite") as store:
        ended = store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
        assert not store.intents.within([TxState.SIGNED, TxState.SENT])
    assert all(stored.success for stored in ended)
    assert files.mined() - before == len(ended)
    times = Counter((stored.kind, stored.subject) for stored in ended)
    assert {kind for kind, _ in times} == {"move_collateral", "liquidate", "hedge"}
    # a hedge may be completed by a second one; whoever is rescued or liquidated is so once
    assert all(n == 1 for (kind, _), n in times.items() if kind != "hedge"), times
    assert verify(settings.journal.path).ok
    assert all(cycle.ok for cycle in replay(settings.journal.path))
    assert read_health(settings, time.time()).status is Status.OK


@pytest.mark.parametrize("boundary", ["signed.after", "broadcast.after:2", "sent.written:3"])
def test_a_kill_at_a_boundary_sends_nothing_twice(files: Files, boundary: str) -> None:
    before = files.mined()
    assert files.run("run", "--live", "--once", crash_at=boundary) == -signal.SIGKILL
    finish(files, before)


def test_kills_at_random_send_nothing_twice(files: Files) -> None:
    before = files.mined()
    moments = random.Random(20_240_506)
    for _ in range(3):
        process = files.start("run", "--live", "--once")
        time.sleep(moments.uniform(1.0, 3.0))
        process.kill()
        process.wait()
    finish(files, before)


def test_one_daemon_runs_on_new_heads_and_ends_cleanly(files: Files, daemon: subprocess.Popen[str]) -> None:
    files.wait_for("a good cycle", lambda: files.health().last_cycle_age_s is not None)
    assert files.run("run", "--live") == 2
    assert f"process {daemon.pid}" in (files.folder / "stderr").read_text()

    def settled() -> bool:
        heads = {chain.chain_id: chain.head for chain in files.health().chains}
        return heads == {
            10: files.chains.node("optimism").head(),
            42161: files.chains.node("arbitrum").head(),
        }

    files.wait_for("the work to be done", settled)
    files.chains.world.align()
    files.wait_for("the cycle of the new head", settled)  # the timer would take an hour
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0
    assert '"event": "stopped"' in (files.folder / "stderr").read_text()
    with Store.attach(files.folder / "keeper.sqlite") as store:
        assert not store.intents.within([TxState.PLANNED, TxState.SIMULATED, TxState.SIGNED, TxState.SENT])


def test_a_killed_daemon_shows_in_health(files: Files, daemon: subprocess.Popen[str]) -> None:
    files.wait_for("a good cycle", lambda: files.health().last_cycle_age_s is not None)
    daemon.kill()
    daemon.wait()
    text = files.config.read_text()
    files.config.write_text(text.replace("[cycle]", "[cycle]\nmax_age_s = 1"))
    time.sleep(1.1)
    found = files.health()
    assert found.status is Status.DEGRADED
    assert any("is `keeper run` running?" in reason for reason in found.reasons)
