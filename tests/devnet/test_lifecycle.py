"""`up`, `status`, `move`, `down`: one devnet to a folder, nothing left behind."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from keeper.devnet import lifecycle, scenario
from keeper.devnet.errors import AlreadyUpError, NotUpError, PortTakenError
from keeper.devnet.processes import Identity, is_running
from keeper.devnet.world import attach
from keeper.model.units import ONE, Wad
from tests.support.chains import Chains

pytestmark = pytest.mark.devnet

UP = """
import pathlib, sys
from keeper.devnet.lifecycle import up
up(pathlib.Path(sys.argv[1]))
"""


def processes(folder: Path) -> list[Identity]:
    found = json.loads((folder / "processes.json").read_text())
    return [Identity(**process) for process in found.values()]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose devnet, if any, is ended whatever the test did."""
    yield tmp_path / "net"
    with contextlib.suppress(NotUpError):
        lifecycle.down(tmp_path / "net")


def test_a_devnets_life(folder: Path) -> None:
    # another process starts it, and ends
    subprocess.run([sys.executable, "-c", UP, str(folder)], check=True, start_new_session=True)
    started = processes(folder)
    assert len(started) == 2
    assert all(is_running(process) for process in started)

    found = lifecycle.status(folder)
    assert found.healthy
    assert [node.chain_id for node in found.nodes] == [10, 42161]
    with pytest.raises(AlreadyUpError, match=r"a devnet is running in .*keeper devnet down"):
        lifecycle.up(folder)
    assert processes(folder) == started

    world = attach(found.deployment)
    heads = [node.head() for node in world.nodes.values()]
    deadline = time.monotonic() + 30
    while any(node.head() <= head for node, head in zip(world.nodes.values(), heads, strict=True)):
        assert time.monotonic() < deadline, "no block comes by itself"
        time.sleep(0.1)
    to = {"ETH": Wad(1_950 * ONE), "BTC": Wad(39_000 * ONE)}
    lifecycle.move(folder, to)
    assert world.lyra.spot() == to["ETH"]
    assert world.index("BTC") == to["BTC"]
    world.close()

    (folder / "keeper.sqlite").write_text("of these chains")
    assert lifecycle.down(folder) == ("optimism", "arbitrum")
    assert not any(is_running(process) for process in started)
    with pytest.raises(NotUpError, match="keeper devnet up"):
        lifecycle.down(folder)
    with pytest.raises(NotUpError):
        lifecycle.status(folder)
    assert (folder / "keeper.toml").exists()

    lifecycle.up(folder)
    assert not (folder / "keeper.sqlite").exists()
    assert (folder / "previous/keeper.sqlite").read_text() == "of these chains"
    lifecycle.down(folder)


def test_one_node_that_died_is_reported_and_cleared_away(folder: Path) -> None:
    lifecycle.up(folder)
    first, second = processes(folder)
    os.kill(first.pid, 9)
    while is_running(first):
        time.sleep(0.01)
    found = lifecycle.status(folder)
    assert not found.healthy
    assert [node.running for node in found.nodes] == [False, True]
    assert found.nodes[0].head is None
    with pytest.raises(AlreadyUpError):
        lifecycle.up(folder)
    assert lifecycle.down(folder) == ("arbitrum",)
    assert not is_running(second)


def test_a_failed_up_leaves_nothing(folder: Path, chains: Chains) -> None:
    taken = int(chains.url("arbitrum").rpartition(":")[2])
    with pytest.raises(PortTakenError):
        lifecycle.up(folder, ports={"arbitrum": taken})
    with pytest.raises(NotUpError):
        lifecycle.status(folder)
    assert not (folder / "processes.json").exists()


def test_an_interrupted_up_leaves_nothing(folder: Path) -> None:
    seen: list[Identity] = []

    def interrupt(_text: str, done: int, _of: int) -> None:
        if done == 3:
            seen.extend(processes(folder))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lifecycle.up(folder, on_step=interrupt)
    assert len(seen) == 2
    assert not any(is_running(process) for process in seen)
    assert not (folder / "processes.json").exists()


def test_two_at_once_do_not_mix(folder: Path) -> None:
    folder.mkdir()
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AlreadyUpError, match="another process starts or ends"):
            lifecycle.up(folder)


def test_a_process_that_took_the_number_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        record = {"optimism": {"pid": stranger.pid, "started": "earlier"}}
        (folder / "processes.json").write_text(json.dumps(record))
        assert lifecycle.down(folder) == ()
        assert stranger.poll() is None
        stranger.kill()


def test_the_signer_is_the_desk_and_private(chains: Chains) -> None:
    deployment = chains.deployment
    for path in (deployment.keystore, deployment.password_file):
        assert path.stat().st_mode & 0o777 == 0o600
    password = deployment.password_file.read_text().strip()
    key = Account.decrypt(deployment.keystore.read_text(), password)
    assert Account.from_key(key).address == deployment.signer == chains.actor("desk")
    text = deployment.config.read_text()
    assert key.hex().removeprefix("0x") not in text
    assert password not in text


def test_the_keeper_accepts_the_configuration(chains: Chains) -> None:
    from keeper.config.load import load

    settings = load(chains.deployment.config)
    assert {chain.chain_id for chain in settings.chains.values()} == {10, 42161}
    assert [hedge.underlying for hedge in settings.policy.hedge] == ["ETH", "BTC"]


def test_positions_of_the_story_are_numbered_as_listed(chains: Chains) -> None:
    owners = [chains.lyra.owner_of(n + 1) for n in range(len(scenario.OPTIONS))]
    assert owners == [chains.actor(line.owner) for line in scenario.OPTIONS]
