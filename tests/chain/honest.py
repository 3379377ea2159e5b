"""A node that answers every question as a node does, and may be made to answer one of them in any other way.

It needs no network: the client's endpoints hand it what they would post. So a thousand answers take seconds.
"""

import json
from collections.abc import Callable
from typing import Any, ClassVar, Final

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from keeper.chain import abi
from keeper.chain.client import ChainClient
from keeper.chain.endpoint import Endpoint
from keeper.chain.multicall import GAUGE, GET_CHAIN_ID, GET_TIMESTAMP, MULTICALL3

CHAIN_ID: Final = 10
HEAD: Final = 1_000
BASE_FEE: Final = 10**9
TX_HASH: Final = "0x" + "ab" * 32
CODE: Final = "0x6001"
TOKEN: Final = "0x" + "11" * 20
PARTIES: Final = ("0x" + "22" * 20, "0x" + "33" * 20)
LIQUIDATED: Final = "0x" + abi.event("curie/ClearingHouse", "PositionLiquidated").selector.hex()
TRANSFER: Final = "0x" + keccak(text="Transfer(address,address,uint256)").hex()

Answer = Callable[[str, list[Any], Any], Any]
"""Method, parameters and the honest result, to the fields of a JSON-RPC response beside its number."""


def word(number: int) -> str:
    return f"0x{number:064x}"


def topic(address: str) -> str:
    return "0x" + "0" * 24 + address[2:]


def block(number: int) -> dict[str, Any]:
    return {
        "number": hex(number),
        "hash": word(number),
        "parentHash": word(number - 1),
        "timestamp": hex(1_700_000_000 + 2 * number),
        "baseFeePerGas": hex(BASE_FEE),
        "gasUsed": hex(15_000_000),
        "gasLimit": hex(30_000_000),
        "extraData": "0x00000000fa00000006",
        "blobGasUsed": "0x0",
    }


def transfer() -> dict[str, Any]:
    return {
        "address": TOKEN,
        "topics": [TRANSFER, *map(topic, PARTIES)],
        "data": word(5),
        "blockNumber": hex(HEAD - 1),
        "logIndex": "0x0",
        "removed": False,
    }


def event() -> dict[str, Any]:
    return {**transfer(), "topics": [LIQUIDATED, *map(topic, PARTIES)], "data": "0x" + "00" * 128}


def honest(method: str, params: list[Any]) -> Any:
    """Return what a sound node says. `KeyError` for a method that no client asks."""
    return _ANSWERS[method](params)


def _call(params: list[Any]) -> str:
    to, data = params[0]["to"], bytes.fromhex(params[0].get("data", "0x")[2:])
    if data[:4] != _AGGREGATE3:
        return "0x" + _answered(to, data, 10**7).hex()
    (entries,) = decode(["(address,bool,bytes)[]"], data[4:])
    left = 10**7
    results = []
    for target, _, inner in entries:
        left -= 1_000
        results.append((True, _answered(target, inner, left)))
    return "0x" + encode(["(bool,bytes)[]"], [results]).hex()


_AGGREGATE3: Final = bytes.fromhex("82ad56cb")


def _answered(to: str, data: bytes, gas: int) -> bytes:
    number = 7
    if to.lower() == GAUGE.lower():
        number = gas
    elif data == GET_CHAIN_ID:
        number = CHAIN_ID
    elif data == GET_TIMESTAMP:
        number = 1_700_000_000 + 2 * HEAD
    return number.to_bytes(32, "big")


def _block(params: list[Any]) -> Any:
    tag = params[0]
    number = {"latest": HEAD, "safe": HEAD - 10, "finalized": HEAD - 20}.get(tag)
    number = int(tag, 16) if number is None else number
    return block(number) if 0 <= number <= HEAD else None


def _simulated(params: list[Any]) -> Any:
    done = {"status": "0x1", "gasUsed": hex(50_000), "logs": [transfer()]}
    calls = params[0]["blockStateCalls"][0]["calls"]
    return [{"number": hex(HEAD + 1), "calls": [{**done, "returnData": _call([call])} for call in calls]}]


_ANSWERS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "eth_chainId": lambda _: hex(CHAIN_ID),
    "eth_blockNumber": lambda _: hex(HEAD),
    "eth_getBlockByNumber": _block,
    "eth_call": _call,
    "eth_getCode": lambda _: CODE,
    "eth_getBalance": lambda _: hex(10**18),
    "eth_getTransactionCount": lambda _: "0x3",
    "eth_gasPrice": lambda _: hex(BASE_FEE),
    "eth_maxPriorityFeePerGas": lambda _: hex(10**6),
    "eth_feeHistory": lambda _: {
        "oldestBlock": hex(HEAD - 1),
        "baseFeePerGas": [hex(BASE_FEE)] * 3,
        "gasUsedRatio": [0.5, 0.5],
        "reward": [[hex(10**6)], [hex(2 * 10**6)]],
    },
    "eth_getLogs": lambda _: [event()],
    "eth_estimateGas": lambda _: hex(60_000),
    "eth_simulateV1": _simulated,
    "eth_sendRawTransaction": lambda _: TX_HASH,
    "eth_getTransactionReceipt": lambda params: {
        "transactionHash": params[0],
        "blockNumber": hex(HEAD - 1),
        "blockHash": word(HEAD - 1),
        "status": "0x1",
        "gasUsed": hex(50_000),
        "effectiveGasPrice": hex(BASE_FEE),
        "l1Fee": hex(10**9),
        "logs": [transfer()],
    },
    "eth_getTransactionByHash": lambda params: {"hash": params[0], "gasPrice": hex(BASE_FEE)},
    "web3_clientVersion": lambda _: "honest/1.0",
}
METHODS: Final = tuple(sorted(_ANSWERS))


class Wired(Endpoint):
    """An endpoint that nobody listens at. Of hosts named `liar`, `answer` has the last word."""

    answer: ClassVar[Answer | None] = None

    def _post(self, body: bytes, limit_s: float) -> tuple[int, float | None, bytes]:
        question = json.loads(body)
        if isinstance(question, list):
            return 200, None, json.dumps([self._replied(one) for one in question]).encode()
        return 200, None, json.dumps(self._replied(question)).encode()

    def _replied(self, question: dict[str, Any]) -> dict[str, Any]:
        method, params = question["method"], question["params"]
        result = honest(method, params)
        told, lie = {"result": result}, type(self).answer
        if lie is not None and "liar" in self.host:
            told = lie(method, params, result)
        return {"jsonrpc": "2.0", "id": question["id"], **told}


def client(*names: str, **settings: Any) -> ChainClient:
    given: dict[str, Any] = {"name": "test", "chain_id": CHAIN_ID, "multicall": MULTICALL3, "timeout_s": 0.05}
    return ChainClient(endpoints=[f"http://{name}" for name in names], **{**given, **settings})
