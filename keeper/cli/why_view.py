"""Answers of `keeper why`, as text and as `keeper.why/1`."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper.cli.plan_view import outcome_text, what
from keeper.cli.tables import STEP_STYLES, heading
from keeper.cli.text import brief, count, ratio, utc
from keeper.model.canonical import plain
from keeper.model.plan import action_id
from keeper.service.why import Why


def why_document(subject: str, found: Sequence[Why]) -> dict[str, Any]:
    """Return the `keeper.why/1` object, newest decision first."""
    return {
        "schema": "keeper.why/1",
        "subject": subject,
        "decisions": [
            {
                "cycle_id": entry.cycle_id,
                "chain_time_s": entry.chain_time_s,
                "since_s": entry.since_s,
                "cycles": entry.cycles,
                **plain(entry.decision),
                "actions": [{"id": action_id(a), **plain(a)} for a in entry.actions],
                "outcomes": plain(entry.outcomes),
                "orphaned": plain(entry.orphaned),
            }
            for entry in found
        ],
    }


def why_view(found: Sequence[Why], *, chains: Mapping[int, str]) -> RenderableType:
    """Return the decisions by subject, newest first."""
    parts: list[RenderableType] = []
    for subject in dict.fromkeys(entry.decision.subject for entry in found):
        parts.append(heading(subject))
        parts += [_entry(entry, chains) for entry in found if entry.decision.subject == subject]
    return Group(*parts)


def _entry(entry: Why, chains: Mapping[int, str]) -> RenderableType:
    decision = entry.decision
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    span = (
        f", the same in {count(entry.cycles, 'cycle')} since {utc(entry.since_s)}" if entry.cycles > 1 else ""
    )
    grid.add_row("", "")
    grid.add_row("when", f"{utc(entry.chain_time_s)}, cycle {entry.cycle_id}{span}")
    grid.add_row(
        "step",
        Text.assemble(
            (decision.step.value.replace("_", " "), STEP_STYLES[decision.step]),
            f"  by rule {decision.rule}  health {ratio(decision.health)}  limit {ratio(decision.threshold)}",
        ),
    )
    grid.add_row("why", brief(decision.reason.text))
    if decision.reason.numbers:
        grid.add_row("numbers", "  ".join(f"{name} {value:,.6g}" for name, value in decision.reason.numbers))
    for action in entry.actions:
        chain_id = getattr(action, "chain_id", None)
        where = f" on {chains.get(chain_id, str(chain_id))}" if chain_id is not None else ""
        grid.add_row("did", f"{action.kind.value.replace('_', ' ')}{where}: {what(action)}")
        grid.add_row("", Text(brief(action.reason.text), style="dim"))
        for outcome in entry.outcomes:
            if outcome.action_id == action_id(action):
                grid.add_row("outcome", outcome_text(outcome, " "))
    if not entry.actions:
        grid.add_row("did", "nothing")
    for orphan in entry.orphaned:
        grid.add_row("orphaned", Text(orphan.message, style="yellow"))
    return grid
