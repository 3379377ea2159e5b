"""The present by two endpoints' word: what one lies about, lags in or is silent about decides nothing."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keeper.chain import quorum
from keeper.chain.client import ChainClient
from keeper.chain.errors import AnswersDiffer, NodeUnreachable, QuorumMissing
from keeper.devnet.node import Node
from keeper.model.reads import Address
from tests.chain.conftest import COUNT
from tests.chain.test_client import approve
from tests.support.rpc_proxy import Fault, RpcProxy, answered, changed, dropped, garbage, limited, refused

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

Connect = Callable[..., ChainClient]
Question = Callable[[ChainClient], Any]
GWEI = 10**9


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "_PATIENCE_S", (0.01, 0.01, 0.01))


@pytest.fixture
def two(node: Node) -> Iterator[tuple[RpcProxy, RpcProxy]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(RpcProxy(node.url)) for _ in range(2))
        yield first, second


@pytest.fixture
def client(two: tuple[RpcProxy, RpcProxy], connect: Connect) -> ChainClient:
    return connect(*(proxy.url for proxy in two), quorum=2, timeout_s=3.0)


@pytest.fixture
def sender(node: Node) -> Address:
    """Who has sent three transactions."""
    for _ in range(3):
        node.send(node.accounts[0], COUNT, approve(COUNT))
    return node.accounts[0]


def last_hash(node: Node) -> str:
    return str(node.rpc("eth_getBlockByNumber", "latest", False)["transactions"][0])


NUMBERS = ("0x0", "0x2", "0x4", hex(10**6))


@pytest.mark.parametrize(("liar", "lie"), list(itertools.product((0, 1), NUMBERS)))
def test_a_lie_about_a_nonce_is_no_nonce(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], sender: Address, liar: int, lie: str
) -> None:
    assert client.nonce(sender) == 3
    two[liar].fault(answered(lie), "eth_getTransactionCount")
    with pytest.raises(AnswersDiffer, match="disagree about the nonce of") as caught:
        client.nonce(sender)
    truth, lied = (two[1 - liar].url, "3"), (two[liar].url, str(int(lie, 16)))
    assert set(caught.value.said) == {truth, lied}
    two[liar].clear()
    assert client.nonce(sender) == 3


@pytest.mark.parametrize(("liar", "lie", "found"), [(0, 10**6, 3), (1, 10**6, 3), (0, 2, 2), (1, 0, 0)])
def test_a_lie_about_what_waits_leaves_no_gap(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], sender: Address, liar: int, lie: int, found: int
) -> None:
    two[liar].fault(answered(hex(lie)), "eth_getTransactionCount")
    assert client.nonce(sender, "pending") == found


def test_a_laggard_is_waited_for(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], sender: Address
) -> None:
    behind = two[1].fault(answered("0x2"), "eth_getTransactionCount", times=2)
    assert client.nonce(sender) == 3
    assert behind.struck == 2


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize(
    "fault", [answered(None), changed(lambda raw: {**raw, "status": "0x0", "blockHash": "0x" + "12" * 32})]
)
def test_a_receipt_that_one_hides_or_forges_is_not_believed(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node, sender: Address, liar: int, fault: Fault
) -> None:
    tx_hash = last_hash(node)
    truth = client.receipt(tx_hash)
    assert truth is not None
    two[liar].fault(fault, "eth_getTransactionReceipt")
    with pytest.raises(AnswersDiffer, match=f"the receipt of {tx_hash}"):
        client.receipt(tx_hash)
    two[liar].clear()
    assert client.receipt(tx_hash) == truth
    assert client.receipt("0x" + "12" * 32) is None


@pytest.mark.parametrize("liar", [0, 1])
def test_a_block_that_one_denies_is_not_decided(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    head = client.head()
    assert client.canonical(head.number, head.hash)
    assert not client.canonical(head.number, "0x" + "12" * 32)
    assert not client.canonical(head.number + 10, head.hash)
    two[liar].fault(changed(lambda raw: {**raw, "hash": "0x" + "12" * 32}), "eth_getBlockByNumber")
    with pytest.raises(AnswersDiffer):
        client.canonical(head.number, head.hash)


def far_ahead(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "number": hex(int(block["number"], 16) + 1000)}


def test_a_head_far_ahead_of_the_others_is_not_believed(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy]
) -> None:
    two[0].fault(changed(far_ahead), "eth_getBlockByNumber")
    with pytest.raises(AnswersDiffer, match="the head"):
        client.head()


def test_a_head_a_little_ahead_is(client: ChainClient, two: tuple[RpcProxy, RpcProxy], node: Node) -> None:
    two[1].freeze_head()
    for _ in range(5):
        node.rpc("evm_mine")
    assert client.head().number == node.head()
    node.rpc("evm_mine")
    with pytest.raises(AnswersDiffer):
        client.head()


@pytest.mark.parametrize("liar", [0, 1])
def test_a_lie_about_the_tip_gives_nothing_away(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], liar: int
) -> None:
    honest = client.fees()
    two[liar].fault(answered(None), "eth_feeHistory")
    two[liar].fault(answered(hex(5000 * GWEI)), "eth_maxPriorityFeePerGas")
    assert client.fees() == honest


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("base", [1, 10**6 * GWEI, None])
def test_a_lie_about_the_base_fee_is_no_price(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], liar: int, base: int | None
) -> None:
    lie = {"baseFeePerGas": None if base is None else hex(base)}
    two[liar].fault(changed(lambda raw: {**raw, **lie}), "eth_getBlockByNumber")
    with pytest.raises(AnswersDiffer, match="disagree about fees"):
        client.fees()


@pytest.mark.parametrize("liar", [0, 1])
def test_the_final_block_is_the_lowest_that_anybody_names(
    two: tuple[RpcProxy, RpcProxy], connect: Connect, node: Node, liar: int
) -> None:
    node.rpc("anvil_mine", hex(10))
    client = connect(*(proxy.url for proxy in two), quorum=2, timeout_s=3.0)
    head = client.head()
    assert client.final_number(head, 4) == head.number - 4
    two[liar].freeze_head()
    node.rpc("anvil_mine", hex(3))
    later = client.head()
    assert client.final_number(later, 4) == later.number - 4 - (3 if liar == 1 else 0)


def test_every_endpoint_is_asked_what_a_view_answers(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy]
) -> None:
    two[1].fault(answered("0x07"), "eth_call")
    assert client.views(COUNT, "0x70a08231") == [(two[0].url, bytes(32)), (two[1].url, b"\x07")]


QUESTIONS: dict[str, Question] = {
    "head": lambda c: c.head(),
    "nonce": lambda c: c.nonce(COUNT),
    "pending": lambda c: c.nonce(COUNT, "pending"),
    "fees": lambda c: c.fees(),
    "receipt": lambda c: c.receipt("0x" + "12" * 32),
    "canonical": lambda c: c.canonical(0, "0x"),
    "views": lambda c: c.views(COUNT, "0x"),
}
SILENCE: dict[str, Callable[[], Fault]] = {
    "gone": dropped,
    "garbage": garbage,
    "garbage in JSON": lambda: answered({"0x": []}),
    "nobody behind it": lambda: refused(-32011, "no backend is currently healthy to serve traffic"),
    "an error": lambda: refused(-32603, "internal error"),
}


LIMITED: dict[str, Callable[[], Fault]] = {
    "HTTP 429": limited,
    "-32005": lambda: refused(-32005, "request rate limited"),
}
"""These are waited for, for as long as one request may take."""


@pytest.mark.parametrize(
    ("question", "silence"),
    [*itertools.product(QUESTIONS, SILENCE), *itertools.product(["nonce"], LIMITED)],
)
def test_without_a_second_voice_nothing_is_known(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], question: str, silence: str
) -> None:
    QUESTIONS[question](client)
    two[1].fault((SILENCE | LIMITED)[silence]())
    with pytest.raises(QuorumMissing, match="quorum of 2, only 1 answered"):
        QUESTIONS[question](client)
    two[1].clear()
    QUESTIONS[question](client)


def test_a_third_speaks_for_a_silent_one(
    two: tuple[RpcProxy, RpcProxy], node: Node, connect: Connect, sender: Address
) -> None:
    client = connect(two[0].url, two[1].url, node.url, quorum=2, timeout_s=3.0)
    two[1].fault(dropped())
    assert client.nonce(sender) == 3
    two[1].seen.clear()
    assert client.nonce(sender) == 3
    assert two[1].seen == [], "who failed lately is asked last"


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_one_of_three_is_outvoted_on_everything(node: Node, connect: Connect, liar: int) -> None:
    for _ in range(3):
        node.send(node.accounts[0], COUNT, approve(COUNT))
    sender, tx_hash = node.accounts[0], last_hash(node)
    with ExitStack() as stack:
        three = [stack.enter_context(RpcProxy(node.url)) for _ in range(3)]
        client = connect(*(proxy.url for proxy in three), quorum=2, timeout_s=3.0)
        head, fees, receipt = client.head(), client.fees(), client.receipt(tx_hash)
        three[liar].fault(answered(hex(10**6)), "eth_getTransactionCount")
        three[liar].fault(answered(None), "eth_getTransactionReceipt")
        three[liar].fault(
            changed(lambda raw: {**raw, "hash": "0x" + "12" * 32, "baseFeePerGas": hex(10**18)}),
            "eth_getBlockByNumber",
        )
        assert client.nonce(sender) == 3
        assert client.receipt(tx_hash) == receipt
        assert client.canonical(head.number, head.hash)
        assert client.fees() == fees
        assert client.final_number(client.head(), 2) == head.number - 2


def test_a_frozen_witness_does_not_keep_the_others_from_agreeing(
    two: tuple[RpcProxy, RpcProxy], node: Node, connect: Connect, sender: Address
) -> None:
    client = connect(two[0].url, two[1].url, node.url, quorum=2, timeout_s=3.0)
    two[1].fault(answered("0x1"), "eth_getTransactionCount")
    two[1].freeze_head()
    node.rpc("anvil_mine", hex(20))
    assert client.head().number == node.head()
    assert client.nonce(sender) == 3
    assert client.final_number(client.head(), 2) <= node.head() - 2


def test_a_witness_of_another_chain_has_no_voice(
    client: ChainClient, two: tuple[RpcProxy, RpcProxy], sender: Address
) -> None:
    two[1].fault(answered("0x1"), "eth_chainId")
    with pytest.raises(NodeUnreachable, match="serves chain id 1, expected 10"):
        client.nonce(sender)


def test_without_a_quorum_one_voice_is_enough(
    two: tuple[RpcProxy, RpcProxy], connect: Connect, sender: Address
) -> None:
    """The lies above are ones that only a second endpoint can show."""
    client = connect(*(proxy.url for proxy in two))
    two[0].fault(answered(hex(10**6)), "eth_getTransactionCount")
    assert client.nonce(sender) == 10**6
    assert two[1].count("eth_getTransactionCount") == 0
