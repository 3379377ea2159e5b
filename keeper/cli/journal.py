"""`keeper journal verify` and `keeper journal export`."""

from pathlib import Path
from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config, JournalElsewhere
from keeper.model.record import RecordKind

app = typer.Typer(no_args_is_help=True, help="The hash-chained record of every cycle: check it, hand it out.")


@app.command()
def verify(
    config: Config = None,
    as_json: AsJson = False,
    path: JournalElsewhere = None,
) -> None:
    """Find a changed, missing, reordered or cut-off record, or a whole file of them.

    Reads the file being written and the closed ones beside it. Exit codes: 0 whole, 1 damaged, 2 no journal.

    Examples: keeper journal verify; keeper journal verify --file /backup/journal.jsonl
    """
    from keeper.cli.journal_view import verdict_document, verdict_view
    from keeper.cli.output import console, emit, working
    from keeper.config.load import load
    from keeper.journal.verify import verify as check

    journal = path if path is not None else load(config).journal.path
    with working(f"checking {journal}"):
        verdict = check(journal)
    document = verdict_document(journal, verdict)
    emit(document) if as_json else console().print(verdict_view(journal, verdict))
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def export(
    config: Config = None,
    as_json: AsJson = False,
    path: JournalElsewhere = None,
    cycle: Annotated[str | None, typer.Option(help="Only this cycle's records.")] = None,
    kind: Annotated[RecordKind | None, typer.Option(help="Only this kind of record.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write; must not exist.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="One line per record, without the bodies.")] = False,
) -> None:
    """Write records, checked one against the other, as JSON lines, as CSV, or (--json) as one object.

    Exit codes: 0 ok, 2 no journal or the file exists, 3 the journal is damaged.

    Examples: keeper journal export --kind plan > plans.jsonl; keeper journal export --csv -o journal.csv
    """
    from keeper.cli.journal_view import write_records
    from keeper.config.load import load
    from keeper.journal.reading import read

    journal = path if path is not None else load(config).journal.path
    records = read(journal, None if kind is None else (kind,))
    chosen = (record for record in records if cycle in (None, record.cycle_id))
    write_records(chosen, out, form="json" if as_json else "csv" if csv else "lines")
