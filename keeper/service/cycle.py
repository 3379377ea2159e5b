"""One cycle: observe, decide, record, act, record. The only place that sees every layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from keeper.model.intent import Outcome
from keeper.model.plan import Plan
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import Decided


class CycleJournal(Protocol):
    """Append-only. Each method returns only when its records are on disk."""

    def decided(self, cycle_id: str, snapshot: Snapshot, decided: Decided) -> None:
        """Record what was seen and what will be done about it."""
        ...

    def done(self, cycle_id: str, snapshot: Snapshot, outcomes: Sequence[Outcome]) -> None:
        """Record what came of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Built once in `service.wire` from the settings; a test builds it from its own functions."""

    observe: Callable[[], Snapshot]
    """Chains and markets to a snapshot. The only reads of a cycle."""

    decide: Callable[[Snapshot], Decided]
    """Pure: `policy.decide`. `replay` calls the same function on journaled snapshots."""

    execute: Callable[[str, Plan, Snapshot], Sequence[Outcome]]
    """Simulate, and in live mode sign and send. In dry-run mode it holds no signer."""

    journal: CycleJournal

    name: Callable[[Snapshot], str]
    """The cycle's id, unique in its journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one cycle saw, decided and did."""

    id: str
    snapshot: Snapshot
    decided: Decided
    outcomes: tuple[Outcome, ...]


def run_cycle(stages: Stages) -> Cycle:
    """Run one cycle. Raises `KeeperError`; `service.daemon` maps its kind to a reaction."""
    snapshot = stages.observe()
    cycle_id = stages.name(snapshot)
    decided = stages.decide(snapshot)
    stages.journal.decided(cycle_id, snapshot, decided)  # before the first transaction, so a crash explains
    outcomes = tuple(stages.execute(cycle_id, decided.plan, snapshot))
    stages.journal.done(cycle_id, snapshot, outcomes)
    return Cycle(id=cycle_id, snapshot=snapshot, decided=decided, outcomes=outcomes)
