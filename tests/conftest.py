"""Rules for every test: no network unless marked `devnet` or `faults`."""

import os
import socket

import pytest
from hypothesis import settings

from keeper.execution.signer import key_library

# A shared machine may stall any example: speed is the benchmarks' business. What lands is judged by the same
# examples every time; new ones are tried on developers' machines.
settings.register_profile("keeper", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("keeper")

pytest_plugins = ["tests.support.chains", "tests.support.summary", "tests.support.postgres"]


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(request.node.get_closest_marker(name) for name in ("devnet", "faults")):
        return

    def refuse(_self: socket.socket, address: object) -> None:
        raise AssertionError(f"unit test opened a connection to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


# Tests make keys of their own. Loaded here first, the library leaves the recursion limit as it is.
key_library()
