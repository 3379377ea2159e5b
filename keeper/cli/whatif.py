"""`keeper whatif`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, At, Config, Cycle, JournalFile
from keeper.model.errors import ConfigError


class NothingAskedError(ConfigError):
    """Neither a trade nor a transfer was given."""

    def __init__(self) -> None:
        super().__init__("nothing to try: give --trade INSTRUMENT=SIZE[@ACCOUNT] or --move ACCOUNT=AMOUNT")


def command(
    config: Config = None,
    as_json: AsJson = False,
    trade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INSTRUMENT=SIZE[@ACCOUNT]",
            help="Buy (+) or sell (-) so many units of the underlying, at the mark. May be repeated.",
        ),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACCOUNT=AMOUNT[:ASSET]",
            help="Collateral from the owner's wallet into (+) or out of (-) an account. May be repeated.",
        ),
    ] = None,
    cycle: Cycle = None,
    journal: JournalFile = None,
    at: At = None,
) -> None:
    """Show each profile before and after a hypothetical trade or transfer.

    Instruments go by id or as ETH-PERP and ETH-15JAN26-2100-C, accounts by id
    or its end; @new opens one. Trades come first, then transfers; nothing is
    sent. Exit codes: 0 ok, 1 something could not be read, 2 usage or
    configuration.

    Examples: keeper whatif --trade ETH-PERP=-5 --move lyra:10:3=1000 --json;
    keeper whatif --trade ETH-15JAN26-1800-P=-2@new --move lyra:10:new=900
    """
    from keeper.cli.names import move_of, trade_of
    from keeper.cli.output import console, emit, working
    from keeper.cli.source import taken
    from keeper.cli.whatif_view import whatif_document, whatif_view
    from keeper.policy.whatif import whatif

    if not trade and not move:
        raise NothingAskedError
    with working("reading") as report:
        source = taken(config, at=at, cycle=cycle, journal=journal)
        trades = [trade_of(text, source.snapshot) for text in trade or ()]
        moves = [move_of(text, source.snapshot) for text in move or ()]
        report("revaluing")
        found = whatif(source.snapshot, source.params, trades=trades, moves=moves)
    emit(whatif_document(source, found)) if as_json else console().print(whatif_view(source, found))
    raise typer.Exit(1 if source.snapshot.gaps else 0)
