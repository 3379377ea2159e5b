"""Transactions at the head with reads on both sides of them, on a real node and on ones that can do less."""

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils.crypto import keccak

from keeper.chain.abi import encode
from keeper.chain.client import ChainClient
from keeper.chain.errors import AbiMismatch, NodeUnreachable
from keeper.chain.settings import GasBy
from keeper.chain.transactions import Tx, receipt_of, transfers_of
from keeper.devnet.node import Node
from keeper.model.promise import Transfer
from keeper.model.reads import Address, Call, Failed
from tests.chain.conftest import CHAIN_ID, COUNT, GATE, LOUD, NOBODY, POISON, QUIET
from tests.support.rpc_proxy import RpcProxy, answered, changed, dropped, refused

pytestmark = pytest.mark.devnet

Connect = Callable[..., ChainClient]

TOKEN = "erc20/ERC20"
ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
BOB = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
COUNTED = Call(TOKEN, COUNT, "balanceOf", (ALICE,))
OPEN = Call(TOKEN, GATE, "balanceOf", (ALICE,))
RAISE = Tx(to=COUNT, data=encode(Call(TOKEN, COUNT, "approve", (ALICE, 1))))
OPENS = Tx(to=GATE, data=encode(Call(TOKEN, GATE, "approve", (ALICE, 1))))

NO_METHOD = refused(-32601, "the method eth_simulateV1 does not exist/is not available")
NO_OVERRIDES = refused(-32602, "too many arguments, want at most 2")


@pytest.fixture
def client(proxy: RpcProxy, connect: Connect) -> ChainClient:
    return connect(proxy.url)


@pytest.fixture(params=["eth_simulateV1", "overrides only"])
def rehearsing(request: pytest.FixtureRequest, client: ChainClient, proxy: RpcProxy) -> ChainClient:
    if request.param == "overrides only":
        proxy.fault(NO_METHOD, "eth_simulateV1")
    return client


def test_gas_is_what_it_used_and_a_quarter_without_an_estimate(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url, gas_by=GasBy.SIMULATION)
    (estimated,) = connect(proxy.url).rehearse(ALICE, [RAISE], [COUNTED]).simulations
    asked = proxy.count("eth_estimateGas")
    found = client.rehearse(ALICE, [RAISE, RAISE], [COUNTED])
    assert all(s.ok for s in found.simulations)
    assert proxy.count("eth_estimateGas") == asked
    assert estimated.gas is not None
    assert found.simulations[0].gas is not None
    assert estimated.gas <= found.simulations[0].gas <= 1.3 * estimated.gas


def test_gas_that_does_not_suffice_is_estimated(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url, gas_by=GasBy.SIMULATION)
    for refusal in (refused(-32003, "out of gas"), refused(-32000, "the method is busy")):
        proxy.fault(refusal, "eth_call", times=1)
        proxy.fault(answered(hex(77_777)), "eth_estimateGas", times=1)
        (found,) = client.rehearse(ALICE, [RAISE], [COUNTED]).simulations
        assert (found.ok, found.gas) == (True, 77_777)


def test_gas_above_what_a_transaction_may_have_is_estimated(proxy: RpcProxy, connect: Connect) -> None:
    """14,000,000 and a quarter are more than 2**24, which 14,000,000 are not."""

    def dear(answer: Any) -> Any:
        answer[0]["calls"][1]["gasUsed"] = hex(14_000_000)
        return answer

    proxy.fault(changed(dear), "eth_simulateV1")
    proxy.fault(answered(hex(14_000_000)), "eth_estimateGas")
    client = connect(proxy.url, gas_by=GasBy.SIMULATION)
    (found,) = client.rehearse(ALICE, [RAISE], [COUNTED]).simulations
    assert (found.ok, found.gas) == (True, 14_000_000)


def test_only_the_transactions_lie_between_the_reads(rehearsing: ChainClient, node: Node) -> None:
    for count in (1, 3):
        found = rehearsing.rehearse(ALICE, [RAISE] * count, [COUNTED, OPEN])
        assert [s.ok for s in found.simulations] == [True] * count
        assert all((s.gas or 0) >= 21_000 for s in found.simulations)
        assert {s.block_number for s in found.simulations} == {node.head()}
        assert found.before is not None
        assert found.after is not None
        assert (found.before[COUNTED], found.after[COUNTED]) == (0, count)
        assert isinstance(found.after[OPEN], Failed)
        assert found.after[OPEN].benign
    assert rehearsing.rehearse(ALICE, [RAISE], [COUNTED]).before == {COUNTED: 0}, "nothing was sent"


def test_a_read_that_fails_before_may_succeed_after(rehearsing: ChainClient) -> None:
    found = rehearsing.rehearse(ALICE, [OPENS], [OPEN])
    assert found.before is not None
    assert found.after is not None
    assert isinstance(found.before[OPEN], Failed)
    assert found.after[OPEN] == 1


def test_without_reads_there_is_nothing_to_answer(rehearsing: ChainClient) -> None:
    found = rehearsing.rehearse(ALICE, [RAISE], [])
    assert (found.simulations[0].ok, found.before, found.after) == (True, {}, {})


@pytest.mark.parametrize(("to", "error"), [(LOUD, "NO"), (QUIET, ""), (POISON, "")])
def test_what_fails_has_no_sides(rehearsing: ChainClient, to: Address, error: str) -> None:
    for txs in ([Tx(to=to, data="0x095ea7b3")], [RAISE, Tx(to=to, data="0x095ea7b3")]):
        found = rehearsing.rehearse(ALICE, txs, [COUNTED])
        assert not found.simulations[-1].ok
        assert error in (found.simulations[-1].error or "")
        assert (found.before, found.after) == (None, None)


def test_a_read_of_nothing_is_failed(rehearsing: ChainClient) -> None:
    lost = Call(TOKEN, NOBODY, "balanceOf", (ALICE,))
    found = rehearsing.rehearse(ALICE, [RAISE], [lost])
    assert found.after is not None
    assert isinstance(found.after[lost], Failed)


def test_a_node_that_can_do_neither_says_nothing_of_the_sides(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(NO_METHOD, "eth_simulateV1")
    proxy.fault(NO_OVERRIDES, "eth_call", when=lambda params: len(params) > 2)
    found = client.rehearse(ALICE, [RAISE], [COUNTED])
    assert found.simulations[0].ok
    assert (found.before, found.after, found.transfers) == (None, None, None)
    bundled = client.rehearse(ALICE, [OPENS, RAISE], [COUNTED])
    assert [s.untold for s in bundled.simulations] == [False, True]
    assert bundled.before is None


def test_the_gas_is_estimated_where_nothing_goes_before(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(answered(hex(77_777)), "eth_estimateGas")
    assert [s.gas for s in client.rehearse(ALICE, [RAISE], []).simulations] == [77_777]
    proxy.clear()
    proxy.fault(refused(3, "execution reverted", "0x"), "eth_estimateGas")
    found = client.rehearse(ALICE, [RAISE], [COUNTED])
    assert not found.simulations[0].ok
    assert found.before is None


def test_an_estimate_that_is_refused_for_want_of_funds_fails_the_transaction(
    client: ChainClient, proxy: RpcProxy
) -> None:
    proxy.fault(refused(-32000, "insufficient funds for gas * price + value"), "eth_estimateGas")
    (found,) = client.rehearse(ALICE, [RAISE], [COUNTED]).simulations
    assert found.error == "insufficient funds for gas * price + value"


@pytest.mark.parametrize("words", ["block gas limit reached", "not allowed on your plan", "disabled"])
def test_a_refusal_in_any_words_leaves_the_other_way(
    client: ChainClient, proxy: RpcProxy, words: str
) -> None:
    """A provider that does not let everybody simulate blocks must not keep every transaction back."""
    proxy.fault(refused(-38013, words), "eth_simulateV1")
    for count in (1, 2):
        found = client.rehearse(ALICE, [RAISE] * count, [COUNTED])
        assert [s.ok for s in found.simulations] == [True] * count
        assert (found.after, found.transfers) == ({COUNTED: count}, None)


@pytest.mark.parametrize("answer", [[], [{"calls": []}], [{}], None, [{"calls": [{}, {}, {}]}], "0x", [1, 2]])
def test_a_malformed_answer_is_no_rehearsal(client: ChainClient, proxy: RpcProxy, answer: Any) -> None:
    proxy.fault(answered(answer), "eth_simulateV1")
    with pytest.raises(AbiMismatch, match="eth_simulateV1"):
        client.rehearse(ALICE, [RAISE], [COUNTED])


@pytest.mark.parametrize("data", ["0x", "0x" + "00" * 64])
def test_reads_that_come_back_cut_off_are_not_answered(
    client: ChainClient, proxy: RpcProxy, data: str
) -> None:
    def cut(blocks: Any) -> Any:
        blocks[0]["calls"][-1]["returnData"] = data
        return blocks

    proxy.fault(changed(cut), "eth_simulateV1")
    found = client.rehearse(ALICE, [RAISE], [COUNTED])
    assert found.simulations[0].ok
    assert found.before == {COUNTED: 0}
    assert found.after is None


def test_a_node_that_does_not_answer_is_unreachable(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(dropped(), "eth_simulateV1")
    with pytest.raises(NodeUnreachable):
        client.rehearse(ALICE, [RAISE], [COUNTED])


# Quorum


def test_what_others_find_is_kept_beside_ones_own(node: Node, proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url, node.url, quorum=2)
    assert client.rehearse(ALICE, [RAISE], [COUNTED]).others[0].after == {COUNTED: 1}

    def lie(blocks: Any) -> Any:
        last = blocks[0]["calls"][-1]
        last["returnData"] = last["returnData"][:-64] + f"{9:064x}"
        return blocks

    proxy.fault(changed(lie), "eth_simulateV1")
    found = client.rehearse(ALICE, [RAISE], [COUNTED])
    assert found.after == {COUNTED: 9}
    assert [other.after for other in found.others] == [{COUNTED: 1}]


def test_a_rehearsal_must_succeed_everywhere(node: Node, proxy: RpcProxy, connect: Connect) -> None:
    client = connect(node.url, proxy.url, quorum=2)
    for method in ("eth_simulateV1", "eth_call"):
        proxy.fault(refused(3, "execution reverted: not here"), method)
    found = client.rehearse(ALICE, [RAISE], [COUNTED])
    assert "would not: execution reverted: not here" in (found.simulations[0].error or "")
    assert found.others == ()


# Transfers


def log(*topics: str, data: str = "0x" + f"{5:064x}", address: str = COUNT) -> dict[str, Any]:
    return {"address": address.lower(), "topics": [TRANSFER, *topics], "data": data}


def word(address: Address) -> str:
    return "0x" + "0" * 24 + address[2:].lower()


def test_transfers_are_read_in_order_and_nothing_else_is_one() -> None:
    number = "0x" + f"{7:064x}"
    logs = [
        log(word(ALICE), word(BOB)),
        {"address": COUNT, "topics": [], "data": "0x"},
        log(data="0x" + "00" * 96),
        log(word(ALICE)),
        log(word(ALICE), word(BOB), data="0x"),
        log(word(BOB), word(ALICE), number, data="0x"),
        {**log(word(ALICE), word(BOB)), "topics": ["0x" + "1" * 64, word(ALICE), word(BOB)]},
    ]
    assert transfers_of(logs) == (
        Transfer(token=COUNT, giver=ALICE, taker=BOB, amount=5),
        Transfer(token=COUNT, giver=BOB, taker=ALICE, amount=7, item=True),
    )
    raw = {
        "transactionHash": word(COUNT),
        "blockNumber": "0x2",
        "blockHash": word(BOB),
        "status": "0x1",
        "gasUsed": "0x4",
        "effectiveGasPrice": "0x5",
        "logs": logs,
    }
    assert receipt_of(raw).transfers == transfers_of(logs)
    for missing in ("logs", "effectiveGasPrice"):
        with pytest.raises((KeyError, TypeError, ValueError)):
            receipt_of({**raw, missing: None})


@pytest.mark.parametrize(
    "broken", [{}, None, log("0x12", word(BOB)), log(word(ALICE), "nothing", "0x" + f"{7:064x}")]
)
def test_what_is_no_log_is_no_transfer(broken: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        transfers_of([broken])


def test_a_simulated_transfer_is_seen(client: ChainClient, node: Node) -> None:
    """LOG3 with the caller as giver and the chain id as amount."""
    emits = Address("0x0000000000000000000000000000000000000b01")
    code = f"0x465f5260aa337f{TRANSFER[2:]}60205fa3"
    node.rpc("anvil_setCode", emits, code)
    found = client.rehearse(ALICE, [Tx(to=emits, data="0x"), RAISE], [COUNTED])
    (transfer,) = found.transfers or ()
    assert int(transfer.token, 16) == int(emits, 16)
    assert (transfer.giver, transfer.amount) == (ALICE, CHAIN_ID)
    assert int(transfer.taker, 16) == 0xAA
