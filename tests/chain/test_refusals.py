"""The words of anvil 1.7.1 as it gave them; those of other clients from the sources that `refusals` names."""

import pytest

from keeper.chain import refusals
from keeper.chain.errors import (
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    GasLimitUnfit,
    InsufficientFunds,
    NodeRefused,
    NonceTooHigh,
    NonceTooLow,
    PoolFull,
    ReplacementUnderpriced,
)


def refusal(code: int, text: str, data: bytes = b"") -> NodeRefused:
    return NodeRefused("http://node", "eth_call", code, text, data)


BROADCASTS: dict[type[BroadcastRefused], dict[str, tuple[str, ...]]] = {
    AlreadyKnown: {
        "anvil": ("transaction already imported", "Tx: [0x12] already Imported"),
        "geth, Nethermind, Reth": ("already known",),
        "Nethermind, older": ("AlreadyKnown",),
        "Erigon": ("ALREADY_EXISTS: already known", "existing txn with same hash"),
        "Besu": ("Known transaction",),
        "old geth, Parity": (
            "known transaction: 0x12",
            "transaction with the same hash was already imported",
        ),
    },
    ReplacementUnderpriced: {
        "anvil": (
            "replacement transaction underpriced",
            "Tx: [0x12] insufficient gas price to replace existing transaction",
        ),
        "geth, Nethermind, Erigon, Reth, op-geth": ("replacement transaction underpriced",),
        "Nethermind, older": ("ReplacementNotAllowed",),
        "Erigon": ("could not replace existing tx", "replaced by transaction with higher tip"),
        "Besu": ("Replacement transaction underpriced",),
        "Reth's pool": ("[0x12]: insufficient gas price to replace existing transaction",),
    },
    NonceTooLow: {
        "anvil": ("nonce too low",),
        "geth": ("nonce too low: next nonce 5, tx nonce 4", "nonce too low: address 0x1, tx: 4 state: 5"),
        "Nethermind": ("nonce too low, Current nonce: 5, nonce of rejected tx: 4",),
        "Nethermind, older": ("OldNonce, Current nonce: 5, nonce of rejected tx: 4",),
        "Erigon": ("INTERNAL_ERROR: nonce too low",),
        "Besu": ("Nonce too low",),
        "Reth": ("nonce too low: next nonce 5, tx nonce 4",),
        "Nitro": ("nonce too low: address 0x1, tx: 4 state: 5",),
    },
    NonceTooHigh: {
        "anvil": ("Nonce too high",),
        "geth": (
            "nonce too high: address 0x1, tx: 9 state: 5",
            "gapped-nonce tx from delegated accounts",
            "future transaction tries to replace pending",
        ),
        "Nethermind": ("nonce too high", "nonce too far in future"),
        "Nethermind, older": ("NonceGap, Future nonce. Expected nonce: 5",),
        "Besu": (
            "Nonce too high",
            "Transaction nonce is too distant from current sender nonce",
            "An invalid transaction with a lower nonce exists",
        ),
        "Nitro": ("nonce too high: address 0x1, tx: 9 state: 5",),
    },
    InsufficientFunds: {
        "anvil": ("Insufficient funds for gas * price + value", "insufficient funds for transfer"),
        "geth": (
            "insufficient funds for gas * price + value: balance 1, tx cost 2, overshot 1",
            "insufficient funds for gas * price + value: balance 5, queued cost 4, tx cost 2, overshot 1",
            "insufficient funds for transfer",
        ),
        "Nethermind": ("insufficient funds for gas * price + value",),
        "Nethermind, older": ("InsufficientFunds, Account balance: 0, cumulative cost: 1",),
        "Erigon": ("INTERNAL_ERROR: insufficient funds",),
        "Besu": ("Upfront cost exceeds account balance",),
        "Reth": (
            "insufficient funds for gas * price + value: have 1 want 2",
            "transaction overdraws from account",
        ),
    },
    FeeTooLow: {
        "anvil": ("max fee per gas less than block base fee",),
        "geth": (
            "transaction underpriced: gas tip cap 1, minimum needed 1000000",
            "transaction underpriced: tip needed 1, tip permitted 0",
            "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7",
        ),
        "Nethermind": ("transaction underpriced",),
        "Nethermind, older": ("FeeTooLow, MaxFeePerGas too low", "FeeTooLowToCompete"),
        "Erigon": ("UNDERPRICED: underpriced", "fee too low"),
        "Besu": (
            "Gas price below configured minimum gas price",
            "Gas price below current base fee",
        ),
        "Reth": (
            "transaction underpriced",
            "transaction feeCap 1 below chain minimum",
            "transaction priority fee below minimum required priority fee 1000000",
        ),
        "Nitro": ("max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1 baseFee: 9",),
    },
    PoolFull: {
        "geth, Reth": ("txpool is full",),
        "geth": (
            "account limit exceeded",
            "in-flight transaction limit reached for delegated accounts",
        ),
        "Erigon": ("pending sub-pool is full", "baseFee sub-pool is full", "spammer"),
        "Reth's pool": (
            "[0x12]: transaction discarded outright due to pool size constraints",
            "[0x12]: rejected due to 0x1 being identified as a spammer",
        ),
    },
    GasLimitUnfit: {
        "anvil": (
            "intrinsic gas too low",
            "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
        ),
        "geth": (
            "intrinsic gas too low: gas 20000, minimum needed 21000",
            "insufficient gas for floor data gas cost: gas 21000, minimum needed 25000",
            "exceeds block gas limit",
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        "Nethermind": ("gas limit reached",),
        "Erigon": ("IntrinsicGas", "gas limit is too high"),
        "Besu": (
            "Intrinsic gas exceeds gas limit",
            "Transaction gas limit exceeds block gas limit",
        ),
        "Reth": ("gas limit too high", "exceeds max transaction gas limit"),
    },
    BroadcastRefused: {
        "anvil": ("invalid chain id for signer", "Unknown transaction type not supported"),
        "geth": ("tx fee (1.20 ether) exceeds the configured cap (1.00 ether)", "invalid sender"),
        "Nethermind": ("The node is syncing",),
        "Besu": (
            "Transaction pool not enabled. (Either txpool explicitly disabled, or node not yet in sync).",
        ),
        "Nitro": (
            "currently not accepting transactions due to expected surplus being below threshold",
            "transaction sender is not on the whitelist",
        ),
        "anybody": ("something nobody has heard of", ""),
    },
}
"""What clients say, by what it means."""


@pytest.mark.parametrize(
    ("reason", "client", "text"),
    [
        (reason, client, text)
        for reason, clients in BROADCASTS.items()
        for client, texts in clients.items()
        for text in texts
    ],
)
def test_why_a_node_does_not_take_a_transaction(
    reason: type[BroadcastRefused], client: str, text: str
) -> None:
    found = refusals.not_taken(refusal(-32000, text))
    assert type(found) is reason, client
    assert found.text == text


def test_every_refusal_of_a_transaction_is_in_the_table() -> None:
    assert set(BROADCASTS) == {BroadcastRefused, *BroadcastRefused.__subclasses__()}


@pytest.mark.parametrize(
    "text",
    [
        "no backend is currently healthy to serve traffic",
        "backend offline",
        "backend returned an invalid response",
        "gateway timeout",
        "sequencer temporarily not available",  # Nitro
        "sequencer internal error",  # Nitro
    ],
)
def test_an_endpoint_behind_which_nobody_is(text: str) -> None:
    assert refusals.unavailable(text)


@pytest.mark.parametrize("texts", [t for clients in BROADCASTS.values() for t in clients.values()])
def test_a_node_that_does_not_take_a_transaction_is_there(texts: tuple[str, ...]) -> None:
    assert not any(refusals.unavailable(text) for text in texts)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32000, "finalized block not found"),  # geth
        (-32000, "safe block not found"),  # geth
        (-32001, "block not found: finalized"),  # Reth
        (-39001, "Unknown block error"),  # Nethermind
        (-39001, "Unknown block"),  # Besu
        (-39001, 'block "finalized" not available (head block: 5)'),  # Erigon
    ],
)
def test_a_tag_without_a_block_yet(code: int, text: str) -> None:
    assert refusals.tag_without_block(refusal(code, text))
    assert not refusals.tag_unknown(refusal(code, text))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32602, "invalid argument 0: hex string without 0x prefix"),  # geth before the merge
        (-32000, "'finalized' tag not supported on pre-merge network"),  # geth
        (-32602, "Invalid block number params"),  # Besu
        (-32000, "hex string without 0x prefix"),
        (-32601, "the method eth_getBlockByNumber does not support tags"),
    ],
)
def test_a_tag_that_a_node_does_not_know(code: int, text: str) -> None:
    assert refusals.tag_unknown(refusal(code, text))
    assert not refusals.tag_without_block(refusal(code, text))


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
        (4444, "Pruned history unavailable"),  # Nethermind, Reth
        (-32000, "required historical state unavailable (reexec=128)"),  # geth
        (-32000, "historical state 0x22 is not available"),  # geth, path scheme
        (-32001, "block not found: 0x12"),  # Reth
        (-39001, "Unknown block"),  # Besu
        (-32000, "World state unavailable"),  # Besu
        (-32008, "Initial sync is still in progress"),  # Besu
        (-32019, "block is out of range"),  # proxyd
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
        (-32005, "Requested range exceeds maximum RPC range limit"),  # Besu
        (-32005, "Number of requests exceeds max batch size"),  # Besu
        (-32020, "backend response too large"),  # proxyd
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
        (-32012, "backend is over capacity"),  # proxyd
        (-32016, "over rate limit"),  # proxyd
        (-32017, "sender is over rate limit"),  # proxyd
    ],
)
def test_a_node_that_asks_for_patience(code: int, text: str) -> None:
    assert refusals.rate_limited(code, text)


def test_besu_shares_the_code_of_rate_limits_for_what_no_patience_helps() -> None:
    assert not refusals.rate_limited(-32005, "Transaction gas limit exceeds block gas limit")


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
        ("insufficient funds of 0x90F79bf6EB2c4f870365E785982E1f101E93b906", b""),  # Nethermind explains here
        ({"see": "https://example.org/0x12", "rate": {"allowed_rps": 1}}, b""),
        ({"a": {"b": {"c": {"d": {"e": "0x12"}}}}}, b""),
    ],
)
def test_revert_data_in_its_many_dresses(data: object, expected: bytes) -> None:
    assert refusals.revert_data(data) == expected


def test_a_node_that_explains_itself_in_the_data_is_no_contract() -> None:
    data = refusals.revert_data("block 0x1234 is pruned")
    assert refusals.block_gone(refusal(-32000, "header not found", data))
    assert not refusals.reverted(refusal(-32000, "header not found", data))


def test_a_contract_that_speaks_of_gas_did_not_run_out_of_it() -> None:
    assert not refusals.out_of_gas(refusal(3, "execution reverted: out of gas", b"\x08\xc3\x79\xa0"))


@pytest.mark.parametrize(
    ("code", "text", "either"),
    [
        (-32005, "", True),
        (-32005, "Limit exceeded", True),
        (-32029, "slow down", True),
        (429, "no", True),
        (-32005, "query returned more than 10000 results", False),
        (-32005, "Transaction gas limit exceeds block gas limit", False),
        (-32000, "limit exceeded", False),
    ],
)
def test_a_refusal_for_the_rate_or_for_the_size(code: int, text: str, either: bool) -> None:
    assert refusals.of_any_limit(refusal(code, text)) == either


def test_a_method_that_a_node_lacks() -> None:
    assert refusals.unsupported(refusal(-32601, "Method not found"))
    assert refusals.unsupported(refusal(-32000, "the method eth_simulateV1 does not exist/is not available"))
    assert not refusals.unsupported(refusal(-32000, "nonce too low"))
