"""The places where a test ends the process."""

import os
import signal

import pytest

from keeper.execution.crash import BOUNDARIES, crash_point
from keeper.model.intent import TxState


def test_every_state_has_its_boundaries() -> None:
    assert {boundary.partition(".")[0] for boundary in BOUNDARIES} == {*TxState, "broadcast"}


@pytest.mark.parametrize("name", ["", "sent", "sent.during", "mined.after", "sent.after:x"])
def test_an_unknown_boundary_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"KEEPER_CRASH_AT|invalid literal"):
        crash_point(name)


def test_the_process_ends_at_the_n_th_time(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("keeper.execution.crash.os.kill", lambda *args: killed.append(args))
    crash_at = crash_point("sent.after:2")
    for reached in ("sent.after", "sent.before", "signed.after"):
        crash_at(reached)
    assert killed == []
    crash_at("sent.after")
    assert killed == [(os.getpid(), signal.SIGKILL)]
