"""`keeper why`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config


def command(
    subject: Annotated[
        str,
        typer.Argument(help="Account id, owner, profile, or PROFILE/UNDERLYING; the end of one is enough."),
    ],
    config: Config = None,
    as_json: AsJson = False,
    last: Annotated[
        int, typer.Option("-n", "--last", min=1, help="How many different decisions per subject.")
    ] = 5,
) -> None:
    """Show the last decisions about an account or profile, and the reason for every inaction.

    Reads the journal only. Exit codes: 0 ok, 1 nothing was decided about it, 2 no journal, 3 journal damaged.

    Examples: keeper why desk/ETH; keeper why lyra:10:3; keeper why 0x90F79bf6EB2c4f870365E785982E1f101E93b906
    """
    from keeper.cli.output import console, emit, working
    from keeper.cli.why_view import why_document, why_view
    from keeper.config.load import load
    from keeper.journal.reading import read
    from keeper.service.why import TOLD_BY, why

    settings = load(config)
    with working("reading the journal"):
        found = why(read(settings.journal.path, TOLD_BY), subject, last=last)
    chains = settings.chain_names()
    emit(why_document(subject, found)) if as_json else console().print(why_view(found, chains=chains))
