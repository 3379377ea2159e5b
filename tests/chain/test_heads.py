"""New heads of a real node, over WebSockets that close, fall silent, lie or never open."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from keeper.chain.client import ChainClient
from keeper.chain.errors import EndpointUnfit
from keeper.chain.heads import HeadWatch, watching
from keeper.devnet.node import Node
from tests.chain.conftest import CHAIN_ID
from tests.support.rpc_proxy import RpcProxy, delayed, dropped
from tests.support.ws_proxy import WsProxy

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

Connect = Callable[..., ChainClient]
NEVER_S = 3600.0


class Ear:
    """Hears of new heads."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, chain_id: int, block_hash: str) -> None:
        assert chain_id == CHAIN_ID
        with self._changed:
            self.heard.append(block_hash)
            self._changed.notify_all()

    def wait_for(self, block_hash: str, *, seconds: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: block_hash in self.heard, seconds), "the head did not come"


def until(what: str, condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not come about"
        time.sleep(0.01)


def mine(node: Node) -> str:
    node.rpc("evm_mine")
    return str(node.rpc("eth_getBlockByNumber", "latest", False)["hash"])


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def ws(node: Node) -> Iterator[WsProxy]:
    with WsProxy(node.url) as proxy:
        yield proxy


@contextmanager
def watched(
    client: ChainClient,
    ear: Ear,
    *urls: str,
    poll_s: float = 0.05,
    silent_s: float = NEVER_S,
) -> Iterator[HeadWatch]:
    watch = HeadWatch(client, ws_endpoints=urls, poll_s=poll_s, silent_s=silent_s, told=ear)
    with watching([watch]):
        yield watch


def test_a_chain_without_a_websocket_is_polled(node: Node, connect: Connect, ear: Ear) -> None:
    client = connect(node.url)
    with watched(client, ear) as watch:
        until("the first poll", lambda: bool(watch._known))
        heads = [mine(node)]
        ear.wait_for(heads[0])
        heads.append(mine(node))
        ear.wait_for(heads[1])
        assert not watch.subscribed
    assert ear.heard == heads


def test_polling_leaves_a_node_that_stands_still(
    node: Node, proxy: RpcProxy, connect: Connect, ear: Ear
) -> None:
    client = connect(proxy.url, node.url, max_lag_blocks=0)
    proxy.freeze_head()
    with watched(client, ear, silent_s=0.2) as watch:
        until("the first poll", lambda: bool(watch._known))
        ear.wait_for(mine(node))


def test_heads_come_by_subscription_and_nothing_is_polled(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    client = connect(node.url)
    with watched(client, ear, ws.url) as watch:
        until("the subscription", lambda: watch.subscribed)
        asked = client.requests
        heads = [mine(node) for _ in range(3)]
        ear.wait_for(heads[-1])
        assert client.requests <= asked + 1, "a poll that was under way"
    assert ear.heard == heads
    assert ws.seen == ["eth_chainId", "eth_subscribe", "eth_getBlockByNumber"]


def test_a_head_between_the_first_poll_and_the_subscription_is_not_missed(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    ws.hang()
    client = connect(node.url)
    with watched(client, ear, ws.url, poll_s=NEVER_S) as watch:
        until("the first poll", lambda: bool(watch._known))
        head = mine(node)
        assert ear.heard == []
        ws.clear()
        until("the subscription", lambda: watch.subscribed)
        ear.wait_for(head)


def test_polling_takes_over_from_a_closed_websocket_until_it_is_open_again(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    with watched(connect(node.url), ear, ws.url) as watch:
        until("the subscription", lambda: watch.subscribed)
        ws.refuse()
        until("its end", lambda: not watch.subscribed)
        ear.wait_for(mine(node))
        assert not watch.subscribed
        ws.clear()
        for _ in range(3):
            until("the next subscription", lambda: watch.subscribed)
            ws.close_all()
            ear.wait_for(mine(node))
        assert len(ear.heard) == len(set(ear.heard)) == 4
    assert ws.sessions >= 4


def test_a_silent_subscription_is_polled_beside_and_opened_anew(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    with watched(connect(node.url), ear, ws.url, silent_s=0.2) as watch:
        until("the subscription", lambda: watch.subscribed)
        ws.mute()
        ear.wait_for(mine(node))
        until("its end", lambda: ws.sessions >= 2)
        ear.wait_for(mine(node))


def test_a_quiet_chain_keeps_its_subscription(node: Node, ws: WsProxy, connect: Connect, ear: Ear) -> None:
    client = connect(node.url)
    with watched(client, ear, ws.url, silent_s=0.05, poll_s=0.02) as watch:
        until("the subscription", lambda: watch.subscribed)
        asked = client.requests
        until("polls beside it", lambda: client.requests > asked + 10)
        ear.wait_for(mine(node))
    assert ws.sessions == 1
    assert len(ear.heard) == 1


def test_a_websocket_of_another_chain_is_not_listened_to(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    ws.answer("eth_chainId", "0x1")
    with structlog.testing.capture_logs() as logs, watched(connect(node.url), ear, ws.url) as watch:
        until("two attempts", lambda: ws.sessions >= 2)
        ear.wait_for(mine(node))
        assert not watch.subscribed
    assert "eth_subscribe" not in ws.seen
    assert f"{ws.url} serves chain id 1, expected {CHAIN_ID}" in logs[0]["why"]


@pytest.mark.parametrize(
    "garbage",
    [
        "no json",
        "[]",
        "3",
        "{}",
        '{"method": "eth_subscription"}',
        '{"method": "eth_subscription", "params": {}}',
        '{"method": "eth_subscription", "params": {"subscription": "0x1", "result": {}}}',
        '{"method": "eth_subscription", "params": {"subscription": "0x1", "result": {"hash": 3}}}',
        "[" * 20_000,
    ],
)
def test_garbage_ends_the_subscription_not_the_watch(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear, garbage: str
) -> None:
    ws.answer("eth_subscribe", "0x1")
    ws.garble(garbage)
    with watched(connect(node.url), ear, ws.url, silent_s=0.1) as watch:
        until("the subscription", lambda: watch.subscribed)
        ear.wait_for(mine(node))
        ws.clear()
        ear.wait_for(mine(node))


@pytest.mark.parametrize(
    ("method", "result"),
    [("eth_chainId", None), ("eth_chainId", []), ("eth_subscribe", {}), ("eth_getBlockByNumber", None)],
)
def test_answers_that_mean_nothing_are_trouble(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear, method: str, result: Any
) -> None:
    ws.answer(method, result)
    with watched(connect(node.url), ear, ws.url):
        until("two attempts", lambda: ws.sessions >= 2)
        ear.wait_for(mine(node))


def test_another_websocket_is_tried_next(node: Node, ws: WsProxy, connect: Connect, ear: Ear) -> None:
    with WsProxy(node.url) as broken:
        broken.refuse()
        with watched(connect(node.url), ear, broken.url, ws.url) as watch:
            until("the subscription", lambda: watch.subscribed)
    assert (broken.sessions, ws.sessions) == (1, 1)


def test_without_any_node_it_waits_and_goes_on(
    node: Node, proxy: RpcProxy, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    client = connect(proxy.url)
    proxy.fault(dropped())
    ws.refuse()
    with watched(client, ear, ws.url) as watch:
        until("attempts", lambda: ws.sessions >= 1 and client.requests > 6)
        proxy.clear()
        until("polls", lambda: bool(watch._known))
        ear.wait_for(mine(node))


def test_the_end_does_not_wait_for_nodes_that_hang(
    proxy: RpcProxy, ws: WsProxy, connect: Connect, ear: Ear
) -> None:
    client = connect(proxy.url, timeout_s=60.0)
    proxy.fault(delayed(60.0))
    ws.hang()
    with watched(client, ear, ws.url):
        until("both to wait", lambda: ws.sessions == 1 and proxy.count("eth_getBlockByNumber") == 1)
    # Left although neither has answered: the proxies let go only after this.
    assert not any(thread.name == "heads-test-subscribe" for thread in threading.enumerate())


def test_keys_in_the_url_are_never_shown(
    node: Node, ws: WsProxy, connect: Connect, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    key = "s3cretKey0123456789"
    url = ws.url.replace("ws://", f"ws://user:{key}@") + f"/v3/{key}?token={key}"
    nowhere = f"ws://127.0.0.1:1/{key}"
    with (
        caplog.at_level(logging.WARNING),
        structlog.testing.capture_logs() as logs,
        watched(connect(node.url), ear, url, nowhere) as watch,
    ):
        until("the subscription", lambda: watch.subscribed)
        ws.refuse()
        until("attempts on both", lambda: ws.sessions >= 2 and len(logs) >= 3)
    assert {entry["endpoint"] for entry in logs} == {ws.url, "ws://127.0.0.1:1"}
    assert key not in f"{logs} {caplog.text}"


def test_a_url_that_is_no_websocket_is_a_configuration_error(connect: Connect, node: Node, ear: Ear) -> None:
    with pytest.raises(EndpointUnfit, match=r"http://node\.example: expected ws://"):
        HeadWatch(connect(node.url), ws_endpoints=["http://node.example/key"], poll_s=1.0, told=ear)


def test_web3_is_loaded_only_where_there_is_a_websocket() -> None:
    code = "import sys; import keeper.chain.heads; print('web3' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
