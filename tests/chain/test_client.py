"""Blocks, simulations and transactions of one chain, on a real node and on one that misbehaves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from keeper.chain.abi import encode
from keeper.chain.client import ChainClient
from keeper.chain.errors import (
    AbiMismatch,
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    InsufficientFunds,
    NodeRefused,
    NodeUnreachable,
    NonceTooLow,
    ReplacementUnderpriced,
    WrongChain,
)
from keeper.chain.transactions import Fees, Tx, price_of
from keeper.devnet.node import Node
from keeper.model.errors import DataError
from keeper.model.intent import Simulation
from keeper.model.reads import Address, Call, Reads
from keeper.model.units import NO_WEI, Wei
from keeper.protocols.adapter import Meaning
from tests.chain.conftest import CHAIN_ID, COUNT, GATE, LOUD, NOBODY, POISON
from tests.support.rpc_proxy import RpcProxy, answered, changed, dropped, refused, swallowed

pytestmark = pytest.mark.devnet

Connect = Callable[..., ChainClient]

TOKEN = "erc20/ERC20"
ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
GWEI = 10**9


@pytest.fixture
def client(proxy: RpcProxy, connect: Connect) -> ChainClient:
    return connect(proxy.url)


@pytest.fixture
def signer(node: Node) -> LocalAccount:
    account: LocalAccount = Account.from_key("0x" + "42" * 32)
    node.rpc("anvil_setBalance", account.address, hex(10**18))
    return account


def approve(to: Address) -> str:
    return encode(Call(TOKEN, to, "approve", (ALICE, 1)))


def balance(to: Address) -> str:
    return encode(Call(TOKEN, to, "balanceOf", (ALICE,)))


# Blocks


def test_connecting_takes_two_requests(client: ChainClient) -> None:
    assert client.requests == 2


def test_a_wrong_chain_id_is_refused_by_name(node: Node, connect: Connect) -> None:
    with pytest.raises(WrongChain, match=f"serves chain id {CHAIN_ID}, expected 1"):
        connect(node.url, chain_id=1)


def test_blocks_are_named_by_the_chain(node: Node, client: ChainClient) -> None:
    head = client.head()
    raw = node.rpc("eth_getBlockByNumber", "latest", False)
    assert (head.chain_id, head.number, head.hash) == (CHAIN_ID, int(raw["number"], 16), raw["hash"])
    assert head.timestamp_s == int(raw["timestamp"], 16)
    below = client.block(head.number - 1)
    assert below is not None
    assert below.hash == head.parent_hash
    assert client.block(head.number + 1) is None


def test_the_pinned_block_lies_below_the_head(node: Node, connect: Connect) -> None:
    for _ in range(5):
        node.rpc("evm_mine")
    head = connect(node.url).pin().number
    assert connect(node.url, confirmations=3).pin().number == head - 3
    assert connect(node.url, confirmations=10_000).pin().number == 0


def test_a_lagging_endpoint_is_not_pinned_on(node: Node, proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url, node.url)
    proxy.freeze_head()
    for _ in range(10):
        node.rpc("evm_mine")
    assert client.pin().number == node.head()


@pytest.mark.parametrize("answer", [{}, {"number": "0x1"}, "0x1", [], {"number": 1, "hash": "0x"}])
def test_a_malformed_block_is_no_block(client: ChainClient, proxy: RpcProxy, answer: Any) -> None:
    proxy.fault(answered(answer), "eth_getBlockByNumber")
    with pytest.raises(AbiMismatch, match="eth_getBlockByNumber"):
        client.head()


def test_a_chain_without_a_head_is_unreachable(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(answered(None), "eth_getBlockByNumber")
    with pytest.raises(NodeUnreachable):
        client.pin()


# Driving generators


class OneReasonError(DataError):
    """A reason of its own."""


def counted(times: int) -> Reads[int]:
    total = 0
    for _ in range(times):
        (value, wallet) = yield [
            Call(TOKEN, COUNT, "balanceOf", (ALICE,)),
            Call("chain/Multicall3", MULTICALL, "getEthBalance", (NOBODY,)),
        ]
        total += 1 + value + wallet
    return total


def failing() -> Reads[int]:
    yield [Call(TOKEN, COUNT, "balanceOf", (ALICE,))]
    raise OneReasonError("nobody knows")


MULTICALL = Address("0xcA11bde05977b3631167028862bE2a173976CA11")


def test_generators_share_their_rounds(client: ChainClient) -> None:
    at = client.pin()
    client.run(counted(1), at)
    before = client.requests
    assert client.run_all([counted(3), counted(1), counted(0), counted(2)], at) == [3, 1, 0, 2]
    assert client.requests - before == 3 + 1, "three rounds, and that the block is still there"


def test_one_that_fails_ends_alone(client: ChainClient) -> None:
    at = client.pin()
    first, second = client.run_all([failing(), counted(3)], at)
    assert isinstance(first, OneReasonError)
    assert second == 3
    with pytest.raises(OneReasonError):
        client.run(failing(), at)


def test_generators_are_closed_when_a_node_goes_away(client: ChainClient, proxy: RpcProxy) -> None:
    closed: list[str] = []

    def reads() -> Iterator[Any]:
        try:
            yield [Call(TOKEN, COUNT, "balanceOf", (ALICE,))]
        finally:
            closed.append("closed")

    at = client.pin()
    proxy.fault(dropped())
    with pytest.raises(NodeUnreachable):
        client.run(reads(), at)  # type: ignore[arg-type]
    assert closed == ["closed"]


# Simulations


def test_a_simulation_that_succeeds_tells_its_gas(node: Node, client: ChainClient) -> None:
    found = client.simulate(sender=ALICE, to=COUNT, data=approve(COUNT))
    assert found.ok
    assert found.block_number == node.head()
    assert found.error is None
    sent = node.send(node.accounts[0], COUNT, approve(COUNT), gas=found.gas or 0)
    assert sent["status"] == "0x1"
    assert int(sent["gasUsed"], 16) <= (found.gas or 0)


def test_a_simulation_that_fails_tells_why(client: ChainClient) -> None:
    found = client.simulate(sender=ALICE, to=LOUD, data=approve(LOUD))
    assert found == Simulation(ok=False, gas=None, error="NO", block_number=found.block_number)


def test_the_venue_words_the_failure(client: ChainClient) -> None:
    def explain(error: str, args: Any) -> Meaning | None:
        assert args == {"message": "NO"}
        return Meaning(text="already done", benign=True) if error == "NO" else None

    found = client.simulate(sender=ALICE, to=LOUD, data=approve(LOUD), explain=explain)
    assert (found.error, found.benign) == ("already done (NO)", True)


def test_a_simulation_that_eats_all_gas_fails(client: ChainClient) -> None:
    assert not client.simulate(sender=ALICE, to=POISON, data=approve(POISON)).ok


def test_value_that_the_sender_lacks_fails(client: ChainClient) -> None:
    found = client.simulate(sender=NOBODY, to=ALICE, data="0x", value=Wei(10**30))
    assert not found.ok
    assert found.error


def test_an_attempt_returns_the_revert_itself(client: ChainClient) -> None:
    revert = client.attempt(sender=ALICE, to=LOUD, data=approve(LOUD))
    assert revert is not None
    assert (revert.name, revert.text) == ("Error", "NO")
    assert client.attempt(sender=ALICE, to=COUNT, data=approve(COUNT)) is None


@pytest.fixture(params=["eth_simulateV1", "overrides only"])
def bundling(request: pytest.FixtureRequest, client: ChainClient, proxy: RpcProxy) -> ChainClient:
    if request.param == "overrides only":
        proxy.fault(refused(-32601, "the method eth_simulateV1 does not exist"), "eth_simulateV1")
    return client


def test_a_bundle_sees_what_came_before(bundling: ChainClient) -> None:
    needs = Tx(to=GATE, data=balance(GATE))
    opens = Tx(to=GATE, data=approve(GATE))
    assert not bundling.simulate(sender=ALICE, to=GATE, data=balance(GATE)).ok
    found = bundling.simulate_bundle(ALICE, [opens, needs])
    assert [s.ok for s in found] == [True, True]
    assert all((s.gas or 0) >= 21_000 for s in found)
    assert [s.ok for s in bundling.simulate_bundle(ALICE, [needs, opens, needs])] == [False, True, True]


def test_a_bundle_explains_its_failures(bundling: ChainClient) -> None:
    found = bundling.simulate_bundle(
        ALICE, [Tx(to=COUNT, data=approve(COUNT)), Tx(to=LOUD, data=approve(LOUD))]
    )
    assert (found[0].ok, found[1].ok, found[1].error) == (True, False, "NO")


def test_a_bundle_of_one_is_a_simulation(client: ChainClient) -> None:
    (found,) = client.simulate_bundle(ALICE, [Tx(to=LOUD, data=approve(LOUD))])
    assert found.error == "NO"
    assert client.simulate_bundle(ALICE, []) == ()


def test_a_node_that_cannot_bundle_says_so(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(refused(-32601, "unknown method"), "eth_simulateV1")
    proxy.fault(refused(-32602, "too many arguments"), "eth_call", when=lambda params: len(params) > 2)
    first, second = client.simulate_bundle(
        ALICE, [Tx(to=GATE, data=approve(GATE)), Tx(to=GATE, data=balance(GATE))]
    )
    assert first.ok
    assert not second.ok
    assert "not simulated" in (second.error or "")


@pytest.mark.parametrize("answer", [[], [{"calls": []}], [{}], None, [{"calls": [{}, {}]}]])
def test_a_malformed_bundle_answer_is_refused(client: ChainClient, proxy: RpcProxy, answer: Any) -> None:
    proxy.fault(answered(answer), "eth_simulateV1")
    with pytest.raises(AbiMismatch, match="eth_simulateV1"):
        client.simulate_bundle(ALICE, [Tx(to=GATE, data=approve(GATE)), Tx(to=GATE, data=balance(GATE))])


# Transactions


def signed(signer: LocalAccount, **fields: Any) -> bytes:
    transaction = {
        "chainId": CHAIN_ID,
        "type": 2,
        "nonce": 0,
        "gas": 21_000,
        "to": ALICE,
        "value": 1,
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        **fields,
    }
    return bytes(signer.sign_transaction(transaction).raw_transaction)


def test_the_life_of_a_transaction(node: Node, client: ChainClient, signer: LocalAccount) -> None:
    node.rpc("evm_setAutomine", False)
    try:
        sender = Address(signer.address)
        raw = signed(signer)
        tx_hash = client.broadcast(raw)
        assert client.transaction_known(tx_hash)
        assert client.receipt(tx_hash) is None
        assert (client.nonce(sender, "latest"), client.nonce(sender, "pending")) == (0, 1)
        node.rpc("evm_mine")
        receipt = client.receipt(tx_hash)
        assert receipt is not None
        assert (receipt.tx_hash, receipt.status, receipt.gas_used) == (tx_hash, 1, 21_000)
        assert receipt.block_hash == client.head().hash
        assert client.nonce(sender, "latest") == 1
        held = 10**18 - 1 - 21_000 * receipt.effective_gas_price
        assert client.native(sender) == held
    finally:
        node.rpc("evm_setAutomine", True)


def test_why_a_node_does_not_take_a_transaction(
    node: Node, client: ChainClient, signer: LocalAccount
) -> None:
    node.rpc("evm_setAutomine", False)
    try:
        raw = signed(signer)
        client.broadcast(raw)
        with pytest.raises(AlreadyKnown):
            client.broadcast(raw)
        with pytest.raises(ReplacementUnderpriced):
            client.broadcast(signed(signer, value=2))
        with pytest.raises(InsufficientFunds):
            client.broadcast(signed(signer, nonce=1, value=10**30))
        with pytest.raises(FeeTooLow):
            client.broadcast(signed(signer, nonce=1, maxFeePerGas=1, maxPriorityFeePerGas=1))
        with pytest.raises(BroadcastRefused, match="invalid chain id"):
            client.broadcast(signed(signer, nonce=1, chainId=1))
        with pytest.raises(BroadcastRefused):
            client.broadcast("0x1234")
        node.rpc("evm_mine")
        with pytest.raises(NonceTooLow):
            client.broadcast(signed(signer, value=3))
    finally:
        node.rpc("evm_setAutomine", True)


def test_a_broadcast_that_landed_without_an_answer(
    client: ChainClient, proxy: RpcProxy, signer: LocalAccount
) -> None:
    """The node has it, the caller does not know: sending the same bytes again tells."""
    raw = signed(signer)
    proxy.fault(swallowed(), "eth_sendRawTransaction", times=1)
    with pytest.raises((AlreadyKnown, NonceTooLow)):
        client.broadcast(raw)


def test_a_broadcast_that_nobody_answers(client: ChainClient, proxy: RpcProxy, signer: LocalAccount) -> None:
    proxy.fault(dropped(), "eth_sendRawTransaction")
    with pytest.raises(NodeUnreachable):
        client.broadcast(signed(signer))


def test_a_mined_failure_is_explained(node: Node, client: ChainClient) -> None:
    sender = node.accounts[0]
    transaction = {"from": sender, "to": LOUD, "data": approve(LOUD), "gas": hex(100_000)}
    receipt = client.receipt(node.rpc("eth_sendTransactionSync", transaction)["transactionHash"])
    assert receipt is not None
    assert receipt.status == 0
    reason = client.revert_reason(
        sender=sender, to=LOUD, data=approve(LOUD), value=NO_WEI, block_number=receipt.block_number, abis=()
    )
    assert reason == "NO"
    fine = client.revert_reason(
        sender=sender, to=COUNT, data=approve(COUNT), value=NO_WEI, block_number=receipt.block_number, abis=()
    )
    assert fine == ""


def test_an_unknown_transaction_is_none(client: ChainClient) -> None:
    assert client.receipt("0x" + "12" * 32) is None
    assert not client.transaction_known("0x" + "12" * 32)


@pytest.mark.parametrize("answer", [{"blockNumber": "0x1"}, {"blockNumber": "0x1", "status": None}])
def test_a_malformed_receipt_is_refused(client: ChainClient, proxy: RpcProxy, answer: Any) -> None:
    proxy.fault(answered(answer), "eth_getTransactionReceipt")
    with pytest.raises(AbiMismatch, match="eth_getTransactionReceipt"):
        client.receipt("0x" + "12" * 32)


def test_fees_are_those_of_the_next_block(node: Node, client: ChainClient) -> None:
    fees = client.fees()
    node.rpc("evm_mine")
    base = int(node.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    assert fees == Fees(base_fee_wei=base, priority_fee_wei=GWEI, legacy_gas_price_wei=None)


def test_fees_of_a_chain_without_base_fee(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(changed(lambda block: {**block, "baseFeePerGas": None}), "eth_getBlockByNumber")
    proxy.fault(answered(hex(5 * GWEI)), "eth_gasPrice")
    assert client.fees() == Fees(base_fee_wei=0, priority_fee_wei=5 * GWEI, legacy_gas_price_wei=5 * GWEI)


def test_a_node_without_a_tip_method_is_asked_for_the_price(
    node: Node, client: ChainClient, proxy: RpcProxy
) -> None:
    base = int(node.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    proxy.fault(refused(-32601, "Method not found"), "eth_maxPriorityFeePerGas")
    proxy.fault(answered(hex(base + 7)), "eth_gasPrice")
    assert client.fees().priority_fee_wei == 7


def test_the_gas_price_is_a_function_of_the_block(
    node: Node, client: ChainClient, signer: LocalAccount
) -> None:
    client.broadcast(signed(signer, maxPriorityFeePerGas=3 * GWEI))
    at = client.pin()
    price = client.gas_price(at)
    raw = node.rpc("eth_getBlockByNumber", "latest", False)
    assert price >= int(raw["baseFeePerGas"], 16)
    for _ in range(10):
        node.rpc("evm_mine")
    assert client.gas_price(at) == price


def test_the_gas_price_of_a_node_without_history(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(refused(-32601, "Method not found"), "eth_feeHistory")
    proxy.fault(answered(hex(9 * GWEI)), "eth_gasPrice")
    assert client.gas_price(client.pin()) == 9 * GWEI


@pytest.mark.parametrize(
    ("history", "price"),
    [
        ({"baseFeePerGas": ["0x5", "0x9", "0x7"], "reward": [["0x1"], ["0x3"]]}, 9 + 1),
        ({"baseFeePerGas": ["0x63", "0x5", "0x7"], "reward": [["0x1"], ["0x2"], ["0x3"]]}, 5 + 2),
        ({"baseFeePerGas": ["0x5"]}, 5),
        ({"baseFeePerGas": ["0x5"], "reward": None}, 5),
        ({"baseFeePerGas": ["0x5"], "reward": [[], ["0x4"]]}, 9),
    ],
)
def test_price_of_a_fee_history(history: dict[str, Any], price: int) -> None:
    assert price_of(history) == price


@pytest.mark.parametrize("history", [{}, {"baseFeePerGas": []}, {"baseFeePerGas": ["x"]}])
def test_a_malformed_fee_history_is_no_price(history: dict[str, Any]) -> None:
    with pytest.raises((KeyError, IndexError, ValueError)):
        price_of(history)


def test_code_and_balance_of_an_address(client: ChainClient) -> None:
    assert client.code(NOBODY) == b""
    assert client.code(POISON) == b"\xfe"
    assert client.native(NOBODY) == 0


def test_a_malformed_number_is_refused(client: ChainClient, proxy: RpcProxy) -> None:
    proxy.fault(answered("lots"), "eth_getBalance")
    with pytest.raises(AbiMismatch, match="eth_getBalance"):
        client.native(ALICE)
    proxy.fault(refused(-32000, "no"), "eth_getTransactionCount")
    with pytest.raises(NodeRefused):
        client.nonce(ALICE)
