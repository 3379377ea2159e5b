"""What is final, by confirmations and by the chain's tags, on a node whose tags lag by 32 and 64 blocks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from keeper.chain.client import ChainClient
from keeper.chain.errors import FinalityUnknown, NodeUnreachable, TagUnknown
from keeper.chain.settings import Finality, PinAt
from keeper.devnet.node import Node
from tests.support.rpc_proxy import Fault, RpcProxy, answered, refused

pytestmark = pytest.mark.devnet

Connect = Callable[..., ChainClient]
SAFE_LAG: Final = 32
FINALIZED_LAG: Final = 64
"""One epoch of anvil's, and two."""

AFTER: Final = 7


@pytest.fixture
def chain(node: Node) -> Node:
    """A node with both tags above the first block."""
    node.rpc("anvil_mine", hex(FINALIZED_LAG + 10))
    return node


def unknown(tag: str) -> Callable[[list[object]], bool]:
    return lambda params: params[0] == tag


@pytest.mark.parametrize(
    ("finality", "lag"),
    [
        (Finality.CONFIRMATIONS, AFTER),
        (Finality.SAFE, SAFE_LAG),
        (Finality.FINALIZED, FINALIZED_LAG),
    ],
)
def test_the_final_block(chain: Node, connect: Connect, finality: Finality, lag: int) -> None:
    client = connect(chain.url, finality=finality)
    head = client.head()
    assert client.final_number(head, AFTER) == head.number - lag
    chain.rpc("anvil_mine", hex(5))
    assert client.final_number(client.head(), AFTER) == head.number + 5 - lag
    for depth in range(1, 6):
        chain.rpc("anvil_reorg", depth, [])
        assert client.final_number(client.head(), AFTER) == head.number + 5 - lag


def test_a_tag_is_asked_for_once_a_head(chain: Node, connect: Connect, proxy: RpcProxy) -> None:
    client = connect(proxy.url, finality=Finality.FINALIZED)
    head = client.head()
    before = proxy.count("eth_getBlockByNumber")
    assert len({client.final_number(head, AFTER) for _ in range(5)}) == 1
    assert proxy.count("eth_getBlockByNumber") == before + 1


NOT_YET: dict[str, Fault] = {
    "null": answered(None),
    "geth": refused(-32000, "finalized block not found"),
    "Reth": refused(-32001, "block not found: finalized"),
    "Nethermind": refused(-39001, "Unknown block error"),
    "Besu": refused(-39001, "Unknown block"),
    "Erigon": refused(-39001, 'block "finalized" not available (head block: 5)'),
}
UNKNOWN: dict[str, Fault] = {
    "geth before the merge": refused(-32000, "'finalized' tag not supported on pre-merge network"),
    "older still": refused(-32602, "invalid argument 0: hex string without 0x prefix"),
    "Besu": refused(-32602, "Invalid block number params"),
}


@pytest.mark.parametrize("client_kind", NOT_YET)
def test_while_nothing_is_finalized_nothing_is_final(
    chain: Node, proxy: RpcProxy, connect: Connect, client_kind: str
) -> None:
    proxy.fault(NOT_YET[client_kind], "eth_getBlockByNumber", when=unknown("finalized"))
    client = connect(proxy.url, finality=Finality.FINALIZED)
    assert client.final_number(client.head(), AFTER) < 0


@pytest.mark.parametrize("client_kind", UNKNOWN)
def test_a_node_that_does_not_know_the_tag_is_named_at_the_start(
    chain: Node, proxy: RpcProxy, connect: Connect, client_kind: str
) -> None:
    proxy.fault(UNKNOWN[client_kind], "eth_getBlockByNumber", when=unknown("finalized"))
    with pytest.raises(FinalityUnknown, match='does not know the block "finalized"') as caught:
        connect(proxy.url, finality=Finality.FINALIZED)
    assert "finality_fallback" in str(caught.value)
    assert proxy.url in str(caught.value)


def test_a_node_that_forgets_the_tag_later_is_an_error_and_no_block(
    chain: Node, proxy: RpcProxy, connect: Connect
) -> None:
    client = connect(proxy.url, finality=Finality.FINALIZED)
    proxy.fault(UNKNOWN["Besu"], "eth_getBlockByNumber", when=unknown("finalized"))
    with pytest.raises(TagUnknown, match=r'block "finalized"'):
        client.final_number(client.head(), AFTER)


def test_confirmations_count_instead_only_where_that_is_configured(
    chain: Node, proxy: RpcProxy, connect: Connect
) -> None:
    proxy.fault(UNKNOWN["older still"], "eth_getBlockByNumber", when=unknown("finalized"))
    client = connect(proxy.url, finality=Finality.FINALIZED, finality_fallback=True)
    head = client.head()
    assert client.final_number(head, AFTER) == head.number - AFTER


def test_an_endpoint_that_knows_the_tag_is_asked_instead(
    chain: Node, proxy: RpcProxy, connect: Connect
) -> None:
    proxy.fault(UNKNOWN["older still"], "eth_getBlockByNumber", when=unknown("safe"))
    client = connect(proxy.url, chain.url, finality=Finality.SAFE)
    assert client.final_number(client.head(), AFTER) == client.head().number - SAFE_LAG


@pytest.fixture
def two(chain: Node) -> Iterator[tuple[RpcProxy, RpcProxy]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(RpcProxy(chain.url)) for _ in range(2))
        yield first, second


@pytest.mark.parametrize("liar", [0, 1])
def test_one_endpoint_alone_cannot_make_a_block_final(
    two: tuple[RpcProxy, RpcProxy], connect: Connect, liar: int
) -> None:
    client = connect(*(proxy.url for proxy in two), quorum=2, finality=Finality.FINALIZED)
    head = client.head()
    lie = {"number": hex(head.number), "hash": head.hash, "parentHash": head.hash, "timestamp": "0x1"}
    two[liar].fault(answered(lie), "eth_getBlockByNumber", when=unknown("finalized"))
    assert client.final_number(head, AFTER) == head.number - FINALIZED_LAG


# Reads


@pytest.mark.parametrize(
    ("pin_at", "confirmations", "lag"),
    [
        (PinAt.LATEST, 3, 3),
        (PinAt.SAFE, 0, SAFE_LAG),
        (PinAt.SAFE, 2, SAFE_LAG + 2),
        (PinAt.FINALIZED, 0, FINALIZED_LAG),
    ],
)
def test_reads_are_pinned_below_a_tag(
    chain: Node, connect: Connect, pin_at: PinAt, confirmations: int, lag: int
) -> None:
    client = connect(chain.url, pin_at=pin_at, confirmations=confirmations)
    assert client.pin().number == chain.head() - lag


def test_reads_are_not_pinned_where_there_is_no_safe_block(
    chain: Node, proxy: RpcProxy, connect: Connect
) -> None:
    client = connect(proxy.url, pin_at=PinAt.SAFE)
    proxy.fault(answered(None), "eth_getBlockByNumber", when=unknown("safe"))
    with pytest.raises(NodeUnreachable, match='has no "safe" block yet'):
        client.pin()


def test_reads_at_a_tag_that_the_node_does_not_know_are_a_configuration_error(
    chain: Node, proxy: RpcProxy, connect: Connect
) -> None:
    proxy.fault(UNKNOWN["Besu"], "eth_getBlockByNumber", when=unknown("safe"))
    with pytest.raises(FinalityUnknown, match="pin_at"):
        connect(proxy.url, pin_at=PinAt.SAFE, finality_fallback=True)
