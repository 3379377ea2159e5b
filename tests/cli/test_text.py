"""Numbers as people read them: nothing lost, nothing invented."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.cli.text import brief, count, duration, percent, ratio, signed, usd, utc

numbers = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)


@given(numbers, st.integers(0, 6))
def test_an_amount_reads_back_to_its_last_place(x: float, places: int) -> None:
    for text in (usd(x, places), signed(x, places)):
        assert math.isclose(float(text.replace(",", "")), x, abs_tol=0.51 * 10**-places, rel_tol=1e-12)


@given(numbers)
def test_a_zero_has_no_sign(x: float) -> None:
    text = signed(x, 2)
    assert (text[0] in "+-") == (float(text.replace(",", "")) != 0.0)


@pytest.mark.parametrize("write", [usd, signed, ratio, percent, duration])
def test_no_figure_is_no_zero(write: object) -> None:
    assert write(None) == "-"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2.0 h"),
        (172_799, "48.0 h"),
        (172_800, "2.0 d"),
        (86_400 * 3650, "> 10 y"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_is_utc() -> None:
    assert utc(0) == "1970-01-01 00:00:00 UTC"


def test_addresses_and_hashes_are_shortened_and_nothing_else() -> None:
    address = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
    assert brief(f"curie:42161:{address}/x") == "curie:42161:0x90F7...b906/x"
    assert brief("0x" + "ab" * 32) == "0xabab...abab"
    assert brief("lyra:10:3 and 0x1234") == "lyra:10:3 and 0x1234"


def test_counts() -> None:
    assert (count(0, "gap"), count(1, "gap"), count(1_000, "gap")) == ("0 gaps", "1 gap", "1,000 gaps")
