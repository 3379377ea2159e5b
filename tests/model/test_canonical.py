"""Canonical JSON: one value, one text."""

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.canonical import canonical_json, digest, plain

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


class Colour(StrEnum):
    RED = "red"


class Rank(IntEnum):
    FIRST = 1


class Mark(Enum):
    CROSS = "x"


class Cents(int):
    """A subclass, as JSON must not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    b: int
    a: tuple[float, ...]
    colour: Colour = Colour.RED
    raw: bytes = b"\x01\xff"


def test_a_value_in_full() -> None:
    value = Sample(b=10**30, a=(0.1, 1e300))
    expected = b'{"a":[0.1,1e+300],"b":1000000000000000000000000000000,"colour":"red","raw":"0x01ff"}'
    assert canonical_json(value) == expected
    assert digest(value) == hashlib.sha256(expected).hexdigest()


@given(trees)
def test_reading_and_writing_again_changes_nothing(tree: object) -> None:
    once = canonical_json(tree)
    assert canonical_json(json.loads(once)) == once


@given(st.dictionaries(st.text(), scalars))
def test_the_order_of_keys_does_not_matter(mapping: dict[str, object]) -> None:
    assert canonical_json(dict(reversed(mapping.items()))) == canonical_json(mapping)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(x: float) -> None:
    assert struct.pack("d", json.loads(canonical_json([x]))[0]) == struct.pack("d", x)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"deep": [math.nan]}])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, Sample, 1j])
def test_what_is_no_value_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no canonical form"):
        plain(value)


def test_true_is_not_one() -> None:
    assert canonical_json([True, 1, 1.0]) == b"[true,1,1.0]"


@pytest.mark.parametrize(
    ("value", "kind"),
    [(Colour.RED, str), (Rank.FIRST, int), (Mark.CROSS, str), (Cents(7), int), (True, bool), (2.5, float)],
)
def test_what_is_left_is_of_a_type_that_json_has(value: object, kind: type) -> None:
    for nested in (
        plain(value),
        plain([value])[0],
        plain({"a": value})["a"],
        plain(Held(value=value))["value"],
    ):
        assert type(nested) is kind
        assert nested == plain(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    value: object


@given(
    st.recursive(
        scalars | st.binary(), lambda inner: st.lists(inner) | st.builds(lambda x: Held(value=x), inner)
    )
)
def test_the_fields_of_a_value_are_the_keys_of_an_object(tree: object) -> None:
    def spelled(value: object) -> object:
        if isinstance(value, Held):
            return {"value": spelled(value.value)}
        if isinstance(value, bytes):
            return f"0x{value.hex()}"
        return [spelled(item) for item in value] if isinstance(value, list) else value

    expected = json.dumps(spelled(tree), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(tree) == expected.encode("utf-8", "strict")
