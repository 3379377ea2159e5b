"""The leader is killed, cut off and frozen: another keeper sends within seconds, and nothing twice."""

import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from keeper.store.place import Place
from tests.service.relay import Relay, relay, wait_for
from tests.support import tally
from tests.support.postgres import Server

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

FAILOVERS: Final = int(os.environ.get("KEEPER_FAILOVERS", "3"))
"""Leaders killed at random times, on each database."""

SEED: Final = int(os.environ.get("KEEPER_SEED", "1"))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return tmp_path / "keeper.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def keepers(place: Place, tmp_path: Path) -> Iterator[Relay]:
    with relay(place, tmp_path) as keepers:
        yield keepers


def test_a_killed_leader_is_followed_and_nothing_is_sent_twice(keepers: Relay) -> None:
    moments = random.Random(SEED)
    gaps_s: list[float] = []
    keepers.start()
    keepers.start()
    for kill in range(FAILOVERS):
        leader = keepers.leading()
        keepers.want(3)
        time.sleep(moments.uniform(0.0, 0.3))
        keepers.kill(leader)
        killed_s = time.monotonic()
        keepers.want()
        keepers.settle()
        gaps_s.append(time.monotonic() - killed_s)
        if kill + 1 < FAILOVERS:
            keepers.start()
    current = keepers.leader()
    assert current is not None
    assert current.term > FAILOVERS
    done = keepers.audit()
    kind = "sqlite" if isinstance(keepers.place, Path) else "postgresql"
    print(
        f"\n{kind}: {FAILOVERS} leaders killed, {done.intents} intents, from the kill to the last effect "
        f"median {statistics.median(gaps_s):.2f} s, most {max(gaps_s):.2f} s"
    )


def test_a_leader_whose_session_is_cut_gives_way_or_goes_on(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_schema()
    moments = random.Random(SEED)
    with relay(url, tmp_path) as keepers:
        keepers.start()
        keepers.start()
        for _ in range(3):
            keepers.leading()
            keepers.want(3)
            time.sleep(moments.uniform(0.0, 0.1))
            assert postgres.end_sessions(url) > 0
            tally.fault("database connection cut")
            keepers.want()
            settle_with(keepers)
        settle_with(keepers)
        keepers.audit()


def settle_with(keepers: Relay) -> None:
    """Wait for every effect; a keeper that ended, as one whose store is away, is started again."""

    def done() -> bool:
        for child in list(keepers.children):
            if os.waitpid(child, os.WNOHANG)[0]:
                keepers.children.remove(child)
                keepers.start()
        return set(keepers.effects().values()) == {1}

    wait_for("every effect", done)


def test_a_killed_server_is_waited_for(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_schema()
    moments = random.Random(SEED)
    with relay(url, tmp_path) as keepers:
        keepers.start()
        keepers.start()
        for _ in range(2):
            keepers.leading()
            keepers.want(3)
            time.sleep(moments.uniform(0.0, 0.1))
            postgres.kill()
            tally.fault("database killed")
            keepers.want()
            postgres.start()
            settle_with(keepers)
        keepers.audit()


def test_a_frozen_leader_that_wakes_sends_nothing(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_schema()
    with relay(url, tmp_path) as keepers:
        frozen = keepers.start()
        assert keepers.leading() == frozen
        os.kill(frozen, signal.SIGSTOP)
        tally.fault("keeper frozen")
        postgres.end_sessions(url)
        keepers.want(2)
        heir = keepers.start()
        wait_for("the other one to lead", lambda: leads(keepers, heir))
        os.kill(frozen, signal.SIGCONT)
        assert keepers.ended(frozen) == 1, "the one that woke ends: the lead was lost"
        keepers.want(2)
        keepers.settle()
        keepers.audit()


def leads(keepers: Relay, child: int) -> bool:
    leader = keepers.leader()
    return leader is not None and leader.name.endswith(f":{child}")
