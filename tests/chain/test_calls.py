"""Multicalls on a real node: gas, isolation, senders, and nodes that lack what newer ones have."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.chain.abi import MULTICALL3_ABI
from keeper.chain.client import ChainClient
from keeper.chain.codec import checksummed
from keeper.chain.errors import MulticallMissing, NodeDisbelieved, NodeUnreachable, PinnedBlockGone
from keeper.chain.multicall import MULTICALL3
from keeper.devnet.node import Node
from keeper.model.reads import Address, Call, Failed, Query, Read, Send
from tests.chain.conftest import (
    BURN,
    CHAIN_ID,
    COUNT,
    LOUD,
    NOBODY,
    POISON,
    QUIET,
    SWALLOW,
    WHO,
)
from tests.support.rpc_proxy import Exchange, Reply, RpcProxy, answered, changed, refused

pytestmark = pytest.mark.devnet

Connect = Callable[..., ChainClient]

ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
TOKEN = "erc20/ERC20"
GAS_PER_TURN = 26


def number(value: int) -> Address:
    """A number where an address is asked for."""
    return checksummed(f"0x{value:040x}")


def balance(to: Address, of: Address = ALICE, **context: Any) -> Call:
    return Call(TOKEN, to, "balanceOf", (of,), **context)


def burn(gas: int, *, to: Address = BURN) -> Call:
    return balance(to, number(max(1, gas // GAS_PER_TURN)))


def raised(times: int = 1) -> tuple[Send, ...]:
    return (Send(TOKEN, COUNT, "approve", (ALICE, 1)),) * times


def ask(client: ChainClient, reads: Sequence[Read]) -> tuple[list[Any], int]:
    """Return the answers at the pinned block and the number of requests that they took."""
    at = client.pin()
    before = client.requests
    return client.answer(reads, at), client.requests - before


@pytest.fixture(params=["modern", "without overrides", "without block hashes"])
def client(request: pytest.FixtureRequest, proxy: RpcProxy, connect: Connect) -> ChainClient:
    """The same node in three ages."""
    if request.param == "without overrides":
        refusal = refused(-32602, "too many arguments, want at most 2")
        proxy.fault(refusal, "eth_call", when=lambda params: len(params) > 2)
    if request.param == "without block hashes":
        refusal = refused(-32602, "invalid argument 1: json: cannot unmarshal object")
        proxy.fault(refusal, "eth_call", when=lambda params: isinstance(params[1], dict))
    return connect(proxy.url)


def test_answers_come_in_the_order_of_the_questions(client: ChainClient) -> None:
    reads = [burn(1000), balance(COUNT), balance(WHO), burn(2000), balance(COUNT)]
    answers, _ = ask(client, reads)
    assert answers == [1, 0, int(MULTICALL3, 16), 1, 0]


def test_calls_that_need_more_gas_than_one_multicall_has_are_split(client: ChainClient) -> None:
    # 40 x 1 M with 10 M at a time, while 0.1 M is expected of each at first.
    answers, first = ask(client, [burn(1_000_000)] * 40)
    assert answers == [1] * 40
    assert first > 4


def test_a_node_with_overrides_teaches_how_much_gas_views_take(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url)
    reads = [burn(1_000_000)] * 40
    ask(client, reads)
    answers, second = ask(client, reads)
    assert answers == [1] * 40
    assert second == 7, "40 M in chunks of two thirds of 10 M"


def test_a_contract_that_swallows_starvation_is_not_believed(proxy: RpcProxy, connect: Connect) -> None:
    """Its call succeeds with a wrong value, so only the gas that is left tells."""
    client = connect(proxy.url)
    answers, _ = ask(client, [burn(900_000, to=SWALLOW)] * 30 + [burn(900_000)] * 5)
    assert answers == [1] * 35
    (alone,), _ = ask(client, [burn(9_700_000, to=SWALLOW)])
    assert isinstance(alone, Failed)
    assert "takes more gas than call_gas = 10000000" in alone.reason
    assert not alone.benign


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from([BURN, SWALLOW]), st.integers(26, 6_000_000)), min_size=1, max_size=40)
)
def test_whatever_the_gas_no_answer_is_wrong(
    bare_client: ChainClient, costs: list[tuple[Address, int]]
) -> None:
    answers, _ = ask(bare_client, [burn(gas, to=to) for to, gas in costs])
    assert answers == [1] * len(costs)


@pytest.fixture
def bare_client(node: Node, connect: Connect) -> ChainClient:
    return connect(node.url)


def test_a_call_that_eats_all_gas_does_not_starve_the_others(client: ChainClient) -> None:
    reads = [*[burn(20_000)] * 30, balance(POISON), *[burn(20_000)] * 30]
    answers, _ = ask(client, reads)
    failed = answers.pop(30)
    assert answers == [1] * 60
    assert isinstance(failed, Failed)
    assert failed.benign
    assert f"balanceOf({ALICE})" in failed.read
    _, second = ask(client, reads)
    assert second <= 4, "it is known by now and goes alone"


def test_reverts_keep_their_reason_and_cost_nothing_more(client: ChainClient) -> None:
    reads = [balance(LOUD), balance(QUIET), balance(NOBODY), balance(COUNT)]
    ask(client, reads)
    (loud, quiet, nobody, counted), requests = ask(client, reads)
    assert (loud.reason, loud.benign) == ("NO", True)
    assert quiet.reason.startswith(("reverted without a reason", "execution reverted"))
    assert quiet.benign
    assert "no contract there" in nobody.reason
    assert not nobody.benign
    assert counted == 0
    assert requests == 1


def test_arithmetic_on_a_failed_answer_raises(client: ChainClient) -> None:
    (failed,), _ = ask(client, [balance(LOUD)])
    with pytest.raises(TypeError):
        failed + 1


def test_simulated_changes_are_seen_by_their_own_call_only(client: ChainClient) -> None:
    reads = [
        balance(COUNT),
        balance(COUNT, before=raised(1)),
        balance(COUNT, before=raised(3)),
        balance(COUNT),
    ]
    answers, _ = ask(client, reads)
    assert answers == [0, 1, 3, 0]


def test_a_function_that_changes_state_changes_nothing(client: ChainClient) -> None:
    approve = Call(TOKEN, COUNT, "approve", (ALICE, 1))
    answers, _ = ask(client, [approve, approve, balance(COUNT)])
    assert answers == [True, True, 0]


def test_a_refused_change_makes_the_call_after_it_fail(client: ChainClient) -> None:
    refused_change = (Send(TOKEN, LOUD, "approve", (ALICE, 1)),)
    (failed, fine), _ = ask(client, [balance(COUNT, before=refused_change), balance(COUNT)])
    assert failed.reason == "erc20/ERC20.approve before it was refused: NO"
    assert failed.benign
    assert fine == 0


def test_the_sender_is_who_was_asked_for(client: ChainClient) -> None:
    bob = number(0xB0B)
    answers, _ = ask(client, [balance(WHO, sender=ALICE), balance(WHO, sender=bob), balance(WHO)])
    assert answers == [int(ALICE, 16), 0xB0B, int(MULTICALL3, 16)]


def test_sender_and_changes_together(proxy: RpcProxy, connect: Connect) -> None:
    reads = [balance(COUNT, sender=ALICE, before=raised(2)), balance(COUNT)]
    answers, requests = ask(connect(proxy.url), reads)
    assert answers == [2, 0]
    assert requests == 3, "what the node can do, the multicall's code, the multicall"
    proxy.fault(refused(-32602, "no overrides"), "eth_call", when=lambda params: len(params) > 2)
    (failed, fine), _ = ask(connect(proxy.url), reads)
    assert "state overrides" in failed.reason
    assert not failed.benign
    assert fine == 0


def test_hundreds_of_isolated_calls_share_a_request(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url)
    reads = [balance(COUNT, before=raised(1 + i % 3), sender=number(0x1000 + i % 5)) for i in range(60)]
    ask(client, reads)
    answers, requests = ask(client, reads)
    assert answers == [1 + i % 3 for i in range(60)]
    assert requests == 1


def test_a_simulated_change_cannot_bring_coins(client: ChainClient) -> None:
    paid = (Send(TOKEN, COUNT, "approve", (ALICE, 1), value_wei=1),)
    (failed,), _ = ask(client, [balance(COUNT, before=paid)])
    assert isinstance(failed, Failed)
    assert "native coin" in failed.reason


def test_native_balances_come_with_the_others(node: Node, client: ChainClient) -> None:
    node.rpc("anvil_setBalance", ALICE, hex(5))
    node.rpc("evm_mine")
    answers, _ = ask(client, [Call(MULTICALL3_ABI, client.multicall, "getEthBalance", (ALICE,))])
    assert answers == [5]


def test_a_query_is_nothing_for_a_chain(client: ChainClient) -> None:
    (failed,), _ = ask(client, [Query("derive:0", "public/get_ticker")])
    assert isinstance(failed, Failed)


def test_nothing_to_ask_asks_nothing(client: ChainClient) -> None:
    assert ask(client, []) == ([], 0)


def capped(most: int) -> Callable[[Exchange], Reply]:
    """A node that lowers the gas of a call without saying so."""

    def fault(exchange: Exchange) -> Reply:
        call = exchange.params[0]
        call["gas"] = hex(min(most, int(call["gas"], 16)))
        return exchange.forward()

    return fault


def test_a_silent_cap_of_the_node_is_found_out(proxy: RpcProxy, connect: Connect) -> None:
    proxy.fault(capped(3_000_000), "eth_call")
    client = connect(proxy.url, call_gas=30_000_000)
    reads = [burn(500_000, to=SWALLOW)] * 20
    answers, _ = ask(client, reads)
    assert answers == [1] * 20
    answers, requests = ask(client, reads)
    assert answers == [1] * 20
    assert requests == 7, "10 M in chunks of two thirds of 3 M"


def test_refusals_for_size_are_split(proxy: RpcProxy, connect: Connect) -> None:
    def picky(exchange: Exchange) -> Reply:
        if len(json.dumps(exchange.params)) > 8_000:
            return exchange.reply(error={"code": -32000, "message": "request entity too large"})
        return exchange.forward()

    client = connect(proxy.url)
    proxy.fault(picky, "eth_call")
    answers, requests = ask(client, [burn(1000)] * 100)
    assert answers == [1] * 100
    assert 4 <= requests <= 40


def test_a_node_that_refuses_on_principle_is_not_flooded(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url)
    ask(client, [balance(COUNT)])
    proxy.fault(refused(-32000, "method disabled by the operator"), "eth_call")
    answers, requests = ask(client, [burn(1000)] * 100)
    assert all(isinstance(a, Failed) and "disabled" in a.reason and not a.benign for a in answers)
    assert requests == 2


def test_without_a_multicall_the_configuration_is_wrong(node: Node, connect: Connect) -> None:
    with pytest.raises(MulticallMissing, match=f"no Multicall3 at {NOBODY}"):
        connect(node.url, multicall=NOBODY)
    with pytest.raises(MulticallMissing, match=f"no Multicall3 at {WHO}"):
        connect(node.url, multicall=WHO)


def test_a_block_that_a_reorg_took_cannot_be_read(node: Node, client: ChainClient) -> None:
    kept = node.snapshot()
    node.rpc("evm_mine")
    at = client.pin()
    assert client.run(answers_of([balance(COUNT)]), at) == [0]
    node.revert(kept)
    node.warp(100)
    with pytest.raises(PinnedBlockGone, match=f"block {at.number} .* of chain {CHAIN_ID}"):
        client.run(answers_of([balance(COUNT)]), at)


def test_a_block_taken_by_anvils_own_reorg_is_noticed_too(node: Node, client: ChainClient) -> None:
    """The node goes on answering for the orphaned hash: only the canonical chain tells."""
    node.rpc("evm_mine")
    at = client.pin()
    node.rpc("anvil_reorg", 1, [])
    with pytest.raises(PinnedBlockGone):
        client.run(answers_of([balance(COUNT)]), at)


def test_a_block_above_the_head_cannot_be_read(node: Node, client: ChainClient) -> None:
    kept = node.snapshot()
    node.rpc("evm_mine")
    at = client.pin()
    node.revert(kept)
    with pytest.raises((PinnedBlockGone, NodeUnreachable)):
        client.run(answers_of([balance(COUNT)]), at)


def answers_of(reads: Sequence[Read]) -> Any:
    return (yield reads)


def words(replaced: int, value: int) -> Callable[[Any], Any]:
    """Replace one of the last two results of a multicall: chain id (0) or time (1)."""

    def change(result: str) -> str:
        cut = len(result) - 64 * (1 if replaced else 1 + 4)
        return result[:cut] + f"{value:064x}" + result[cut + 64 :]

    return change


@pytest.mark.parametrize(("which", "text"), [(0, "for chain id 7, expected 10"), (1, "reads at time 7")])
def test_a_node_that_reads_elsewhere_is_not_believed(
    proxy: RpcProxy, connect: Connect, which: int, text: str
) -> None:
    client = connect(proxy.url)
    at = client.pin()
    client.answer([balance(COUNT)], at)
    proxy.fault(changed(words(which, 7)), "eth_call")
    with pytest.raises(NodeDisbelieved, match=text):
        client.answer([balance(COUNT)], at)


def test_the_next_endpoint_is_asked_when_one_is_not_believed(
    proxy: RpcProxy, node: Node, connect: Connect
) -> None:
    client = connect(proxy.url, node.url)
    at = client.pin()
    proxy.fault(changed(words(1, 7)), "eth_call")
    with pytest.raises(NodeDisbelieved):
        client.answer([balance(COUNT)], at)
    assert client.answer([balance(COUNT)], at) == [0]


def test_bytes_that_mean_nothing_are_not_believed(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url)
    at = client.pin()
    client.answer([balance(COUNT)], at)
    proxy.fault(answered("0x" + "00" * 64), "eth_call")
    with pytest.raises(NodeDisbelieved):
        client.answer([balance(COUNT)], at)
