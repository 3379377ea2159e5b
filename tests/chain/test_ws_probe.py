"""Whether heads come is told of a real node through a WebSocket that can misbehave."""

import threading

import pytest

from keeper.chain.ws_probe import listen
from keeper.devnet.node import Node
from tests.chain.conftest import CHAIN_ID
from tests.support.ws_proxy import WsProxy

pytestmark = pytest.mark.faults


def mining(node: Node, stop: threading.Event) -> threading.Thread:
    def mine() -> None:
        while not stop.wait(0.05):
            node.rpc("evm_mine")

    thread = threading.Thread(target=mine)
    thread.start()
    return thread


def test_heads_come(chain: Node) -> None:
    stop = threading.Event()
    with WsProxy(chain.url) as ws:
        thread = mining(Node(chain.url), stop)
        try:
            found = listen(ws.url, chain_id=CHAIN_ID, patience_s=30.0)
        finally:
            stop.set()
            thread.join()
    assert (found.trouble, found.chain_id, found.subscribed) == ("", CHAIN_ID, True)
    assert found.head_after_s is not None
    assert found.head_after_s < 30.0


def test_no_block_no_head(chain: Node) -> None:
    with WsProxy(chain.url) as ws:
        found = listen(ws.url, chain_id=CHAIN_ID, patience_s=0.2)
    assert (found.trouble, found.subscribed, found.head_after_s) == ("", True, None)
    assert found.waited_s >= 0.2


def test_a_mute_websocket_is_told_from_a_quiet_chain_by_nothing(chain: Node) -> None:
    stop = threading.Event()
    with WsProxy(chain.url) as ws:
        ws.mute()
        thread = mining(Node(chain.url), stop)
        try:
            found = listen(ws.url, chain_id=CHAIN_ID, patience_s=0.5)
        finally:
            stop.set()
            thread.join()
    assert (found.trouble, found.subscribed, found.head_after_s) == ("", True, None)


def test_a_websocket_of_another_chain(chain: Node) -> None:
    with WsProxy(chain.url) as ws:
        ws.answer("eth_chainId", "0x1")
        found = listen(ws.url, chain_id=CHAIN_ID, patience_s=5.0)
    assert (found.chain_id, found.subscribed, found.trouble) == (1, False, "")
    assert "eth_subscribe" not in ws.seen


def test_a_refused_websocket(chain: Node) -> None:
    with WsProxy(chain.url) as ws:
        ws.refuse()
        assert listen(ws.url, chain_id=CHAIN_ID, patience_s=5.0).trouble == "HTTP 401"
    assert "refused" in listen("ws://127.0.0.1:9", chain_id=CHAIN_ID, patience_s=5.0).trouble.lower()


@pytest.mark.parametrize("result", [None, {}, "nonsense"])
def test_nonsense_on_a_websocket(chain: Node, result: object) -> None:
    with WsProxy(chain.url) as ws:
        ws.answer("eth_chainId", result)
        found = listen(ws.url, chain_id=CHAIN_ID, patience_s=5.0)
    assert found.trouble == "answers what no node would"


@pytest.mark.parametrize(
    ("text", "patience_s"),
    [("<html>", 30.0), ("[]", 30.0), ("null", 30.0), ('{"params":{"subscription":1}}', 0.5)],
)
def test_garbage_instead_of_heads(chain: Node, text: str, patience_s: float) -> None:
    stop = threading.Event()
    with WsProxy(chain.url) as ws:
        ws.garble(text)
        thread = mining(Node(chain.url), stop)
        try:
            found = listen(ws.url, chain_id=CHAIN_ID, patience_s=patience_s)
        finally:
            stop.set()
            thread.join()
    assert found.head_after_s is None
    # A head of another subscription is none of ours, and no nonsense either.
    assert found.trouble == ("" if "subscription" in text else "answers what no node would")
