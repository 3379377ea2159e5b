"""Order matters: nothing is sent that was not first recorded."""

from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest

from keeper.model.errors import DataError, KeeperError
from keeper.model.intent import Outcome
from keeper.model.plan import Plan
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import Decided
from keeper.service.cycle import Stages, run_cycle
from tests.service.sample import SNAPSHOT

PLAN = Plan(snapshot_digest="s", params_digest="p", decisions=(), actions=())
DECIDED = Decided(plan=PLAN, profiles=())


class Tape:
    """Stages and a journal that write down the order in which they were called."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stages(
        self,
        *,
        observe: Callable[[], Snapshot] = lambda: SNAPSHOT,
        decide: Callable[[Snapshot], Decided] = lambda _: DECIDED,
        execute: Callable[[str, Plan, Snapshot], Sequence[Outcome]] | None = None,
    ) -> Stages:
        return Stages(
            observe=observe,
            decide=decide,
            execute=execute or self.execute,
            journal=self,
            name=lambda snapshot: f"cycle-{snapshot.taken_at_s}",
        )

    def execute(self, cycle_id: str, plan: Plan, snapshot: Snapshot) -> tuple[Outcome, ...]:
        assert (plan, snapshot) == (PLAN, SNAPSHOT)
        self.lines.append(f"execute {cycle_id}")
        return ()

    def decided(self, cycle_id: str, snapshot: Snapshot, decided: Decided) -> None:
        assert (snapshot, decided) == (SNAPSHOT, DECIDED)
        self.lines.append(f"decided {cycle_id}")

    def done(self, cycle_id: str, snapshot: Snapshot, outcomes: Sequence[Outcome]) -> None:
        self.lines.append(f"done {cycle_id}")


def raises(error: KeeperError) -> Callable[..., NoReturn]:
    def stage(*_: object) -> NoReturn:
        raise error

    return stage


@pytest.fixture
def tape() -> Tape:
    return Tape()


def test_plan_is_recorded_before_it_is_executed(tape: Tape) -> None:
    cycle = run_cycle(tape.stages())
    name = f"cycle-{SNAPSHOT.taken_at_s}"
    assert tape.lines == [f"decided {name}", f"execute {name}", f"done {name}"]
    assert (cycle.id, cycle.snapshot, cycle.decided, cycle.outcomes) == (name, SNAPSHOT, DECIDED, ())


def test_no_snapshot_no_action(tape: Tape) -> None:
    with pytest.raises(DataError):
        run_cycle(tape.stages(observe=raises(DataError("two nodes disagree on block 100"))))
    assert tape.lines == []


def test_no_decision_no_action(tape: Tape) -> None:
    with pytest.raises(DataError):
        run_cycle(tape.stages(decide=raises(DataError("a price is not finite"))))
    assert tape.lines == []


def test_what_cannot_be_recorded_is_not_done(tape: Tape) -> None:
    class Full(Tape):
        def decided(self, cycle_id: str, snapshot: Snapshot, decided: Decided) -> None:
            raise DataError("no space left")

    full = Full()
    with pytest.raises(DataError):
        run_cycle(full.stages())
    assert full.lines == []


def test_a_failed_execution_leaves_the_decision_on_record(tape: Tape) -> None:
    with pytest.raises(DataError):
        run_cycle(tape.stages(execute=raises(DataError("the node went away"))))
    assert [line.split()[0] for line in tape.lines] == ["decided"]
