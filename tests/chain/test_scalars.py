"""What nodes write is read, and what Python would read as well is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.scalars import blob, count, hash_of, quantity

ODD: tuple[Any, ...] = (
    None, True, 0, 1, 1.5, [], {}, "", "0x", "1", "ff", "-0x1", "0x-1", "+0x1", " 0x1", "0x1 ", "0x_1",
    "0x1_0", "0X1", "0xg", "0x1.0", "\u0660x1", b"0x1",
)  # fmt: skip


@given(st.integers(0, 2**256 - 1), st.integers(0, 5))
def test_a_number_is_read_with_or_without_leading_zeros(number: int, zeros: int) -> None:
    assert quantity(f"0x{'0' * zeros}{number:x}") == number


@pytest.mark.parametrize("raw", ODD)
def test_what_is_no_number_is_none(raw: Any) -> None:
    for read in (quantity, count, hash_of):
        with pytest.raises(ValueError, match=r"is no|has more"):
            read(raw)


def test_a_number_has_its_bounds() -> None:
    assert (quantity(hex(2**256 - 1)), count(hex(2**63 - 1))) == (2**256 - 1, 2**63 - 1)
    for read, raw in ((quantity, 2**256), (count, 2**63)):
        with pytest.raises(ValueError, match="bits"):
            read(hex(raw))
    with pytest.raises(ValueError, match="is no"):
        quantity("0x" + "1" * 10**6)


@given(st.binary(max_size=100))
def test_bytes_are_read(data: bytes) -> None:
    assert blob("0x" + data.hex()) == data


@pytest.mark.parametrize("raw", [*(r for r in ODD if r != "0x"), "0x1", "0x 12", "0x12 ", "12"])
def test_what_is_no_bytes_is_none(raw: Any) -> None:
    with pytest.raises(ValueError, match=r"hex"):
        blob(raw)


@pytest.mark.parametrize("raw", ["0x" + "1" * 63, "0x" + "1" * 65, "0x" + "g" * 64, "1" * 66])
def test_a_hash_has_32_bytes(raw: str) -> None:
    with pytest.raises(ValueError, match="is no hash"):
        hash_of(raw)
    assert hash_of("0x" + "aB" * 32) == "0x" + "aB" * 32
