"""The daemon: cycles on a timer and on new heads, one reaction per kind of error, a graceful end.

| error | reaction |
| --- | --- |
| TransientError | the cycle is tried again, waiting twice as long each time; then as DataError |
| DataError | journaled; nothing is sent until a later cycle ends well |
| TripwireError | journaled; sending is halted until `keeper resume`; exit code 3 |
| ConfigError, KeeperError | passes through to the command, which exits |

SIGTERM and SIGINT let the running cycle finish: the outbox holds what it has begun, so that the next start
goes on where this one ended. A second SIGINT does not wait.
"""

import signal
import threading
import time
from collections.abc import Callable, Container, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import FrameType
from typing import Final, Protocol

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from keeper.model.errors import DataError, KeeperError, TransientError, TripwireError
from keeper.service.cycle import Cycle, Stages, run_cycle

RETRIES: Final = 4
"""How often a cycle is tried again after a transient error."""

FIRST_WAIT_S: Final = 1.0

log = structlog.get_logger()


class Recorder(Protocol):
    """Where the daemon writes how a cycle ended: the heartbeat, the journal, the halt."""

    def good(self, cycle: Cycle, started_at_s: float) -> None:
        """Record a cycle that ended well."""
        ...

    def failed(self, error: KeeperError, started_at_s: float) -> None:
        """Record a cycle that ended in an error."""
        ...

    def halt(self, error: TripwireError) -> None:
        """Stop all sending until a person resumes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a cycle is due."""

    interval_s: float
    heads: Callable[[Callable[[str], None]], AbstractContextManager[None]] | None
    """Calls what it is given with the hash of every new head, for the length of a `with` block and in threads
    of its own, so it must use connections of its own. None: only the timer."""


class Stop:
    """Somebody wants the daemon to end, or a cycle to begin."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._stopping = threading.Event()
        self._deposed = False

    @property
    def stopping(self) -> bool:
        """True once an end was asked for."""
        return self._stopping.is_set()

    @property
    def deposed(self) -> bool:
        """True when the end is asked for only because another keeper leads now."""
        return self._deposed

    def stop(self) -> None:
        """Ask for an end."""
        self._deposed = False
        self._stopping.set()
        self._wake.set()

    def step_down(self) -> None:
        """Ask for an end because another keeper leads now."""
        self._deposed = not self._stopping.is_set()
        self._stopping.set()
        self._wake.set()

    def due(self, head: str = "") -> None:
        """Ask for a cycle, with `head` only as long as none has read that block."""
        self._asked.put(head)
        self._wake.set()

    def wait(self, seen: Container[str] = ()) -> bool:
        """Wait until a cycle is due for more than the blocks that were `seen`. False when to end instead."""
        while not self.stopping:
            self._wake.wait()
            self._wake.clear()
            asked = [self._asked.get() for _ in range(self._asked.qsize())]
            if any(head not in seen for head in asked):
                break
        return not self.stopping

    def pause(self, seconds: float) -> bool:
        """Wait before another try. False when an end was asked for meanwhile."""
        return not self._stopping.wait(seconds)


@dataclass(kw_only=True)
class Daemon:
    """Runs cycles until it is told to stop."""

    stages: Stages
    recorder: Recorder
    schedule: Schedule
    clock: Callable[[], float] = time.time
    stop: Stop = field(default_factory=Stop)
    first_wait_s: float = FIRST_WAIT_S
    _seen: frozenset[str] = frozenset()
    """Hashes of the blocks that the last good cycle rested on."""

    def run_once(self) -> bool:
        """Run one cycle, with its retries. True when it ended well. Raises `TripwireError`."""
        with ending_on_signals(self.stop):
            return self._turn()

    def run(self) -> None:
        """Run cycles until SIGTERM, SIGINT or `stop`. Raises `TripwireError`, `ConfigError`."""
        with ending_on_signals(self.stop), self._scheduled():
            self.stop.due()
            while self.stop.wait(self._seen):
                self._turn()
        log.info("stopped")

    def _turn(self) -> bool:
        """Run one cycle with the reactions of the table above."""
        wait_s = self.first_wait_s
        for attempt in range(RETRIES + 1):
            started_at_s = self.clock()
            try:
                cycle = run_cycle(self.stages)
                # Chains that have a block at the same time tell of it one after the other.
                self._seen = frozenset(block.hash for block in cycle.snapshot.blocks)
                self.recorder.good(cycle, started_at_s)
            except TransientError as error:
                log.warning("cycle failed", error=str(error), attempt=attempt + 1, of=RETRIES + 1)
                self._record(error, started_at_s)
                if attempt == RETRIES or not self.stop.pause(wait_s):
                    return False
                wait_s *= 2.0
            except DataError as error:
                log.error("cycle held", error=str(error))
                self._record(error, started_at_s)
                return False
            except TripwireError as error:
                log.critical("halted", error=str(error))
                self.recorder.halt(error)
                self._record(error, started_at_s)
                raise
            else:
                _report(cycle, self.clock() - started_at_s)
                return True
        return False

    def _record(self, error: KeeperError, started_at_s: float) -> None:
        """Record a failure. A store that cannot be written now makes health old, which says enough."""
        try:
            self.recorder.failed(error, started_at_s)
        except TransientError as unrecorded:
            log.error("failure not recorded", error=str(unrecorded))

    @contextmanager
    def _scheduled(self) -> Generator[None]:
        scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
        scheduler.add_job(self.stop.due, "interval", seconds=self.schedule.interval_s)
        scheduler.start()
        try:
            with self.schedule.heads(self.stop.due) if self.schedule.heads else nullcontext():
                yield
        finally:
            scheduler.shutdown(wait=True)


@contextmanager
def ending_on_signals(stop: Stop) -> Generator[None]:
    """Turn SIGTERM and the first SIGINT into a graceful end."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.stopping:
            raise KeyboardInterrupt
        log.info("stopping", signal=signal.Signals(number).name)
        stop.stop()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _report(cycle: Cycle, took_s: float) -> None:
    log.info(
        "cycle",
        id=cycle.id,
        plan=cycle.decided.plan.id[:16],
        actions=len(cycle.decided.plan.actions),
        sent=sum(outcome.tx_hash is not None for outcome in cycle.outcomes),
        failed=sum(outcome.success is False for outcome in cycle.outcomes),
        gaps=len(cycle.snapshot.gaps),
        took_s=round(took_s, 3),
    )
