"""One leads, the others wait: who was deposed writes nothing more, on either database."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.model.errors import ConfigError, KeeperError
from keeper.model.intent import TxState
from keeper.store import session
from keeper.store.errors import LeadershipLostError, StoreBusyError
from keeper.store.leaders import Leader, Standby
from keeper.store.owner import own_name
from keeper.store.place import Place
from keeper.store.rows import Attempt
from keeper.store.store import Store
from tests.store.test_intents import LANE, attempt, bring, planned
from tests.store.test_pulse import BEAT
from tests.support import tally
from tests.support.postgres import Server

DEADLINE_S = 120.0


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not come"
        time.sleep(0.02)


class Usurper:
    """Takes the lead from a keeper that does not know it: its lock is lost, by a cut or a careless hand."""

    def __init__(self, place: Place, request: pytest.FixtureRequest) -> None:
        self.place = place
        self._request = request

    def take_lock(self) -> None:
        if isinstance(self.place, Path):
            self.place.with_name(self.place.name + ".owner").unlink()
            return
        server: Server = self._request.getfixturevalue("postgres")
        server.end_sessions(self.place)
        tally.fault("database connection cut")

    def lead(self) -> Store:
        self.take_lock()

        def wait(trouble: KeeperError) -> bool:
            # The one before may have been sooner to take it again.
            self.take_lock()
            return True

        return Store.open(self.place, "live", wait=wait)


@pytest.fixture
def usurper(place: Place, request: pytest.FixtureRequest) -> Usurper:
    return Usurper(place, request)


def test_terms_count_on_and_the_end_is_noted(place: Place) -> None:
    for term in (1, 2, 3):
        with Store.open(place, "live", clock=lambda: 10.0 * term) as store:  # noqa: B023
            leader = Leader(term=term, name=own_name(), since_s=10.0 * term, until_s=None)
            assert store.leaders.leader() == leader
        with Store.attach(place) as store:
            assert store.leaders.leader() == Leader(
                term=term, name=own_name(), since_s=10.0 * term, until_s=10.0 * term
            )


def test_who_stands_by_is_known_until_it_leads(place: Place) -> None:
    Store.open(place, "live").close()
    with Store.attach(place, clock=lambda: 100.0) as store:
        assert store.leaders.standbys() == ()
        store.leaders.stand_by()
        store.leaders.stand_by()
        assert store.leaders.standbys() == (Standby(name=own_name(), seen_s=100.0),)
    with Store.open(place, "live") as store:
        assert store.leaders.standbys() == ()


def test_one_who_left_is_forgotten_in_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(place, "live").close()
    for name, now_s in (("gone:1", 0.0), ("here:2", 3_600.0)):
        monkeypatch.setattr("keeper.store.store.own_name", lambda name=name: name)
        with Store.attach(place, clock=lambda now_s=now_s: now_s) as store:  # type: ignore[misc]
            store.leaders.stand_by()
            assert [standby.name for standby in store.leaders.standbys()] == [name]


def test_who_was_deposed_signs_nothing_and_moves_nothing(place: Place, usurper: Usurper) -> None:
    with Store.open(place, "live") as deposed:
        bring(deposed, "i1", TxState.SIMULATED)
        bring(deposed, "i2", TxState.PLANNED)
        with usurper.lead() as leader:
            before = leader.intents.transitions()
            for write in (
                lambda: deposed.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce)),
                lambda: deposed.intents.move("i2", TxState.DROPPED),
                lambda: deposed.intents.plan([planned("i3")]),
                lambda: deposed.pulse.beat(BEAT),
                lambda: deposed.leaders.give_up(),
            ):
                with pytest.raises(LeadershipLostError, match="leads on the store") as info:
                    write()
                assert isinstance(info.value, ConfigError)
                assert info.value.leader == own_name()
            assert leader.intents.transitions() == before
            assert leader.intents.attempts("i1") == ()
            deposed.halt("anybody may stop everybody", by="the one before")
            assert leader.halted() is not None
            leader.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))
        current = deposed.leaders.leader()
    assert current is not None
    assert (current.term, current.until_s is None) == (2, False)


def test_what_was_signed_before_the_next_term_is_found_in_it(place: Place, usurper: Usurper) -> None:
    with Store.open(place, "live") as deposed:
        bring(deposed, "i1", TxState.SIMULATED)
        taken: list[Store] = []

        def make(nonce: int) -> Attempt:
            taken.append(usurper.lead())
            return attempt("i1", nonce)

        with pytest.raises(LeadershipLostError):
            deposed.intents.sign("i1", LANE, 0, make)
        with taken[0] as leader:
            assert leader.intents.attempts("i1") == ()
            assert leader.intents.next_nonce(LANE) == 0


def test_a_turn_that_begins_during_a_write_waits_for_it(place: Place, usurper: Usurper) -> None:
    """The write that came first counts, and the next term begins with it."""
    with Store.open(place, "live") as deposed:
        bring(deposed, "i1", TxState.SIMULATED)
        found: list[TxState] = []
        started = threading.Event()

        def lead() -> None:
            started.set()
            with usurper.lead() as leader:
                stored = leader.intents.get("i1")
                assert stored is not None
                found.append(stored.state)

        other = threading.Thread(target=lead)
        usurper.take_lock = lambda: None  # type: ignore[method-assign]
        if isinstance(place, Path):
            place.with_name(place.name + ".owner").unlink()
        else:
            deposed._owner._drop()  # type: ignore[union-attr]

        def begin(boundary: str) -> None:
            if boundary == "signed.written":
                other.start()
                assert started.wait(DEADLINE_S)

        deposed.intents._crash_at = begin
        deposed.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))
        other.join(DEADLINE_S)
        assert found == [TxState.SIGNED]


def test_the_deposed_one_is_told_and_can_find_out(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PING_S", 0.02)
    url = postgres.new_schema()
    told = threading.Event()
    with Store.open(url, "live", on_lost=told.set) as deposed:
        deposed.require_leading()

        def again(trouble: KeeperError) -> bool:
            postgres.end_sessions(url)
            return True

        postgres.end_sessions(url)
        with Store.open(url, "live", wait=again):
            assert told.wait(DEADLINE_S)
            with pytest.raises(LeadershipLostError, match=own_name()):
                deposed.require_leading()


def test_a_lost_lock_that_nobody_took_is_taken_again(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PING_S", 0.02)
    url = postgres.new_schema()
    with Store.open(url, "live") as store:
        assert postgres.end_sessions(url) > 0
        tally.fault("database connection cut")
        wait_for("the lock", lambda: is_busy(url))
        store.require_leading()
        store.halt("still the leader", by="test")
        bring(store, "i1", TxState.SIGNED)


def is_busy(url: str) -> bool:
    try:
        Store.open(url, "dry-run").close()
    except StoreBusyError:
        return True
    except KeeperError:
        pass
    return False


def test_a_frozen_leader_is_replaced(postgres: Server) -> None:
    url = postgres.new_schema()
    program = (
        "import sys, time\n"
        "from keeper.store.store import Store\n"
        "store = Store.open(sys.argv[1], 'live')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "store.pulse.beat(None)\n"
    )
    frozen = subprocess.Popen(
        [sys.executable, "-c", program, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == b"open\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        tally.fault("keeper frozen")
        with Store.open(url, "live", wait=patient, lease_s=2.5) as store:
            leader = store.leaders.leader()
            assert leader is not None
            assert leader.term == 2
            os.kill(frozen.pid, signal.SIGCONT)
            _, errors = frozen.communicate(b"\n", timeout=DEADLINE_S)
            assert b"LeadershipLostError" in errors
            store.require_leading()
    finally:
        frozen.kill()
        frozen.communicate()


def patient(trouble: KeeperError) -> bool:
    time.sleep(0.05)
    return True
