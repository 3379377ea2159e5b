"""Options that every command takes."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="Configuration file. Default: KEEPER_CONFIG, then config/keeper.toml.",
        show_default=False,
    ),
]

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output; logs stay on standard error.")
]

Everything: TypeAlias = Annotated[bool, typer.Option("--all", help="List every row of a long table.")]

At: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CHAIN=BLOCK", help="Read this chain, by name or id, at an earlier block. Once per chain."
    ),
]

Cycle: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="ID", help='A journaled cycle in place of the chains; "last" is the newest.'),
]

JournalFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="A journal elsewhere; needs no configuration. Its last cycle, or --cycle.",
    ),
]

JournalElsewhere: TypeAlias = Annotated[
    Path | None, typer.Option("--file", help="A journal elsewhere; needs no configuration.")
]
