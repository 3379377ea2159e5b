"""Which snapshots rested on a block that a reorg has taken: found out later, with as few questions as can be.

Blocks of past snapshots are remembered until they are final. As a rule a cycle's block names the one before
it as its parent, and nothing is asked. Where it does not, the chain is asked what has the highest number of
them now: if that is the block remembered, those below it are its ancestors; if not, it is an orphan, and the
next one below is asked about. Pure: who asks is elsewhere.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keeper.model.record import Orphaned
from keeper.model.snapshot import BlockRef

MOST_BLOCKS: Final = 2_000
"""Remembered of one chain: more than an hour of Optimism's, between its head and what is finalized."""

_MOST_CYCLES: Final = 64
"""Remembered of one block: a chain that stands still is looked at again and again."""

Look: TypeAlias = Generator[int, str | None, list[Orphaned]]
"""Yields block numbers, receives the hash of each; None where the chain does not reach so far."""


@dataclass(slots=True)
class _Pinned:
    block: BlockRef
    cycles: list[tuple[str, int]]
    """Id of each cycle that rests on it, and the chain time of its snapshot."""

    loose: bool = False
    """The block remembered below it may be none of its ancestors: it is asked about too."""

    def orphaned(self, replaced_by: str) -> list[Orphaned]:
        return [
            Orphaned(
                cycle_id=cycle_id,
                chain_time_s=chain_time_s,
                chain_id=self.block.chain_id,
                number=self.block.number,
                hash=self.block.hash,
                replaced_by=replaced_by,
            )
            for cycle_id, chain_time_s in self.cycles
        ]


@dataclass(slots=True)
class Trail:
    """Blocks of one chain that past snapshots rest on and a reorg may still take, lowest first."""

    pinned: list[_Pinned] = field(default_factory=list)

    def restore(self, cycle_id: str, chain_time_s: int, block: BlockRef) -> None:
        """Remember a block of an earlier run, whose place on the chain is not known."""
        self._remember(_Pinned(block, [(cycle_id, chain_time_s)], loose=True))

    def look(self, cycle_id: str, chain_time_s: int, block: BlockRef, final: int) -> Look:
        """Find the orphans that a cycle's newly pinned block shows; then remember it.

        Blocks up to the number `final` are forgotten once they are known to be on the chain. Where a question
        is not answered, close the generator: the next look asks what this one could not.
        """
        found: list[Orphaned] = []
        kept: list[_Pinned] = []
        joined: list[_Pinned] = []
        walked = False
        try:
            for i in range(len(self.pinned) - 1, -1, -1):
                one = self.pinned[i]
                now = self._shown(one, block)
                if now is None:
                    now = yield one.block.number
                if now is None:
                    one.loose = True
                    kept.append(one)
                elif now != one.block.hash:
                    found += one.orphaned(now)
                else:
                    kept.append(one)
                    if not one.loose:
                        kept += reversed(self.pinned[:i])
                        break
                    joined.append(one)
            walked = True
        finally:
            if walked:
                for one in joined:
                    one.loose = False
                self.pinned = [one for one in reversed(kept) if one.block.number > final]
            self._remember(_Pinned(block, [(cycle_id, chain_time_s)], loose=not walked))
        return sorted(found, key=lambda orphan: (orphan.chain_time_s, orphan.cycle_id))

    @staticmethod
    def _shown(one: _Pinned, block: BlockRef) -> str | None:
        """Return the hash at a remembered block's number, where the newly pinned block shows it."""
        if one.block.number == block.number:
            return block.hash
        return block.parent_hash if one.block.number == block.number - 1 else None

    def _remember(self, new: _Pinned) -> None:
        for one in self.pinned:
            if one.block.hash == new.block.hash:
                one.cycles += new.cycles
                del one.cycles[:-_MOST_CYCLES]
                return
        self.pinned.append(new)
        self.pinned.sort(key=lambda one: one.block.number)
        del self.pinned[:-MOST_BLOCKS]


def blocks_of(raw: Sequence[dict[str, object]]) -> tuple[BlockRef, ...]:
    """Return the blocks of a journaled snapshot, from its JSON."""
    return tuple(BlockRef(**block) for block in raw)  # type: ignore[arg-type]
