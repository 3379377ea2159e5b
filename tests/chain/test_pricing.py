"""Base fees against the EIP's arithmetic, go-ethereum's table and a node's blocks; tips from histories."""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.client import ChainClient
from keeper.chain.pricing import BaseFees, FeeRules, next_base_fee, tip_of
from keeper.chain.transactions import Fees
from keeper.devnet.anvil import BLOCK_GAS
from keeper.devnet.node import Node
from keeper.model.units import Wei
from tests.support.rpc_proxy import RpcProxy, answered, refused

GWEI: Final = 10**9
Connect = Callable[..., ChainClient]


def header(base: int, used: int, limit: int, **fields: str) -> dict[str, Any]:
    return {"baseFeePerGas": hex(base), "gasUsed": hex(used), "gasLimit": hex(limit), **fields}


@pytest.mark.parametrize(
    ("used", "expected"), [(10_000_000, 10**9), (9_000_000, 987_500_000), (11_000_000, 1_012_500_000)]
)
def test_the_table_of_go_ethereum(used: int, expected: int) -> None:
    """Source: go-ethereum, `consensus/misc/eip1559/eip1559_test.go`, TestCalcBaseFee."""
    assert next_base_fee(header(10**9, used, 20_000_000), BaseFees.EIP1559) == expected


@given(st.integers(0, 10**13), st.integers(2, 10**8), st.fractions(0, 1))
def test_the_base_fee_moves_by_at_most_an_eighth_toward_demand(base: int, limit: int, full: Fraction) -> None:
    used = int(limit * full)
    target = limit // 2
    found = next_base_fee(header(base, used, limit), BaseFees.EIP1559)
    assert found is not None
    exact = base * (1 + Fraction(used - target, 8 * target))
    if used <= target:
        assert exact <= found < exact + 1
    else:
        assert base < found <= max(Fraction(base + 1), exact)
        assert exact - 2 < found


HOLOCENE: Final = "0x00" + f"{250:08x}" + f"{6:08x}"
JOVIAN: Final = "0x01" + f"{50:08x}" + f"{2:08x}" + f"{3 * 10**6:016x}"


@pytest.mark.parametrize(
    ("fields", "used", "expected"),
    [
        ({"extraData": HOLOCENE}, 0, 10**9 - 10**9 // 250),
        ({"extraData": HOLOCENE}, 10_000_000, 10**9),  # a sixth of the limit
        ({"extraData": HOLOCENE}, 20_000_000, 10**9 + 10**9 // 250),
        ({}, 20_000_000, 10**9 + 10**9 // 250),  # since Canyon, before Holocene
        ({"extraData": "0x"}, 0, 10**9 - 10**9 // 250),
        ({"extraData": "0x00" + "00" * 8}, 0, 10**9 - 10**9 // 250),
        ({"extraData": JOVIAN}, 30_000_000, 10**9),
        ({"extraData": JOVIAN}, 60_000_000, 10**9 + 10**9 // 50),
        ({"extraData": JOVIAN, "blobGasUsed": hex(60_000_000)}, 0, 10**9 + 10**9 // 50),
        ({"extraData": HOLOCENE, "blobGasUsed": hex(60_000_000)}, 10_000_000, 10**9),
    ],
)
def test_the_op_stack_puts_its_parameters_into_the_header(
    fields: dict[str, str], used: int, expected: int
) -> None:
    assert next_base_fee(header(10**9, used, 60_000_000, **fields), BaseFees.OP_STACK) == expected


def test_the_least_base_fee_of_jovian_holds() -> None:
    low = header(10, 0, 60_000_000, extraData=JOVIAN)
    assert next_base_fee(low, BaseFees.OP_STACK) == 3 * 10**6


def test_arbitrum_has_a_rule_of_its_own() -> None:
    assert next_base_fee(header(10**7, 32_000_000, 2**50), BaseFees.ARBITRUM) == 10**7


def test_a_chain_without_base_fees_has_none() -> None:
    assert next_base_fee({"baseFeePerGas": None, "gasUsed": "0x0"}, BaseFees.EIP1559) is None
    assert next_base_fee({}, BaseFees.EIP1559) is None


@pytest.mark.parametrize("bad", [{"baseFeePerGas": "x"}, {"baseFeePerGas": "0x1"}, {"baseFeePerGas": 1}])
def test_a_malformed_header_is_no_price(bad: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        next_base_fee(bad, BaseFees.EIP1559)


# Tips


def history(*tips: int | None) -> dict[str, Any]:
    """Blocks that took these tips; None for an empty one, which answers show as zero."""
    return {
        "reward": [[hex(tip or 0)] for tip in tips],
        "gasUsedRatio": [0.0 if tip is None else 0.4 for tip in tips],
    }


@pytest.mark.parametrize(
    ("tips", "expected"),
    [
        ((), None),
        ((None, None), None),
        ((5,), 5),
        ((None, 7, None, None), 7),
        ((0, 0, 0), 0),  # full blocks that took nothing
        ((1, 2, 3, 10**18), 2),
        ((10**18, None, 3, 3, None, 3), 3),
    ],
)
def test_tips_are_the_median_of_blocks_that_were_not_empty(
    tips: tuple[int | None, ...], expected: int | None
) -> None:
    assert tip_of(history(*tips)) == expected


ordinary = st.integers(10**6, 10**10)


@given(st.lists(ordinary, min_size=3, max_size=30), st.data())
def test_fewer_outliers_than_half_cannot_leave_the_ordinary_range(tips: list[int], data: Any) -> None:
    wild = data.draw(st.lists(st.integers(0, 10**20), max_size=(len(tips) - 1) // 2))
    empty = data.draw(st.integers(0, 10))
    mixed = data.draw(st.permutations([*tips, *wild, *[None] * empty]))
    found = tip_of(history(*mixed))
    assert found is not None
    assert min(tips) <= found <= max(tips)


def test_the_estimate_has_bounds() -> None:
    rules = FeeRules(min_tip=Wei(5), max_tip=Wei(9))
    assert [rules.bounded(tip) for tip in (0, 5, 7, 9, 10**18)] == [5, 5, 7, 9, 9]
    assert FeeRules().bounded(10**18) == 10**18


# On a node


@pytest.mark.devnet
def test_a_node_mines_what_was_foretold(node: Node, connect: Connect) -> None:
    """Blocks from empty to full, around a target of five transfers."""
    client = connect(node.url)
    node.rpc("evm_setAutomine", False)
    node.rpc("evm_setBlockGasLimit", hex(10 * 21_000))
    node.rpc("evm_mine")
    sender, random_ = node.accounts[0], random.Random(1559)
    try:
        for _ in range(25):
            foretold = client.fees().base_fee_wei
            for _ in range(random_.randint(0, 10)):
                transfer = {"from": sender, "to": sender, "gas": hex(21_000)}
                fees = {"maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(GWEI)}
                node.rpc("eth_sendTransaction", {**transfer, **fees})
            node.rpc("evm_mine")
            mined = node.rpc("eth_getBlockByNumber", "latest", False)
            assert int(mined["baseFeePerGas"], 16) == foretold
    finally:
        node.rpc("evm_setBlockGasLimit", hex(BLOCK_GAS))
        node.rpc("evm_setAutomine", True)


@pytest.mark.devnet
def test_the_tip_is_what_blocks_took(node: Node, connect: Connect) -> None:
    client = connect(node.url, fees=FeeRules(blocks=5))
    for tip in (2, 3, 900, None, None):
        if tip is None:
            node.rpc("evm_mine")
            continue
        fees = {"maxFeePerGas": hex(10**13), "maxPriorityFeePerGas": hex(tip * GWEI)}
        sender = node.accounts[0]
        node.rpc("eth_sendTransactionSync", {"from": sender, "to": sender, "gas": hex(21_000), **fees})
    assert client.fees().priority_fee_wei == 3 * GWEI
    assert connect(node.url, fees=FeeRules(blocks=2)).fees().priority_fee_wei == GWEI, "only empty blocks"
    bounded = FeeRules(blocks=5, max_tip=Wei(GWEI // 2))
    assert connect(node.url, fees=bounded).fees().priority_fee_wei == GWEI // 2


@pytest.mark.devnet
@pytest.mark.parametrize(
    "answer",
    [None, {}, [], {"reward": [["x"]], "gasUsedRatio": [0.5]}, "0x", history(None, None), history(0, 0)],
)
def test_without_a_history_the_node_suggests(proxy: RpcProxy, connect: Connect, answer: Any) -> None:
    client = connect(proxy.url)
    proxy.fault(answered(answer), "eth_feeHistory")
    proxy.fault(answered(hex(3 * GWEI)), "eth_maxPriorityFeePerGas")
    assert client.fees().priority_fee_wei == 3 * GWEI
    proxy.fault(refused(-32601, "the method eth_feeHistory does not exist"), "eth_feeHistory")
    assert client.fees().priority_fee_wei == 3 * GWEI


@pytest.mark.devnet
def test_an_op_stack_header_is_read(proxy: RpcProxy, connect: Connect) -> None:
    client = connect(proxy.url, fees=FeeRules(base_fees=BaseFees.OP_STACK))
    proxy.fault(answered(header(10**9, 20_000_000, 60_000_000, extraData=HOLOCENE)), "eth_getBlockByNumber")
    assert client.fees() == Fees(base_fee_wei=1_004_000_000, priority_fee_wei=GWEI, legacy_gas_price_wei=None)
