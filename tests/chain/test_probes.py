"""What an endpoint can do is told as it is, by asking a real node through a proxy that can misbehave."""

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from keeper.chain.limits import Reach
from keeper.chain.probes import FEATURES, probe, tells_chain_id
from keeper.chain.ws_probe import listen
from keeper.devnet.node import Node
from tests.chain.conftest import CHAIN_ID, HEIGHT
from tests.chain.probed import NEED, Time, asked
from tests.support.rpc_proxy import Exchange, Reply, RpcProxy, answered, changed, dropped, garbage, refused
from tests.support.ws_proxy import WsProxy

pytestmark = pytest.mark.faults


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


def test_a_changed_answer_is_told(site: RpcProxy) -> None:
    site.fault(changed(lambda version: version.replace("anvil", "other")), "web3_clientVersion")
    assert asked(site).client.startswith("other/")
