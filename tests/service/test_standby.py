"""Two `keeper run --live` on one PostgreSQL store and real chains; and health, whatever goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.model.intent import TxState
from keeper.service.health import Health, Status, read_health
from keeper.store.store import Store
from tests.support import tally
from tests.support.audit import audit, landed_on
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config
from tests.support.postgres import PASSWORD, Server
from tests.support.rpc_proxy import RpcProxy, dropped

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

NAMES = {10: "optimism", 42161: "arbitrum"}
MAX_AGE_S = 8
"""How old the last good cycle may be. Generous: the machine may be slow, and health must be well at first."""


class Shared:
    """A configuration that several keepers use at once, and the keepers."""

    def __init__(self, chains: Chains, folder: Path, url: str, *changes: tuple[str, str]) -> None:
        self.chains = chains
        self.folder = folder
        store = ('path = "keeper.sqlite"', f'url = "{url}"\nstandby = true')
        self.config = keeper_config(chains, folder, store, *changes)
        self.settings = load(self.config)
        self.before = {name: chains.node(name).head() for name in NAMES.values()}
        self.started: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        with (self.folder / f"stderr-{len(self.started)}").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "keeper", "run", "--live", "-c", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
        self.started.append(process)
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"stderr-{number}").read_text()

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()

    def health(self) -> Health:
        return read_health(self.settings, time.time())

    def wait_for(self, what: str, condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not condition():
            logs = [self.log(i)[-1500:] for i in range(len(self.started))]
            late = time.monotonic() > deadline_s
            dead = all(process.poll() is not None for process in self.started)
            if late or dead:
                pytest.fail(f"{what} did not come: {self.health()} {logs}")
            time.sleep(0.1)

    def ended(self) -> Sequence[tuple[str, str]]:
        """Kind and subject of every transaction that has its outcome, when none is under way."""
        with Store.attach(self.settings.store.place) as store:
            unfinished = set(TxState) - {TxState.CONFIRMED, TxState.FINALIZED, TxState.DROPPED}
            if store.intents.within(unfinished):
                return ()
            done = store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
        return tuple((stored.kind, stored.subject) for stored in done if stored.success)

    def leads(self, process: subprocess.Popen[str]) -> bool:
        leader = self.health().leader
        return leader is not None and leader.leading and leader.name.endswith(f":{process.pid}")


@pytest.fixture
def shared(chains: Chains, postgres: Server, tmp_path: Path) -> Iterator[Shared]:
    shared = Shared(chains, tmp_path, postgres.new_schema())
    yield shared
    shared.stop()


def test_the_one_that_stands_by_does_the_work_of_the_one_that_is_killed(shared: Shared) -> None:
    first = shared.start()
    shared.wait_for("the first to lead", lambda: shared.leads(first))
    shared.wait_for("its first cycle", lambda: shared.health().last_cycle_age_s is not None)
    second = shared.start()

    def waits() -> bool:
        leader = shared.health().leader
        return leader is not None and [n.rpartition(":")[2] for n in leader.standbys] == [str(second.pid)]

    shared.wait_for("the second to stand by", waits)
    shared.chains.move()
    first.kill()
    first.wait()
    tally.count(tally.KILLS)
    shared.wait_for("the second to lead", lambda: shared.leads(second))

    def worked() -> bool:
        return {kind for kind, _ in shared.ended()} == {"move_collateral", "liquidate", "hedge"}

    shared.wait_for("its work", worked)
    second.terminate()
    assert second.wait(timeout=60) == 0
    found = shared.health()
    assert found.leader is not None
    assert not found.leader.leading
    assert any(reason.startswith("nobody leads") for reason in found.reasons)
    log = shared.log(1)
    assert '"event": "standing by"' in log
    assert '"event": "taking over"' in log
    assert PASSWORD not in shared.log(0) + log + str(found)
    times = Counter(shared.ended())
    assert all(n == 1 for (kind, _), n in times.items() if kind != "hedge"), times
    desk = shared.chains.actor("desk")
    landed = tuple(
        tx
        for chain_id, name in NAMES.items()
        for tx in landed_on(shared.chains.node(name), chain_id, desk, after=shared.before[name])
    )
    with Store.attach(shared.settings.store.place) as store:
        audit(store, shared.settings.journal.path, landed).require()


def test_one_that_stands_by_ends_when_told_and_never_led(shared: Shared) -> None:
    with Store.open(shared.settings.store.place, "live"):
        waiting = shared.start()
        shared.wait_for("it to stand by", lambda: '"event": "standing by"' in shared.log(0))
        waiting.terminate()
        assert waiting.wait(timeout=60) == 0
    leader = shared.health().leader
    assert leader is not None
    assert leader.term == 1


def test_health_says_what_is_wrong_within_its_limit(chains: Chains, postgres: Server, tmp_path: Path) -> None:
    """The loop frozen, a chain stopped, the database killed: each has its reason for as long as it lasts."""
    with RpcProxy(chains.url("arbitrum")) as proxy:
        changes = (
            (f'["{chains.url("arbitrum")}"]', f'["{proxy.url}"]\ntimeout_s = 2.0'),
            ("interval_s = 30", f"interval_s = 1\nmax_age_s = {MAX_AGE_S}"),
        )
        shared = Shared(chains, tmp_path, postgres.new_schema(), *changes)
        try:
            daemon = shared.start()

            def well() -> bool:
                return shared.health().status is Status.OK

            def told(words: str) -> Callable[[], bool]:
                return lambda: any(words in reason for reason in shared.health().reasons)

            shared.wait_for("health", well)
            os.kill(daemon.pid, signal.SIGSTOP)
            tally.fault("keeper frozen")
            shared.wait_for("the frozen loop", told(f"limit is {MAX_AGE_S} s: is `keeper run` running?"))
            os.kill(daemon.pid, signal.SIGCONT)
            shared.wait_for("health again", well)

            proxy.fault(dropped())
            shared.wait_for("the stopped chain", told("gap: chain"))
            proxy.clear()
            shared.wait_for("health again", well)

            postgres.kill()
            tally.fault("database killed")
            try:
                shared.wait_for("the killed database", told("is out of reach"))
                assert shared.health().status is Status.DEGRADED
            finally:
                postgres.start()
            shared.wait_for("health again", well)
            assert daemon.poll() is None, "the daemon outlived it all"
        finally:
            shared.stop()
