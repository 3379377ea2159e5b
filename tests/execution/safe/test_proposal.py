"""From steps to one transaction: nothing is shown that the Safe has not agreed to, whatever a node says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.multicall import unframe
from keeper.chain.simulation import Rehearsal
from keeper.chain.transactions import TRANSACTION_GAS, Tx
from keeper.execution.safe.contract import SafeState
from keeper.execution.safe.draft import Step, belongs_to_another
from keeper.execution.safe.errors import (
    BatchFailsError,
    HashMismatchError,
    NoMultiSendError,
    NonceUsedError,
)
from keeper.execution.safe.multisend import CALL_ONLY, Part, unpacked
from keeper.execution.safe.proposal import Proposal, SafeNode, proposal_of
from keeper.execution.safe.transaction import Operation, SafeTx, hashes
from keeper.model.intent import Simulation
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, Reason, Refresh, Settle, TxAction, action_id
from keeper.model.promise import Checked, Outflow, Proof, Transfer
from keeper.model.reads import Address, Reads
from keeper.model.snapshot import BlockRef
from keeper.model.units import ONE, ZERO, Wad, Wei

SAFE, OTHER, VENUE, TOKEN = (Address("0x" + digit * 40) for digit in "1234")
STATE = SafeState(
    address=SAFE,
    chain_id=10,
    version="1.4.1",
    nonce=5,
    threshold=2,
    owners=(OTHER, VENUE),
    singleton=None,
    guard=None,
)
HEAD = BlockRef(chain_id=10, number=9, hash="0x9", parent_hash="0x8", timestamp_s=1_000)
WHY = Reason(text="because")
SUCCEEDED = (1).to_bytes(32, "big") + bytes(32)
FAILED = bytes(64)


class Node:
    """A chain that answers as it is told to, and counts what it is asked."""

    chain_id = 10
    name = "optimism"
    multicall = OTHER

    def __init__(self) -> None:
        self.codes: set[Address] = set(CALL_ONLY["1.4.1"])
        self.simulations: Callable[[int], Simulation] = lambda _: Simulation(ok=True, gas=1, error=None)
        self.transfers: tuple[Transfer, ...] | None = ()
        self.trials = [SUCCEEDED]
        self.lie = ""
        self.rehearsed: list[Tx] = []
        self.tried = 0

    def head(self) -> BlockRef:
        return HEAD

    def code(self, address: Address) -> bytes:
        return b"\x60" if address in self.codes else b""

    def run(self, reads: Reads[str], at: BlockRef) -> str:
        (call,) = next(reads)
        fields = cast(Any, call).args
        tx = SafeTx(
            to=fields[0], value=fields[1], data="0x" + fields[2].hex(), operation=fields[3], nonce=fields[9]
        )
        truth = hashes(tx, safe=SAFE, chain_id=10).safe_tx
        try:
            reads.send([bytes.fromhex((self.lie or truth)[2:])])
        except StopIteration as done:
            found: str = done.value
            return found
        raise AssertionError("it asks again")

    def rehearse(self, sender: Address, txs: Sequence[Tx], reads: Sequence[Any]) -> Rehearsal:
        assert sender == SAFE
        self.rehearsed += txs
        return Rehearsal(
            simulations=tuple(self.simulations(i) for i in range(len(txs))), transfers=self.transfers
        )

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        assert to == self.multicall
        self.tried += 1
        return [(f"host {i}", framed(outcome)) for i, outcome in enumerate(self.trials)]


def framed(data: bytes) -> bytes:
    """Return what a multicall answers for one entry that reverts with `data`."""
    from eth_abi.abi import encode

    answer = encode(["(bool,bytes)[]"], [[(False, data)]])
    assert len(unframe(answer, 1)) == 1
    return answer


def hedge(owner: Address = SAFE, deadline_s: int = 1_600) -> Hedge:
    return Hedge(
        subject="desk/ETH",
        reason=WHY,
        protocol="curie",
        chain_id=10,
        account=f"curie:10:{owner}",
        owner=owner,
        instrument="curie:10:x",
        size=ONE,
        limit_price=ONE,
        deadline_s=deadline_s,
    )


def move(direction: Any = "add", owner: Address = SAFE) -> MoveCollateral:
    return MoveCollateral(
        subject="lyra:10:1",
        reason=WHY,
        protocol="lyra",
        chain_id=10,
        account="lyra:10:1",
        owner=owner,
        asset="sUSD",
        amount=ONE,
        direction=direction,
    )


def liquidate(*, takes_over: bool) -> Liquidate:
    return Liquidate(
        subject="curie:10:y",
        reason=WHY,
        protocol="curie",
        chain_id=10,
        account="curie:10:y",
        owner=OTHER,
        instrument="curie:10:x",
        max_size=ONE,
        takes_over=takes_over,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )


SETTLE = Settle(
    subject="lyra:10:board:1", reason=WHY, protocol="lyra", chain_id=10, board="1", board_settled=False,
    accounts=(),
)  # fmt: skip
REFRESH = Refresh(subject="lyra:10", reason=WHY, protocol="lyra", chain_id=10)


def step(action: TxAction, data: str = "0x12345678", *, gas: int | None = 100, most: int = 0) -> Step:
    flows = (Outflow(token=TOKEN, holder=SAFE, most=most),) if most else ()
    proof = Proof(checked=Checked.WHOLE, lines=(), holders=(SAFE,), outflows=flows)
    return Step(
        action=action,
        action_id=action_id(action),
        call="OptionMarket.it",
        tx=Tx(to=VENUE, data=data),
        simulation=Simulation(ok=True, gas=gas, error=None, promise=proof),
    )


BOTH = (step(move()), step(REFRESH, "0x87654321"))


def built(*steps: Step, node: Node | None = None, nonce: int | None = None) -> Proposal:
    return proposal_of(cast(SafeNode, node or Node()), STATE, steps, nonce)


# One transaction


def test_a_single_step_is_the_call_itself() -> None:
    node = Node()
    found = built(BOTH[0], node=node)
    assert (found.tx.to, found.tx.data, found.tx.operation) == (VENUE, "0x12345678", Operation.CALL)
    assert (found.tx.nonce, found.multi_send, found.gas) == (5, None, 100)
    assert node.tried == 0


def test_several_steps_are_one_batch_in_their_order() -> None:
    node = Node()
    found = built(*BOTH, node=node)
    assert found.tx.to == found.multi_send == CALL_ONLY["1.4.1"][0]
    assert found.tx.operation is Operation.DELEGATECALL
    raw = bytes.fromhex(found.tx.data[2:])
    length = int.from_bytes(raw[36:68], "big")
    assert unpacked(raw[68 : 68 + length]) == tuple(Part(to=s.tx.to, data=s.tx.data) for s in BOTH)
    assert node.rehearsed == [s.tx for s in BOTH]
    assert (found.gas, node.tried) == (200, 1)


@given(st.lists(st.integers(1, 10**6) | st.none(), min_size=1, max_size=5))
def test_gas_is_that_of_all_steps_or_unknown(each: list[int | None]) -> None:
    found = built(*(step(REFRESH, gas=gas) for gas in each))
    assert found.gas == (None if None in each else sum(gas for gas in each if gas is not None))


def test_the_first_trade_that_ends_ends_all() -> None:
    assert built(*BOTH).expires_at_s is None
    assert built(step(hedge(deadline_s=900)), step(hedge(deadline_s=800))).expires_at_s == 800


@pytest.mark.parametrize(("asked", "used"), [(None, 5), (5, 5), (9, 9)])
def test_the_nonce_is_the_next_or_a_later_one(asked: int | None, used: int) -> None:
    assert built(*BOTH, nonce=asked).tx.nonce == used


def test_a_nonce_that_was_used_is_refused() -> None:
    with pytest.raises(NonceUsedError, match="--nonce 4 was used: the Safe's next nonce is 5"):
        built(*BOTH, nonce=4)


# What does not go through


def test_a_contract_that_hashes_otherwise_is_not_believed() -> None:
    node = Node()
    node.lie = "0x" + "66" * 32
    with pytest.raises(HashMismatchError, match="Sign neither") as info:
        built(*BOTH, node=node)
    assert info.value.contracts == node.lie
    assert info.value.ours != node.lie


def test_without_the_contract_there_is_no_batch() -> None:
    node = Node()
    node.codes = set()
    with pytest.raises(NoMultiSendError, match=CALL_ONLY["1.4.1"][0]):
        built(*BOTH, node=node)
    assert built(BOTH[0], node=node).multi_send is None


def test_a_step_that_fails_after_another_is_named() -> None:
    node = Node()
    node.simulations = lambda i: Simulation(ok=i == 0, gas=1, error="already done")
    with pytest.raises(BatchFailsError, match=r"step 2, OptionMarket\.it, after .*: already done"):
        built(*BOTH, node=node)
    assert node.tried == 0


def test_a_node_that_cannot_run_steps_in_a_row_leaves_it_to_the_trial() -> None:
    node = Node()
    untold = Simulation(ok=False, gas=None, error="not simulated: it cannot")
    node.simulations, node.transfers = lambda i: replace(untold, ok=i == 0), None
    assert built(*BOTH, node=node).multi_send is not None
    node.trials = [FAILED]
    with pytest.raises(BatchFailsError, match="run by the Safe itself on host 0"):
        built(*BOTH, node=node)


def test_every_endpoint_of_a_quorum_must_let_it_through() -> None:
    node = Node()
    node.trials = [SUCCEEDED, SUCCEEDED, FAILED]
    with pytest.raises(BatchFailsError, match="host 2"):
        built(*BOTH, node=node)


@pytest.mark.parametrize(("amount", "kept"), [(7, True), (8, False)])
def test_no_more_leaves_the_safe_than_all_steps_promise_together(amount: int, kept: bool) -> None:
    node = Node()
    node.transfers = (
        Transfer(token=TOKEN, giver=SAFE, taker=OTHER, amount=3),
        Transfer(token=TOKEN, giver=SAFE, taker=OTHER, amount=amount - 3),
    )
    steps = (step(move(), most=4), step(move("withdraw"), most=3))
    if kept:
        built(*steps, node=node)
        return
    with pytest.raises(BatchFailsError, match="7 were promised"):
        built(*steps, node=node)


def test_both_steps_of_one_action_promise_once() -> None:
    node = Node()
    node.transfers = (Transfer(token=TOKEN, giver=SAFE, taker=OTHER, amount=5),)
    with pytest.raises(BatchFailsError, match="4 were promised"):
        built(step(move(), most=4), step(move(), "0xaa", most=4), node=node)


def test_a_batch_beyond_a_transactions_gas_is_refused() -> None:
    half = TRANSACTION_GAS // 2 + 1
    with pytest.raises(BatchFailsError, match="a transaction may have 16,777,216"):
        built(step(move(), gas=half), step(REFRESH, gas=half))


# Whose it is


@pytest.mark.parametrize(
    ("action", "payer", "taker", "ours"),
    [
        (hedge(), None, None, True),
        (hedge(OTHER), SAFE, SAFE, False),
        (move("withdraw"), OTHER, None, True),
        (move("withdraw", OTHER), SAFE, SAFE, False),
        (move("add"), None, None, True),
        (move("add", OTHER), None, SAFE, False),
        (move("add", OTHER), SAFE, None, True),
        (move("add"), OTHER, SAFE, False),
        (liquidate(takes_over=True), SAFE, SAFE, True),
        (liquidate(takes_over=True), SAFE, OTHER, False),
        (liquidate(takes_over=True), SAFE, None, False),
        (liquidate(takes_over=False), OTHER, OTHER, True),
        (SETTLE, None, None, True),
        (REFRESH, None, None, True),
    ],
)
def test_whose_an_action_is(
    action: TxAction, payer: Address | None, taker: Address | None, ours: bool
) -> None:
    reason = belongs_to_another(action, SAFE, payer=payer, taker=taker)
    assert (reason == "") == ours


def test_values_that_calls_carry_go_with_them() -> None:
    one = replace(BOTH[0], tx=Tx(to=VENUE, data="0x", value=Wei(3)))
    assert built(one).tx.value == 3
    both = built(one, BOTH[1])
    assert both.tx.value == 0
    raw = bytes.fromhex(both.tx.data[2:])
    parts = unpacked(raw[68 : 68 + int.from_bytes(raw[36:68], "big")])
    assert [part.value for part in parts] == [3, 0]
    assert Wad(sum(part.value for part in parts)) == 3
