"""Marking, in the journal, cycles that were decided on a block which a reorg has taken since."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from keeper.journal.decode import orphaned_of
from keeper.journal.journal import Journal
from keeper.model.errors import DataError, TransientError
from keeper.model.intent import Outcome
from keeper.model.record import Orphaned, Record, RecordKind
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.policy.decide import Decided
from keeper.service.cycle import CycleJournal
from keeper.snapshot.orphans import Trail, blocks_of

_RESTORED: Final = 32
"""Snapshots of the run before that are remembered: each takes a start some milliseconds to read."""

log = structlog.get_logger()


class Chain(Protocol):
    """What is asked of a chain. `keeper.chain.client.ChainClient` is one."""

    def block(self, number: int) -> BlockRef | None:
        """Return a block by number; None above the head."""
        ...

    def final_number(self, head: BlockRef, after_blocks: int) -> int:
        """Return the number up to which blocks are final."""
        ...


class OrphanWatch:
    """The journal of a cycle, which looks at every new snapshot for what it tells of those before.

    An intent that was decided on an orphan and is not signed yet is dropped with that reason. What is signed
    or sent is followed as ever: it may land whatever it was decided on, and was simulated at the head.
    """

    def __init__(
        self,
        inner: CycleJournal,
        journal: Journal,
        chains: Mapping[int, Chain],
        final_after_blocks: Mapping[int, int],
        drop: Callable[[str, int, Mapping[str, str]], object],
    ) -> None:
        """Wire it, and remember the last snapshots of the run before. No chain is asked.

        `drop` is `Executor.drop_unsigned_of`.
        """
        self._inner = inner
        self._journal = journal
        self._chains = chains
        self._final_after_blocks = final_after_blocks
        self._drop = drop
        self._trails = {chain_id: Trail() for chain_id in chains}
        self._restore()

    def decided(self, cycle_id: str, snapshot: Snapshot, decided: Decided) -> None:
        """Record what was seen and decided, then what the new blocks show of the old ones."""
        self._inner.decided(cycle_id, snapshot, decided)
        self.look(cycle_id, snapshot)

    def done(self, cycle_id: str, snapshot: Snapshot, outcomes: Sequence[Outcome]) -> None:
        """Record what came of it."""
        self._inner.done(cycle_id, snapshot, outcomes)

    def look(self, cycle_id: str, snapshot: Snapshot) -> tuple[Orphaned, ...]:
        """Find, record and return orphans; drop what was decided on them and is not signed."""
        found = [o for block in snapshot.blocks for o in self._look(cycle_id, snapshot.taken_at_s, block)]
        for orphan in found:
            self._journal.orphaned(orphan)
            log.warning("decided on an orphan", cycle=orphan.cycle_id, why=orphan.message)
        if found:
            self._drop(cycle_id, snapshot.taken_at_s, {o.cycle_id: o.message for o in found})
        return tuple(found)

    def _look(self, cycle_id: str, chain_time_s: int, block: BlockRef) -> list[Orphaned]:
        chain, trail = self._chains[block.chain_id], self._trails[block.chain_id]
        look = trail.look(cycle_id, chain_time_s, block, self._final(chain, block))
        try:
            number = next(look)
            while True:
                there = chain.block(number)
                number = look.send(None if there is None else there.hash)
        except StopIteration as done:
            found: list[Orphaned] = done.value
            return found
        except (TransientError, DataError):
            look.close()
            return []

    def _final(self, chain: Chain, block: BlockRef) -> int:
        try:
            return chain.final_number(block, self._final_after_blocks[block.chain_id])
        except (TransientError, DataError):
            return -1

    def _restore(self) -> None:
        """Remember blocks of the last snapshots that the journal holds in its newest file."""
        cycles: dict[str, list[Record]] = {}
        known: set[tuple[str, int]] = set()
        left = _RESTORED
        for record in self._journal.recent((RecordKind.PLAN, RecordKind.SNAPSHOT, RecordKind.ORPHANED)):
            if record.kind is RecordKind.ORPHANED:
                orphan = orphaned_of(record)
                known.add((orphan.cycle_id, orphan.chain_id))
            elif record.kind is RecordKind.PLAN:
                cycles.setdefault(str(record.body["plan"]["snapshot_digest"]), []).append(record)
            else:
                self._restore_snapshot(record.body, cycles.pop(str(record.body["digest"]), []), known)
                left -= 1
                if left == 0:
                    return

    def _restore_snapshot(
        self, body: Mapping[str, Any], plans: Sequence[Record], known: set[tuple[str, int]]
    ) -> None:
        for block in blocks_of(body["snapshot"]["blocks"]):
            for plan in plans:
                if block.chain_id in self._trails and (plan.cycle_id, block.chain_id) not in known:
                    self._trails[block.chain_id].restore(plan.cycle_id, plan.chain_time_s, block)
