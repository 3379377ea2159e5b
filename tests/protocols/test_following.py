"""Following events across cycles: a reorg is read again, another chain starts over."""

from hypothesis import given
from hypothesis import strategies as st

from keeper.model.snapshot import BlockRef
from keeper.protocols.adapter import Found
from keeper.protocols.following import REORG_BLOCKS, next_from, starts_over

blocks = st.integers(0, 10**9)


def at(number: int) -> BlockRef:
    return BlockRef(chain_id=1, number=number, hash="0x", parent_hash="0x", timestamp_s=0)


def test_nothing_known_starts_over() -> None:
    assert starts_over(Found(), at(0))
    assert not starts_over(Found(next_block=1), at(0))


@given(blocks, blocks, blocks)
def test_no_block_is_skipped(next_block: int, from_block: int, head: int) -> None:
    known = Found(next_block=next_block)
    first = from_block if starts_over(known, at(head)) else next_from(known, from_block)
    assert first >= from_block
    assert first <= max(from_block, next_block)
    if not starts_over(known, at(head)) and next_block >= from_block + REORG_BLOCKS:
        assert first == next_block - REORG_BLOCKS


@given(st.integers(1, 10**9), st.integers(-REORG_BLOCKS, REORG_BLOCKS))
def test_a_head_that_steps_back_a_little_does_not_start_over(next_block: int, step: int) -> None:
    head = max(0, next_block - 1 + step)
    assert not starts_over(Found(next_block=next_block), at(head))
