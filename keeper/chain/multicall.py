"""Multicall3's `aggregate3` as bytes: many calls in one, each allowed to fail on its own.

The framing is written out by hand because it is the hot path: a cycle frames thousands of entries, and a
general codec spends most of its time on the few words around each of them.
Source: mds1/multicall3, `Multicall3.sol`; Solidity ABI specification, "Formal specification of the encoding".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keeper.chain.errors import AbiMismatch
from keeper.model.reads import Address

MULTICALL3: Final = Address("0xcA11bde05977b3631167028862bE2a173976CA11")
"""Where it lies on nearly every chain."""

GET_CHAIN_ID: Final = bytes.fromhex("3408e470")
GET_TIMESTAMP: Final = bytes.fromhex("0f28c97d")

GAUGE: Final = Address("0x676173206761756765206f66206b656570657200")
"""An address that no contract can have. In a read its code is overridden by `GAUGE_CODE`."""

GAUGE_CODE: Final = "0x5a60005260206000f3"
"""GAS, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN: answers how much gas it was given."""

_AGGREGATE3: Final = bytes.fromhex("82ad56cb")
_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One call inside a multicall."""

    to: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What one entry gave: its return data, or its revert data."""

    success: bool
    data: bytes


def frame(entries: Sequence[Entry]) -> str:
    """Return calldata of `aggregate3` with `allowFailure` set on every entry, 0x-prefixed."""
    return "0x" + frame_bytes(entries).hex()


def frame_bytes(entries: Sequence[Entry]) -> bytes:
    """Return calldata of `aggregate3` with `allowFailure` set on every entry."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = _WORD * len(entries)
    for entry in entries:
        data = entry.data
        padded = data + bytes(-len(data) % _WORD)
        heads.append(offset.to_bytes(_WORD, "big"))
        tails.append(
            b"".join(
                (bytes(12), bytes.fromhex(entry.to[2:]), _TRUE, _THREE_WORDS, _word(len(data)), padded),
            )
        )
        offset += 4 * _WORD + len(padded)
    return b"".join((_AGGREGATE3, _ONE_WORD, _word(len(entries)), *heads, *tails))


def unframe(data: bytes, count: int) -> list[Result]:
    """Return the results of `count` entries. Raises `AbiMismatch` when `data` is not what they make."""
    view = memoryview(data)
    start = 2 * _WORD
    if len(data) < start or _int(view, 0) != _WORD or _int(view, _WORD) != count:
        raise AbiMismatch("aggregate3", f"{len(data)} bytes that are no list of {count} results")
    results: list[Result] = []
    for i in range(count):
        at = start + _int(view, start + i * _WORD)
        success, inner = _int(view, at), at + _int(view, at + _WORD)
        length = _int(view, inner)
        if success > 1 or inner + _WORD + length > len(data):
            raise AbiMismatch("aggregate3", f"result {i} lies outside the answer")
        results.append(Result(bool(success), bytes(view[inner + _WORD : inner + _WORD + length])))
    return results


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _int(view: memoryview, at: int) -> int:
    if at + _WORD > len(view):
        raise AbiMismatch("aggregate3", f"ends at byte {len(view)}, expected a word at {at}")
    return int.from_bytes(view[at : at + _WORD], "big")


_TRUE: Final = _word(1)
_ONE_WORD: Final = _word(_WORD)
_THREE_WORDS: Final = _word(3 * _WORD)
