"""Each limit of an endpoint is found, by asking a real node through a proxy that has it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from keeper.chain.multicall import MULTICALL3
from keeper.chain.probes import FEATURES, Need, Probed, Reach, probe, tells_chain_id
from keeper.chain.ws_probe import listen
from keeper.devnet.anvil import running
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from tests.chain.conftest import CHAIN_ID, EVENTS
from tests.support.rpc_proxy import (
    BATCH,
    Exchange,
    Reply,
    RpcProxy,
    answered,
    changed,
    dropped,
    garbage,
    limited,
    refused,
)
from tests.support.ws_proxy import WsProxy

pytestmark = pytest.mark.faults

HEIGHT = 100
NEED = Need(
    chain_id=CHAIN_ID,
    multicall=MULTICALL3,
    call_gas=10_000_000,
    depth_blocks=24,
    log_blocks=64,
    logs_from=1,
    logs_at=(EVENTS,),
)


class Time:
    """A clock that only sleeping moves, so that patience costs no test any time."""

    now_s = 0.0
    slept_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """At least a hundred blocks on a node of its own: one that was put back forgets older states."""
    with running(CHAIN_ID, log=tmp_path_factory.mktemp("probed") / "anvil.log") as anvil:
        install_multicall3(anvil.node)
        anvil.node.rpc("anvil_mine", hex(HEIGHT))
        yield anvil.node


@pytest.fixture
def site(chain: Node) -> Iterator[RpcProxy]:
    with RpcProxy(chain.url) as proxy:
        yield proxy


def asked(proxy: RpcProxy, need: Need = NEED, time: Time | None = None, **settings: Any) -> Probed:
    time = time or Time()
    return probe(proxy.url, need, timeout_s=20.0, clock=time, sleep=time.sleep, **settings)


def span(params: list[Any]) -> int:
    return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1


def test_an_endpoint_without_limits(site: RpcProxy, chain: Node) -> None:
    found = asked(site)
    assert (found.trouble, found.chain_id, found.limited) == ("", CHAIN_ID, 0)
    assert found.client.startswith("anvil/")
    assert found.head is not None
    height = found.head.number
    assert height == chain.head() >= HEIGHT
    assert found.depth == Reach(wanted=24, found=height)
    assert found.logs == Reach(wanted=64, found=height)
    assert found.gas == Reach(wanted=10_000_000, found=10_000_000)
    assert found.entries == Reach(wanted=500, found=500)
    assert found.batch == Reach(wanted=32, found=32)
    assert (found.offers, found.lacks) == (frozenset(FEATURES), frozenset())
    assert found.block_time_s is not None
    assert found.ahead_s is not None
    assert abs(found.ahead_s) < 30.0
    assert found.requests == len(site.seen) < 40


@pytest.mark.parametrize("limit", [1, 2, 20, 63])
def test_a_range_limit_is_found_below_what_was_wanted(site: RpcProxy, limit: int) -> None:
    fault = refused(-32005, f"query exceeds max block range {limit}")
    site.fault(fault, "eth_getLogs", when=lambda params: span(params) > limit)
    logs = asked(site).logs
    assert logs is not None
    assert logs.wanted == 64
    assert limit * 0.9 - 1 <= logs.found <= limit
    assert logs.refused == f"query exceeds max block range {limit}"


def test_a_range_limit_above_what_is_wanted_is_no_refusal_of_it(site: RpcProxy) -> None:
    site.fault(refused(-32000, "too wide"), "eth_getLogs", when=lambda params: span(params) > 80)
    assert asked(site).logs == Reach(wanted=64, found=64, refused="too wide")


def test_no_events_at_all(site: RpcProxy) -> None:
    site.fault(refused(-32601, "method not found"), "eth_getLogs")
    assert asked(site).logs == Reach(wanted=64, found=0, refused="method not found")


def test_no_venue_no_question_about_events(site: RpcProxy) -> None:
    need = Need(
        chain_id=CHAIN_ID, multicall=MULTICALL3, call_gas=10**7, depth_blocks=1, log_blocks=1, logs_from=None
    )
    assert asked(site, need).logs is None
    assert site.count("eth_getLogs") == 0


@pytest.mark.parametrize("method", ["eth_getBalance", "eth_call"])
@pytest.mark.parametrize("kept", [0, 5, 23, 24, 60])
def test_the_depth_of_state_is_found(site: RpcProxy, chain: Node, method: str, kept: int) -> None:
    oldest = chain.head() - kept

    def pruned(params: list[Any]) -> bool:
        tag = params[1]
        return isinstance(tag, str) and tag.startswith("0x") and int(tag, 16) < oldest

    site.fault(refused(-32000, "missing trie node"), method, when=pruned)
    depth = asked(site).depth
    assert depth is not None
    assert (depth.wanted, depth.refused) == (24, "missing trie node")
    assert depth.found == {0: 0, 5: 5, 23: 23}.get(kept, 24)


@pytest.mark.parametrize(("tagged", "wanted"), [(60, 64), (10, 100), (None, 24)])
def test_the_depth_begins_at_the_block_that_is_pinned(
    site: RpcProxy, chain: Node, tagged: int | None, wanted: int
) -> None:
    height = chain.head()
    answer = None if tagged is None else {"number": hex(height - 100 + tagged)}
    site.fault(answered(answer), "eth_getBlockByNumber", when=lambda params: params[0] == "finalized")
    depth = asked(site, replace(NEED, pin_at="finalized")).depth
    assert depth is not None
    assert depth.wanted == min(wanted, height)
    assert depth.found == height


def test_a_cap_on_gas_is_found_where_more_is_refused(site: RpcProxy) -> None:
    def above(params: list[Any]) -> bool:
        return int(params[0].get("gas", "0x0"), 16) > 3_000_000

    site.fault(refused(-32000, "gas limit is too high"), "eth_call", when=above)
    gas = asked(site).gas
    assert gas is not None
    assert 2_500_000 < gas.found <= 3_000_000
    assert gas.refused == "gas limit is too high"


def test_a_cap_on_gas_is_found_where_less_is_given_silently(site: RpcProxy) -> None:
    def capped(exchange: Exchange) -> Reply:
        call = {**exchange.params[0], "gas": hex(4_000_000)}
        return exchange.pass_on(exchange.method, [call, *exchange.params[1:]], exchange.id)

    site.fault(capped, "eth_call", when=lambda params: int(params[0].get("gas", "0x0"), 16) > 4_000_000)
    gas = asked(site).gas
    assert gas is not None
    assert gas.wanted == 10_000_000
    assert 3_900_000 < gas.found < 4_000_000


def test_a_limit_on_the_size_of_a_multicall_is_found(site: RpcProxy) -> None:
    site.fault(
        refused(-32600, "request too large"), "eth_call", when=lambda params: len(params[0]["data"]) > 50_000
    )
    entries = asked(site).entries
    assert entries is not None
    assert (entries.wanted, entries.refused) == (500, "request too large")
    assert 90 <= entries.found <= 125


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refused(-32600, "batch requests are disabled"), "batch requests are disabled"),
        (garbage(b"<html>"), "no JSON"),
        (lambda _: Reply(b"[]"), "0 of 2 answered"),
        (lambda _: Reply(b'[{"id":0,"result":"0xa"},null]'), "1 of 2 answered"),
    ],
)
def test_a_refused_batch(site: RpcProxy, fault: Any, words: str) -> None:
    site.fault(fault, BATCH)
    assert asked(site).batch == Reach(wanted=32, found=1, refused=words)


def test_a_limit_on_batches(site: RpcProxy) -> None:
    site.fault(refused(-32600, "batch too large"), BATCH, when=lambda questions: len(questions) > 10)
    assert asked(site).batch == Reach(wanted=32, found=8)


@pytest.mark.parametrize(
    ("method", "when", "name"),
    [
        ("eth_simulateV1", lambda _: True, "eth_simulateV1"),
        ("eth_feeHistory", lambda _: True, "eth_feeHistory"),
        ("eth_getBlockByNumber", lambda params: params[0] == "safe", "safe block"),
        ("eth_getBlockByNumber", lambda params: params[0] == "finalized", "finalized block"),
        ("eth_call", lambda params: isinstance(params[1], dict), "calls by block hash"),
        ("eth_call", lambda params: len(params) > 2, "state overrides"),
    ],
)
@pytest.mark.parametrize("fault", [refused(-32601, "method not found"), answered(None)])
def test_what_a_node_lacks(
    site: RpcProxy, method: str, when: Callable[[list[Any]], bool], name: str, fault: Any
) -> None:
    site.fault(fault, method, when=when)
    assert asked(site).lacks == {name}


def test_another_chain_is_asked_nothing_more(site: RpcProxy) -> None:
    site.fault(answered("0x1"), "eth_chainId")
    found = asked(site)
    assert (found.chain_id, found.trouble, found.depth, found.logs) == (1, "", None, None)
    assert site.count("eth_getLogs") == 0


@pytest.mark.parametrize("fault", [garbage(), garbage(b'{"a":1}'), garbage(b"[1]"), dropped(), answered({})])
def test_an_endpoint_that_is_none(site: RpcProxy, fault: Any) -> None:
    site.fault(fault)
    found = asked(site)
    assert found.trouble
    assert found.chain_id is None


def test_a_port_where_nobody_listens() -> None:
    time = Time()
    found = probe("http://127.0.0.1:9", NEED, timeout_s=5.0, clock=time, sleep=time.sleep)
    assert found.trouble == "cannot be connected to"


def test_a_node_that_goes_away_in_the_middle_is_not_called_limited(site: RpcProxy) -> None:
    site.fault(dropped(), skip=12)
    found = asked(site)
    assert "connection broke" in found.trouble
    assert found.depth is None


def test_patience_is_given_where_it_is_asked_for(site: RpcProxy) -> None:
    time = Time()
    site.fault(limited(2), "eth_getLogs", times=1)
    found = asked(site, time=time)
    assert found.limited == 1
    assert found.logs == Reach(wanted=64, found=found.head.number if found.head else 0)
    # The rest that was asked for, and a short one before each question after it.
    assert 2.0 < time.slept_s < 10.0


def test_a_node_that_only_asks_for_patience_ends_in_time(site: RpcProxy) -> None:
    time = Time()
    site.fault(refused(-32005, "rate limit exceeded"), skip=5)
    found = asked(site, time=time, budget_s=12.0)
    assert found.limited > 3
    assert time.now_s < 12.0 + 4.0
    assert (found.chain_id, found.batch) == (CHAIN_ID, None)
    assert found.logs is None


def test_slow_answers_end_in_time(site: RpcProxy) -> None:
    time = Time()

    def slow(exchange: Exchange) -> Reply:
        time.now_s += 5.0
        return exchange.forward()

    site.fault(slow)
    found = asked(site, time=time)
    assert time.now_s <= 40.0
    assert found.chain_id == CHAIN_ID
    assert found.offers == frozenset()
    assert found.requests < 8


@pytest.mark.parametrize("shift_s", [-3600.0, 3600.0, 20.0])
def test_a_clock_that_is_off_shows_against_the_date(site: RpcProxy, shift_s: float) -> None:
    now_s = 1_700_000_000.0

    def dated(exchange: Exchange) -> Reply:
        reply = exchange.forward()
        return Reply(reply.body, reply.status, (("Date", formatdate(now_s, usegmt=True)),))

    site.fault(dated)
    found = asked(site, wall=lambda: now_s + shift_s)
    assert found.ahead_s is not None
    assert abs(found.ahead_s - shift_s) <= 0.5


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_date_that_says_nothing(site: RpcProxy, date: str) -> None:
    def undated(exchange: Exchange) -> Reply:
        reply = exchange.forward()
        return Reply(reply.body, reply.status, (("Date", date),))

    site.fault(undated)
    assert asked(site).ahead_s is None


def test_a_frozen_head_is_told_as_it_is(site: RpcProxy, chain: Node) -> None:
    site.freeze_head()
    before = chain.head()
    chain.rpc("anvil_mine", hex(30))
    found = asked(site)
    assert found.head is not None
    assert found.head.number == before


def test_secrets_of_the_url_are_not_told(site: RpcProxy) -> None:
    site.fault(refused(-32000, "unknown key Zy9-secret-key for this project"), skip=1)
    found = probe(f"{site.url}/v2/Zy9-secret-key?token=another-secret", NEED, timeout_s=5.0)
    assert "secret" not in repr(found)
    with WsProxy(site.url) as ws:
        ws.refuse()
        assert "secret" not in repr(listen(f"{ws.url}/Zy9-secret-key", chain_id=10, patience_s=0.1))


def test_an_endpoint_that_takes_transactions_only(site: RpcProxy) -> None:
    assert tells_chain_id(site.url, timeout_s=5.0)[1:] == (CHAIN_ID, "")
    site.fault(refused(-32601, "method not found"))
    assert tells_chain_id(site.url, timeout_s=5.0)[1:] == (None, "")
    assert tells_chain_id("http://127.0.0.1:9", timeout_s=5.0)[1:] == (None, "cannot be connected to")


# WebSockets


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


def test_a_changed_answer_is_told(site: RpcProxy) -> None:
    site.fault(changed(lambda version: version.replace("anvil", "other")), "web3_clientVersion")
    assert asked(site).client.startswith("other/")
