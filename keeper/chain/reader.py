"""All that is asked of one pool of endpoints: calls, logs, simulations, and plain facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keeper.chain.calls import CallReader
from keeper.chain.facts import Facts
from keeper.chain.logs import LogReader
from keeper.chain.pinned import PinnedCalls
from keeper.chain.pool import NodePool
from keeper.chain.pricing import FeeRules
from keeper.chain.settings import GasBy
from keeper.chain.simulation import Simulator
from keeper.model.reads import Address, Call, Failed, Logs, Read
from keeper.model.snapshot import BlockRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a chain is read; see the example configuration for units."""

    name: str
    chain_id: int
    multicall: Address
    call_gas: int
    gas_by: GasBy
    log_blocks: int
    fees: FeeRules


class Reader:
    """Answers reads at pinned blocks, and simulates at the head."""

    def __init__(self, pool: NodePool, reading: Reading) -> None:
        self.pool = pool
        self.pinned = PinnedCalls(pool, reading.chain_id)
        self.facts = Facts(pool, reading.chain_id, reading.fees)
        self.simulator = Simulator(
            pool, multicall=reading.multicall, call_gas=reading.call_gas, gas_by=reading.gas_by
        )
        self._calls = CallReader(
            pool,
            self.pinned,
            name=reading.name,
            chain_id=reading.chain_id,
            multicall=reading.multicall,
            call_gas=reading.call_gas,
        )
        self._logs = LogReader(pool, self.pinned, widest_range=reading.log_blocks)

    def answer(self, reads: Sequence[Read], at: BlockRef) -> list[Any]:
        """Answer one list of reads at block `at`.

        Raises `PinnedBlockGone`, `NodeUnreachable`, `MulticallMissing`, `AbiMissing`.
        """
        answers: list[Any] = [None] * len(reads)
        calls = [(i, read) for i, read in enumerate(reads) if isinstance(read, Call)]
        decoded = self._calls.answer([call for _, call in calls], at)
        for (i, _), answer in zip(calls, decoded, strict=True):
            answers[i] = answer
        for i, read in enumerate(reads):
            if isinstance(read, Logs):
                answers[i] = self._logs.answer(read, at)
            elif not isinstance(read, Call):
                answers[i] = Failed(f"{read.venue} {read.method}", "a chain answers calls and logs only")
        return answers
