"""Following a venue's events from cycle to cycle, across reorgs and restarts."""

from typing import Final

from keeper.model.snapshot import BlockRef
from keeper.protocols.adapter import Found

REORG_BLOCKS: Final = 256
"""Events this far back are read again: a reorg may have changed them."""


def starts_over(known: Found, at: BlockRef) -> bool:
    """Tell whether nothing is known yet, or what is known is of another, longer chain."""
    return known.next_block == 0 or known.next_block > at.number + 1 + REORG_BLOCKS


def next_from(known: Found, from_block: int) -> int:
    """Return the first block to read events from."""
    return max(from_block, known.next_block - REORG_BLOCKS)
