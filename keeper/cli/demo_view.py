"""The demo's chapters for people, and its summary as `keeper.demo/1`."""

import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from keeper.cli.demo_story import Story, View, unmet
from keeper.cli.documents import health_document, plan_document, profile_document
from keeper.cli.health_view import health_view
from keeper.cli.output import console
from keeper.cli.plan_view import outcome_text, plan_view, what
from keeper.cli.profile_view import profile_view, profiles_view
from keeper.cli.tables import boxed, plain_table, verdict
from keeper.cli.text import brief, count, percent, ratio, signed, usd
from keeper.devnet.deployment import Deployment
from keeper.model.canonical import plain
from keeper.model.margin import MarginProfile, Role
from keeper.model.plan import action_id

ROWS = 5
"""Watched accounts and quiet decisions that the demo lists."""

CHAPTERS = {
    "before": "2  Before the move: every leg read, one margin profile",
    "drop": "3  The market drops on both chains",
    "plan": "4  Dry-run: what should be done, each transaction proven by simulation, nothing sent",
    "live": "5  Live: recorded first, then signed, sent and confirmed",
    "after": "6  After: read again from the chains",
    "audit": "7  Health, journal, replay",
}


def narrator(*, quiet: bool) -> "Narrator":
    """Return what tells the story; `quiet` tells nothing."""
    return Narrator(quiet=quiet)


class Narrator:
    """Prints each chapter as it happens."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console()
        self._since_s = time.monotonic()

    def built(self, deployment: Deployment, took_s: float) -> None:
        """Tell that the chains are up."""
        lines = [
            f"{chain.name}: chain {chain.chain_id} with {chain.protocol}, "
            f"{count(len(chain.contracts), 'contract')} of real bytecode"
            for chain in deployment.chains
        ]
        self._chapter("1  Two local chains", took_s, *(Text(line) for line in lines))

    def __call__(self, chapter: str, story: Story) -> None:
        """Tell one chapter."""
        now_s = time.monotonic()
        self._chapter(CHAPTERS[chapter], now_s - self._since_s, *_CHAPTERS[chapter](story))

    def end(self, story: Story, took_s: float, kept: Path | None) -> None:
        """Tell how the story ended."""
        table = plain_table("What the story had to show")
        table.add_column("")
        table.add_column("demand", no_wrap=True)
        table.add_column("found", overflow="fold")
        for demand in story.demands:
            table.add_row(verdict(demand.met, "ok", "no"), demand.name, brief(demand.found))
        missed = unmet(story.demands)
        total = (
            Text(f"all {len(story.demands)} demands met in {took_s:.1f} s", style="bold green")
            if not missed
            else Text(f"{len(missed)} of {len(story.demands)} demands not met", style="bold red")
        )
        where = Text(f"kept in {kept}" if kept else "both chains ended, no file left", style="dim")
        self._chapter("8  The end", None, table, total, where)

    def _chapter(self, title: str, took_s: float | None, *parts: RenderableType) -> None:
        if self._quiet:
            return
        took = "" if took_s is None else f"  {took_s:.1f} s"
        self._console.print()
        self._console.print(Rule(Text(f"{title}{took}", style="bold cyan"), align="left", style="dim"))
        for part in parts:
            self._console.print(part)
        self._since_s = time.monotonic()


def demo_document(story: Story, took_s: float) -> dict[str, Any]:
    """Return the `keeper.demo/1` object: demands, profiles before and after, plans, transactions."""
    return {
        "schema": "keeper.demo/1",
        "ok": story.ok,
        "took_s": round(took_s, 3),
        "demands": plain(tuple(story.demands)),
        "before": _view_document(story.before),
        "dropped": _view_document(story.dropped),
        "after": _view_document(story.after),
        "plan": plan_document(story.plan.decided.plan, story.plan.outcomes, live=False)
        if story.plan
        else None,
        "cycles": [
            {"id": c.id, **plan_document(c.decided.plan, c.outcomes, live=True)} for c in story.cycles
        ],
        "health": health_document(story.health) if story.health else None,
        "journal": plain(story.verdict),
        "replay": {"cycles": len(story.replayed), "same": sum(r.ok for r in story.replayed)},
    }


def _view_document(view: View | None) -> dict[str, Any] | None:
    return None if view is None else profile_document(view.snapshot, view.profiles)


def _before(story: Story) -> list[RenderableType]:
    return [
        profiles_view(
            story.before.snapshot,
            story.before.profiles,
            chains=story.settings.chain_names(),
            ladder=story.settings.params().ladder,
            rows=ROWS,
        )
    ]


def _drop(story: Story) -> list[RenderableType]:
    assert story.dropped is not None
    moves = [
        f"{name} {usd(price, 2)} -> {usd(new, 2)} USD ({percent(new / price - 1)})"
        for name, price in story.before.prices.items()
        if (new := story.dropped.prices.get(name)) is not None
    ]
    weak = [
        f"{brief(a.id)}: health {ratio(a.health)}{', liquidatable' if a.liquidatable else ''}"
        for p in story.dropped.profiles
        for a in sorted(p.accounts, key=lambda a: a.health or float("inf"))
        if a.liquidatable or (a.health is not None and a.health < story.settings.policy.ladder.call_below)
    ]
    return [Text("   ".join(moves), style="bold"), Text("\n".join(weak))]


def _plan(story: Story) -> list[RenderableType]:
    assert story.plan is not None
    chains = story.settings.chain_names()
    return [plan_view(story.plan.decided.plan, story.plan.outcomes, chains=chains, rows=ROWS)]


def _live(story: Story) -> list[RenderableType]:
    table = boxed(None)
    table.add_column("cycle")
    table.add_column("on")
    table.add_column("what", ratio=1)
    table.add_column("came of it", no_wrap=True)
    names = story.settings.chain_names()
    for number, cycle in enumerate(story.cycles, start=1):
        actions = {action_id(action): action for action in cycle.decided.plan.actions}
        if not cycle.outcomes:
            table.add_row(str(number), "", Text("nothing left to do", style="dim"), "")
        for outcome in cycle.outcomes:
            action = actions.get(outcome.action_id)
            text = f"{brief(action.subject)}: {what(action)}" if action else outcome.reason
            table.add_row(
                str(number),
                names.get(outcome.chain_id, str(outcome.chain_id)),
                text,
                outcome_text(outcome, "  "),
            )
    return [table]


def _after(story: Story) -> list[RenderableType]:
    assert story.after is not None
    assert story.dropped is not None
    own = story.after.profile(Role.OWN)
    described = {i.id: i for i in story.after.snapshot.instruments}
    return [
        _side_by_side(story.before, story.dropped, story.after),
        profile_view(own, described, ladder=story.settings.params().ladder),
    ]


def _side_by_side(before: View, dropped: View, after: View) -> RenderableType:
    table = boxed("Own profile")
    table.add_column("")
    for title in ("before the move", "after the move", "after the keeper"):
        table.add_column(title, justify="right")
    views = [view.profile(Role.OWN) for view in (before, dropped, after)]
    for name in dict.fromkeys(e.underlying for p in views for e in p.exposures):
        table.add_row(f"net delta, {name}", *(signed(_delta(p, name)) for p in views))
    rows = (
        ("venue equity, USD", [p.venue_sum.equity_usd for p in views]),
        ("venue initial, USD", [p.venue_sum.initial_usd for p in views]),
        ("venue maintenance, USD", [p.venue_sum.maintenance_usd for p in views]),
        ("house gross scan, USD", [p.house.gross_scan_usd for p in views]),
        ("house netted scan, USD", [p.house.scan_usd for p in views]),
        ("netting benefit, USD", [p.netting_benefit_usd for p in views]),
        ("house initial, USD", [p.house.initial_usd for p in views]),
        ("house maintenance, USD", [p.house.maintenance_usd for p in views]),
    )
    for title, figures in rows:
        table.add_row(title, *(usd(figure) for figure in figures))
    table.add_row("weakest account, health", *(ratio(_weakest(p)) for p in views))
    table.add_row("reached in time", *(_reached(p) for p in views))
    watched = [view.profile(Role.WATCH) for view in (before, dropped, after)]
    table.add_row("watched, liquidatable", *(str(sum(a.liquidatable for a in p.accounts)) for p in watched))
    return table


def _delta(profile: MarginProfile, underlying: str) -> float:
    return next((e.delta_base for e in profile.exposures if e.underlying == underlying), 0.0)


def _weakest(profile: MarginProfile) -> float | None:
    return min((a.health for a in profile.accounts if a.health is not None), default=None)


def _reached(profile: MarginProfile) -> str:
    known = [t.feasible for t in profile.transfer if t.feasible is not None]
    return f"{sum(known)} of {len(known)}"


def _audit(story: Story) -> list[RenderableType]:
    assert story.health is not None
    assert story.verdict is not None
    same = sum(r.ok for r in story.replayed)
    return [
        health_view(story.health),
        Text.assemble(
            verdict(story.verdict.ok, "journal whole", "journal damaged"),
            f": {story.verdict.records} records, last hash {story.verdict.head[:16]}...",
        ),
        Text.assemble(
            verdict(same == len(story.replayed), "replay the same", "replay differs"),
            f": {same} of {count(len(story.replayed), 'cycle')} recomputed to the same plan id",
        ),
    ]


_CHAPTERS = {"before": _before, "drop": _drop, "plan": _plan, "live": _live, "after": _after, "audit": _audit}
