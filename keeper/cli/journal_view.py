"""The journal's verdict and its records, for people and for other programs."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from keeper.cli.tables import plain_table, verdict
from keeper.cli.text import NOTHING
from keeper.journal.verify import Verdict
from keeper.model.canonical import plain
from keeper.model.errors import ConfigError
from keeper.model.record import Record


class ExportExistsError(ConfigError):
    """The file to write is there already."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write {path}: {problem}; name another file with --out")
        self.path = path


def verdict_document(path: Path, found: Verdict) -> dict[str, Any]:
    """Return the `keeper.journal-verify/1` object."""
    return {"schema": "keeper.journal-verify/1", "journal": str(path), "ok": found.ok, **plain(found)}


def verdict_view(path: Path, found: Verdict) -> RenderableType:
    """Return the verdict and every finding."""
    end = "its end agrees with the head kept beside it" if found.anchored else "no head is kept beside it"
    files = "" if found.segments == 1 else f", {found.segments:,} files"
    parts: list[RenderableType] = [
        Text.assemble(
            verdict(found.ok, "whole", "damaged"), f"  {found.records:,} records in {path}{files}; {end}"
        )
    ]
    if found.begins_at and found.ok:
        parts.append(Text(f"begins at segment {found.begins_at}; earlier ones were removed on purpose"))
    if not found.problems:
        return Group(*parts, Text(f"last hash {found.head}", style="dim"))
    table = plain_table("Findings")
    for name in ("segment", "record", "line", "what", ""):
        table.add_column(name, justify="left" if name in ("what", "") else "right")
    for problem in found.problems:
        line = str(problem.line) if problem.line else NOTHING
        table.add_row(str(problem.segment), str(problem.sequence), line, problem.damage.value, problem.text)
    return Group(*parts, table)


def write_records(
    records: Iterable[Record], out: Path | None, *, form: Literal["json", "lines", "csv"]
) -> None:
    """Write records to a new file, or to standard output. Raises `ExportExistsError`."""
    with _stream(out) as stream:
        if form == "json":
            document = {"schema": "keeper.journal/1", "records": [_whole(r) for r in records]}
            stream.write(json.dumps(document, ensure_ascii=False) + "\n")
        elif form == "lines":
            for record in records:
                stream.write(json.dumps(_whole(record), ensure_ascii=False, sort_keys=True) + "\n")
        else:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(("sequence", "chain_time_s", "cycle_id", "kind", "tells", "hash"))
            for record in records:
                rows.writerow(
                    (record.sequence, record.chain_time_s, record.cycle_id, record.kind.value,
                     _tells(record), record.hash)
                )  # fmt: skip


@contextlib.contextmanager
def _stream(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise ExportExistsError(out, error.strerror or "unknown") from error


def _whole(record: Record) -> dict[str, Any]:
    return {**plain(record), "hash": record.hash}


def _tells(record: Record) -> str:
    """Return the record's gist in a few words."""
    body = record.body
    for name in ("digest", "plan_id", "message", "reason", "mode", "segment", "segments"):
        if name in body:
            return f"{name} {body[name]}"
    return ""
