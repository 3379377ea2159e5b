"""The words of anvil 1.7.1 as it gave them; those of the other clients from their sources."""

import pytest

from keeper.chain import refusals
from keeper.chain.errors import (
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    InsufficientFunds,
    NodeRefused,
    NonceTooHigh,
    NonceTooLow,
    ReplacementUnderpriced,
)


def refusal(code: int, text: str, data: bytes = b"") -> NodeRefused:
    return NodeRefused("http://node", "eth_call", code, text, data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # anvil
        ("transaction already imported", AlreadyKnown),
        ("replacement transaction underpriced", ReplacementUnderpriced),
        ("nonce too low", NonceTooLow),
        ("Insufficient funds for gas * price + value", InsufficientFunds),
        ("max fee per gas less than block base fee", FeeTooLow),
        ("intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", BroadcastRefused),
        ("invalid chain id for signer", BroadcastRefused),
        # geth
        ("already known", AlreadyKnown),
        ("nonce too low: next nonce 5, tx nonce 4", NonceTooLow),
        ("insufficient funds for gas * price + value: balance 1, tx cost 2, overshot 1", InsufficientFunds),
        ("transaction underpriced: gas tip cap 1, minimum needed 1000000", FeeTooLow),
        ("max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7", FeeTooLow),
        # Nethermind
        ("AlreadyKnown", AlreadyKnown),
        ("ReplacementNotAllowed", ReplacementUnderpriced),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", NonceTooLow),
        ("NonceGap, Future nonce. Expected nonce: 5", NonceTooHigh),
        ("InsufficientFunds, Account balance: 0, cumulative cost: 1", InsufficientFunds),
        ("FeeTooLow, MaxFeePerGas too low", FeeTooLow),
        # Erigon
        ("ALREADY_EXISTS: already known", AlreadyKnown),
        ("INTERNAL_ERROR: nonce too low", NonceTooLow),
        ("INTERNAL_ERROR: insufficient funds", InsufficientFunds),
        ("UNDERPRICED: underpriced", FeeTooLow),
        # sequencers
        ("nonce too high: address 0x1, tx: 9 state: 5", NonceTooHigh),
        ("max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1 baseFee: 9", FeeTooLow),
        ("something nobody has heard of", BroadcastRefused),
    ],
)
def test_why_a_node_does_not_take_a_transaction(text: str, reason: type[BroadcastRefused]) -> None:
    found = refusals.not_taken(refusal(-32000, text))
    assert type(found) is reason
    assert found.text == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32001, "Resource not found"),  # anvil, by hash
        (-32602, "BlockOutOfRangeError: block height is 1 but requested was 65535"),  # anvil, by number
        (-32000, "header not found"),  # geth
        (-32000, "hash 0x11 is not currently canonical"),  # geth
        (-32000, "missing trie node 0x22 (path ) state 0x22 is not available"),  # geth
        (-32000, "block not found: 0x1"),  # Erigon
        (-32001, "Unknown block error"),  # Nethermind
        (-32002, "No state available for block 0x1"),  # Nethermind
        (-32801, "pruned history unavailable"),  # EIP-4444
    ],
)
def test_a_block_that_is_gone(code: int, text: str) -> None:
    assert refusals.block_gone(refusal(code, text))
    assert not refusals.reverted(refusal(code, text))


def test_a_contract_that_speaks_of_blocks_is_no_missing_block() -> None:
    assert not refusals.block_gone(refusal(3, "execution reverted: block not found", b"\x08\xc3\x79\xa0"))


@pytest.mark.parametrize(
    ("code", "text", "data"),
    [
        (3, "execution reverted", b""),
        (3, "execution reverted: CH_EAV", b"\x08\xc3\x79\xa0"),
        (-32015, "VM execution error.", b""),  # Nethermind, Parity style
        (-32000, "invalid opcode: INVALID", b""),
        (-32603, "EVM error InvalidFEOpcode", b""),  # anvil
    ],
)
def test_a_contract_that_refused(code: int, text: str, data: bytes) -> None:
    assert refusals.reverted(refusal(code, text, data))
    assert not refusals.out_of_gas(refusal(code, text, data))


@pytest.mark.parametrize(
    "text",
    [
        "EVM error OutOfGas",
        "out of gas",
        "gas required exceeds allowance (50000000)",
        "out of gas: not enough gas",
    ],
)
def test_an_execution_without_enough_gas(text: str) -> None:
    assert refusals.out_of_gas(refusal(-32603, text))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32005, "query returned more than 10000 results"),  # Infura
        (-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
        (-32000, "block range is too wide"),
        (-32008, "Response is too big"),
        (413, "request too large"),
        (-32000, "execution aborted (timeout = 5s)"),  # geth
        (-32005, "limit exceeded"),
    ],
)
def test_a_request_that_a_smaller_one_may_replace(code: int, text: str) -> None:
    assert refusals.too_large(refusal(code, text))
    assert not refusals.rate_limited(code, text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (429, "Too Many Requests"),
        (-32005, "daily request count exceeded, request rate limited"),
        (-32005, ""),
        (-32029, "slow down"),
        (-32000, "Your app has exceeded its compute units per second capacity"),
    ],
)
def test_a_node_that_asks_for_patience(code: int, text: str) -> None:
    assert refusals.rate_limited(code, text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0x08c379a0", bytes.fromhex("08c379a0")),
        ("Reverted 0x08c379a0", bytes.fromhex("08c379a0")),  # Parity, Nethermind
        ({"data": "0x08c379a0", "message": "reverted"}, bytes.fromhex("08c379a0")),  # Hardhat
        ({"originalError": {"code": 3, "data": "0x08c379a0"}}, bytes.fromhex("08c379a0")),
        ("0x", b""),
        (None, b""),
        (12, b""),
        ("no hex", b""),
    ],
)
def test_revert_data_in_its_many_dresses(data: object, expected: bytes) -> None:
    assert refusals.revert_data(data) == expected


def test_a_method_that_a_node_lacks() -> None:
    assert refusals.unsupported(refusal(-32601, "Method not found"))
    assert refusals.unsupported(refusal(-32000, "the method eth_simulateV1 does not exist/is not available"))
    assert not refusals.unsupported(refusal(-32000, "nonce too low"))
