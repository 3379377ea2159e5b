"""ABI types as values: canonical names, encoding of arguments, and decoding into plain Python.

eth_abi does the work for dynamic and nested types. Answers made of single words, which is nearly all
that a margin keeper reads, take a path of their own that is an order of magnitude faster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.address import to_checksum_address

from keeper.chain.errors import AbiMismatch
from keeper.model.reads import Address

Convert: TypeAlias = Callable[[Any], Any]

_WORD: Final = 32
_MAX_ADDRESS: Final = 1 << 160


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


def convert_for(param: Param) -> Convert | None:
    """Return what turns eth_abi's value into ours, or None where it already is."""
    return _convert(param.type, param.components)


def _convert(kind: str, components: tuple[Param, ...]) -> Convert | None:
    if kind.endswith("]"):
        item = _convert(kind[: kind.rindex("[")], components)
        return list if item is None else lambda values: [item(v) for v in values]
    if kind.endswith(")"):
        parts = [convert_for(c) for c in components]
        names = [c.name for c in components]

        def struct(values: Sequence[Any]) -> Any:
            fields = [v if part is None else part(v) for v, part in zip(values, parts, strict=True)]
            return dict(zip(names, fields, strict=True)) if all(names) else tuple(fields)

        return struct
    return checksummed if kind == "address" else None


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


def word_reader(kind: str) -> Callable[[bytes], Any] | None:
    """Return a reader of one 32-byte word of type `kind`, or None where it takes the full codec.

    The reader raises `ValueError` for a word that no value of the type encodes to.
    """
    if kind.endswith(("]", ")")):
        return None
    if kind == "bool":
        return lambda word: bool(_ranged(int.from_bytes(word, "big"), 0, 2))
    if kind == "address":
        return lambda word: checksummed(f"0x{_ranged(int.from_bytes(word, 'big'), 0, _MAX_ADDRESS):040x}")
    if kind.startswith(("uint", "int")):
        signed = kind[0] == "i"
        low, high = _bounds(signed, int(kind[3:] if signed else kind[4:]))
        return lambda word: _ranged(int.from_bytes(word, "big", signed=signed), low, high)
    return None


def _ranged(value: int, low: int, high: int) -> int:
    if low <= value < high:
        return value
    raise ValueError(f"{value} is outside [{low}, {high})")


class Decoder:
    """Decodes the values of a list of parameters from one blob."""

    def __init__(self, params: Sequence[Param]) -> None:
        self._types = [p.type for p in params]
        self._converts = [convert_for(p) for p in params]
        readers = [word_reader(p.type) for p in params]
        words = [r for r in readers if r is not None]
        self._words = words if len(words) == len(readers) else None

    def __call__(self, what: str, data: bytes) -> list[Any]:
        """Return one value per parameter. Raises `AbiMismatch` when `data` does not have their shape."""
        if len(data) < _WORD * len(self._types):
            raise AbiMismatch(what, f"answered {len(data)} bytes, expected {' '.join(self._types)}")
        try:
            if self._words is not None:
                return [read(data[i * _WORD : (i + 1) * _WORD]) for i, read in enumerate(self._words)]
            values = decode(self._types, data)
        except (DecodingError, ValueError, OverflowError) as problem:
            raise AbiMismatch(what, f"answer is not {' '.join(self._types)}: {problem}") from None
        return [v if c is None else c(v) for v, c in zip(values, self._converts, strict=True)]
