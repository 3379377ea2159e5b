"""`keeper margin`: the offline margin calculator. One JSON file in, no chain and no configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keeper.cli.options import AsJson
from keeper.model.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from keeper.risk.models.model import Model

SCHEMA: Final = "keeper.margin/1"
_BAD_INPUT: Final = 2
_STDIN: Final = Path("-")

HELP: Final = (
    "Compute margins of recorded or hypothetical portfolios, offline.\n\n"
    "The file holds `params` and `cases`, a table of `columns` and `rows`, a list of cases, or one "
    "portfolio. Parameters are always input. `keeper margin --list` names the models.\n\n"
    "\b\nExamples\n"
    "  keeper margin --list\n"
    "  keeper margin --model derive-pmrm-2 --input portfolios.json\n"
    "  keeper margin --model saccr --input netting_sets.json --json\n"
    "  cat book.json | keeper margin -m house -i -\n\n"
    "Exit code 2: the model is unknown, or the file cannot be read or is unfit. The message names the file, "
    "the case and the field, and no margin is printed."
)


class UnreadableFileError(DataError):
    """The input file cannot be read as JSON."""


class MissingOptionError(ConfigError):
    """An option that the command needs was not given."""

    option: str

    def __init__(self, option: str) -> None:
        super().__init__(f"{option} is missing, expected a model and a file (see keeper margin --help)")
        self.option = option


def margin(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="Margin model, one of `--list`.")
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", "-i", metavar="FILE", help="JSON file, or - for standard input.")
    ] = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="Name the models and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the margins of a file. Typer shows `HELP` instead of this line."""
    from keeper.cli.output import emit

    try:
        if list_:
            _list(as_json=as_json)
        elif model is None or input_ is None:
            raise MissingOptionError("--model" if model is None else "--input")
        else:
            _compute(model, input_, as_json=as_json)
    except (ConfigError, DataError) as error:
        text = str(error) if input_ is None or isinstance(error, ConfigError) else f"{input_}: {error}"
        if as_json:
            emit({"schema": SCHEMA, "model": model, "error": text})
        typer.echo(f"keeper margin: {text}", err=True)
        raise typer.Exit(_BAD_INPUT) from None


margin.__doc__ = HELP


def load(path: Path) -> object:
    """Return the parsed JSON of a file, or of standard input for `-`.

    Raises
    ------
    UnreadableFileError
        There is no such file, it may not be read, or it is not JSON in UTF-8.
    """
    import json
    import sys

    try:
        text = sys.stdin.read() if path == _STDIN else path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"is not text in UTF-8, at byte {error.start}") from error
    try:
        parsed: object = json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise UnreadableFileError(problem) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(
            "is not JSON that can be read: a number too long or nesting too deep"
        ) from error
    return parsed


def results_table(model: "Model[Any, Any, Any]", results: Sequence[Any]) -> "Table":
    """Return the results for people, one row per case, each column with its unit."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=model.name,
        caption=model.reading,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("case", overflow="fold")
    for name, unit in model.units.items():
        table.add_column(f"{name}\n{unit}", justify="right", no_wrap=True)
    for result in results:
        table.add_row(result.id, *(_shown(getattr(result, name)) for name in model.units))
    return table


def _list(*, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from keeper.cli.output import console, emit
    from keeper.risk.models import NAMES, model

    models = [model(name) for name in NAMES]
    if as_json:
        rows = [{"name": found.name, "summary": found.summary} for found in models]
        emit({"schema": SCHEMA, "models": rows})
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    table.add_column("computes")
    for found in models:
        table.add_row(found.name, found.summary)
    console().print(table)


def _compute(name: str, path: Path, *, as_json: bool) -> None:
    from keeper.cli.output import console, emit, working
    from keeper.cli.text import count
    from keeper.risk.models import model
    from keeper.risk.models.documents import document, evaluate

    found = model(name)
    held = document(load(path))
    total = count(len(held.cases), "case")
    results = []
    with working(f"{name}: {total}") as report:
        for done, result in enumerate(evaluate(found, held), start=1):
            results.append(result)
            if done % 64 == 0:
                report(f"{name}: {done:,} of {total}")
    if as_json:
        emit({"schema": SCHEMA, "model": name, "results": results})
    else:
        console().print(results_table(found, results))


def _shown(value: float | int | None) -> str:
    from keeper.cli.text import NOTHING

    if value is None:
        return NOTHING
    if isinstance(value, int):
        return str(value)
    return f"{value:,.2f}" if abs(value) >= 1000.0 else f"{value:,.6g}"
