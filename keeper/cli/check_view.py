"""The lines of `keeper check` by section, what to do about them, and all of it as `keeper.check/1`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from keeper.cli.tables import heading
from keeper.cli.text import brief, count
from keeper.model.canonical import plain
from keeper.service.check.verdicts import Checked, Verdict, failures

LONG: Final = 8
"""A section of more lines shows of those that are as they should be only how many they are."""

STYLES: Final = {
    Verdict.OK: "green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.SKIPPED: "dim",
}
_WORDS: Final = {Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL", Verdict.SKIPPED: "skip"}


def check_document(lines: Sequence[Checked]) -> dict[str, Any]:
    """Return the `keeper.check/1` object."""
    counts = Counter(line.verdict for line in lines)
    return {
        "schema": "keeper.check/1",
        "ok": not failures(lines),
        "counts": {verdict.value: counts[verdict] for verdict in Verdict},
        "findings": [{**plain(line), "ok": line.ok} for line in lines],
    }


def check_view(lines: Sequence[Checked], *, everything: bool = False) -> RenderableType:
    """Return every section, then the verdict, then what to do, the gravest first."""
    parts: list[RenderableType] = []
    for name in dict.fromkeys(line.section for line in lines):
        parts += [heading(name), _section([line for line in lines if line.section == name], everything)]
    return Group(*parts, _total(lines), *_remedies(lines))


def _section(lines: Sequence[Checked], everything: bool) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=34, overflow="fold")
    grid.add_column(overflow="fold")
    right = [line for line in lines if line.verdict is Verdict.OK]
    for line in lines:
        if everything or len(right) <= LONG or line.verdict is not Verdict.OK:
            grid.add_row(_word(line.verdict), brief(line.subject), _found(line))
    if not everything and len(right) > LONG:
        grid.add_row(_word(Verdict.OK), "", Text(f"{count(len(right), 'line')} as expected (--all)"))
    return Padding(grid, (0, 0, 1, 2))


def _word(verdict: Verdict) -> Text:
    return Text(_WORDS[verdict], style=STYLES[verdict])


def _found(line: Checked) -> Text:
    found = Text(brief(line.found), style="dim" if line.verdict is Verdict.SKIPPED else "")
    if line.verdict in (Verdict.WARN, Verdict.FAIL) and line.expected:
        found.append(f"\nexpected {brief(line.expected)}", style="dim")
    return found


def _total(lines: Sequence[Checked]) -> Text:
    counts = Counter(line.verdict for line in lines)
    said = [
        (f"{counts[Verdict.OK]:,} ok", STYLES[Verdict.OK]),
        (count(counts[Verdict.WARN], "warning"), STYLES[Verdict.WARN]),
        (count(counts[Verdict.FAIL], "failure"), STYLES[Verdict.FAIL]),
        (f"{counts[Verdict.SKIPPED]:,} skipped", STYLES[Verdict.SKIPPED]),
    ]
    numbers = (counts[v] for v in (Verdict.OK, Verdict.WARN, Verdict.FAIL, Verdict.SKIPPED))
    shown = [part for part, number in zip(said, numbers, strict=True) if number]
    text = Text(f"{count(len(lines), 'check')}: ", style="bold")
    for i, part in enumerate(shown):
        text.append(", " if i else "").append(*part)
    return text


def _remedies(lines: Sequence[Checked]) -> list[RenderableType]:
    """Return what to do, each once however many endpoints need it."""
    wanting = [line for verdict in (Verdict.FAIL, Verdict.WARN) for line in lines if line.verdict is verdict]
    if not wanting:
        return []
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    by_remedy: dict[tuple[Verdict, str], list[Checked]] = {}
    for line in wanting:
        by_remedy.setdefault((line.verdict, line.remedy), []).append(line)
    for number, ((verdict, remedy), about) in enumerate(by_remedy.items(), 1):
        named = dict.fromkeys(brief(f"{line.section}: {line.subject}") for line in about)
        text = Text.assemble((remedy or "see above", STYLES[verdict]), ("\n" + "\n".join(named), "dim"))
        grid.add_row(f"{number}.", text)
    return [Text(), heading("What to do"), Padding(grid, (0, 0, 0, 2))]
