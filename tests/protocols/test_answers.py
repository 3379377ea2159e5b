"""Rounds of reads: names kept, missing answers noticed, generators run side by side."""

from collections.abc import Generator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.reads import Address, Call, Failed, Read
from keeper.model.venue import Venue
from keeper.protocols.answers import (
    account_gap,
    answers_to,
    key_of,
    market_gap,
    together,
    unanswered,
    venue_gap,
    why,
)
from tests.support.fake_chain import Answers, rounds

AT = Address("0x" + "11" * 20)
VENUE = Venue(protocol="curie", chain_id=10, contracts=(), from_block=0)


def call(i: int) -> Call:
    return Call("x/X", AT, "f", (i,))


def walk(start: int, length: int) -> Generator[Sequence[Read], Sequence[Any], list[int]]:
    """Ask one call a round, `length` times."""
    seen: list[int] = []
    for i in range(start, start + length):
        (answer,) = yield (call(i),)
        seen.append(answer)
    return seen


TABLE: Answers = {(AT, "f", (i,)): i * i for i in range(200)}


def test_answers_come_back_under_their_names() -> None:
    got, count = rounds(answers_to({"three": call(3), ("five", 5): call(5)}), TABLE)
    assert got == {"three": 9, ("five", 5): 25}
    assert count == 1


def test_nothing_asked_costs_no_round() -> None:
    assert rounds(answers_to({}), TABLE) == ({}, 0)


@given(st.lists(st.integers(0, 6), max_size=6))
def test_generators_side_by_side_take_as_many_rounds_as_the_longest(lengths: list[int]) -> None:
    parts = [walk(20 * n, length) for n, length in enumerate(lengths)]
    results, count = rounds(together(*parts), TABLE)
    assert count == max(lengths, default=0)
    assert list(results) == [
        [i * i for i in range(20 * n, 20 * n + length)] for n, length in enumerate(lengths)
    ]


def test_the_first_missing_answer_is_named() -> None:
    lost = Failed("x/X.f(1)", "timed out")
    answers: Answers = {"a": 0, "b": None, "c": lost, "d": False}
    assert unanswered(answers, "a", "b", "d") is None
    assert unanswered(answers, "a", "c", "d") is lost
    assert why(lost) == "x/X.f(1): timed out"
    with pytest.raises(KeyError):
        unanswered(answers, "e")


def test_gaps_name_what_is_missing_and_where() -> None:
    venue, account = venue_gap(VENUE, "down"), account_gap(VENUE, "0xab", "reverted")
    quote = market_gap(VENUE, "quote", "ETH", "stale")
    assert [(g.what, g.key, g.chain_id) for g in (venue, account, quote)] == [
        ("venue", "curie:10", 10),
        ("account", "curie:10:0xab", 10),
        ("quote", "ETH", 10),
    ]


@pytest.mark.parametrize(
    ("account", "key"),
    [("curie:10:0xab", "0xab"), ("curie:100:0xab", None), ("lyra:10:0xab", None), ("0xab", None)],
)
def test_keys_are_taken_from_the_venues_own_ids_only(account: str, key: str | None) -> None:
    assert key_of(VENUE, account) == key
