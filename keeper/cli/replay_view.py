"""Replayed cycles as a table, and as `keeper.replay/1`."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.tables import plain_table, verdict
from keeper.cli.text import NOTHING, count, utc
from keeper.model.canonical import plain
from keeper.replay.compare import TOLERANCE
from keeper.replay.replay import Replayed


def replay_document(found: Sequence[Replayed]) -> dict[str, Any]:
    """Return the `keeper.replay/1` object. A difference without a size (texts, counts) is null."""
    return {
        "schema": "keeper.replay/1",
        "ok": all(r.ok for r in found),
        "tolerance": TOLERANCE,
        "cycles": [
            {
                "cycle_id": r.cycle_id,
                "sequence": r.sequence,
                "chain_time_s": r.chain_time_s,
                "ok": r.ok,
                "recorded_id": r.recorded_id,
                "recomputed_id": r.recomputed_id,
                "error": r.error,
                "worst": _finite(r.worst),
                "orphaned": [plain(orphan) for orphan in r.orphaned],
                "differences": [
                    {"where": d.where, "recorded": d.recorded, "recomputed": d.recomputed,
                     "relative": _finite(d.relative)}
                    for d in r.differences
                ],
            }
            for r in found
        ],
    }  # fmt: skip


def replay_view(found: Sequence[Replayed]) -> RenderableType:
    """Return every cycle, and what differs."""
    table = plain_table(None)
    for name in ("", "cycle", "chain time", "plan recorded", "plan again", "worst figure"):
        table.add_column(name, justify="right" if name == "worst figure" else "left", no_wrap=True)
    for r in found:
        table.add_row(
            verdict(r.ok, "same", "differs"),
            r.cycle_id,
            utc(r.chain_time_s),
            r.recorded_id[:16],
            r.recomputed_id[:16] or NOTHING,
            f"{r.worst:.1e}",
        )
    parts: list[RenderableType] = [table]
    for r in found:
        if r.error:
            parts.append(Text(f"{r.cycle_id}: {r.error}", style="bold red"))
        parts += [
            Text(f"{r.cycle_id}: {d.where} was {d.recorded}, is {d.recomputed}", style="red")
            for d in r.differences
        ]
        parts += [Text(f"{r.cycle_id}: {orphan.message}", style="yellow") for orphan in r.orphaned]
    same = sum(r.ok for r in found)
    text = f"{same} of {count(len(found), 'cycle')} recomputed to the same plan and figures"
    parts.append(Text(text, style="bold green" if same == len(found) else "bold red"))
    return Group(*parts)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
