"""The look of every table: two kinds of border, one set of colours."""

from rich import box
from rich.table import Table
from rich.text import Text

from keeper.model.params import LadderParams
from keeper.model.plan import Step

STEP_STYLES = {
    Step.NONE: "dim",
    Step.WARN: "yellow",
    Step.MARGIN_CALL: "bold yellow",
    Step.REBALANCE: "bold magenta",
    Step.LIQUIDATE: "bold red",
}


def boxed(title: str | None, *, style: str = "bold") -> Table:
    """Return a table with a frame: for what should not be overlooked."""
    return Table(
        title=title,
        title_style=style,
        title_justify="left",
        box=box.ROUNDED,
        header_style="bold",
        expand=True,
        border_style="dim",
    )


def plain_table(title: str | None) -> Table:
    """Return a table with a line under its header."""
    return Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption_justify="left",
    )


def heading(text: str, detail: str = "") -> Text:
    """Return a line that begins a section."""
    return Text.assemble((text, "bold cyan"), ("  " + detail if detail else "", "dim"))


def health_style(health: float | None, *, liquidatable: bool, ladder: LadderParams) -> str:
    """Return the style of a health ratio by the step of the ladder that it stands on."""
    if liquidatable:
        return STEP_STYLES[Step.LIQUIDATE]
    if health is None or health >= ladder.warn_below:
        return ""
    if health >= ladder.call_below:
        return STEP_STYLES[Step.WARN]
    return STEP_STYLES[Step.MARGIN_CALL if health >= ladder.rebalance_below else Step.REBALANCE]


def verdict(ok: bool, good: str = "ok", bad: str = "failed") -> Text:
    """Return a verdict, green or red."""
    return Text(good, style="green") if ok else Text(bad, style="bold red")
