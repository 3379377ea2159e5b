"""ABI types as values: canonical names, encoding of arguments, and decoding into plain Python.

Decoders are built once per list of types, as nested functions that read straight into the values we use. A
general codec spends 3 to 4 microseconds on a word, and a cycle reads thousands of structs and events; this
is several times faster. Arguments are few, so eth_abi encodes all of them but single words.
Source: Solidity ABI specification, "Formal specification of the encoding".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_utils.address import to_checksum_address

from keeper.chain.errors import AbiMismatch
from keeper.model.reads import Address

_WORD: Final = 32
_MAX_ADDRESS: Final = 1 << 160

Read: TypeAlias = Callable[[bytes, int, int], Any]
"""Reads a value: from these bytes, its head at this position, offsets counted from that one."""


@lru_cache(maxsize=100_000)
def checksummed(address: str) -> Address:
    """Return an address in EIP-55 form. Raises `ValueError` when it is none."""
    return Address(to_checksum_address(address))


@dataclass(frozen=True, slots=True)
class Param:
    """One input or output of a function, event or error, or a component of a struct."""

    name: str
    type: str
    """Canonical: structs as `(uint256,address)`."""

    indexed: bool
    components: tuple["Param", ...]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Param":
        """Read an entry of ABI JSON."""
        components = tuple(cls.of(c) for c in item.get("components", ()))
        kind = str(item["type"])
        if kind.startswith("tuple"):
            kind = f"({','.join(c.type for c in components)}){kind[len('tuple') :]}"
        return cls(str(item.get("name", "")), kind, bool(item.get("indexed", False)), components)

    @property
    def is_dynamic(self) -> bool:
        """Whether an indexed event argument of this type is only a hash."""
        return self.type in ("string", "bytes") or self.type.endswith((")", "]"))


def arguments(params: Sequence[Param], args: Sequence[Any]) -> list[Any]:
    """Return `args` with structs given as mappings put into the order of the ABI."""
    return [_argument(p.type, p.components, a) for p, a in zip(params, args, strict=True)]


def _argument(kind: str, components: tuple[Param, ...], value: Any) -> Any:
    if not components:
        return value
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        return [_argument(inner, components, v) for v in value]
    if isinstance(value, Mapping):
        value = [value[c.name] for c in components]
    return tuple(arguments(components, value))


def encode_arguments(what: str, params: Sequence[Param], args: Sequence[Any]) -> bytes:
    """Encode arguments. Raises `AbiMismatch` when they do not fit the types."""
    if len(params) != len(args):
        raise AbiMismatch(what, f"takes {len(params)} arguments, was given {len(args)}")
    try:
        return b"".join([_encode_word(p.type, a) for p, a in zip(params, args, strict=True)])
    except _NotAWordError:
        pass
    try:
        return encode([p.type for p in params], arguments(params, args))
    except (EncodingError, KeyError, TypeError, ValueError) as problem:
        raise AbiMismatch(what, f"arguments {tuple(args)!r} do not fit: {problem}") from None


class _NotAWordError(Exception):
    """The value needs the full codec, which also says what is wrong with it."""


def _encode_word(kind: str, value: Any) -> bytes:
    if kind == "address" and isinstance(value, str) and len(value) == 42 and value[:2] == "0x":
        try:
            return bytes(12) + bytes.fromhex(value[2:])
        except ValueError:
            raise _NotAWordError from None
    if type(value) is int and kind.startswith(("uint", "int")) and not kind.endswith("]"):
        signed = kind[0] == "i"
        low, high = _bounds(signed, int(kind[3:] if signed else kind[4:]))
        if low <= value < high:
            return value.to_bytes(_WORD, "big", signed=signed)
    if type(value) is bool and kind == "bool":
        return int(value).to_bytes(_WORD, "big")
    raise _NotAWordError


def _bounds(signed: bool, bits: int) -> tuple[int, int]:
    return (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)


class Decoder:
    """Decodes the values of a list of parameters from one blob."""

    def __init__(self, params: Sequence[Param]) -> None:
        self._types = " ".join(p.type for p in params)
        self._fields = _fields(params)

    def __call__(self, what: str, data: bytes) -> list[Any]:
        """Return one value per parameter. Raises `AbiMismatch` when `data` does not have their shape.

        Structs become dicts by component name (tuples where one has none), arrays lists, addresses EIP-55.
        """
        try:
            return [read(data, at, 0) for at, read in self._fields]
        except (ValueError, RecursionError) as problem:
            shown = f"{len(data)} bytes are not ({self._types}): {problem}"
            raise AbiMismatch(what, shown) from None


def _fields(params: Sequence[Param]) -> list[tuple[int, Read]]:
    """Return position of the head, relative to the first, and reader of each parameter."""
    fields: list[tuple[int, Read]] = []
    at = 0
    for param in params:
        size, read = _reader(param.type, param.components)
        fields.append((at, read))
        at += size or _WORD
    return fields


def _reader(kind: str, components: tuple[Param, ...]) -> tuple[int, Read]:
    """Return the bytes that a value takes in place, 0 where it lies elsewhere, and its reader."""
    if kind.endswith("]"):
        cut = kind.rindex("[")
        size, item = _reader(kind[:cut], components)
        return (
            _list_reader(size, item)
            if kind.endswith("[]")
            else _array_reader(size, item, int(kind[cut + 1 : -1]))
        )
    if kind.endswith(")"):
        return _struct_reader(components)
    if kind == "bytes":
        return 0, _read_bytes
    if kind == "string":
        return 0, lambda data, at, base: _read_bytes(data, at, base).decode("utf-8")
    return _WORD, _word_reader(kind)


def _struct_reader(components: tuple[Param, ...]) -> tuple[int, Read]:
    fields = _fields(components)
    names = [c.name for c in components]
    sizes = [_reader(c.type, c.components)[0] for c in components]
    named = all(names)

    def values(data: bytes, at: int, base: int) -> Any:
        found = [read(data, at + offset, base) for offset, read in fields]
        return dict(zip(names, found, strict=True)) if named else tuple(found)

    if all(sizes):
        return sum(sizes), values

    def elsewhere(data: bytes, at: int, base: int) -> Any:
        start = base + _number(data, at)
        return values(data, start, start)

    return 0, elsewhere


def _array_reader(size: int, item: Read, length: int) -> tuple[int, Read]:
    def values(data: bytes, at: int, base: int) -> list[Any]:
        return [item(data, at + i * (size or _WORD), base) for i in range(length)]

    if size:
        return size * length, values

    def elsewhere(data: bytes, at: int, base: int) -> list[Any]:
        start = base + _number(data, at)
        return values(data, start, start)

    return 0, elsewhere


def _list_reader(size: int, item: Read) -> tuple[int, Read]:
    def values(data: bytes, at: int, base: int) -> list[Any]:
        start = base + _number(data, at)
        length = _number(data, start)
        first = start + _WORD
        if length * (size or _WORD) > len(data) - first:
            raise ValueError(f"a list of {length} does not fit at byte {start}")
        return [item(data, first + i * (size or _WORD), first) for i in range(length)]

    return 0, values


def _read_bytes(data: bytes, at: int, base: int) -> bytes:
    start = base + _number(data, at)
    length = _number(data, start)
    found = data[start + _WORD : start + _WORD + length]
    if len(found) != length:
        raise ValueError(f"{length} bytes do not fit at byte {start}")
    return found


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise ValueError(f"no word at byte {at}")
    return word


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(_word(data, at), "big")


def _word_reader(kind: str) -> Read:
    """Return the reader of a one-word type; it raises `ValueError` for a word that is none of its values."""
    if kind == "uint256":
        return lambda data, at, _: int.from_bytes(_word(data, at), "big")
    if kind == "int256":
        return lambda data, at, _: int.from_bytes(_word(data, at), "big", signed=True)
    if kind == "bool":
        return lambda data, at, _: bool(_ranged(_number(data, at), 0, 2))
    if kind == "address":
        return lambda data, at, _: checksummed(f"0x{_ranged(_number(data, at), 0, _MAX_ADDRESS):040x}")
    if kind.startswith(("uint", "int")):
        signed = kind[0] == "i"
        low, high = _bounds(signed, int(kind[3:] if signed else kind[4:]))
        return lambda data, at, _: _ranged(int.from_bytes(_word(data, at), "big", signed=signed), low, high)
    if kind.startswith("bytes"):
        return _fixed_bytes_reader(int(kind[5:]))
    raise AbiMismatch(kind, "is not a type that can be decoded")


def _fixed_bytes_reader(length: int) -> Read:
    def read(data: bytes, at: int, _: int) -> bytes:
        word = _word(data, at)
        if any(word[length:]):
            raise ValueError(f"{word.hex()} is longer than {length} bytes")
        return word[:length]

    return read


def _ranged(value: int, low: int, high: int) -> int:
    if low <= value < high:
        return value
    raise ValueError(f"{value} is outside [{low}, {high})")
