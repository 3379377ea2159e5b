"""Two endpoints and more on the same blocks, one of which lies, lags, hangs or is gone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keeper.chain.abi import encode
from keeper.chain.client import ChainClient
from keeper.chain.errors import EndpointsDisagree, NodeUnreachable, QuorumMissing
from keeper.chain.transactions import Tx
from keeper.devnet.node import Node
from keeper.model.reads import Address, Call, Failed, Logs, Read, Reads
from tests.chain.conftest import COUNT, EVENTS, GATE, LOUD, NOBODY, POISON
from tests.support.rpc_proxy import (
    Exchange,
    Fault,
    Reply,
    RpcProxy,
    answered,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
)

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

Connect = Callable[..., ChainClient]

ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
TOKEN = "erc20/ERC20"
TRUE, LIE = f"{7:064x}", f"{8:064x}"
COUNTED = Call(TOKEN, COUNT, "balanceOf", (ALICE,))


@pytest.fixture
def two(node: Node) -> Iterator[tuple[RpcProxy, RpcProxy]]:
    """Two ways to one node. Its counter stands at 7."""
    node.rpc("anvil_setStorageAt", COUNT, "0x" + "0" * 64, "0x" + TRUE)
    node.rpc("evm_mine")
    with ExitStack() as stack:
        first, second = (stack.enter_context(RpcProxy(node.url)) for _ in range(2))
        yield first, second


@pytest.fixture
def client(two: tuple[RpcProxy, RpcProxy], connect: Connect) -> ChainClient:
    return connect(*(proxy.url for proxy in two), quorum=2, timeout_s=3.0)


def reading(*reads: Read, rounds: int = 1) -> Reads[list[Any]]:
    answers: list[Any] = []
    for _ in range(rounds):
        answers += yield list(reads)
    return answers


def lying(exchange: Exchange) -> Reply:
    return Reply(exchange.forward().body.replace(TRUE.encode(), LIE.encode()))


def approve(to: Address) -> Tx:
    return Tx(to=to, data=encode(Call(TOKEN, to, "approve", (ALICE, 1))))


def test_what_all_say_is_believed(client: ChainClient, two: tuple[RpcProxy, RpcProxy]) -> None:
    many: list[Read] = [
        COUNTED,
        Call(TOKEN, LOUD, "balanceOf", (ALICE,)),
        Call(TOKEN, NOBODY, "balanceOf", (ALICE,)),
        Call(TOKEN, POISON, "balanceOf", (ALICE,)),
        Logs("curie/ClearingHouse", EVENTS, ("PositionLiquidated",), 0),
        Call(TOKEN, COUNT, "approve", (ALICE, 1), sender=ALICE),
    ]
    found = client.run(reading(*many, rounds=2), client.pin())
    assert found[0] == 7
    assert [type(a) for a in found[1:4]] == [Failed] * 3
    assert [proxy.count("eth_getLogs") for proxy in two] == [2, 2]


@pytest.mark.parametrize("liar", [0, 1])
def test_a_lie_about_one_value_is_found_whoever_tells_it(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    at = client.pin()
    two[liar].fault(lying, "eth_call")
    with pytest.raises(EndpointsDisagree) as caught:
        client.run(reading(Call(TOKEN, GATE, "balanceOf", (ALICE,)), COUNTED), at)
    assert caught.value.hosts == (two[0].url, two[1].url)
    assert f"disagree about {TOKEN}.balanceOf at block {at.number}" in str(caught.value)
    two[liar].clear()
    assert client.run(reading(COUNTED), at) == [7]


def test_a_lie_in_a_late_round_is_found(client: ChainClient, two: tuple[RpcProxy, RpcProxy]) -> None:
    at = client.pin()
    client.run(reading(COUNTED), at)
    two[0].fault(lying, "eth_call", skip=2)
    with pytest.raises(EndpointsDisagree):
        client.run(reading(COUNTED, rounds=4), at)


def test_an_event_that_one_withholds_is_missed(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node
) -> None:
    node.send(node.accounts[0], EVENTS, "0x")
    logs = Logs("curie/ClearingHouse", EVENTS, ("PositionLiquidated",), 0)
    at = client.pin()
    ((log,),) = client.run(reading(logs), at)
    assert log.event == "PositionLiquidated"
    two[0].fault(answered([]), "eth_getLogs")
    with pytest.raises(EndpointsDisagree, match="curie/ClearingHouse events"):
        client.run(reading(logs), at)


@pytest.mark.parametrize(
    "fault",
    [
        dropped(),
        garbage(),
        delayed(30.0),
        limited(),
        refused(-32005, "too many requests"),
        refused(-32000, "header not found"),
        answered("0x"),
        answered("0x1234"),
    ],
)
def test_without_a_witness_nothing_is_believed(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], fault: Fault
) -> None:
    at = client.pin()
    two[1].fault(fault, "eth_call")
    with pytest.raises(QuorumMissing, match="quorum of 2, only 1 answered") as caught:
        client.run(reading(COUNTED, rounds=5), at)
    assert two[1].url in str(caught.value)
    two[1].clear()
    assert client.run(reading(COUNTED), at) == [7]


def test_when_the_first_fails_the_second_is_no_witness_of_itself(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy]
) -> None:
    at = client.pin()
    two[0].fault(dropped())
    with pytest.raises(QuorumMissing):
        client.run(reading(COUNTED), at)


def test_a_third_takes_the_place_of_a_silent_witness(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node, connect: Connect
) -> None:
    three = connect(two[0].url, two[1].url, node.url, quorum=2, timeout_s=3.0)
    at = three.pin()
    two[1].fault(dropped())
    assert three.run(reading(COUNTED, rounds=3), at) == [7] * 3
    two[1].seen.clear()
    assert three.run(reading(COUNTED, rounds=3), at) == [7] * 3
    assert two[1].seen == [], "who failed lately is asked last"
    with pytest.raises(QuorumMissing, match="quorum of 3, only 2 answered"):
        connect(two[0].url, two[1].url, node.url, quorum=3).run(reading(COUNTED), at)


def test_a_witness_that_hears_of_the_block_a_moment_later_is_waited_for(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node
) -> None:
    client.run(reading(COUNTED), client.pin())
    rule = two[1].fault(refused(-32000, "header not found"), "eth_call", times=3)
    assert client.run(reading(COUNTED), client.pin()) == [7]
    assert rule.struck == 3


def test_a_simulation_must_succeed_everywhere(client: ChainClient, two: tuple[RpcProxy, RpcProxy]) -> None:
    assert client.simulate(sender=ALICE, to=COUNT, data=approve(COUNT).data).ok
    two[0].fault(answered("0x"), "eth_call")
    two[0].fault(answered(hex(50_000)), "eth_estimateGas")
    held = client.simulate(sender=ALICE, to=LOUD, data=approve(LOUD).data)
    assert not held.ok
    assert held.error == f"{two[0].url} would take it, {two[1].url} would not: NO"


def test_a_bundle_must_succeed_everywhere(client: ChainClient, two: tuple[RpcProxy, RpcProxy]) -> None:
    bundle = [approve(GATE), Tx(to=GATE, data=encode(Call(TOKEN, GATE, "balanceOf", (ALICE,))))]
    assert [s.ok for s in client.simulate_bundle(ALICE, bundle)] == [True, True]
    two[1].fault(dropped())
    held = client.simulate_bundle(ALICE, bundle)
    assert [s.ok for s in held] == [False, False]
    assert "quorum of 2, only 1 answered" in (held[0].error or "")


def test_a_witness_behind_does_not_confirm_a_simulation(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node
) -> None:
    two[1].freeze_head()
    node.rpc("evm_mine")
    held = client.simulate(sender=ALICE, to=COUNT, data=approve(COUNT).data)
    assert not held.ok
    assert f"{two[1].url}: has not seen block {node.head()}" in (held.error or "")


def test_a_simulation_that_fails_is_not_asked_again(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy]
) -> None:
    two[1].seen.clear()
    assert client.simulate(sender=ALICE, to=LOUD, data=approve(LOUD).data).error == "NO"
    assert two[1].seen == []


def test_a_node_of_another_chain_is_no_witness(client: ChainClient, two: tuple[RpcProxy, RpcProxy]) -> None:
    at = client.pin()
    two[1].fault(answered("0x1"), "eth_chainId")
    with pytest.raises(NodeUnreachable, match="serves chain id 1, expected 10"):
        client.run(reading(COUNTED), at)
