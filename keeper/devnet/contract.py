"""A contract on a local node: encode, call, send, and read its events and refusals."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.devnet.artifacts import Artifact, linked
from keeper.devnet.node import GAS, Node
from keeper.model.reads import Address

MAX: Final = 2**256 - 1

_ERROR: Final = bytes.fromhex("08c379a0")
_PANIC: Final = bytes.fromhex("4e487b71")

_learned: dict[bytes, tuple[str, tuple[str, ...], tuple[str, ...]]] = {}
"""Custom errors of every contract seen so far: selector to name, argument names, argument types."""


class Contract:
    """One deployed contract. Overloaded functions are named by their signature."""

    def __init__(self, node: Node, address: str, artifact: Artifact, *, sender: str | None = None) -> None:
        self.node = node
        self.address = Address(to_checksum_address(address))
        self.name = artifact.name
        self.sender = sender or node.accounts[0]
        self._functions = _functions(artifact)
        self._events = _events(artifact)
        _learn(artifact)

    def data(self, function: str, *args: object) -> str:
        """Return the calldata, 0x hex. A struct is given as a mapping by its component names."""
        selector, inputs, _ = self._functions[function]
        values = [_ordered(abi, value) for abi, value in zip(inputs, args, strict=True)]
        return "0x" + (selector + encode([_canonical(i) for i in inputs], values)).hex()

    def call(self, function: str, *args: object, sender: str | None = None) -> Any:
        """Return a view's answer at the head: the value, or a tuple of several. Raises `RevertError`."""
        answer = self.node.call(
            self.address,
            self.data(function, *args),
            sender=sender,
            reason=revert_reason,
            what=f"{self.name}.{function}",
        )
        _, _, outputs = self._functions[function]
        values = decode([_canonical(o) for o in outputs], bytes.fromhex(answer[2:]))
        return values[0] if len(values) == 1 else values

    def send(self, function: str, *args: object, sender: str | None = None, gas: int = GAS) -> dict[str, Any]:
        """Send from an unlocked account (default: the deployer) and return the receipt.

        Raises `RevertError`.
        """
        return self.node.send(
            sender or self.sender,
            self.address,
            self.data(function, *args),
            gas=gas,
            reason=revert_reason,
            what=f"{self.name}.{function}",
        )

    def events(self, receipt: Mapping[str, Any], event: str) -> Iterator[dict[str, Any]]:
        """Yield this contract's events of one name from a receipt, arguments by name."""
        topic, inputs = self._events[event]
        indexed = [i for i in inputs if i["indexed"]]
        plain = [i for i in inputs if not i["indexed"]]
        for log in receipt["logs"]:
            if log["topics"][0] != topic or log["address"].lower() != self.address.lower():
                continue
            found: dict[str, Any] = {
                i["name"]: decode([_canonical(i)], bytes.fromhex(raw[2:]))[0]
                for i, raw in zip(indexed, log["topics"][1:], strict=True)
            }
            values = decode([_canonical(i) for i in plain], bytes.fromhex(log["data"][2:]))
            found.update((i["name"], _named(i, value)) for i, value in zip(plain, values, strict=True))
            yield found


def deploy(
    node: Node,
    artifact: Artifact,
    *args: object,
    libraries: Mapping[str, str] | None = None,
    sender: str | None = None,
) -> Contract:
    """Deploy from the first unlocked account. Raises `RevertError`."""
    sender = sender or node.accounts[0]
    inputs: Sequence[Mapping[str, Any]] = next(
        (e["inputs"] for e in artifact.abi if e["type"] == "constructor"), ()
    )
    tail = encode([_canonical(i) for i in inputs], list(args)).hex() if inputs else ""
    receipt = node.send(
        sender,
        None,
        "0x" + linked(artifact, libraries or {}) + tail,
        reason=revert_reason,
        what=f"deployment of {artifact.name}",
    )
    return Contract(node, receipt["contractAddress"], artifact, sender=sender)


def revert_reason(data: str | None) -> str:
    """Put revert data into words: a message, a panic code, or a custom error with its arguments."""
    raw = bytes.fromhex((data or "0x")[2:])
    selector, body = raw[:4], raw[4:]
    if not raw:
        return "no reason given"
    if selector == _ERROR:
        return str(decode(["string"], body)[0])
    if selector == _PANIC:
        return f"panic 0x{decode(['uint256'], body)[0]:x}"
    if selector not in _learned:
        return f"unknown error 0x{selector.hex()}"
    name, names, types = _learned[selector]
    shown = (f"{n}={v}" for n, v in zip(names, decode(types, body), strict=True) if n != "thrower")
    return f"{name}({', '.join(shown)})"


Function = tuple[bytes, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
Event = tuple[str, Sequence[Mapping[str, Any]]]


@cache
def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_canonical(i) for i in entry['inputs'])})"


_function_tables: dict[str, dict[str, Function]] = {}
_event_tables: dict[str, dict[str, Event]] = {}


def _functions(artifact: Artifact) -> dict[str, Function]:
    """Index functions by signature, and by name where a name is used once."""
    if artifact.name in _function_tables:
        return _function_tables[artifact.name]
    table: dict[str, Function] = {}
    entries = [e for e in artifact.abi if e["type"] == "function"]
    names = [e["name"] for e in entries]
    for entry in entries:
        signature = _signature(entry)
        function = (_selector(signature), entry["inputs"], entry["outputs"])
        table[signature] = function
        if names.count(entry["name"]) == 1:
            table[entry["name"]] = function
    _function_tables[artifact.name] = table
    return table


def _events(artifact: Artifact) -> dict[str, Event]:
    if artifact.name not in _event_tables:
        _event_tables[artifact.name] = {
            e["name"]: ("0x" + keccak(text=_signature(e)).hex(), e["inputs"])
            for e in artifact.abi
            if e["type"] == "event"
        }
    return _event_tables[artifact.name]


def _learn(artifact: Artifact) -> None:
    for entry in artifact.abi:
        if entry["type"] == "error":
            inputs = entry["inputs"]
            _learned[_selector(_signature(entry))] = (
                entry["name"],
                tuple(i["name"] for i in inputs),
                tuple(_canonical(i) for i in inputs),
            )


def _canonical(entry: Mapping[str, Any]) -> str:
    """ABI type with structs written out, as signatures want it."""
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_canonical(c) for c in entry['components'])}){kind.removeprefix('tuple')}"


def _ordered(entry: Mapping[str, Any], value: object) -> object:
    """Turn a struct's mapping into a tuple in ABI order; all components must be given, and no other."""
    if not isinstance(value, Mapping):
        return value
    names = [c["name"] for c in entry["components"]]
    if set(names) != set(value):
        raise ValueError(f"{entry['name'] or entry['type']} takes {names}, got {sorted(value)}")
    return tuple(_ordered(c, value[c["name"]]) for c in entry["components"])


def _named(entry: Mapping[str, Any], value: Any) -> Any:
    """Turn a decoded struct into a dict by component names."""
    kind: str = entry["type"]
    if kind == "tuple":
        return {c["name"]: _named(c, v) for c, v in zip(entry["components"], value, strict=True)}
    if kind.endswith("[]"):
        return [_named({**entry, "type": kind.removesuffix("[]")}, v) for v in value]
    return value
