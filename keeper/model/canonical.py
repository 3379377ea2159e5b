"""Canonical JSON of frozen values: the same value is the same bytes on every machine.

Keys are sorted, there is no white space, text is UTF-8, integers are written in full, floats in their
shortest form that reads back equal. NaN and infinities raise `ValueError`.
"""

import dataclasses
import enum
import hashlib
import json
from typing import Any


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers, booleans and None.

    Raises `TypeError` for anything that is not a frozen value.
    """
    if value is None or (isinstance(value, bool | str | float) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, int):
        return int(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON of a value. Raises `ValueError` for NaN and infinities."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: object) -> str:
    """Return sha256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
