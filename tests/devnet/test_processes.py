"""Ending processes: ours, and nobody else's."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from keeper.devnet.processes import Identity, end, identify, is_running

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def identity_of(process: subprocess.Popen[bytes]) -> Identity:
    identity = identify(process.pid)
    assert identity is not None
    return identity


def test_ends_a_running_process_once(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper)
    assert is_running(identity)
    assert end(identity)
    assert not is_running(identity)
    assert not end(identity)


def test_a_later_process_of_the_same_number_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = replace(identity_of(sleeper), started="another boot:1")
    assert not is_running(earlier)
    assert not end(earlier)
    assert sleeper.poll() is None


def test_one_that_has_ended_and_was_not_reaped_counts_as_gone(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper)
    sleeper.kill()
    while identify(sleeper.pid) is not None:
        pass
    assert not is_running(identity)


def test_nobody_has_no_identity() -> None:
    assert identify(2**22 + 1) is None


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.devnet.processes._TERM_S", 0.1)
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = identity_of(process)
        assert end(identity)
        assert identify(process.pid) is None
