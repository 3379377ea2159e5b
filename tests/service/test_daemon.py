"""One reaction per kind of error, one cycle at a time, and an end that tears nothing."""

import os
import signal
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

import pytest

from keeper.model.errors import ConfigError, DataError, KeeperError, TransientError, TripwireError
from keeper.model.snapshot import Snapshot
from keeper.service.cycle import Cycle
from keeper.service.daemon import RETRIES, Daemon, Schedule, Stop
from tests.service.sample import SNAPSHOT
from tests.service.test_cycle import Tape


class Notes:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def good(self, cycle: Cycle, started_at_s: float) -> None:
        self.lines.append("good")

    def failed(self, error: KeeperError, started_at_s: float) -> None:
        self.lines.append(f"failed {type(error).__name__}")

    def halt(self, error: TripwireError) -> None:
        self.lines.append("halt")


def daemon(
    observe: Callable[[], Snapshot], notes: Notes, *, interval_s: float = 3600.0, first_wait_s: float = 0.0
) -> Daemon:
    return Daemon(
        stages=Tape().stages(observe=observe),
        recorder=notes,
        schedule=Schedule(interval_s=interval_s, heads=None),
        clock=lambda: 0.0,
        first_wait_s=first_wait_s,
    )


def failing(*errors: Exception) -> Callable[[], Snapshot]:
    """Raise each error once, then observe."""
    left: Iterator[Exception] = iter(errors)

    def observe() -> Snapshot:
        error = next(left, None)
        if error is not None:
            raise error
        return SNAPSHOT

    return observe


def test_a_good_cycle_is_recorded() -> None:
    notes = Notes()
    assert daemon(failing(), notes).run_once()
    assert notes.lines == ["good"]


def test_a_transient_error_is_tried_again() -> None:
    notes = Notes()
    assert daemon(failing(TransientError("timeout"), TransientError("timeout")), notes).run_once()
    assert notes.lines == ["failed TransientError", "failed TransientError", "good"]


def test_tries_are_limited() -> None:
    notes = Notes()
    assert not daemon(failing(*[TransientError("timeout")] * 99), notes).run_once()
    assert notes.lines == ["failed TransientError"] * (RETRIES + 1)


def test_a_data_error_holds_until_the_next_cycle() -> None:
    notes = Notes()
    held = daemon(failing(DataError("stale")), notes)
    assert not held.run_once()
    assert held.run_once()
    assert notes.lines == ["failed DataError", "good"]


def test_a_tripwire_halts_first_then_ends() -> None:
    notes = Notes()
    with pytest.raises(TripwireError):
        daemon(failing(TripwireError("journal gap")), notes).run()
    assert notes.lines == ["halt", "failed TripwireError"]


@pytest.mark.parametrize("error", [ConfigError("store gone"), ZeroDivisionError("a bug")])
def test_other_errors_pass_through(error: Exception) -> None:
    notes = Notes()
    with pytest.raises(type(error)):
        daemon(failing(error), notes).run()
    assert notes.lines == []


def test_a_store_that_cannot_take_the_failure_does_not_end_the_daemon() -> None:
    class Locked(Notes):
        def failed(self, error: KeeperError, started_at_s: float) -> None:
            super().failed(error, started_at_s)
            raise TransientError("locked")

    notes = Locked()
    assert not daemon(failing(DataError("stale")), notes).run_once()
    assert notes.lines == ["failed DataError"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_cycle_finish(number: signal.Signals) -> None:
    notes = Notes()

    def observe() -> Snapshot:
        os.kill(os.getpid(), number)
        return SNAPSHOT

    before = signal.getsignal(number)
    daemon(observe, notes).run()
    assert notes.lines == ["good"]
    assert signal.getsignal(number) == before


def test_a_second_interrupt_does_not_wait() -> None:
    def observe() -> Snapshot:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second interrupt was lost")

    with pytest.raises(KeyboardInterrupt):
        daemon(observe, Notes()).run()


def test_a_signal_ends_the_wait_before_the_next_try() -> None:
    notes = Notes()

    def observe() -> Snapshot:
        os.kill(os.getpid(), signal.SIGTERM)
        raise TransientError("timeout")

    daemon(observe, notes, first_wait_s=3600.0).run()
    assert notes.lines == ["failed TransientError"]


def test_the_timer_asks_for_cycles() -> None:
    notes = Notes()
    seen: list[int] = []

    def observe() -> Snapshot:
        seen.append(threading.get_ident())
        if len(seen) == 3:
            running.stop.stop()
        return SNAPSHOT

    running = daemon(observe, notes, interval_s=0.02)
    running.run()
    assert notes.lines == ["good"] * 3
    assert set(seen) == {threading.get_ident()}


def test_heads_are_watched_while_the_daemon_runs_and_each_asks_for_a_cycle() -> None:
    steps: list[str] = []
    ask: list[Callable[[str], None]] = []

    @contextmanager
    def heads(due: Callable[[str], None]) -> Iterator[None]:
        steps.append("watching")
        ask.append(due)
        yield
        steps.append("ended")

    def observe() -> Snapshot:
        steps.append("cycle")
        if steps.count("cycle") < 3:
            ask[0](f"0x{steps.count('cycle')}")
        else:
            running.stop.stop()
        return SNAPSHOT

    running = daemon(observe, Notes())
    running.schedule = Schedule(interval_s=3600.0, heads=heads)
    running.run()
    assert steps == ["watching", "cycle", "cycle", "cycle", "ended"]


def test_a_head_that_a_cycle_has_read_asks_for_none() -> None:
    stop = Stop()
    stop.due("0xread")
    stop.due("0xnew")
    assert stop.wait({"0xread"})
    stop.due("0xread")
    stop.due()
    assert stop.wait({"0xread"}), "the timer asks for one whatever was read"
    stop.due("0xread")
    stop.stop()
    assert not stop.wait({"0xread"})


def test_what_the_last_good_cycle_rested_on_has_been_read() -> None:
    waits: list[frozenset[str]] = []

    class Watched(Stop):
        def wait(self, seen: Container[str] = ()) -> bool:
            assert isinstance(seen, frozenset)
            waits.append(seen)
            if len(waits) == 3:
                self.stop()
            self.due()
            return super().wait(seen)

    running = daemon(failing(DataError("two nodes disagree")), Notes())
    running.stop = Watched()
    running.run()
    assert waits == [frozenset(), frozenset(), {block.hash for block in SNAPSHOT.blocks}]


def test_requests_during_a_cycle_become_one_more() -> None:
    notes = Notes()
    cycles = 0

    def observe() -> Snapshot:
        nonlocal cycles
        cycles += 1
        if cycles == 1:
            running.stop.due()
            running.stop.due()
        else:
            running.stop.stop()
        return SNAPSHOT

    running = daemon(observe, notes)
    running.run()
    assert notes.lines == ["good", "good"]
