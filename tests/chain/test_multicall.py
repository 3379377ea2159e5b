"""The framing is written by hand, so it is held against eth_abi's, and against bytes that mean nothing."""

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.codec import checksummed
from keeper.chain.errors import AbiMismatch
from keeper.chain.isolation import ROLLBACK, unwrapped, wrapped
from keeper.chain.multicall import GET_CHAIN_ID, GET_TIMESTAMP, Entry, Result, frame, unframe

CALLS = "(address,bool,bytes)[]"
RESULTS = "(bool,bytes)[]"

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: checksummed("0x" + raw.hex()))
entries = st.builds(Entry, addresses, st.binary(max_size=100))
results = st.builds(Result, st.booleans(), st.binary(max_size=100))


def test_selectors_are_those_of_multicall3() -> None:
    assert frame([])[:10] == "0x" + keccak(text=f"aggregate3({CALLS})")[:4].hex()
    assert keccak(text="getChainId()")[:4] == GET_CHAIN_ID
    assert keccak(text="getCurrentBlockTimestamp()")[:4] == GET_TIMESTAMP


@given(st.lists(entries, max_size=8))
def test_calls_are_framed_as_the_abi_says(asked: list[Entry]) -> None:
    expected = encode([CALLS], [[(e.to, True, e.data) for e in asked]])
    assert bytes.fromhex(frame(asked)[10:]) == expected


@given(st.lists(results, max_size=8))
def test_results_are_read_as_the_abi_says(given_results: list[Result]) -> None:
    data = encode([RESULTS], [[(r.success, r.data) for r in given_results]])
    assert unframe(data, len(given_results)) == given_results


@given(st.lists(results, min_size=1, max_size=4), st.integers(0, 200))
def test_a_truncated_answer_is_refused(given_results: list[Result], cut: int) -> None:
    data = encode([RESULTS], [[(r.success, r.data) for r in given_results]])
    last_padding = -len(given_results[-1].data) % 32
    if cut <= last_padding:
        cut = last_padding + 1
    with pytest.raises(AbiMismatch):
        unframe(data[: max(0, len(data) - cut)], len(given_results))


@given(st.binary(max_size=300), st.integers(0, 5))
def test_no_bytes_are_read_as_something_else(data: bytes, count: int) -> None:
    try:
        found = unframe(data, count)
    except AbiMismatch:
        return
    assert [(r.success, r.data) for r in found] == list(decode([RESULTS], data)[0])


def test_a_wrong_number_of_results_is_refused() -> None:
    data = encode([RESULTS], [[(True, b""), (True, b"")]])
    with pytest.raises(AbiMismatch, match="no list of 3 results"):
        unframe(data, 3)


@given(addresses, st.lists(entries, min_size=1, max_size=3), st.lists(results, min_size=1, max_size=3))
def test_what_the_rollback_passes_on_and_brings_back(
    stage: str, inside: list[Entry], came_back: list[Result]
) -> None:
    entry = wrapped(checksummed(stage), inside)
    assert entry.to == ROLLBACK
    assert entry.data[:32] == bytes(12) + bytes.fromhex(stage[2:])
    assert "0x" + entry.data[32:].hex() == frame(inside)

    data = encode([RESULTS], [[(r.success, r.data) for r in came_back]])
    assert unwrapped(Result(False, (1).to_bytes(32, "big") + data), len(came_back)) == came_back
    assert unwrapped(Result(False, bytes(32) + data), len(came_back)) is None
    assert unwrapped(Result(False, b""), len(came_back)) is None
    assert unwrapped(Result(True, (1).to_bytes(32, "big") + data), len(came_back)) is None
