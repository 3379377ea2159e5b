"""Transactions by the private way, and when they leave it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeUnreachable, WrongChain
from keeper.chain.private import nonce_of
from keeper.devnet.node import Node
from keeper.model.reads import Address
from tests.chain.conftest import CHAIN_ID
from tests.support.rpc_proxy import RpcProxy, answered, dropped, refused

Connect = Callable[..., ChainClient]

ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
SIGNER: LocalAccount = Account.from_key("0x" + "42" * 32)
GWEI = 10**9
SEND = "eth_sendRawTransaction"


def signed(
    nonce: int = 0, *, chain_id: int = CHAIN_ID, gwei: int = 10, data: str = "0x", **fields: Any
) -> bytes:
    fees = {"maxFeePerGas": gwei * GWEI, "maxPriorityFeePerGas": GWEI}
    plain: dict[str, Any] = {
        "chainId": chain_id,
        "nonce": nonce,
        "gas": 21_000,
        "to": ALICE,
        "value": 1,
        "data": data,
    }
    return bytes(SIGNER.sign_transaction(plain | (fields or fees)).raw_transaction)


@given(
    nonce=st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 2)),
    chain_id=st.integers(1, 2**40),
    size=st.sampled_from([0, 1, 60, 300, 70_000]),
    legacy=st.booleans(),
)
def test_the_nonce_is_read_from_the_bytes(nonce: int, chain_id: int, size: int, legacy: bool) -> None:
    fields = {"gasPrice": GWEI} if legacy else {}
    assert nonce_of(signed(nonce, chain_id=chain_id, data="0x" + "ab" * size, **fields)) == nonce


@pytest.fixture
def relay(node: Node) -> Iterator[RpcProxy]:
    """The private endpoint: it keeps what it takes to itself."""
    node.rpc("anvil_setBalance", SIGNER.address, hex(10**18))
    with RpcProxy(node.url) as relay:
        relay.fault(answered("0x"), SEND)
        yield relay


@pytest.mark.devnet
@pytest.mark.faults
def test_a_transaction_goes_only_there_until_its_blocks_have_passed(
    node: Node, proxy: RpcProxy, relay: RpcProxy, connect: Connect
) -> None:
    client = connect(proxy.url, private_endpoint=relay.url, private_blocks=3)
    tx_hash = client.broadcast(signed())
    for _ in range(2):
        node.rpc("evm_mine")
        assert client.broadcast(signed()) == tx_hash
    dearer = signed(gwei=20)
    node.rpc("evm_mine")
    assert (proxy.count(SEND), relay.count(SEND)) == (0, 3)
    sent = client.broadcast(dearer)
    assert (proxy.count(SEND), relay.count(SEND)) == (1, 3), "a dearer version does not begin anew"
    node.rpc("evm_mine")
    assert client.receipt(sent) is not None
    client.broadcast(signed(nonce=1))
    assert (proxy.count(SEND), relay.count(SEND)) == (1, 4), "the next one does"


@pytest.mark.devnet
@pytest.mark.faults
def test_private_only_never_goes_elsewhere(
    node: Node, proxy: RpcProxy, relay: RpcProxy, connect: Connect
) -> None:
    client = connect(proxy.url, private_endpoint=relay.url, private_blocks=1, private_only=True)
    for _ in range(4):
        client.broadcast(signed())
        node.rpc("evm_mine")
    relay.fault(dropped())
    with pytest.raises(NodeUnreachable):
        client.broadcast(signed())
    assert proxy.count(SEND) == 0


@pytest.mark.devnet
@pytest.mark.faults
def test_a_relay_that_takes_nothing_but_transactions_is_believed(
    proxy: RpcProxy, relay: RpcProxy, connect: Connect
) -> None:
    relay.fault(refused(-32601, "Method not found"), "eth_chainId")
    connect(proxy.url, private_endpoint=relay.url).broadcast(signed())
    assert (proxy.count(SEND), relay.count(SEND)) == (0, 1)


@pytest.mark.devnet
@pytest.mark.faults
def test_a_relay_of_another_chain_is_a_configuration_error(
    proxy: RpcProxy, relay: RpcProxy, connect: Connect
) -> None:
    relay.fault(answered("0x1"), "eth_chainId")
    with pytest.raises(WrongChain, match="serves chain id 1, expected 10"):
        connect(proxy.url, private_endpoint=relay.url)
