"""Replaying a journal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from keeper.journal.decode import orphaned_of, params_of, plan_of, snapshot_of
from keeper.journal.journal import read
from keeper.model.canonical import plain
from keeper.model.errors import KeeperError
from keeper.model.params import Params
from keeper.model.record import Orphaned, Record, RecordKind
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import Decided, decide
from keeper.replay.compare import TOLERANCE, Difference, differences
from keeper.replay.errors import InputMissingError, UnknownCycleError
from keeper.replay.recorded import INPUTS

_SHOWN: Final = 10
"""Differences kept of one cycle, the greatest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One cycle, decided again."""

    cycle_id: str
    sequence: int
    """Of the plan's record."""

    chain_time_s: int
    recorded_id: str
    recomputed_id: str
    """Empty when no plan came out: `error` says why."""

    error: str
    worst: float
    """Greatest relative difference of any float; infinite where something else differs."""

    differences: tuple[Difference, ...]
    """Those beyond the tolerance, the greatest first."""

    orphaned: tuple[Orphaned, ...] = ()
    """Blocks that it was decided on and that a reorg has taken since. The decision comes out the same."""

    @property
    def ok(self) -> bool:
        """Same plan id, and every figure within 1e-9."""
        return self.recorded_id == self.recomputed_id and not self.error and self.worst <= TOLERANCE


def replay(
    path: Path, cycle_id: str | None = None, *, policy: Callable[[Snapshot, Params], Decided] = decide
) -> tuple[Replayed, ...]:
    """Decide every journaled cycle again, or only `cycle_id`, and compare.

    Raises `JournalMissingError`, `JournalDamagedError`, and `UnknownCycleError`. A record that cannot be
    read back, or a policy that raises, is reported with its cycle.
    """
    orphans: dict[str, list[Orphaned]] = {}
    found = tuple(_replayed(path, cycle_id, policy, orphans))
    if cycle_id is not None and not found:
        raise UnknownCycleError(path, cycle_id)
    return tuple(replace(r, orphaned=tuple(orphans.get(r.cycle_id, ()))) for r in found)


def _replayed(
    path: Path,
    cycle_id: str | None,
    policy: Callable[[Snapshot, Params], Decided],
    orphans: dict[str, list[Orphaned]],
) -> Iterator[Replayed]:
    """Yield every cycle, and collect the orphans by cycle: they are known only later."""
    inputs: dict[RecordKind, Record] = {}
    for record in read(path, (*INPUTS, RecordKind.PLAN, RecordKind.ORPHANED)):
        if record.kind in INPUTS:
            inputs[record.kind] = record
        elif record.kind is RecordKind.ORPHANED:
            orphans.setdefault(record.cycle_id, []).append(orphaned_of(record))
        elif record.kind is RecordKind.PLAN and cycle_id in (None, record.cycle_id):
            yield _again(record, inputs, policy)


def _again(
    record: Record, inputs: dict[RecordKind, Record], policy: Callable[[Snapshot, Params], Decided]
) -> Replayed:
    recorded_id = str(record.body.get("plan_id", ""))
    try:
        plan = plan_of(record)
        recorded_id = plan.id
        snapshot = snapshot_of(_input(record, inputs, RecordKind.SNAPSHOT, plan.snapshot_digest))
        params = params_of(_input(record, inputs, RecordKind.PARAMS, plan.params_digest))
        decided = policy(snapshot, params)
    except KeeperError as error:
        return _result(record, recorded_id, "", f"{type(error).__name__}: {error}", ())
    then = {"plan": record.body["plan"], "profiles": record.body.get("profiles", [])}
    now = {"plan": plain(decided.plan), "profiles": plain(decided.profiles)}
    return _result(record, recorded_id, decided.plan.id, "", tuple(differences(then, now)))


def _input(record: Record, inputs: dict[RecordKind, Record], kind: RecordKind, digest: str) -> Record:
    found = inputs.get(kind)
    if found is None or found.body.get("digest") != digest:
        raise InputMissingError(record.cycle_id, kind.value, digest)
    return found


def _result(
    record: Record, recorded_id: str, recomputed_id: str, error: str, found: tuple[Difference, ...]
) -> Replayed:
    beyond = sorted((d for d in found if d.relative > TOLERANCE), key=lambda d: (-d.relative, d.where))
    return Replayed(
        cycle_id=record.cycle_id,
        sequence=record.sequence,
        chain_time_s=record.chain_time_s,
        recorded_id=recorded_id,
        recomputed_id=recomputed_id,
        error=error,
        worst=max((d.relative for d in found), default=0.0),
        differences=tuple(beyond[:_SHOWN]),
    )
