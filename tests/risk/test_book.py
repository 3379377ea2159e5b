"""Columns are checked where they enter, and every fault names its field and row."""

from typing import Any

import numpy as np
import pytest

from keeper.model.errors import DataError, UnfitValueError
from keeper.risk.book import Book, Instruments, Kind, book, book_of, instruments

COLUMNS: dict[str, Any] = {
    "ids": ("p", "c"),
    "underlyings": ("BTC", "ETH"),
    "underlying": [1, 0],
    "kind": [Kind.PERP, Kind.CALL],
    "strike_usd": [0.0, 60_000.0],
    "expiry_y": [0.0, 0.25],
    "forward_usd": [2_500.0, 61_000.0],
    "vol": [0.0, 0.6],
    "discount": [1.0, 0.99],
    "inverse": [False, True],
}


def two_instruments(**changed: Any) -> Instruments:
    return instruments(**{**COLUMNS, **changed})


def one_account(**changed: Any) -> Book:
    columns: dict[str, Any] = {
        "accounts": ("alice",),
        "indptr": [0, 2],
        "indices": [1, 0],
        "sizes_base": [1.0, -2.0],
        "cash_usd": [100.0],
    }
    return book(**{**columns, **changed}, over=two_instruments())


def test_columns_are_copied_typed_and_read_only() -> None:
    vol = np.array([0.0, 0.6])
    table = two_instruments(vol=vol)
    vol[1] = 9.9
    assert table.vol[1] == 0.6
    assert table.kind.dtype == np.dtype(np.int8)
    assert table.underlying.dtype == np.dtype(np.int64)
    assert table.is_option.tolist() == [False, True]
    with pytest.raises(ValueError, match="read-only"):
        table.vol[1] = 1.0


def test_an_empty_book_is_a_book() -> None:
    nothing = instruments(**{**COLUMNS, **{k: [] for k in COLUMNS if k not in ("underlyings",)}})
    empty = book_of([], cash_usd={}, over=nothing)
    assert (len(nothing), len(empty), empty.indptr.tolist()) == (0, 0, [0])


@pytest.mark.parametrize(
    ("field", "value", "row"),
    [
        ("ids", ("p", "p"), 1),
        ("underlyings", ("ETH", "ETH"), 1),
        ("underlying", [1, 2], 1),
        ("underlying", [-1, 0], 0),
        ("underlying", [1.0, 0.0], None),
        ("kind", [1, 5], 1),
        ("strike_usd", [0.0, -1.0], 1),
        ("expiry_y", [0.0, -1e-9], 1),
        ("forward_usd", [np.nan, 1.0], 0),
        ("forward_usd", [1.0, np.inf], 1),
        ("vol", [0.0, -0.1], 1),
        ("discount", [1.0, 0.0], 1),
        ("discount", [1.0], None),
        ("vol", [[0.0, 0.6]], None),
        ("inverse", [True], None),
    ],
)
def test_a_bad_instrument_is_named(field: str, value: object, row: int | None) -> None:
    with pytest.raises(UnfitValueError, match=field) as caught:
        two_instruments(**{field: value})
    assert isinstance(caught.value, DataError)
    assert (caught.value.field, caught.value.row) == (field, row)


@pytest.mark.parametrize(
    ("changed", "field", "row"),
    [
        ({"accounts": ("alice", "bob")}, "indptr", None),
        ({"indptr": [1, 2]}, "indptr", 0),
        ({"indptr": [0, 1]}, "indptr", 0),
        ({"indices": [1, 2]}, "indices", 1),
        ({"indices": [1, -1]}, "indices", 1),
        ({"sizes_base": [1.0, np.nan]}, "sizes_base", 1),
        ({"sizes_base": [1.0]}, "sizes_base", None),
        ({"cash_usd": [np.inf]}, "cash_usd", 0),
        ({"accounts": ("a", "b", "a"), "indptr": [0, 1, 2, 2], "cash_usd": [0.0] * 3}, "accounts", 2),
        ({"accounts": ("a", "b"), "indptr": [0, 3, 2], "cash_usd": [0.0] * 2}, "indptr", 1),
    ],
)
def test_a_bad_book_is_named(changed: dict[str, Any], field: str, row: int | None) -> None:
    with pytest.raises(UnfitValueError) as caught:
        one_account(**changed)
    assert (caught.value.field, caught.value.row) == (field, row)


def test_a_falling_indptr_is_refused() -> None:
    with pytest.raises(UnfitValueError, match="at least the entry before it"):
        one_account(accounts=("a", "b", "c"), indptr=[0, 2, 1, 2], cash_usd=[0.0] * 3)


def test_equal_positions_add_up_and_accounts_keep_their_order() -> None:
    rows = [("bob", "c", 1.0), ("alice", "p", 2.0), ("bob", "c", -0.25)]
    held = book_of(rows, cash_usd={"alice": 1.0, "bob": 2.0, "eve": 3.0}, over=two_instruments())
    assert held.accounts == ("alice", "bob", "eve")
    assert held.indptr.tolist() == [0, 1, 2, 2]
    assert held.indices.tolist() == [0, 1]
    assert held.sizes_base.tolist() == [2.0, 0.75]


@pytest.mark.parametrize(
    ("row", "field"), [(("eve", "c", 1.0), "account"), (("bob", "x", 1.0), "instrument")]
)
def test_a_stranger_in_the_rows_is_named(row: tuple[str, str, float], field: str) -> None:
    with pytest.raises(UnfitValueError, match=r"is not among|has no entry") as caught:
        book_of([("bob", "c", 1.0), row], cash_usd={"bob": 0.0}, over=two_instruments())
    assert (caught.value.field, caught.value.row) == (field, 1)
