"""Reading documents: every way in which a field can be wrong, and how it is named."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.risk.models.documents import document
from keeper.risk.models.fields import FieldError, Record


def record(**values: object) -> Record:
    return Record(path="cases[2] (b):", values=values)


@given(st.integers(-(2**200), 2**200))
def test_fixed_point_is_read_exactly(raw: int) -> None:
    assert record(x=str(raw)).exact("x") == raw
    assert record(x=raw).wad("x") == raw / 10**18


@pytest.mark.parametrize("raw", ["1.5", "", "1e18", "nan", 1.0, True, None, [], {}, str(2**255), "9" * 5000])
def test_what_is_no_fixed_point_number_is_named(raw: object) -> None:
    with pytest.raises(FieldError, match=r"cases\[2\] \(b\): x is .*, expected an integer with 18 decimals"):
        record(x=raw).wad("x")


@pytest.mark.parametrize("raw", ["1.5", math.nan, math.inf, -math.inf, True, None, [], 10**400])
def test_what_is_no_finite_number_is_named(raw: object) -> None:
    with pytest.raises(FieldError, match="expected a finite number") as caught:
        record(x=raw).real("x")
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("raw", [-1, 8, "8", 1.0, "one", None, True])
def test_what_is_no_whole_number_in_range_is_named(raw: object) -> None:
    with pytest.raises(FieldError, match="expected an integer from 0 to 7"):
        record(x=raw).whole("x", low=0, high=7)


def test_bounds_are_inclusive() -> None:
    assert record(x=0.0).real("x", low=0.0, high=1.0) == 0.0
    assert record(x=1).real("x", low=0.0, high=1.0) == 1.0
    for beyond, words in ((-0.1, "0 to 1"), (1.1, "0 to 1")):
        with pytest.raises(FieldError, match=words):
            record(x=beyond).real("x", low=0.0, high=1.0)
    with pytest.raises(FieldError, match="at least 0"):
        record(x=-1).real("x", low=0.0)
    with pytest.raises(FieldError, match="at most 0"):
        record(x=1).real("x", high=0.0)


def test_defaults_stand_in_for_what_is_missing_only() -> None:
    assert record().wad("x", default=2.0) == 2.0
    assert record(x=None).real("x", default=2.0) == 2.0
    assert record().text("x", default="fine") == "fine"
    assert record().records("x", optional=True) == ()
    with pytest.raises(FieldError):
        record(x="one").wad("x", default=2.0)


def test_paths_lead_to_the_field() -> None:
    nested = record(legs=[{"a": {"b": 1}}, 3])
    with pytest.raises(FieldError, match=r"legs\[1\] is 3"):
        nested.records("legs")
    inner = record(legs=[{"a": {"b": "x"}}]).records("legs")[0].record("a")
    with pytest.raises(FieldError) as caught:
        inner.real("b")
    assert caught.value.path == "cases[2] (b): legs[0].a.b"
    with pytest.raises(FieldError, match=r"x\[1\] is 'b'"):
        record(x=[1, "b"]).reals("x")
    with pytest.raises(FieldError, match="a list of 3 numbers"):
        record(x=[1, 2]).reals("x", length=3)


@pytest.mark.parametrize(
    ("parsed", "ids"),
    [
        ({"cases": [{"id": "a"}, {"id": 7}, {}]}, ["a", "7", "2"]),
        ([{"id": "a"}, {}], ["a", "1"]),
        ({"columns": ["x"], "rows": [[1], [2]]}, ["0", "1"]),
        ({"ex1": {"trades": []}, "ex2": {"trades": []}}, ["ex1", "ex2"]),
        ({"id": "only", "trades": []}, ["only"]),
        ({"params": {}, "input": {}}, ["0"]),
    ],
)
def test_the_forms_of_a_document(parsed: object, ids: list[str]) -> None:
    assert [id_ for id_, _ in document(parsed).cases] == ids


@pytest.mark.parametrize(
    ("parsed", "words"),
    [
        (3, "document"),
        ([], "cases"),
        ({"cases": []}, "cases"),
        ({"cases": [3]}, r"cases\[0\]"),
        ({"cases": [{"id": [1]}]}, "id"),
        ({"rows": [[1]]}, "columns"),
        ({"columns": ["x"], "rows": []}, "rows"),
        ({"columns": ["x"], "rows": [[1], [1, 2]]}, r"rows\[1\] is a list of 2, expected 1 values"),
        ({"columns": ["x"], "rows": [4]}, r"rows\[0\]"),
    ],
)
def test_what_is_no_document_is_named(parsed: Any, words: str) -> None:
    with pytest.raises(FieldError, match=words):
        document(parsed)
