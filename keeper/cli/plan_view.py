"""The plan as tables: what is done and why, what is not done and why, and what is expected of it."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.tables import STEP_STYLES, boxed, heading, plain_table
from keeper.cli.text import NOTHING, brief, count, ratio, signed, usd
from keeper.model.intent import Outcome
from keeper.model.plan import (
    Action,
    Decision,
    Hedge,
    Liquidate,
    MarginCall,
    MoveCollateral,
    Plan,
    Refresh,
    Settle,
    Step,
    action_id,
)
from keeper.model.promise import Checked, Line, Proof
from keeper.model.units import to_float

SHOWN_QUIET = 8
"""Decisions without a step that a table lists unless all are asked for."""


def plan_view(
    plan: Plan, outcomes: Sequence[Outcome], *, chains: Mapping[int, str], rows: int | None = SHOWN_QUIET
) -> RenderableType:
    """Return a plan with what came of its transactions: simulations in dry-run, receipts in live mode."""
    by_action: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_action.setdefault(outcome.action_id, []).append(outcome)
    parts: list[RenderableType] = [
        heading(f"Plan {plan.id[:16]}", f"{count(len(plan.actions), 'action')}, "
                f"{count(len(plan.decisions), 'decision')}"),
        _actions(plan.actions, by_action, chains),
        *_promises(plan.actions, by_action),
        _decisions(plan.decisions, rows),
    ]  # fmt: skip
    if plan.expected:
        parts.append(_expected(plan))
    return Group(*parts)


def what(action: Action) -> str:
    """Return what an action does, with its amounts, in one line."""
    match action:
        case MarginCall():
            return f"ask the owner for {usd(to_float(action.amount_usd), 2)} USD"
        case Hedge():
            side = "buy" if action.size > 0 else "sell"
            limit = usd(to_float(action.limit_price), 2)
            return f"{side} {usd(abs(to_float(action.size)), 3)} perp, limit {limit} USD"
        case MoveCollateral():
            direction = "add" if action.direction == "add" else "withdraw"
            return f"{direction} {usd(to_float(action.amount), 2)} {action.asset}"
        case Liquidate():
            how = "take over" if action.takes_over else "close"
            return f"{how} up to {signed(to_float(action.max_size))}"
        case Settle():
            return f"settle board {action.board}, {count(len(action.accounts), 'account')}"
        case Refresh():
            return "refresh the venue's cached figures"


def _actions(
    actions: Sequence[Action], outcomes: Mapping[str, Sequence[Outcome]], chains: Mapping[int, str]
) -> RenderableType:
    if not actions:
        return Text("nothing to do\n", style="green")
    table = boxed(None)
    table.add_column("#", justify="right")
    table.add_column("action", no_wrap=True)
    table.add_column("on", no_wrap=True)
    table.add_column("subject, what and why", ratio=1)
    table.add_column("transaction", no_wrap=True)
    for number, action in enumerate(actions, start=1):
        chain_id = None if isinstance(action, MarginCall) else action.chain_id
        table.add_row(
            str(number),
            Text(action.kind.value.replace("_", " "), style="bold"),
            NOTHING if chain_id is None else chains.get(chain_id, str(chain_id)),
            Text.assemble(
                (brief(action.subject), "bold"), "\n", what(action), "\n", (brief(action.reason.text), "dim")
            ),
            Text("\n").join(_transactions(action, outcomes.get(action_id(action), ()))),
        )
    return table


def _transactions(action: Action, outcomes: Sequence[Outcome]) -> list[Text]:
    if isinstance(action, MarginCall):
        return [Text("none", style="dim")]
    return [outcome_text(outcome) for outcome in outcomes] or [Text("not encoded", style="yellow")]


def outcome_text(outcome: Outcome, joint: str = "\n") -> Text:
    """Return what came of a transaction: its receipt, or its simulation where it was not sent."""
    if outcome.tx_hash is not None:
        style = {True: "green", False: "bold red", None: "yellow"}[outcome.success]
        state = "reverted" if outcome.success is False else outcome.state.value
        block = f" #{outcome.block_number:,}" if outcome.block_number is not None else ""
        gas = f"gas {outcome.gas_used:,}" if outcome.gas_used is not None else ""
        return Text(joint.join(filter(None, (state + block, brief(outcome.tx_hash), gas))), style=style)
    simulation = outcome.simulation
    if simulation is None:
        return Text(joint.join(filter(None, (outcome.state.value, brief(outcome.reason)))), style="yellow")
    if simulation.ok:
        gas = f"gas {simulation.gas:,}" if simulation.gas is not None else ""
        return Text(joint.join(filter(None, ("simulated: ok", gas))), style="green")
    return Text(f"simulated: no{joint}{simulation.error}", style="dim" if simulation.benign else "bold red")


def _promises(
    actions: Sequence[Action], outcomes: Mapping[str, Sequence[Outcome]]
) -> tuple[RenderableType, ...]:
    """Return what each action was to move beside what its simulation moves, numbered as the actions are.

    What was to stay as it is, and does, is left out.
    """
    table = plain_table("Promised by the plan, and found in the simulation at the head")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("changes", ratio=1)
    for name in ("promised", "found"):
        table.add_column(name, justify="right")
    for number, action in enumerate(actions, start=1):
        proof = _proof(outcomes.get(action_id(action), ()))
        if proof is None:
            continue
        for line in proof.lines:
            if line.kept and not line.found:
                continue
            style = "" if line.kept else "dim" if proof.checked is Checked.NOT else "bold red"
            found = "not checked" if line.found is None else _amount(line.found, line)
            table.add_row(str(number), brief(line.name), _promised(line), Text(found, style=style))
    return (table,) if table.row_count else ()


def _proof(outcomes: Sequence[Outcome]) -> Proof | None:
    """Return the promise of an action: every transaction of it has the same."""
    simulations = [o.simulation for o in outcomes if o.simulation is not None]
    return next((s.promise for s in reversed(simulations) if s.promise is not None), None)


def _promised(line: Line) -> str:
    least, most = (None if raw is None else _amount(raw, line) for raw in (line.least, line.most))
    if least is not None and most is None and line.tolerance:
        return f"{least}, up to {_amount(line.tolerance, line).removeprefix('+')} less"
    if least is None or most is None:
        return f"at least {least}" if most is None else f"at most {most}"
    return least if least == most else f"{least} to {most}"


def _amount(raw: int, line: Line) -> str:
    """Return raw units for people; `--json` has every place."""
    text = f"{raw / 10**line.decimals:+,.6f}".rstrip("0").rstrip(".")
    return f"{text} {line.unit}".rstrip()


def _decisions(decisions: Sequence[Decision], rows: int | None) -> RenderableType:
    ranks = list(Step)
    ordered = sorted(
        decisions,
        key=lambda d: (
            -ranks.index(d.step),
            "/" not in d.subject,
            d.health is None,
            d.health or 0.0,
            d.subject,
        ),
    )
    quiet = [d for d in ordered if d.step is Step.NONE]
    hidden = 0 if rows is None else max(0, len(quiet) - rows)
    shown = ordered[: len(ordered) - hidden]
    table = plain_table("Decisions, with the reason for every inaction")
    table.add_column("subject", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("health", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("reason", ratio=1)
    for decision in shown:
        table.add_row(
            brief(decision.subject),
            Text(decision.step.value.replace("_", " "), style=STEP_STYLES[decision.step]),
            ratio(decision.health),
            ratio(decision.threshold),
            brief(decision.reason.text),
        )
    if hidden:
        table.caption = f"and {hidden} more without a step (--all lists them)"
    return table


def _expected(plan: Plan) -> RenderableType:
    table = plain_table("Net delta, if every action succeeds")
    for name in ("profile", "", "before, units", "after, units"):
        table.add_column(name, justify="right" if name.endswith("units") else "left", no_wrap=True)
    for line in plan.expected:
        table.add_row(line.profile, line.underlying, signed(line.before_base), signed(line.after_base))
    return table
