"""Whatever a node answers, the client gives a value of the promised kind, or one of the project's errors.

Each method in turn is answered with arbitrary JSON, with a sound answer that something is wrong with, or with
an arbitrary error. Nothing of it may end in an error of Python's own, nor in one that blames the operator.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.chain.client import ChainClient
from keeper.chain.errors import FinalityUnknown, MulticallMissing, WrongChain
from keeper.chain.limits import Need
from keeper.chain.multicall import MULTICALL3
from keeper.chain.probes import probe
from keeper.chain.settings import Finality, GasBy
from keeper.chain.simulation import Rehearsal
from keeper.chain.transactions import Fees, Receipt, Tx
from keeper.model.errors import ConfigError, DataError, KeeperError, TransientError
from keeper.model.intent import Simulation
from keeper.model.reads import Address, Call, Failed, Logs, Reads, Send
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI
from tests.chain.honest import CHAIN_ID, HEAD, METHODS, PARTIES, TOKEN, TX_HASH, Wired, block, client, word
from tests.chain.probed import Time

ERC20: Final = "erc20/ERC20"
ALICE, BOB = (Address(a) for a in PARTIES)
COIN: Final = Address(TOKEN)
READ: Final = Call(ERC20, COIN, "balanceOf", (ALICE,))
AFTER: Final = Call(
    ERC20, COIN, "balanceOf", (ALICE,), sender=BOB, before=(Send(ERC20, COIN, "approve", (BOB, 1)),)
)
EVENTS: Final = Logs("curie/ClearingHouse", COIN, ("PositionLiquidated",), HEAD - 5)
TX: Final = Tx(to=COIN, data="0x01020304", abis=(ERC20,))
AT: Final = BlockRef(
    chain_id=CHAIN_ID,
    number=HEAD,
    hash=word(HEAD),
    parent_hash=word(HEAD - 1),
    timestamp_s=int(block(HEAD)["timestamp"], 16),
)
RAW: Final = "0xf86c03" + "00" * 20


# What a node may answer

NAMES: Final = (
    *block(1), "transactionHash", "blockNumber", "blockHash", "status", "effectiveGasPrice", "l1Fee", "logs",
    "address", "topics", "data", "logIndex", "removed", "baseFeePerGas", "gasUsedRatio", "reward", "calls",
    "returnData", "error", "code", "message", "gasPrice",
)  # fmt: skip
numbers = st.integers(-(2**70), 2**70) | st.sampled_from((2**63, 2**255, 2**256, -1, 0, 1))
words = (
    st.sampled_from(
        ("", "0x", "0x0", "-0x1", "0x_1", " 0x1", "0xg", "0X1", "1", "ff", "0x 12", "0x123", "\0")
    )
    | st.from_regex(r"-?0x[0-9a-f]{1,90}", fullmatch=True)
    | st.binary(max_size=100).map(lambda b: "0x" + b.hex())
    | st.text(max_size=8)
)
leaves = st.none() | st.booleans() | numbers | st.floats() | words
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
texts = st.sampled_from(
    (
        "", "execution reverted", "execution reverted: rate limit exceeded", "header not found", "out of gas",
        "limit exceeded", "too many requests", "query returned more than 10000 results", "already known",
        "nonce too low", "method not found", "no backend is currently healthy", "unknown block",
    )
)  # fmt: skip
errors = anything | st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from((3, -32000, -32005, -32601, -32602, 429)) | anything,
        "message": texts | anything,
        "data": anything,
    },
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    for key in (
        range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    ):
        yield value, key
        yield from places(value[key])


@st.composite
def answers(draw: st.DrawFn) -> Callable[[Any], dict[str, Any]]:
    """A way to answer: what a sound node would say, to the fields of a response."""
    kind = draw(st.sampled_from(("instead", "altered", "altered", "altered", "error")))
    other, where, gone = (
        draw(errors if kind == "error" else anything),
        draw(st.integers(0, 10**6)),
        draw(st.booleans()),
    )

    def answer(sound: Any) -> dict[str, Any]:
        if kind == "error":
            return {"error": other}
        told = copy.deepcopy(sound)
        spots = list(places(told))
        if kind == "instead" or not spots:
            return {"result": other}
        container, key = spots[where % len(spots)]
        if gone:
            del container[key]
        else:
            container[key] = other
        return {"result": told}

    return answer


# What is asked


def reads() -> Reads[tuple[Any, ...]]:
    return tuple((yield [READ, AFTER, EVENTS, READ]))


QUESTIONS: Final[dict[str, Callable[[ChainClient], Any]]] = {
    "head": lambda c: c.head(),
    "block": lambda c: c.block(HEAD - 3),
    "pin": lambda c: c.pin(),
    "final_number": lambda c: max(0, c.final_number(AT, 5)),
    "canonical": lambda c: c.canonical(HEAD, AT.hash),
    "run": lambda c: c.run(reads(), AT),
    "native": lambda c: c.native(ALICE),
    "code": lambda c: c.code(COIN),
    "views": lambda c: c.views(COIN, "0x01020304"),
    "gas_price": lambda c: c.gas_price(AT),
    "simulate": lambda c: c.simulate(sender=ALICE, to=COIN, data="0x01020304", abis=(ERC20,)),
    "simulate_bundle": lambda c: c.simulate_bundle(ALICE, [TX, TX]),
    "rehearse": lambda c: c.rehearse(ALICE, [TX, TX], [READ]),
    "attempt": lambda c: c.attempt(sender=ALICE, to=COIN, data="0x01020304"),
    "revert_reason": lambda c: c.revert_reason(
        sender=ALICE, to=COIN, data="0x01020304", value=NO_WEI, block_number=HEAD, abis=(ERC20,)
    ),
    "nonce": lambda c: c.nonce(ALICE, "pending"),
    "fees": lambda c: c.fees(),
    "broadcast": lambda c: c.broadcast(RAW),
    "receipt": lambda c: c.receipt(TX_HASH),
    "transaction_known": lambda c: c.transaction_known(TX_HASH),
    "verify": lambda c: c.verify(),
}
MISLED: Final[dict[str, type[ConfigError]]] = {
    "eth_chainId": WrongChain,
    "eth_call": MulticallMissing,
    "eth_getBlockByNumber": FinalityUnknown,
}
"""What only a person can mend, by the one method that may tell of it."""

WAYS: Final[dict[str, dict[str, Any]]] = {
    "alone": {"finality": Finality.FINALIZED},
    "by simulation": {"gas_by": GasBy.SIMULATION, "confirmations": 3},
    "quorum": {"quorum": 2},
}
HOSTS: Final = {"alone": ("liar",), "by simulation": ("liar",), "quorum": ("sound", "liar")}


def sound(value: Any) -> bool:
    """Whether a value is of the kind that its type promises, all the way down."""
    match value:
        case bool() | None | str() | bytes() | Failed():
            return True
        case int():
            return 0 <= value < 2**512
        case float():
            return False
        case list() | tuple():
            return all(map(sound, value))
        case dict():
            return all(map(sound, value.values()))
    if not is_dataclass(value):
        return False
    held = {f.name: getattr(value, f.name) for f in fields(value)}
    match value:
        case BlockRef():
            if len(value.hash) != 66 or max(value.number, value.timestamp_s) >= 2**63:
                return False
        case Receipt():
            if value.tx_hash != TX_HASH or value.status not in (0, 1) or value.gas_used >= 2**63:
                return False
        case Simulation():
            if value.ok and not (isinstance(value.gas, int) and 21_000 <= value.gas < 2**64):
                return False
        case Fees() | Rehearsal():
            pass
    return all(map(sound, held.values()))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(way=st.sampled_from(sorted(WAYS)), among=st.integers(0, 99), answer=answers(), simulates=st.booleans())
def test_whatever_is_answered_only_errors_of_ours_come_out(
    wired: type[Wired],
    method: str,
    way: str,
    among: int,
    answer: Callable[[Any], dict[str, Any]],
    simulates: bool,
) -> None:
    def told(asked: str, _: list[Any], result: Any) -> dict[str, Any]:
        if asked == "eth_simulateV1" and not simulates:
            return {"error": {"code": -32601, "message": "method not found"}}
        return answer(result) if asked == method else {"result": result}

    wired.answer = told
    found = asked(question_about(method, among), way)
    assert sound(found) or isinstance(found, TransientError | DataError | MISLED.get(method, DataError)), (
        found
    )


def asked(question: str, way: str) -> Any:
    """What a question comes to: its answer, or an error of ours."""
    asking = client(*HOSTS[way], **WAYS[way])
    try:
        return QUESTIONS[question](asking)
    except KeeperError as problem:
        return problem
    finally:
        asking.close()


def question_about(method: str, among: int) -> str:
    """One of the questions that are answered by way of a method; any, where none is as a rule."""
    fit = sorted(q for q, methods in _methods_of().items() if method in methods) or sorted(QUESTIONS)
    return fit[among % len(fit)]


@cache
def _methods_of() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    told = Wired.answer
    for question in QUESTIONS:
        methods = found.setdefault(question, set())
        for refused in ("eth_simulateV1", ""):

            def note(method: str, _: list[Any], result: Any) -> dict[str, Any]:
                methods.add(method)  # noqa: B023 - used up before the next one
                return {"error": {"code": -32601}} if method == refused else {"result": result}  # noqa: B023

            Wired.answer = note
            assert sound(asked(question, "alone")), question
    Wired.answer = told
    return found


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers())
def test_a_probe_tells_of_whatever_is_answered(
    wired: type[Wired], method: str, answer: Callable[[Any], dict[str, Any]]
) -> None:
    time = Time()
    wired.answer = lambda asked, _, result: answer(result) if asked == method else {"result": result}
    need = Need(
        chain_id=CHAIN_ID,
        multicall=MULTICALL3,
        call_gas=10**7,
        depth_blocks=12,
        log_blocks=50,
        logs_from=1,
        logs_at=(COIN,),
    )
    found = probe("http://liar", need, timeout_s=1.0, clock=time, sleep=time.sleep)
    assert found.trouble or (found.chain_id is not None and found.head is not None)
    assert found.requests < 200
