"""Numbers and bytes as JSON-RPC writes them, and nothing else: what Python reads leniently is no answer.

`int("-0x1", 16)`, `int("10", 16)` and `bytes.fromhex("")` all succeed, and would turn garbage into a balance.
Source: Ethereum JSON-RPC, "Hex value encoding". Leading zeros are let through, as some nodes send them.
"""

import re
from typing import Final

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,80}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_WORD_BITS: Final = 256
STORED_BITS: Final = 63
"""Of what is kept in a database column, or counts blocks, seconds, gas or transactions."""


def quantity(raw: object, *, bits: int = _WORD_BITS) -> int:
    """Return a number of at most so many bits. Raises `ValueError` for anything else, null included."""
    if not isinstance(raw, str) or not _QUANTITY.fullmatch(raw):
        raise ValueError(f"{_shown(raw)} is no hexadecimal number")
    number = int(raw, 16)
    if number >> bits:
        raise ValueError(f"{_shown(raw)} has more than {bits} bits")
    return number


def count(raw: object) -> int:
    """Return a number of blocks, seconds, gas or transactions. Raises `ValueError`."""
    return quantity(raw, bits=STORED_BITS)


def blob(raw: object) -> bytes:
    """Return bytes of any length. Raises `ValueError` for what is not 0x-prefixed hexadecimal."""
    if not isinstance(raw, str) or not raw.startswith("0x"):
        raise ValueError(f"{_shown(raw)} is not 0x-prefixed hexadecimal")
    data = bytes.fromhex(raw[2:])
    if 2 * len(data) != len(raw) - 2:
        # `fromhex` skips spaces.
        raise ValueError(f"{_shown(raw)} is not 0x-prefixed hexadecimal")
    return data


def hash_of(raw: object) -> str:
    """Return a hash of 32 bytes, as it is written. Raises `ValueError`."""
    if not isinstance(raw, str) or not _HASH.fullmatch(raw):
        raise ValueError(f"{_shown(raw)} is no hash")
    return raw


def _shown(raw: object) -> str:
    return repr(raw[:40]) if isinstance(raw, str) else type(raw).__name__
