"""Each limit of an endpoint is found, by asking a real node through a proxy that has it."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.chain.limits import Reach
from keeper.devnet.node import Node
from tests.chain.probed import NEED, asked
from tests.support.rpc_proxy import BATCH, Exchange, Reply, RpcProxy, answered, garbage, refused

pytestmark = pytest.mark.faults


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
