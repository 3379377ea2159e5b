"""Canonical JSON of frozen values: the same value is the same bytes on every machine.

Keys are sorted, there is no white space, text is UTF-8, integers are written in full, floats in their
shortest form that reads back equal. NaN and infinities raise `ValueError`.
"""

import dataclasses
import enum
import hashlib
import json
from functools import cache
from typing import Any, Final

_AS_IT_IS: Final = frozenset({type(None), bool, int, float, str})
"""Types that JSON has. Subclasses of theirs are not among them."""


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers, booleans and None.

    Raises `TypeError` for anything that is not a frozen value.
    """
    # Most of what a snapshot consists of is tried first: this runs over all of it, several times a cycle.
    kind: type = type(value)
    if kind in _AS_IT_IS:
        return value
    names = _fields(kind)
    if names is not None:
        return {
            name: item if type(item := getattr(value, name)) in _AS_IT_IS else plain(item) for name in names
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, tuple | list):
        return [item if type(item) in _AS_IT_IS else plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): item if type(item) in _AS_IT_IS else plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"{type(value).__name__} has no canonical form")


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    """Return the names of a frozen value's fields; None for anything else."""
    if not dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum | str | float | int):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON of a value. Raises `ValueError` for NaN and infinities."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: object) -> str:
    """Return sha256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
