"""Nodes: on their port or not at all, and gone when they should be."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keeper.devnet.anvil import GENESIS_S, free_port, running, start
from keeper.devnet.errors import NodeStartError, PortTakenError
from keeper.devnet.packages import anvil_binary
from keeper.devnet.processes import identify
from keeper.devnet.world import start_nodes

pytestmark = pytest.mark.devnet

ORPHAN = """
import os, pathlib, signal, sys
from keeper.devnet.anvil import start
anvil = start(10, log=pathlib.Path(sys.argv[1]))
print(anvil.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_starts_at_the_genesis_time_with_one_second_between_blocks(tmp_path: Path) -> None:
    with running(10, log=tmp_path / "log") as anvil:
        assert anvil.node.rpc("eth_chainId") == "0xa"
        assert anvil.node.now_s() == GENESIS_S
        anvil.node.rpc("anvil_mine", 3)
        assert anvil.node.now_s() == GENESIS_S + 3
        pid = anvil.process.pid
    assert identify(pid) is None


def test_a_taken_port_is_refused_and_its_owner_left_alone(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} is taken") as caught:
            start(10, log=tmp_path / "log", port=port)
        assert caught.value.port == port


def test_a_port_of_another_node_is_refused(tmp_path: Path) -> None:
    with running(10, log=tmp_path / "one") as first, pytest.raises(PortTakenError):
        start(42161, log=tmp_path / "two", port=first.port)


def test_a_free_port_that_somebody_takes_meanwhile_is_changed_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(10, log=tmp_path / "one") as first:
        ports = iter([first.port, free_port()])
        monkeypatch.setattr("keeper.devnet.anvil.free_port", lambda: next(ports))
        with running(42161, log=tmp_path / "two") as second:
            assert second.port != first.port
            assert second.node.rpc("eth_chainId") == hex(42161)


def test_none_is_left_when_the_second_cannot_start(tmp_path: Path) -> None:
    free = free_port()
    with running(1, log=tmp_path / "owner") as owner, pytest.raises(PortTakenError):
        start_nodes(tmp_path, ports={"optimism": free, "arbitrum": owner.port})
    with running(2, log=tmp_path / "again", port=free) as again:
        assert again.port == free


def test_a_node_that_ends_at_once_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPER_ANVIL", "/bin/false")
    with pytest.raises(NodeStartError, match=r"chain 10 ended with code 1: see .*log"):
        start(10, log=tmp_path / "log")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends orphans")
def test_a_node_dies_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "log")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    pid = int(ran.stdout)
    deadline = time.monotonic() + 60
    while identify(pid) is not None:
        assert time.monotonic() < deadline, f"node {pid} outlived its parent {os.getpid()}"
        time.sleep(0.05)


def test_blocks_leave_no_files_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_ANVIL", str(anvil_binary()))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with running(10, log=tmp_path / "log") as anvil:
        anvil.node.rpc("anvil_mine", 700)
    files = [p for p in tmp_path.joinpath("home").rglob("*") if p.is_file()]
    assert files == []
