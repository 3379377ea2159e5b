"""Fail-over between endpoints, each of which may be down, slow, behind, rate limiting or of another chain."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable, WrongChain
from keeper.chain.pool import MAX_HEAD_AGE_S, MAX_LAG_BLOCKS, NodePool
from tests.support.rpc_proxy import (
    Reply,
    RpcError,
    RpcProxy,
    answered,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
)

pytestmark = pytest.mark.faults


@dataclass
class FakeNode:
    """A node that knows its name, its chain and its head."""

    name: str
    chain_id: int = 10
    head: int = 100
    taken: list[str] = field(default_factory=list)

    def __call__(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return hex(self.head)
            case "name":
                return self.name
            case "eth_sendRawTransaction":
                self.taken.append(params[0])
                return "0x"
        raise RpcError(-32601, "Method not found")


def wait_until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class Setup:
    """Two nodes behind proxies, and a pool over both."""

    def __init__(self, stack: ExitStack, names: tuple[str, ...]) -> None:
        self.nodes = [FakeNode(name) for name in names]
        self.proxies = [stack.enter_context(RpcProxy(node)) for node in self.nodes]
        self.clock = Clock()
        endpoints = [Endpoint(p.url, timeout_s=1.5) for p in self.proxies]
        self.pool = NodePool("test", 10, endpoints, timeout_s=30.0, clock=self.clock, sleep=self.clock.sleep)
        stack.callback(self.pool.close)

    def name(self) -> Any:
        return self.pool.request("name", [])


@pytest.fixture
def two() -> Iterator[Setup]:
    with ExitStack() as stack:
        yield Setup(stack, ("first", "second"))


@pytest.fixture
def one() -> Iterator[Setup]:
    with ExitStack() as stack:
        yield Setup(stack, ("only",))


def test_the_first_endpoint_is_used_and_kept(two: Setup) -> None:
    two.pool.connect()
    assert [two.name() for _ in range(3)] == ["first"] * 3
    assert two.pool.current == two.proxies[0].url
    assert two.proxies[0].count("eth_chainId") == 1


@pytest.mark.parametrize("fault", [dropped(), garbage(), delayed(30.0), limited()])
def test_a_failing_endpoint_is_replaced_by_the_next(two: Setup, fault: Any) -> None:
    two.pool.connect()
    two.proxies[0].fault(fault)
    assert two.name() == "second"
    two.proxies[0].clear()
    assert two.name() == "second", "an endpoint in use is kept"
    two.proxies[1].fault(fault)
    two.clock.now_s += 60.0
    assert two.name() == "first"
    assert two.pool.switches == 2


def test_the_chain_id_is_asked_again_after_every_switch(two: Setup) -> None:
    two.pool.connect()
    two.proxies[0].fault(dropped(), times=2)
    two.nodes[1].chain_id = 1
    two.clock.now_s += 1.0
    # The second one has become another chain meanwhile; the first is asked once more instead of believing it.
    with pytest.raises(NodeUnreachable, match="serves chain id 1, expected 10"):
        two.name()
    two.clock.now_s += 60.0
    assert two.name() == "first"


def test_a_wrong_chain_at_connect_is_a_configuration_error(two: Setup) -> None:
    two.nodes[1].chain_id = 42161
    with pytest.raises(WrongChain) as caught:
        two.pool.connect()
    text = str(caught.value)
    assert "serves chain id 42161, expected 10" in text
    assert two.proxies[1].url in text
    assert "[chains.test]" in text


def test_first_met_on_another_chain_the_configuration_is_wrong(two: Setup) -> None:
    """Also without connecting first; but a chain that changes later is a node gone astray."""
    for node in two.nodes:
        node.chain_id = 1
    with pytest.raises(WrongChain):
        two.name()
    two.nodes[1].chain_id = 10
    assert two.name() == "second"
    two.proxies[1].fault(dropped(), "name", times=2)
    two.nodes[1].chain_id = 1
    with pytest.raises(NodeUnreachable):
        two.name()


def test_connecting_with_one_endpoint_down_goes_on_with_the_other(two: Setup) -> None:
    two.proxies[0].fault(dropped())
    two.pool.connect()
    assert two.name() == "second"


def test_connecting_with_all_endpoints_down_says_what_each_did(two: Setup) -> None:
    two.proxies[0].fault(dropped())
    two.proxies[1].fault(garbage())
    with pytest.raises(NodeUnreachable) as caught:
        two.pool.connect()
    assert two.proxies[0].url in caught.value.reasons[0]
    assert "connection broke" in caught.value.reasons[0]
    assert "not JSON" in caught.value.reasons[1]


def test_an_error_of_the_node_is_final_unless_another_may_know_better(two: Setup) -> None:
    two.proxies[0].fault(refused(-32000, "header not found"), "name")
    with pytest.raises(NodeRefused):
        two.name()
    assert two.pool.request("name", [], elsewhere=lambda r: "header" in r.text) == "second"
    two.proxies[1].fault(refused(-32000, "header not found"), "name")
    with pytest.raises(NodeRefused):
        two.pool.request("name", [], elsewhere=lambda r: "header" in r.text)


def test_a_rate_limit_is_waited_out_when_there_is_nobody_else(one: Setup) -> None:
    one.pool.connect()
    one.proxies[0].fault(limited(retry_after_s=3), "name", times=1)
    assert one.name() == "only"
    assert one.clock.slept_s == [3.0]


def test_a_rate_limit_longer_than_the_timeout_is_not_waited_out(one: Setup) -> None:
    one.pool.connect()
    one.proxies[0].fault(limited(retry_after_s=60), "name")
    with pytest.raises(NodeUnreachable, match="rate limit"):
        one.name()
    assert one.clock.slept_s == []


@pytest.mark.parametrize(
    ("asked_for", "longest_s"), [("86400000", 300.0), ("inf", 0.5), ("nan", 0.5), ("-5", 0.5), ("soon", 0.5)]
)
def test_patience_has_its_bounds(one: Setup, asked_for: str, longest_s: float) -> None:
    """Some count in milliseconds, and some mean for ever."""
    one.proxies[0].fault(lambda _: Reply(b"", 429, (("Retry-After", asked_for),)), times=1)
    with suppress(NodeUnreachable):
        one.name()
    one.clock.now_s = max(1000.0 + longest_s, one.clock.now_s)
    assert one.name() == "only"
    assert one.clock.now_s == 1000.0 + longest_s


def test_back_off_grows_with_each_refusal(one: Setup) -> None:
    one.pool.connect()
    one.proxies[0].fault(refused(-32005, "too many requests"), "name", times=3)
    assert one.name() == "only"
    assert one.clock.slept_s == [0.5, 1.0, 2.0]


def test_a_single_endpoint_that_was_down_is_asked_again_at_once(one: Setup) -> None:
    one.pool.connect()
    one.proxies[0].fault(dropped(), times=2)  # the second is the endpoint's own retry
    with pytest.raises(NodeUnreachable):
        one.name()
    assert one.name() == "only"


def test_a_resting_endpoint_is_not_asked_while_another_answers(two: Setup) -> None:
    two.pool.connect()
    two.proxies[0].fault(dropped())
    two.name()
    seen = len(two.proxies[0].seen)
    for _ in range(5):
        two.name()
    assert len(two.proxies[0].seen) == seen


def test_a_laggard_is_set_aside_until_it_catches_up(two: Setup) -> None:
    two.pool.connect()
    two.nodes[1].head = two.nodes[0].head + MAX_LAG_BLOCKS
    two.pool.set_laggards_aside()
    assert two.name() == "first"
    two.nodes[1].head += 1
    two.pool.set_laggards_aside()
    assert two.name() == "second"
    two.nodes[0].head = two.nodes[1].head
    two.proxies[1].fault(dropped())
    two.pool.set_laggards_aside()
    assert two.name() == "first"


def test_a_laggard_is_not_asked_when_its_better_is_gone(two: Setup) -> None:
    """A node days behind looks sound once nobody is left to show that it is not."""
    two.pool.connect()
    two.nodes[1].head += 1000
    two.pool.set_laggards_aside()
    two.proxies[1].fault(dropped())
    for _ in range(5):
        two.pool.set_laggards_aside()
        with pytest.raises(NodeUnreachable, match="1000 blocks behind its peers"):
            two.name()
        two.clock.now_s += 60.0
    two.nodes[0].head += 1000
    two.pool.set_laggards_aside()
    assert two.name() == "first"


def test_a_node_that_stands_still_is_set_aside_though_it_lags_little(two: Setup) -> None:
    two.pool.connect()
    two.pool.set_laggards_aside()
    two.clock.now_s += MAX_HEAD_AGE_S + 1.0
    two.pool.set_laggards_aside()
    assert two.name() == "first", "a chain that makes no blocks has no laggards"
    two.nodes[1].head += 1
    two.pool.set_laggards_aside()
    assert two.name() == "second"
    two.nodes[0].head += 1
    two.pool.set_laggards_aside()
    two.proxies[1].fault(dropped())
    assert two.name() == "first"


def test_a_slow_node_is_not_waited_for_by_the_others(two: Setup) -> None:
    two.pool.connect()
    two.proxies[1].fault(delayed(30.0))
    two.pool.set_laggards_aside()
    assert two.name() == "first"
    seen = len(two.proxies[1].seen)
    for _ in range(5):
        two.pool.set_laggards_aside()
    assert len(two.proxies[1].seen) == seen, "it rests"


def test_a_node_that_does_not_tell_its_head_is_set_aside(two: Setup) -> None:
    two.pool.connect()
    two.proxies[0].fault(answered(None), "eth_blockNumber")
    two.pool.set_laggards_aside()
    assert two.name() == "second"


def test_an_endpoint_set_aside_for_its_answers_gives_way(two: Setup) -> None:
    two.pool.connect()
    assert two.name() == "first"
    two.pool.set_current_aside("cannot be right")
    assert two.name() == "second"


# Broadcasts


def test_a_transaction_goes_to_all_endpoints_at_once(two: Setup) -> None:
    two.pool.connect()
    assert two.pool.broadcast("0xab") == ()
    wait_until(lambda: all(node.taken == ["0xab"] for node in two.nodes))


def test_one_that_takes_it_is_enough(two: Setup) -> None:
    two.pool.connect()
    two.proxies[0].fault(delayed(30.0))
    assert two.pool.broadcast("0xab") == ()
    two.proxies[0].clear()
    two.proxies[0].fault(refused(-32000, "nonce too low"), "eth_sendRawTransaction")
    assert two.pool.broadcast("0xcd") == ()
    assert two.nodes[1].taken == ["0xab", "0xcd"]


def test_refusals_come_in_order_of_preference(two: Setup) -> None:
    two.pool.connect()
    two.proxies[0].fault(refused(-32000, "transaction underpriced"), "eth_sendRawTransaction")
    two.proxies[1].fault(refused(-32000, "nonce too low"), "eth_sendRawTransaction")
    first, second = two.pool.broadcast("0xab")
    assert (first.text, second.text) == ("transaction underpriced", "nonce too low")
    two.proxies[0].fault(dropped(), "eth_sendRawTransaction")
    (only,) = two.pool.broadcast("0xab")
    assert only.text == "nonce too low"


def test_a_transaction_that_nobody_answers_is_unknown(two: Setup) -> None:
    two.pool.connect()
    for proxy in two.proxies:
        proxy.fault(dropped(), "eth_sendRawTransaction")
    with pytest.raises(NodeUnreachable, match="connection broke"):
        two.pool.broadcast("0xab")


def test_a_resting_endpoint_gets_no_transaction_while_another_is_awake(two: Setup) -> None:
    two.pool.connect()
    two.nodes[1].head += 1000
    two.pool.set_laggards_aside()
    assert two.pool.broadcast("0xab") == ()
    assert [node.taken for node in two.nodes] == [[], ["0xab"]]


def test_a_rate_limited_broadcast_is_tried_again(one: Setup) -> None:
    one.pool.connect()
    one.proxies[0].fault(limited(retry_after_s=2), "eth_sendRawTransaction", times=1)
    assert one.pool.broadcast("0xab") == ()
    assert one.clock.slept_s == [2.0]
