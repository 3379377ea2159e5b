"""Events up to the pinned block, whatever range a node grants, or a failure: never a part of the history."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.chain.abi import event
from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeUnreachable, PinnedBlockGone
from keeper.chain.multicall import MULTICALL3
from keeper.devnet.node import Node
from keeper.model.reads import Address, Failed, Log, Logs, Reads
from keeper.model.snapshot import BlockRef
from tests.chain.conftest import EVENTS, LOUD
from tests.support.rpc_proxy import Fault, Play, RpcError, RpcProxy, changed, dropped, refused

CLEARING = "curie/ClearingHouse"
EVENT = "PositionLiquidated"
TOPIC = "0x" + event(CLEARING, EVENT).selector.hex()
HERE = Address("0x82ac2CE43e33683c58BE4cDc40975E73aA50f459")

Connect = Callable[..., ChainClient]


def logs(from_block: int = 0, to: Address = HERE) -> Logs:
    return Logs(CLEARING, to, (EVENT, "PositionChanged"), from_block)


def block(number: int) -> dict[str, str]:
    return {
        "number": hex(number),
        "hash": f"0x{number:064x}",
        "parentHash": f"0x{number - 1:064x}",
        "timestamp": hex(1_000_000 + number),
    }


def raw(number: int, index: int = 0, **fields: Any) -> dict[str, Any]:
    word = "0x" + f"{number:064x}"
    return {
        "address": HERE.lower(),
        "topics": [TOPIC, word, word],
        "data": "0x" + "00" * 128,
        "blockNumber": hex(number),
        "logIndex": hex(index),
        **fields,
    }


class Ledger:
    """A node with one event in some blocks, which tells at most so many results or blocks at a time."""

    def __init__(
        self, blocks: list[int], *, head: int, most_results: int = 10**9, most_blocks: int = 10**9
    ) -> None:
        self.blocks = blocks
        self.head = head
        self.most_results = most_results
        self.most_blocks = most_blocks
        self.log_requests = 0

    def __call__(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return "0xa"
            case "eth_call" if params[0]["to"] == MULTICALL3:
                return f"0x{10:064x}"
            case "eth_getBlockByNumber":
                return block(self.head if params[0] == "latest" else int(params[0], 16))
            case "eth_getLogs":
                return self.logs(params[0])
        raise RpcError(-32601, "Method not found")

    def logs(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        self.log_requests += 1
        first, last = int(question["fromBlock"], 16), int(question["toBlock"], 16)
        assert question["address"] == HERE
        assert question["topics"][0][0] == TOPIC
        found = [raw(n) for n in self.blocks if first <= n <= last]
        if len(found) > self.most_results:
            raise RpcError(-32005, f"query returned more than {self.most_results} results")
        if last - first + 1 > self.most_blocks:
            raise RpcError(-32602, "unheard-of words about a limit")
        return found


@pytest.fixture
def connect_to(connect: Connect) -> Iterator[Callable[..., ChainClient]]:
    proxies: list[RpcProxy] = []

    def made(play: Play, **settings: Any) -> ChainClient:
        proxies.append(RpcProxy(play).__enter__())
        return connect(proxies[-1].url, **settings)

    yield made
    for proxy in proxies:
        proxy.__exit__(None, None, None)


def read(client: ChainClient, what: Logs, at: BlockRef | None = None) -> Any:
    def reads() -> Reads[Any]:
        (answer,) = yield [what]
        return answer

    return client.run(reads(), at or client.pin())


def numbers(answer: Any) -> list[int]:
    assert isinstance(answer, tuple), answer
    return [log.block_number for log in answer]


@pytest.mark.faults
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 300), max_size=40, unique=True),
    st.integers(1, 50),
    st.integers(1, 400),
    st.integers(0, 320),
    st.integers(1, 400),
)
def test_the_history_is_whole_whatever_a_node_grants(
    connect_to: Callable[..., ChainClient],
    blocks: list[int],
    most_results: int,
    most_blocks: int,
    from_block: int,
    log_blocks: int,
) -> None:
    ledger = Ledger(blocks, head=300, most_results=most_results, most_blocks=most_blocks)
    client = connect_to(ledger, log_blocks=log_blocks)
    expected = sorted(n for n in blocks if n >= from_block)
    assert numbers(read(client, logs(from_block))) == expected
    assert numbers(read(client, logs(from_block))) == expected


@pytest.mark.faults
def test_what_a_node_grants_is_remembered(connect_to: Callable[..., ChainClient]) -> None:
    ledger = Ledger([5, 250], head=299, most_blocks=100)
    client = connect_to(ledger, log_blocks=10_000)
    read(client, logs())
    first = ledger.log_requests
    read(client, logs())
    assert ledger.log_requests - first <= 5 < first


@pytest.mark.faults
def test_a_range_that_begins_after_the_block_asks_nothing(connect_to: Callable[..., ChainClient]) -> None:
    ledger = Ledger([5], head=10)
    assert read(connect_to(ledger), logs(11)) == ()
    assert ledger.log_requests == 0


@pytest.mark.faults
def test_a_node_without_logs_fails_the_read_and_is_not_flooded(
    connect_to: Callable[..., ChainClient],
) -> None:
    class NoLogs(Ledger):
        def logs(self, question: dict[str, Any]) -> list[dict[str, Any]]:
            self.log_requests += 1
            raise RpcError(-32601, "eth_getLogs is disabled")

    ledger = NoLogs([5], head=5_000)
    client = connect_to(ledger)
    for _ in range(2):
        failed = read(client, logs())
        assert isinstance(failed, Failed)
        assert "disabled" in failed.reason
        assert not failed.benign
    assert ledger.log_requests <= 2 * 15


@pytest.mark.faults
@pytest.mark.parametrize(
    "bad",
    [
        raw(5, address="0x" + "11" * 20),
        raw(400),
        raw(5, topics=["0x" + "22" * 32]),
        raw(5, data="0x"),
        {"address": HERE},
        "nonsense",
        None,
    ],
)
def test_a_log_that_was_not_asked_for_fails_the_read(
    connect_to: Callable[..., ChainClient], bad: Any
) -> None:
    class Lying(Ledger):
        def logs(self, question: dict[str, Any]) -> list[dict[str, Any]]:
            return [raw(4), bad]

    assert isinstance(read(connect_to(Lying([], head=10)), logs()), Failed)


@pytest.mark.faults
@pytest.mark.parametrize("bad", [None, {}, "", "0x", 0, True, [[]], {"logs": []}])
def test_what_is_no_list_of_logs_is_not_a_range_without_any(
    connect_to: Callable[..., ChainClient], bad: Any
) -> None:
    class Odd(Ledger):
        def logs(self, question: dict[str, Any]) -> Any:
            return bad

    assert isinstance(read(connect_to(Odd([], head=10)), logs()), Failed)


@pytest.mark.faults
@pytest.mark.parametrize("removed", ["false", "", 0, [], {}])
def test_a_log_that_may_be_removed_or_not_is_not_passed_over(
    connect_to: Callable[..., ChainClient], removed: Any
) -> None:
    class Odd(Ledger):
        def logs(self, question: dict[str, Any]) -> Any:
            return [raw(5, removed=removed)]

    assert isinstance(read(connect_to(Odd([], head=10)), logs()), Failed)


@pytest.mark.faults
@pytest.mark.parametrize("fault", [dropped(), refused(-32005, ""), refused(-32005, "slow down, please")])
def test_a_node_that_refuses_by_silence_or_without_words_is_asked_for_less(
    connect: Connect, fault: Fault
) -> None:
    def wide(params: list[Any]) -> bool:
        return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 100

    with RpcProxy(Ledger([5, 950], head=1000)) as proxy:
        proxy.fault(fault, "eth_getLogs", when=wide)
        client = connect(proxy.url)
        for _ in range(2):
            assert numbers(read(client, logs())) == [5, 950]
        proxy.fault(fault, "eth_getLogs")
        with pytest.raises(NodeUnreachable):
            read(connect(proxy.url, timeout_s=0.3), logs())


@pytest.mark.faults
def test_removed_logs_do_not_count_and_order_is_the_chains(connect_to: Callable[..., ChainClient]) -> None:
    class Disordered(Ledger):
        def logs(self, question: dict[str, Any]) -> list[dict[str, Any]]:
            return [raw(7, 2), raw(7, 1), raw(3, 9), raw(5, removed=True)]

    found = read(connect_to(Disordered([], head=10)), logs())
    assert [(log.block_number, log.log_index) for log in found] == [(3, 9), (7, 1), (7, 2)]


@pytest.mark.faults
def test_a_block_replaced_meanwhile_fails_all(connect_to: Callable[..., ChainClient]) -> None:
    ledger = Ledger([5], head=10)
    client = connect_to(ledger)
    at = client.pin()
    moved = BlockRef(chain_id=10, number=10, hash="0x" + "77" * 32, parent_hash=at.parent_hash, timestamp_s=1)
    with pytest.raises(PinnedBlockGone, match="took its place"):
        read(client, logs(), moved)


@pytest.mark.faults
def test_a_node_that_takes_over_in_the_middle_is_asked_for_all_of_it(connect: Connect) -> None:
    """It could be behind and know only half of the range: its half would be silently empty."""
    whole, behind = Ledger([5, 15, 25], head=30), Ledger([5], head=30)
    with RpcProxy(whole) as first, RpcProxy(behind) as second:
        client = connect(first.url, second.url, log_blocks=10)
        at = client.pin()
        first.fault(dropped(), "eth_getLogs", skip=1, times=2)
        assert numbers(read(client, logs(), at)) == [5], "all of it from the second one"
        assert behind.log_requests >= 4


@pytest.mark.devnet
def test_real_events_up_to_the_pinned_block(node: Node, connect: Connect) -> None:
    sender = node.accounts[0]
    for _ in range(3):
        node.send(sender, EVENTS, "0x")
    client = connect(node.url)
    at = client.pin()
    node.send(sender, EVENTS, "0x")
    found = read(client, logs(to=EVENTS), at)
    assert [log.event for log in found] == [EVENT] * 3
    assert found[0].args["positionNotional"] == 5
    assert found[0].args["trader"].endswith("AA")
    assert [log.block_number for log in found] == [at.number - 2, at.number - 1, at.number]
    assert read(client, logs(at.number, to=EVENTS), at) == found[2:]
    assert read(client, logs(to=LOUD), at) == ()


@pytest.mark.devnet
def test_a_removed_log_by_proxy(node: Node, connect: Connect) -> None:
    node.send(node.accounts[0], EVENTS, "0x")
    with RpcProxy(node.url) as proxy:
        client = connect(proxy.url)
        proxy.fault(changed(lambda found: [{**log, "removed": True} for log in found]), "eth_getLogs")
        assert read(client, logs(to=EVENTS)) == ()
        proxy.clear()
        proxy.fault(refused(-32000, "range too wide"), "eth_getLogs", times=1)
        (log,) = read(client, logs(to=EVENTS))
        assert isinstance(log, Log)
