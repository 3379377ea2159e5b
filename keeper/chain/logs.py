"""Answers `Logs` up to a pinned block: ranges of blocks, narrowed where a node refuses so many."""

from typing import Any, Final

from keeper.chain.abi import decode_log, event
from keeper.chain.errors import AbiMismatch, NodeRefused, NodeUnreachable
from keeper.chain.pinned import PinnedCalls
from keeper.chain.pool import NodePool
from keeper.model.reads import Failed, Log, Logs
from keeper.model.snapshot import BlockRef

_ATTEMPTS: Final = 3


class LogReader:
    """Answers the log reads of one chain."""

    def __init__(self, pool: NodePool, pinned: PinnedCalls, *, widest_range: int) -> None:
        self._pool = pool
        self._pinned = pinned
        self._widest_range = widest_range
        self._range = widest_range
        """Blocks per request; halved where a node refuses so many, in whatever way, doubled with the next
        list of reads."""

    def answer(self, logs: Logs, at: BlockRef) -> tuple[Log, ...] | Failed:
        """Return all events from `logs.from_block` to `at`, in chain order.

        One unreadable range makes the whole answer `Failed`: half a history would pass for a whole one.
        Raises `PinnedBlockGone` when the chain changed meanwhile, `NodeUnreachable`, `AbiMissing`.
        """
        topics = ["0x" + event(logs.contract, name).selector.hex() for name in logs.events]
        if logs.from_block > at.number:
            return ()
        self._range = min(self._widest_range, 2 * self._range)
        try:
            raws = self._from_one_endpoint(logs, topics, at)
            found = [self._checked(logs, raw, at) for raw in raws if not _removed(logs, raw)]
        except (NodeRefused, AbiMismatch) as problem:
            return Failed(_shown(logs), str(problem))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
            return Failed(_shown(logs), f"malformed log ({type(problem).__name__}: {problem})")
        return tuple(sorted(found, key=lambda log: (log.block_number, log.log_index)))

    def _from_one_endpoint(self, logs: Logs, topics: list[str], at: BlockRef) -> list[Any]:
        """Read all ranges from one endpoint: another one's may end below the pinned block."""
        for _ in range(_ATTEMPTS):
            switches = self._pool.switches
            raws = self._all(logs, topics, at)
            # The ranges are named by numbers, so only this tells whose logs they are.
            self._pinned.require_canonical(at)
            if self._pool.switches == switches:
                return raws
        raise NodeUnreachable(_shown(logs), ("the endpoint changed in the middle, every time",))

    def _all(self, logs: Logs, topics: list[str], at: BlockRef) -> list[Any]:
        raws: list[Any] = []
        first = logs.from_block
        while first <= at.number:
            last = min(at.number, first + self._range - 1)
            try:
                raws += self._range_of(logs, topics, first, last)
            except NodeRefused:
                # Nodes word their limits in many ways, so every refusal is taken for one until a single
                # block is refused too.
                if last == first:
                    self._range = self._widest_range
                    raise
            except NodeUnreachable:
                # So may be silence, and a code that stands for the rate too: a single block shows which.
                if last == first:
                    raise
                self._range_of(logs, topics, first, first)
            else:
                first = last + 1
                continue
            self._range = (last - first + 1) // 2
        return raws

    def _range_of(self, logs: Logs, topics: list[str], first: int, last: int) -> list[Any]:
        question = {
            "address": logs.to, "topics": [topics], "fromBlock": hex(first), "toBlock": hex(last)
        }  # fmt: skip
        told = self._pool.request("eth_getLogs", [question], sized=last > first)
        if not isinstance(told, list):
            # An empty object or string would pass for a range without events.
            raise AbiMismatch(_shown(logs), f"answered {str(told)[:40]!r}, expected a list of logs")
        return told

    def _checked(self, logs: Logs, raw: Any, at: BlockRef) -> Log:
        log = decode_log(logs.contract, logs.events, raw)
        if raw["address"].lower() != logs.to.lower() or not logs.from_block <= log.block_number <= at.number:
            raise AbiMismatch(
                _shown(logs), f"was given a log of {raw['address']} in block {log.block_number}"
            )
        return log


def _removed(logs: Logs, raw: Any) -> bool:
    """Whether a log is of a block that was taken by a reorg."""
    removed = raw.get("removed")
    if removed is not None and not isinstance(removed, bool):
        raise AbiMismatch(_shown(logs), f"was given a log that is {str(removed)[:40]!r} removed")
    return removed is True


def _shown(logs: Logs) -> str:
    return f"{logs.contract}.{'|'.join(logs.events)} from block {logs.from_block}"
