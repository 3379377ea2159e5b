"""Two builds are one: the same addresses, positions and state, to the last digit."""

from pathlib import Path

import pytest

from keeper.devnet import scenario
from keeper.devnet.bulk import seed_many
from keeper.devnet.deployment import from_json, to_json
from keeper.devnet.lifecycle import temporary
from keeper.devnet.world import STEPS, World, attach
from tests.support.chains import Chains

pytestmark = pytest.mark.devnet


def fingerprint(world: World) -> tuple[object, ...]:
    heads = [node.rpc("eth_getBlockByNumber", "latest", False) for node in world.nodes.values()]
    return tuple((head["number"], head["hash"], head["stateRoot"]) for head in heads)


def test_two_builds_are_one(chains: Chains, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    with temporary(tmp_path, on_step=lambda *step: steps.append(step)) as (world, deployment):
        assert fingerprint(world) == fingerprint(chains.world)
        assert [c.contracts for c in deployment.chains] == [c.contracts for c in chains.deployment.chains]
        assert deployment.actors == chains.deployment.actors
        for ours, theirs in zip(world.nodes.values(), chains.world.nodes.values(), strict=True):
            ours.rpc("anvil_setCoinbase", theirs.rpc("eth_coinbase"))
        world.move_market(scenario.DROP)
        chains.move()
        assert fingerprint(world) == fingerprint(chains.world)
    assert [done for _, done, _ in steps] == list(range(1, STEPS + 4))
    assert {of for _, _, of in steps} == {STEPS + 3}


def test_the_deployment_survives_its_file(chains: Chains) -> None:
    deployment = chains.deployment
    assert from_json(to_json(deployment), deployment.folder) == deployment
    with pytest.raises(ValueError, match=r"keeper\.devnet/1"):
        from_json('{"schema": "other/1"}', deployment.folder)


def test_attached_is_as_good_as_built(chains: Chains) -> None:
    world = attach(chains.deployment)
    try:
        world.move_market(scenario.DROP)
        assert world.chains() == chains.world.chains()
        assert chains.lyra.spot() == scenario.DROP["ETH"]
    finally:
        world.close()


def test_bulk_is_whole_and_hardly_moves_prices(chains: Chains) -> None:
    before = chains.world.mark("ETH")
    next_id = chains.lyra["OptionToken"].call("nextId")
    bulk = seed_many(chains.world, options=60, traders=21)
    assert chains.lyra["OptionToken"].call("nextId") == next_id + 60
    assert len(bulk.owners) == 3
    assert bulk.perps == 21 + 10
    held = [len(chains.lyra["OptionToken"].call("getOwnerPositions", owner)) for owner in bulk.owners]
    assert held == [25, 25, 10]
    markets = [len(chains.curie["AccountBalance"].call("getBaseTokens", t)) for t in bulk.traders]
    assert markets == [1 + n % 2 for n in range(21)]
    assert chains.world.mark("ETH") == pytest.approx(before, rel=1e-3)
    chains.move()  # transactions are mined at once again
