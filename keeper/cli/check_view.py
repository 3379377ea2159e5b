"""Findings of `keeper check` as a table, and as `keeper.check/1`."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.tables import plain_table, verdict
from keeper.cli.text import brief, count
from keeper.model.canonical import plain
from keeper.protocols.adapter import Finding
from keeper.service.check import failures


def check_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the `keeper.check/1` object."""
    return {"schema": "keeper.check/1", "ok": not failures(findings), "findings": plain(tuple(findings))}


def check_view(findings: Sequence[Finding]) -> RenderableType:
    """Return every finding, with the remedy where something is wrong."""
    table = plain_table(None)
    table.add_column("")
    table.add_column("what", overflow="fold", ratio=3)
    table.add_column("found", overflow="fold", ratio=5)
    table.add_column("expected, remedy", overflow="fold", ratio=5)
    for finding in findings:
        right = Text(brief(finding.expected), style="dim")
        if not finding.ok:
            right = Text.assemble(right, "\n", (f"remedy: {brief(finding.remedy)}", "bold"))
        table.add_row(verdict(finding.ok, "ok", "no"), brief(finding.subject), brief(finding.found), right)
    wrong = len(failures(findings))
    total = (
        Text(f"all {count(len(findings), 'finding')} as expected", style="bold green")
        if not wrong
        else Text(f"{wrong} of {count(len(findings), 'finding')} not as expected", style="bold red")
    )
    return Group(table, total)
