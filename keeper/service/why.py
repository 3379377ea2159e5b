"""What was decided about a subject, and why: read from the journal, the newest cycle first."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keeper.journal.decode import orphaned_of, outcomes_of, plan_of
from keeper.model.errors import DataError
from keeper.model.intent import Outcome
from keeper.model.plan import Action, Decision, Plan, action_id
from keeper.model.record import Orphaned, Record, RecordKind

TOLD_BY: Final = (RecordKind.PLAN, RecordKind.OUTCOME, RecordKind.ORPHANED)
"""Kinds of record that an answer rests on."""


class UnknownSubjectError(DataError):
    """No journaled decision is about the subject."""

    subject: str
    known: tuple[str, ...]
    """Subjects of the last plan."""

    def __init__(self, subject: str, known: Sequence[str]) -> None:
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        super().__init__(
            f"the journal holds no decision about {subject}; the last plan decided on {listed or 'nothing'}"
        )
        self.subject = subject
        self.known = tuple(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What one or more cycles in a row decided about one subject, for the same reason."""

    cycle_id: str
    """The newest of them."""

    chain_time_s: int
    decision: Decision
    actions: tuple[Action, ...]
    outcomes: tuple[Outcome, ...]
    cycles: int = 1
    since_s: int = 0
    """Chain time of the oldest of them."""

    orphaned: tuple[Orphaned, ...] = ()
    """Blocks under them that a reorg has taken since."""


def why(records: Iterable[Record], subject: str, *, last: int = 5) -> tuple[Why, ...]:
    """Return the last different decisions about every subject that `subject` names, newest first.

    `subject` is an account id, a profile, `<profile>/<underlying>`, an owner's address, or the
    beginning or end of one. Cycles in a row that decided the same count as one, with their number.

    Raises `UnknownSubjectError`, and what reading the journal raises.
    """
    found: dict[str, deque[Why]] = {}
    known: tuple[str, ...] = ()
    plan: Plan | None = None
    for record in records:
        if record.kind is RecordKind.PLAN:
            plan = plan_of(record)
            known = tuple(decision.subject for decision in plan.decisions)
            for decision in plan.decisions:
                if _names(subject, decision.subject):
                    _add(found.setdefault(decision.subject, deque(maxlen=last)), record, decision, plan)
        elif record.kind is RecordKind.OUTCOME and plan is not None:
            _fill(found, record)
        elif record.kind is RecordKind.ORPHANED:
            _orphan(found, orphaned_of(record))
    if not found:
        raise UnknownSubjectError(subject, known)
    listed = [entry for entries in found.values() for entry in entries]
    return tuple(sorted(listed, key=lambda w: (-w.chain_time_s, w.decision.subject)))


def _names(asked: str, subject: str) -> bool:
    """Whether a person who asks for `asked` means `subject`."""
    a, s = asked.lower(), subject.lower()
    return s == a or s.startswith((f"{a}/", f"{a}:")) or s.endswith((f"/{a}", f":{a}"))


def _add(entries: deque[Why], record: Record, decision: Decision, plan: Plan) -> None:
    actions = tuple(action for action in plan.actions if action.subject == decision.subject)
    entry = Why(
        cycle_id=record.cycle_id,
        chain_time_s=record.chain_time_s,
        decision=decision,
        actions=actions,
        outcomes=(),
        since_s=record.chain_time_s,
    )
    if entries and not actions and not entries[-1].actions and _same(entries[-1].decision, decision):
        before = entries.pop()
        entry = replace(entry, cycles=before.cycles + 1, since_s=before.since_s, orphaned=before.orphaned)
    entries.append(entry)


def _same(a: Decision, b: Decision) -> bool:
    return (a.step, a.rule) == (b.step, b.rule)


def _fill(found: dict[str, deque[Why]], record: Record) -> None:
    outcomes = outcomes_of(record)
    for entries in found.values():
        if entries and entries[-1].cycle_id == record.cycle_id:
            mine = {action_id(action) for action in entries[-1].actions}
            entries.append(replace(entries.pop(), outcomes=tuple(o for o in outcomes if o.action_id in mine)))


def _orphan(found: dict[str, deque[Why]], orphan: Orphaned) -> None:
    """Mark the entry of every subject that the orphaned cycle is one of: cycles in a row share one."""
    for entries in found.values():
        for i, entry in enumerate(entries):
            within = entry.since_s <= orphan.chain_time_s <= entry.chain_time_s
            if entry.cycle_id == orphan.cycle_id or (entry.cycles > 1 and within):
                entries[i] = replace(entry, orphaned=(*entry.orphaned, orphan))
                break
