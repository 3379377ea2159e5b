"""`keeper devnet up`, `down` and `status`, and the devnet that lives as long as a `with` block."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import urllib3

from keeper.devnet import packages, scenario
from keeper.devnet.anvil import Anvil
from keeper.devnet.deployment import CHAIN_IDS, Deployment, from_json, to_json
from keeper.devnet.errors import AlreadyUpError, NodeError, NotUpError
from keeper.devnet.keystore import write_keystore
from keeper.devnet.node import Node
from keeper.devnet.processes import Identity, end, identify, is_running
from keeper.devnet.settings import config_text
from keeper.devnet.world import STEPS as BUILD_STEPS
from keeper.devnet.world import OnStep, World, attach, build, start_nodes
from keeper.model.units import Wad

BLOCK_S: Final = 2
"""Chain time and wall time between two blocks once a devnet is up."""

STEPS: Final = BUILD_STEPS + 3
"""Steps reported by `up` and `temporary`."""

_DEPLOYMENT: Final = "deployment.json"
_PROCESSES: Final = "processes.json"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node as it is now."""

    name: str
    chain_id: int
    url: str
    pid: int
    running: bool
    head: int | None
    """None when it does not answer."""

    head_time_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A devnet as it is now."""

    deployment: Deployment
    nodes: tuple[NodeStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether every node runs and answers."""
        return all(node.running and node.head is not None for node in self.nodes)


def up(
    folder: Path,
    *,
    ports: Mapping[str, int] | None = None,
    on_step: OnStep | None = None,
    on_fetch: packages.Progress | None = None,
) -> Deployment:
    """Start both chains, set the market up, write the files, and leave the nodes running.

    The nodes survive this process and its terminal; a block comes every `BLOCK_S`. `ports` names a port by
    chain, else free ones are taken. `folder` then holds `deployment.json`, `keeper.toml`, the signer's
    keystore and password, and a log per node. A store and a journal of earlier chains are moved to
    `previous`. Nothing is left running when it fails.

    Raises `AlreadyUpError`, `PortTakenError`, `NodeStartError`, and what fetching packages raises.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder):
        if any(is_running(process) for process in _processes(folder).values()):
            raise AlreadyUpError(folder, "a devnet is running")
        packages.ensure(on_fetch)
        _forget(folder)
        _set_aside(folder)
        nodes = start_nodes(folder, ports=ports, survive=True)
        try:
            _remember(folder, nodes)  # before the long part: `down` ends them whatever happens to us
            world, deployment = _set_up(folder, nodes, on_step)
            mine_every(world, BLOCK_S)
            world.close()
        except BaseException:
            for anvil in nodes:
                anvil.stop()
            _forget(folder)
            raise
        for anvil in nodes:
            anvil.release()
    return deployment


def down(folder: Path) -> tuple[str, ...]:
    """End the nodes that `up` started in this folder, and return the names of those that still ran.

    The configuration, store and logs stay. Raises `NotUpError` when nothing was started here.
    """
    folder = folder.resolve()
    processes = _processes(folder)
    if not processes:
        raise NotUpError(folder)
    with _exclusive(folder):
        ended = tuple(name for name, process in processes.items() if end(process))
        _forget(folder)
    return ended


def status(folder: Path) -> Status:
    """Return how the devnet of this folder is. Raises `NotUpError` when nothing was started here."""
    folder = folder.resolve()
    deployment = read(folder)
    processes = _processes(folder)
    nodes: list[NodeStatus] = []
    for chain in deployment.chains:
        process = processes[chain.name]
        running = is_running(process)
        head, time_s = _head(chain.url) if running else (None, None)
        nodes.append(
            NodeStatus(
                name=chain.name,
                chain_id=chain.chain_id,
                url=chain.url,
                pid=process.pid,
                running=running,
                head=head,
                head_time_s=time_s,
            )
        )
    return Status(deployment=deployment, nodes=tuple(nodes))


def read(folder: Path) -> Deployment:
    """Return the deployment of a folder whose devnet is up. Raises `NotUpError`."""
    folder = folder.resolve()
    path = folder / _DEPLOYMENT
    if not path.exists() or not _processes(folder):
        raise NotUpError(folder)
    return from_json(path.read_text(), folder)


@contextlib.contextmanager
def temporary(
    folder: Path, *, on_step: OnStep | None = None, on_fetch: packages.Progress | None = None
) -> Iterator[tuple[World, Deployment]]:
    """Give a fresh devnet for the length of a `with` block: a block per transaction, nodes that die with us.

    Raises as `up`.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    packages.ensure(on_fetch)
    nodes = start_nodes(folder)
    try:
        yield _set_up(folder, nodes, on_step)
    finally:
        for anvil in nodes:
            anvil.stop()


def move(folder: Path, prices: Mapping[str, Wad]) -> int:
    """Bring `ETH` and `BTC` to `prices`, USD, on the devnet that is up in this folder; return the chain time.

    Also the way to give its oracles fresh answers, which nobody else does. Raises `NotUpError`, `RevertError`
    where a price is out of the reach of the venue's limits.
    """
    world = attach(read(folder))
    mine_every(world, 0)  # steps of the walk are timed by the block
    try:
        return world.move_market(prices)
    finally:
        mine_every(world, BLOCK_S)
        world.close()


def mine_every(world: World, seconds: int) -> None:
    """Let both chains mine a block every `seconds` of wall time, each as much chain time after the last.

    0 goes back to one block per transaction, one second apart.
    """
    for node in world.nodes.values():
        node.rpc("anvil_setBlockTimestampInterval", seconds or 1)
        node.rpc("evm_setIntervalMining", seconds)
        if not seconds:
            node.rpc("evm_setAutomine", True)


def _set_up(folder: Path, nodes: tuple[Anvil, ...], on_step: OnStep | None) -> tuple[World, Deployment]:
    """Build the market on fresh nodes, and write the folder's files."""

    def step(text: str, done: int, _of: int) -> None:
        if on_step:
            on_step(text, done, STEPS)

    step("two nodes answer", 1, STEPS)
    by_name = {name: anvil.node for name, anvil in zip(CHAIN_IDS, nodes, strict=True)}
    world = build(by_name, lambda text, done, of: step(text, done + 1, of))
    keystore, password_file = folder / "signer.json", folder / "signer.password"
    signer = write_keystore(keystore, password_file)
    deployment = Deployment(
        folder=folder,
        chains=world.chains(),
        actors=tuple(scenario.addresses(world.lyra.node).items()),
        signer=signer,
        keystore=keystore,
        password_file=password_file,
        config=folder / "keeper.toml",
    )
    step("signer and its keystore written", BUILD_STEPS + 2, STEPS)
    _write(deployment.config, config_text(deployment))
    _write(folder / _DEPLOYMENT, to_json(deployment))
    step("configuration written", STEPS, STEPS)
    return world, deployment


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder while it changes."""
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUpError(folder, "another process starts or ends the devnet") from None
        yield


def _remember(folder: Path, nodes: tuple[Anvil, ...]) -> None:
    found = {
        name: asdict(process)
        for name, anvil in zip(CHAIN_IDS, nodes, strict=True)
        if (process := identify(anvil.process.pid)) is not None
    }
    _write(folder / _PROCESSES, json.dumps(found, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def _forget(folder: Path) -> None:
    (folder / _PROCESSES).unlink(missing_ok=True)
    (folder / _DEPLOYMENT).unlink(missing_ok=True)


def _set_aside(folder: Path) -> None:
    """Move away what a keeper recorded about chains that are gone: it would take the new ones for them."""
    found = [*folder.glob("keeper.sqlite*"), *folder.glob("journal.jsonl*")]
    if found:
        previous = folder / "previous"
        shutil.rmtree(previous, ignore_errors=True)
        previous.mkdir()
        for path in found:
            path.rename(previous / path.name)


def _processes(folder: Path) -> dict[str, Identity]:
    """Return the nodes that `up` started here, whether they still run or not."""
    try:
        found = json.loads((folder / _PROCESSES).read_text())
    except FileNotFoundError:
        return {}
    return {name: Identity(**process) for name, process in found.items()}


def _head(url: str) -> tuple[int | None, int | None]:
    node = Node(url, timeout_s=5.0)
    try:
        return node.head(), node.now_s()
    except (urllib3.exceptions.HTTPError, NodeError):
        return None, None
    finally:
        node.close()
