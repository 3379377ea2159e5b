"""Netting in brief: which pairs of accounts would save most, and who makes the profile's risk."""

from collections.abc import Iterator

from rich.console import RenderableType

from keeper.cli.tables import plain_table
from keeper.cli.text import brief, usd
from keeper.model.margin import MarginProfile, Role

SHOWN = 3
"""Rows of each table; `--json` holds all."""


def netting_view(profile: MarginProfile) -> Iterator[RenderableType]:
    """Yield the tables that have something to say. A watched profile has none: its accounts are strangers."""
    if profile.opportunities:
        table = plain_table("Pairs that one margin account would save most on")
        for name in ("long", "short", "in", "saves\nUSD"):
            table.add_column(name, justify="right" if name.endswith("USD") else "left", no_wrap=True)
        for pair in profile.opportunities[:SHOWN]:
            table.add_row(brief(pair.long), brief(pair.short), pair.underlying, usd(pair.saves_usd))
        yield table
    ranked = sorted(profile.accounts, key=lambda a: (-abs(a.scan_part_usd), a.id))[:SHOWN]
    if profile.role is not Role.WATCH and len(profile.accounts) > 1 and profile.house.scan_usd > 0.0:
        with_es = profile.house.es_usd is not None
        table = plain_table("Parts of the netted scan, greatest first")
        for name in (
            "account",
            "scan alone\nUSD",
            "its part\nUSD",
            *(("part of ES\nUSD",) if with_es else ()),
        ):
            table.add_column(name, justify="left" if name == "account" else "right", no_wrap=True)
        for account in ranked:
            es = (usd(account.es_part_usd),) if with_es else ()
            table.add_row(brief(account.id), usd(account.standalone_usd), usd(account.scan_part_usd), *es)
        yield table
