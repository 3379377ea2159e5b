"""Start and stop local nodes: on a free port, with a fixed genesis time, and never more than asked for."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3

from keeper.devnet.errors import NodeError, NodeStartError, PortTakenError
from keeper.devnet.node import Node
from keeper.devnet.packages import anvil_binary

GENESIS_S: Final = 1_767_225_600
"""2026-01-01T00:00:00Z, the time of block 0 of every local chain."""

ACCOUNTS: Final = 24
BLOCK_GAS: Final = 1_000_000_000
HISTORY: Final = 256
"""Blocks whose state can be read. Kept in memory: left to itself, the node writes a file of a megabyte per
block into the user's home, and leaves it there."""

HOST: Final = "127.0.0.1"

_START_TIMEOUT_S: Final = 120.0
_OTHER_PORTS: Final = 4
"""How often a free port may be lost to somebody else between looking and listening."""

_STOP_TIMEOUT_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True, kw_only=True)
class Anvil:
    """A running node process that we started."""

    chain_id: int
    port: int
    process: subprocess.Popen[bytes]
    node: Node

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self.port)

    def release(self) -> None:
        """Let the process go on without us; `stop` does nothing afterwards."""
        self.node.close()
        self.process.returncode = 0  # else it counts as forgotten, which warns

    def stop(self) -> None:
        """End the process and wait for it; nothing happens when it has ended."""
        self.node.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def url_of(port: int) -> str:
    """Return the address of the local node on `port`."""
    return f"http://{HOST}:{port}"


def start(chain_id: int, *, log: Path, port: int | None = None, survive: bool = False) -> Anvil:
    """Start a node at `GENESIS_S` with one second between blocks, and wait until it answers.

    `port` None takes a free one. A node that is to `survive` gets a session of its own, so that neither the
    terminal's end nor its ^C reaches it; on Linux, others die with the calling thread, however it ends.
    Raises `PortTakenError`, `NodeStartError`, or what `anvil_binary` raises.
    """
    if port is not None:
        if _is_taken(port):
            raise PortTakenError(port)
        return _start(chain_id, port, log, survive)
    for _ in range(_OTHER_PORTS):
        with contextlib.suppress(PortTakenError):  # somebody else was given it meanwhile
            return _start(chain_id, free_port(), log, survive)
    return _start(chain_id, free_port(), log, survive)


def _start(chain_id: int, port: int, log: Path, survive: bool) -> Anvil:
    command = [str(anvil_binary()), "--host", HOST, "--port", str(port), "--chain-id", str(chain_id)]
    command += ["--timestamp", str(GENESIS_S), "--accounts", str(ACCOUNTS), "--gas-limit", str(BLOCK_GAS)]
    command += ["--quiet", "--no-request-size-limit", "--prune-history", str(HISTORY)]
    with log.open("ab") as sink:
        # the program comes from the verified package, the rest are numbers
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=survive,
            preexec_fn=None if survive else _dying_with(os.getpid()),
        )
    anvil = Anvil(chain_id=chain_id, port=port, process=process, node=Node(url_of(port)))
    try:
        _await_answer(anvil, log)
    except BaseException:
        anvil.stop()
        raise
    return anvil


@contextlib.contextmanager
def running(chain_id: int, *, log: Path, port: int | None = None) -> Iterator[Anvil]:
    """Start a node for the length of a `with` block."""
    anvil = start(chain_id, log=log, port=port)
    try:
        yield anvil
    finally:
        anvil.stop()


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # as servers do, so that a port of a connection that just ended counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


def _await_answer(anvil: Anvil, log: Path) -> None:
    """Wait for the first answer, and make sure that it is this node's and not an older one's."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        if anvil.process.poll() is not None:
            if b"in use" in log.read_bytes()[-2000:]:
                raise PortTakenError(anvil.port)
            raise NodeStartError(
                anvil.chain_id, problem=f"ended with code {anvil.process.returncode}", log=log
            )
        try:
            answered = int(anvil.node.rpc("eth_chainId"), 16)
            break
        except (urllib3.exceptions.HTTPError, NodeError):
            if time.monotonic() > deadline:
                raise NodeStartError(
                    anvil.chain_id, problem=f"did not answer in {_START_TIMEOUT_S:.0f} s", log=log
                ) from None
            time.sleep(0.01)
    if answered != anvil.chain_id or anvil.process.poll() is not None:
        raise PortTakenError(anvil.port)
    anvil.node.rpc("anvil_setBlockTimestampInterval", 1)


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Return what the child does first: ask Linux to end it when its parent is gone.

    The library is loaded here, because little is safe between fork and exec.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(0)

    return ask
