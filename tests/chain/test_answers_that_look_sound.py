"""Answers that a careless reader would take for sound: each is refused, and the next endpoint is asked."""

from typing import Any

import pytest

from keeper.chain.errors import AbiMismatch, MulticallMissing, NodeUnreachable
from keeper.chain.gas import Asked, GasBook
from keeper.chain.multicall import Entry
from keeper.chain.settings import GasBy
from keeper.chain.transactions import Tx
from keeper.model.reads import Address, Call
from tests.chain.honest import BASE_FEE, CHAIN_ID, PARTIES, TOKEN, TX_HASH, Wired, client, word

ALICE, COIN = Address(PARTIES[0]), Address(TOKEN)
OTHER = word(77)


def lie(wired: type[Wired], method: str, **changes: Any) -> None:
    """Answer a method with some fields changed, or (`instead`) with something else."""

    def answer(asked: str, _: list[Any], result: Any) -> dict[str, Any]:
        if asked != method:
            return {"result": result}
        return {"result": changes["instead"]} if "instead" in changes else {"result": {**result, **changes}}

    wired.answer = answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transactionHash", OTHER), ("transactionHash", None), ("blockHash", None), ("status", "0x2"),
        ("gasUsed", hex(2**63)), ("gasUsed", "-0x1"), ("blockNumber", hex(2**63)), ("blockNumber", 5),
        ("logs", None), ("logs", {}), ("effectiveGasPrice", "1000000000"),
    ],
)  # fmt: skip
def test_a_receipt_with_something_wrong_is_none(wired: type[Wired], field: str, value: Any) -> None:
    lie(wired, "eth_getTransactionReceipt", **{field: value})
    asking = client("liar", "sound")
    with pytest.raises(AbiMismatch, match="http://liar gave a malformed answer"):
        asking.receipt(TX_HASH)
    found = asking.receipt(TX_HASH)
    assert found is not None, "the next endpoint is asked"
    assert (found.tx_hash, found.status) == (TX_HASH, 1)


def test_a_receipt_without_a_price_is_paid_at_the_transactions(wired: type[Wired]) -> None:
    lie(wired, "eth_getTransactionReceipt", effectiveGasPrice=None)
    found = client("liar").receipt(TX_HASH)
    assert found is not None
    assert found.effective_gas_price == BASE_FEE


@pytest.mark.parametrize("instead", [{}, "", False, 0, [], {"hash": None}, {"hash": OTHER}])
def test_what_is_no_transaction_is_not_waiting(wired: type[Wired], instead: Any) -> None:
    lie(wired, "eth_getTransactionByHash", instead=instead)
    asking = client("liar", "sound")
    with pytest.raises(AbiMismatch):
        asking.transaction_known(TX_HASH)
    assert asking.transaction_known(TX_HASH)


@pytest.mark.parametrize("instead", [None, {}, "", "00", 5, [], "0x0"])
def test_a_call_that_gave_no_bytes_did_not_succeed(wired: type[Wired], instead: Any) -> None:
    lie(wired, "eth_call", instead=instead)
    asking = client("liar", "sound")
    with pytest.raises(AbiMismatch):
        asking.attempt(sender=ALICE, to=COIN, data="0x")
    assert asking.attempt(sender=ALICE, to=COIN, data="0x") is None


@pytest.mark.parametrize("instead", [None, "", "1234", [], "0x123"])
def test_no_code_is_said_in_full(wired: type[Wired], instead: Any) -> None:
    lie(wired, "eth_getCode", instead=instead)
    with pytest.raises(AbiMismatch):
        client("liar").code(COIN)


@pytest.mark.parametrize("gas", ["0x0", "0x1", hex(20_999)])
def test_gas_that_no_transaction_can_do_with_is_not_signed_with(wired: type[Wired], gas: str) -> None:
    lie(wired, "eth_estimateGas", instead=gas)
    asking = client("liar", "sound")
    with pytest.raises(AbiMismatch):
        asking.simulate(sender=ALICE, to=COIN, data="0x")
    assert asking.simulate(sender=ALICE, to=COIN, data="0x").gas == 60_000


def test_gas_of_nothing_in_a_simulation_is_estimated(wired: type[Wired]) -> None:
    def answer(asked: str, _: list[Any], result: Any) -> dict[str, Any]:
        if asked == "eth_simulateV1":
            for call in result[0]["calls"]:
                call["gasUsed"] = "0x0"
        return {"result": result}

    wired.answer = answer
    found = client("liar", gas_by=GasBy.SIMULATION).rehearse(ALICE, [Tx(to=COIN, data="0x")], [])
    assert [simulation.gas for simulation in found.simulations] == [60_000]


@pytest.mark.parametrize(
    "told", [{"error": {"code": -32000, "message": "header not found"}}, {"result": None}, {"result": "0"}]
)
def test_a_node_that_is_not_ready_says_nothing_of_the_configuration(
    wired: type[Wired], told: dict[str, Any]
) -> None:
    wired.answer = lambda asked, _, result: told if asked == "eth_call" else {"result": result}
    with pytest.raises(NodeUnreachable):
        client("liar").verify()


@pytest.mark.parametrize(
    "told",
    [
        {"error": {"code": 3, "message": "execution reverted"}},
        {"result": "0x"},
        {"result": word(CHAIN_ID + 1)},
    ],
)
def test_an_address_without_a_multicall_is_the_configurations(
    wired: type[Wired], told: dict[str, Any]
) -> None:
    wired.answer = lambda asked, _, result: told if asked == "eth_call" else {"result": result}
    with pytest.raises(MulticallMissing):
        client("liar").verify()


def test_one_reading_of_little_gas_is_not_for_ever() -> None:
    """Of the node in use it may be true, and of the next one it is not."""
    book = GasBook(10_000_000)
    asked = Asked(0, Call("erc20/ERC20", COIN, "balanceOf", (ALICE,)), Entry(COIN, b""))
    for given, limit in (
        (4_000_000, 4_000_000),
        (9_900_000, 10_000_000),
        (0, 500_000),
        (9_900_000, 10_000_000),
    ):
        book.learn([[asked]], [given * 63 // 64, given * 63 // 64 // 2])
        assert book.limit == pytest.approx(limit, rel=1e-4)
