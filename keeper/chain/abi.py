"""The contracts we call, by their ABI fragments: encode calls, decode answers, events and reverts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.chain.codec import Decoder, Param, encode_arguments
from keeper.chain.errors import AbiMismatch, AbiMissing
from keeper.chain.scalars import blob, count
from keeper.model.reads import Call, Log, Send

_INSTALLED: Final = Path(__file__).resolve().parents[1] / "contracts_abi"
_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "contracts_abi"
ABI_ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""`<protocol>/<Contract>.json` below it: inside the installed package, else in the checkout."""

MULTICALL3_ABI: Final = "chain/Multicall3"
"""Built in, because every chain is read through it."""

_BUILT_IN: Final[dict[str, list[dict[str, Any]]]] = {
    MULTICALL3_ABI: [
        {
            "type": "function",
            "name": "getEthBalance",
            "inputs": [{"name": "addr", "type": "address"}],
            "outputs": [{"name": "balance", "type": "uint256"}],
        }
    ]
}

_PANICS: Final = {
    0x00: "compiler-inserted panic",
    0x01: "assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division by zero",
    0x21: "value out of range of its enum",
    0x22: "storage byte array badly encoded",
    0x31: "pop of an empty array",
    0x32: "array index out of bounds",
    0x41: "out of memory",
    0x51: "call of an unset internal function",
}
"""Source: Solidity documentation, "Panic via assert and Error via require"."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One function, event or error."""

    name: str
    signature: str
    inputs: tuple[Param, ...]
    outputs: tuple[Param, ...]
    selector: bytes
    """Four bytes; for an event all 32 of its topic."""

    read: Decoder
    """Decodes outputs of a function, inputs of an error, data of an event."""

    changes_state: bool = False


@dataclass(frozen=True, slots=True)
class Abi:
    """The entries of one fragment."""

    contract: str
    functions: Mapping[str, Entry]
    """By signature, and by name where the name is not overloaded."""

    events: Mapping[str, Entry]
    errors: Mapping[bytes, Entry]
    """By selector."""


@dataclass(frozen=True, slots=True)
class Revert:
    """Why a contract refused."""

    name: str
    """Custom error, `Error`, `Panic`; the selector where it is in no ABI; empty where no data came back."""

    args: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    """For people: `CH_EAV`, or `PositionNotLiquidatable(thrower=0x..., ...)`."""

    @property
    def error(self) -> str:
        """What `Adapter.meaning` is asked with: the text of `Error(string)`, else the name."""
        return self.text if self.name == "Error" else self.name


@cache
def load(contract: str) -> Abi:
    """Return an ABI by name, for example `curie/AccountBalance`. Raises `AbiMissing`."""
    items = _BUILT_IN.get(contract)
    if items is None:
        path = ABI_ROOT / f"{contract}.json"
        try:
            parsed = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise AbiMissing(contract, f"no ABI of that name under {ABI_ROOT.name}/") from None
        except ValueError as problem:
            raise AbiMissing(contract, f"is not JSON: {problem}") from None
        items = parsed["abi"] if isinstance(parsed, dict) else parsed
    functions: dict[str, Entry] = {}
    overloaded: set[str] = set()
    events: dict[str, Entry] = {}
    errors: dict[bytes, Entry] = {}
    for item in items:
        if item["type"] not in ("function", "event", "error"):
            continue
        entry = _entry(item)
        if item["type"] == "event":
            events[entry.name] = entry
        elif item["type"] == "error":
            errors[entry.selector] = entry
        else:
            if entry.name in functions:
                overloaded.add(entry.name)
            functions[entry.name] = functions[entry.signature] = entry
    for name in overloaded:
        del functions[name]
    return Abi(contract, functions, events, errors)


def _entry(item: Mapping[str, Any]) -> Entry:
    inputs = tuple(Param.of(p) for p in item.get("inputs", ()))
    outputs = tuple(Param.of(p) for p in item.get("outputs", ()))
    name = str(item["name"])
    signature = f"{name}({','.join(p.type for p in inputs)})"
    digest = keccak(text=signature)
    match item["type"]:
        case "event":
            return Entry(name, signature, inputs, (), digest, Decoder([p for p in inputs if not p.indexed]))
        case "error":
            return Entry(name, signature, inputs, (), digest[:4], Decoder(inputs))
    # A library's function hashes its struct names, which the canonical types do not show.
    given = item.get("selector")
    chosen = bytes.fromhex(given.removeprefix("0x")) if given else digest[:4]
    changes = item.get("stateMutability", "view") not in ("view", "pure")
    return Entry(name, signature, inputs, outputs, chosen, Decoder(outputs), changes)


def function(contract: str, fn: str) -> Entry:
    """Return a function by name or full signature. Raises `AbiMissing`, also for an overloaded name."""
    entry = load(contract).functions.get(fn)
    if entry is None:
        raise AbiMissing(
            f"{contract}.{fn}", "not in the ABI, or overloaded: name it by its full signature, without spaces"
        )
    return entry


def event(contract: str, name: str) -> Entry:
    """Return an event. Raises `AbiMissing`."""
    entry = load(contract).events.get(name)
    if entry is None:
        raise AbiMissing(f"{contract}.{name}", "no such event in the ABI")
    return entry


def selector(contract: str, fn: str) -> str:
    """Return the four-byte selector of a function, 0x-prefixed. Raises `AbiMissing`."""
    return "0x" + function(contract, fn).selector.hex()


def encode_bytes(call: Call | Send) -> bytes:
    """Return calldata. Raises `AbiMissing`, and `AbiMismatch` when the arguments do not fit."""
    entry = function(call.contract, call.fn)
    return entry.selector + encode_arguments(f"{call.contract}.{call.fn}", entry.inputs, call.args)


def encode(call: Call | Send) -> str:
    """Return calldata as 0x-prefixed hexadecimal. Structs may be given as tuples or as mappings.

    Raises `AbiMissing`, and `AbiMismatch` when the arguments do not fit.
    """
    return "0x" + encode_bytes(call).hex()


def decode(call: Call, data: bytes) -> Any:
    """Return the answer to a call.

    A single output is returned as it is, several as a tuple in the order of the ABI, none as None.
    Structs are dicts by component name, arrays lists, addresses EIP-55, `bytesN` bytes.
    Raises `AbiMismatch` when `data` does not have that shape: no contract there, or another one.
    """
    entry = function(call.contract, call.fn)
    what = f"{call.contract}.{call.fn} at {call.to}"
    if not data and entry.outputs:
        raise AbiMismatch(what, "answered nothing: no contract there, or not this one")
    values = entry.read(what, data)
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def decode_log(contract: str, names: Sequence[str], raw: Mapping[str, Any]) -> Log:
    """Return a raw log of `eth_getLogs` as one of the named events; a hashed argument stays its hash.

    Raises `AbiMissing` for a name that the ABI lacks, `AbiMismatch` when the log is none of the events.
    """
    topics = [blob(t) for t in raw["topics"]]
    entry = next((e for n in names if (e := event(contract, n)).selector == topics[0]), None)
    if entry is None:
        raise AbiMismatch(f"log of {contract}", f"topic {raw['topics'][0]} is none of {', '.join(names)}")
    indexed = [p for p in entry.inputs if p.indexed]
    if len(topics) != 1 + len(indexed):
        raise AbiMismatch(f"{contract}.{entry.name}", f"has {len(topics) - 1} indexed arguments in this log")
    values: dict[str, Any] = {}
    for param, topic in zip(indexed, topics[1:], strict=True):
        values[param.name] = topic if param.is_dynamic else Decoder([param])(entry.name, topic)[0]
    rest = [p.name for p in entry.inputs if not p.indexed]
    values.update(zip(rest, entry.read(entry.name, blob(raw["data"])), strict=True))
    return Log(
        event=entry.name,
        args={p.name: values[p.name] for p in entry.inputs},
        block_number=count(raw["blockNumber"]),
        log_index=count(raw["logIndex"]),
    )


_ERROR_STRING: Final = bytes.fromhex("08c379a0")
_PANIC: Final = bytes.fromhex("4e487b71")
_READ_STRING: Final = Decoder([Param("", "string", False, ())])
_READ_CODE: Final = Decoder([Param("", "uint256", False, ())])


def decode_revert(data: bytes, abis: Sequence[str]) -> Revert:
    """Return what revert data says, with the custom errors of `abis`, else of every ABI we have.

    Never raises for the data: what cannot be decoded is named by its selector.
    """
    if not data:
        return Revert("", {}, "reverted without a reason")
    head, body = data[:4], data[4:]
    try:
        if head == _ERROR_STRING:
            text = _READ_STRING("Error", body)[0]
            return Revert("Error", {"message": text}, text)
        if head == _PANIC:
            code = _READ_CODE("Panic", body)[0]
            return Revert(
                "Panic", {"code": code}, f"Panic(0x{code:02x}): {_PANICS.get(code, 'unknown code')}"
            )
        entry = _error(head, abis)
        if entry is not None:
            values = entry.read(entry.name, body)
            args = {p.name or str(i): v for i, (p, v) in enumerate(zip(entry.inputs, values, strict=True))}
            shown = ", ".join(f"{k}={_shown(v)}" for k, v in args.items())
            return Revert(entry.name, args, f"{entry.name}({shown})")
    except AbiMismatch:
        pass
    return Revert("0x" + head.hex(), {}, f"unknown error 0x{head.hex()} with {len(body)} bytes")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k}={_shown(v)}" for k, v in value.items()) + ")"
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _error(head: bytes, abis: Sequence[str]) -> Entry | None:
    for contract in abis:
        if (entry := load(contract).errors.get(head)) is not None:
            return entry
    return _all_errors().get(head)


@cache
def _all_errors() -> Mapping[bytes, Entry]:
    names = sorted(p.relative_to(ABI_ROOT).with_suffix("").as_posix() for p in ABI_ROOT.rglob("*.json"))
    return {key: entry for name in names for key, entry in load(name).errors.items()}
