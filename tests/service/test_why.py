"""Answers from a real journal: the newest first, the same in a row counted once."""

from pathlib import Path

import pytest

from keeper.journal.journal import Journal, read
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import Decision, MarginCall, MoveCollateral, Plan, Reason, Step, action_id
from keeper.model.record import RecordKind
from keeper.model.units import Wad
from keeper.service.why import UnknownSubjectError, Why, why
from tests.service.sample import DESK, PARAMS, at

PUT = "lyra:10:3"


def decision(subject: str, step: Step, health: float) -> Decision:
    return Decision(
        subject=subject,
        step=step,
        rule=step.value,
        health=health,
        threshold=1.2,
        reason=Reason(text=f"health {health}", numbers=(("health", health),)),
    )


TOP_UP = MoveCollateral(
    subject=PUT,
    reason=Reason(text="top up"),
    protocol="lyra",
    chain_id=10,
    account=PUT,
    owner=DESK,
    asset="sUSD",
    amount=Wad(10**18),
    direction="add",
)
CALL = MarginCall(
    subject="lyra:10:4", reason=Reason(text="call"), owner=DESK, amount_usd=Wad(10**18), deadline_s=0
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Three quiet cycles, one that acts, one quiet one."""
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as writing:
        for n, health in enumerate((1.5, 1.4, 1.3, 1.02, 1.35)):
            snapshot = at(1_000 + n)
            acts = health < 1.05
            plan = Plan(
                snapshot_digest=snapshot.digest,
                params_digest=PARAMS.digest,
                decisions=(
                    decision("desk/ETH", Step.NONE, 1.0),
                    decision(PUT, Step.REBALANCE if acts else Step.NONE, health),
                ),
                actions=(TOP_UP, CALL) if acts else (),
            )
            writing.decided(f"c-{n}", snapshot, PARAMS, plan, ())
            outcomes = (
                Outcome(
                    intent_id="i",
                    action_id=action_id(TOP_UP),
                    chain_id=10,
                    state=TxState.CONFIRMED,
                    success=True,
                    reason="",
                ),
            )
            writing.done(f"c-{n}", snapshot.taken_at_s, plan.id, outcomes if acts else ())
    return path


def ask(journal: Path, subject: str, last: int = 5) -> tuple[Why, ...]:
    return why(read(journal), subject, last=last)


def test_the_newest_decision_comes_first(journal: Path) -> None:
    found = ask(journal, PUT)
    assert [(w.cycle_id, w.decision.step, w.cycles) for w in found] == [
        ("c-4", Step.NONE, 1),
        ("c-3", Step.REBALANCE, 1),
        ("c-2", Step.NONE, 3),
    ]
    assert (found[2].since_s, found[2].chain_time_s) == (1_000, 1_002)


def test_an_action_comes_with_what_came_of_it(journal: Path) -> None:
    acted = ask(journal, PUT)[1]
    assert acted.actions == (TOP_UP,)
    assert [o.state for o in acted.outcomes] == [TxState.CONFIRMED]


@pytest.mark.parametrize("asked", ["lyra:10:3", "LYRA:10:3", "lyra:10", "3"])
def test_the_end_or_the_beginning_of_a_name_is_enough(journal: Path, asked: str) -> None:
    assert {w.decision.subject for w in ask(journal, asked)} == {PUT}


def test_a_profile_names_its_hedges(journal: Path) -> None:
    assert {w.decision.subject for w in ask(journal, "desk")} == {"desk/ETH"}
    assert ask(journal, "desk")[0].cycles == 5


def test_a_part_of_a_name_is_not_a_name(journal: Path) -> None:
    with pytest.raises(UnknownSubjectError) as caught:
        ask(journal, "des")
    assert caught.value.known == ("desk/ETH", PUT)


def test_no_more_than_asked_for(journal: Path) -> None:
    assert [w.cycle_id for w in ask(journal, PUT, last=1)] == ["c-4"]


def test_a_journal_without_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as writing:
        writing.append(RecordKind.OPENED, "", 0, {})
    with pytest.raises(UnknownSubjectError, match="decided on nothing"):
        ask(path, "desk")
