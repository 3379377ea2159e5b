"""The data fee of layer 1: asked for the right bytes, counted once, never zero because it is not known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.abi import decode, encode

from keeper.chain.errors import AbiMismatch, AnswersDiffer, NodeRefused
from keeper.execution.errors import BudgetError
from keeper.execution.l1_fee import (
    GAS_PRICE_ORACLE,
    NO_L1_FEE,
    NODE_INTERFACE,
    ArbitrumFees,
    NoL1Fees,
    OpStackFees,
)
from keeper.execution.limits import Limits
from keeper.execution.signer.transaction import unsigned
from keeper.model.intent import TxState
from keeper.model.reads import Address
from keeper.model.units import Wei
from keeper.store.store import Store
from tests.execution.bell import decision
from tests.execution.local_chain import CHAIN_ID, LocalChain, local_chain
from tests.execution.rig import LIMITS

TX: Final[Mapping[str, Any]] = {
    "chainId": 10,
    "nonce": 7,
    "to": "0x00000000000000000000000000000000000000AA",
    "value": 1,
    "data": "0x0102",
    "gas": 21_000,
    "type": 2,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 10**9,
}
ORACLE_CODE: Final = "0x" + "600154600e57" + "5f545f5260205ff3" + "5b5f5ffd"
"""if (slot[1] != 0) revert(); return slot[0];"""

INTERFACE_CODE: Final = "0x" + "5f545f52" + "600154602052" + "600254604052" + "60605ff3"
"""return (slot[0], slot[1], slot[2]);"""


class Answering:
    """A chain whose endpoints give these answers, and which remembers what it was asked."""

    name = "answering"

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.asked: list[tuple[Address, bytes]] = []

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        self.asked.append((to, bytes.fromhex(data[2:])))
        return [(f"http://node-{i}", answer) for i, answer in enumerate(self.answers)]


def test_the_op_stack_oracle_is_asked_for_the_unsigned_bytes() -> None:
    chain = Answering(encode(["uint256"], [123]))
    fee = OpStackFees(chain).of(TX)
    assert (fee.on_top, fee.within_gas) == (123, 0)
    ((to, data),) = chain.asked
    assert to == GAS_PRICE_ORACLE
    assert data[:4].hex() == "49948e0e"  # getL1Fee(bytes), as the contract's verified source lists it
    assert decode(["bytes"], data[4:]) == (unsigned(TX),)


def told(*fees: int) -> Answering:
    return Answering(*(encode(["uint256"], [fee]) for fee in fees))


def test_of_several_endpoints_the_dearest_counts() -> None:
    assert OpStackFees(told(100, 120)).of(TX).on_top == 120
    assert OpStackFees(told(120, 100, 110)).of(TX).on_top == 120
    assert OpStackFees(told(0, 0)).of(TX).on_top == 0


@pytest.mark.parametrize("fees", [(100, 201), (201, 100), (0, 1), (5, 100, 100)])
def test_endpoints_far_apart_about_the_fee_decide_nothing(fees: tuple[int, ...]) -> None:
    with pytest.raises(AnswersDiffer, match="disagree about the L1 fee: http://node-0 says") as caught:
        OpStackFees(told(*fees)).of(TX)
    assert [int(said) for _, said in caught.value.said] == list(fees)


def test_arbitrum_counts_nothing_on_top() -> None:
    chain = Answering(encode(["uint64", "uint256", "uint256"], [4000, 10**8, 10**10]))
    fee = ArbitrumFees(chain).of(TX)
    assert (fee.on_top, fee.within_gas) == (0, 4000)
    ((to, data),) = chain.asked
    assert to == NODE_INTERFACE
    assert decode(["address", "bool", "bytes"], data[4:]) == (TX["to"].lower(), False, b"\x01\x02")


@pytest.mark.parametrize("answer", [b"", b"\x00" * 31, b"\x00" * 33, b"\x00" * 64])
def test_an_answer_of_another_shape_is_an_error(answer: bytes) -> None:
    with pytest.raises(AbiMismatch, match="expected 32 bytes"):
        OpStackFees(Answering(answer)).of(TX)
    with pytest.raises(AbiMismatch, match="expected 96 bytes"):
        ArbitrumFees(Answering(answer)).of(TX)
    with pytest.raises(AbiMismatch, match="does not fit"):
        ArbitrumFees(Answering(b"\xff" * 96)).of(TX)


def test_no_layer_1_costs_nothing() -> None:
    assert NoL1Fees().of(TX) is NO_L1_FEE


def test_a_budget_error_gives_both_numbers() -> None:
    text = str(BudgetError(wanted=Wei(70), budget=Wei(60), l1_fee=Wei(50)))
    assert (
        text
        == "gas costs at least 70 wei (20 for execution, 50 for L1 data), the budget of this action is 60 wei"
    )


# On a node

nodes = pytest.mark.devnet
TIGHT: Final[Limits] = replace(LIMITS, max_gas_wei_per_tx=Wei(10**15))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[LocalChain]:
    with local_chain(tmp_path) as chain:
        chain.node.rpc("anvil_setCode", GAS_PRICE_ORACLE, ORACLE_CODE)
        chain.node.rpc("anvil_setCode", NODE_INTERFACE, INTERFACE_CODE)
        chain.set_base_fee(10**9)
        yield chain


def run(chain: LocalChain, number: int, kind: type[OpStackFees] | type[ArbitrumFees]) -> tuple[TxState, str]:
    fees = {CHAIN_ID: kind(chain.client)}
    (outcome,) = chain.carry_out((decision(number, CHAIN_ID),), TIGHT, fees)
    return outcome.state, outcome.reason


@nodes
def test_an_oracle_that_spikes_stops_sending_and_lets_it_go_on(chain: LocalChain) -> None:
    chain.set_slot(GAS_PRICE_ORACLE, 0, 10**14)
    assert run(chain, 1, OpStackFees)[0] is TxState.CONFIRMED
    chain.set_slot(GAS_PRICE_ORACLE, 0, 10**15)
    state, reason = run(chain, 2, OpStackFees)
    assert state is TxState.DROPPED
    assert f"{10**15} for L1 data" in reason
    assert f"the budget of this action is {10**15} wei" in reason
    assert (chain.sent(), chain.effects(2)) == (1, 0)
    chain.set_slot(GAS_PRICE_ORACLE, 0, 10**12)
    assert run(chain, 2, OpStackFees)[0] is TxState.CONFIRMED
    assert chain.effects(2) == 1


@nodes
def test_an_oracle_that_reverts_is_not_free(chain: LocalChain) -> None:
    chain.set_slot(GAS_PRICE_ORACLE, 1, 1)
    state, reason = run(chain, 1, OpStackFees)
    assert (state, chain.sent(), chain.effects(1)) == (TxState.DROPPED, 0, 0)
    assert "refused eth_call" in reason
    with pytest.raises(NodeRefused):
        OpStackFees(chain.client).of(TX)


@nodes
def test_a_chain_without_the_oracle_is_not_free(chain: LocalChain) -> None:
    chain.node.rpc("anvil_setCode", GAS_PRICE_ORACLE, "0x")
    state, reason = run(chain, 1, OpStackFees)
    assert (state, chain.sent()) == (TxState.DROPPED, 0)
    assert "getL1Fee(bytes): expected 32 bytes, found 0" in reason


@nodes
def test_the_fee_is_kept_from_the_native_coin_that_must_stay(chain: LocalChain) -> None:
    chain.node.rpc("anvil_setBalance", chain.signer, hex(LIMITS.min_native + 5 * 10**14))
    chain.set_slot(GAS_PRICE_ORACLE, 0, 6 * 10**14)
    state, reason = run(chain, 1, OpStackFees)
    assert state is TxState.DROPPED
    assert "limits.min_native" in reason
    chain.set_slot(GAS_PRICE_ORACLE, 0, 10**12)
    assert run(chain, 1, OpStackFees)[0] is TxState.CONFIRMED


@nodes
def test_what_leaves_stays_within_the_budget_with_the_fee(chain: LocalChain) -> None:
    """Twice the base fee would fit without the L1 fee; with it, the cap per gas is what is left."""
    on_top = 85 * 10**13
    chain.set_slot(GAS_PRICE_ORACLE, 0, on_top)
    assert run(chain, 1, OpStackFees)[0] is TxState.CONFIRMED
    with Store.attach(chain.folder / "keeper.sqlite") as store:
        (stored,) = store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
        (version,) = store.intents.attempts(stored.intent.id)
    assert version.l1_fee == on_top
    assert version.worst_fee <= TIGHT.max_gas_wei_per_tx
    assert 2 * version.worst_fee > TIGHT.max_gas_wei_per_tx


@nodes
def test_arbitrums_part_is_named_and_not_counted_twice(chain: LocalChain) -> None:
    chain.set_slot(NODE_INTERFACE, 0, 40_000)
    assert run(chain, 1, ArbitrumFees)[0] is TxState.CONFIRMED
    chain.set_base_fee(30 * 10**9)
    state, reason = run(chain, 2, ArbitrumFees)
    assert state is TxState.DROPPED
    total, execution, data = (int(n) for n in re.findall(r"[0-9]+", reason.replace("L1", ""))[:3])
    assert total == execution + data
    with Store.attach(chain.folder / "keeper.sqlite") as store:
        dropped = next(i for i in store.intents.within([TxState.DROPPED]))
    price, rest = divmod(total, dropped.intent.gas)
    assert (rest, data) == (0, 40_000 * price)
