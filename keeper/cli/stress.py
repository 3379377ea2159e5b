"""`keeper stress`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, At, Config, Cycle, Everything, JournalFile


def command(
    config: Config = None,
    as_json: AsJson = False,
    cycle: Cycle = None,
    journal: JournalFile = None,
    at: At = None,
    shock: Annotated[
        list[str] | None,
        typer.Option(
            metavar="UNDERLYING=SPOT[/VOL]",
            help="A move of your own, added to the table: ETH=-10% or ETH=-0.1/+0.4. Once per underlying.",
        ),
    ] = None,
    profile: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this profile. May be repeated.")
    ] = None,
    everything: Everything = False,
) -> None:
    """Show what crashes, dark chains and your own moves would do to each profile.

    Profit and house requirement of the netted book by full revaluation;
    accounts that would be liquidatable by their venue's own rule; and the most
    likely move that consumes a buffer. Reads the chains or a journaled cycle,
    changes nothing. Exit codes: 0 ok, 1 something could not be read, 2 usage
    or configuration.

    Examples: keeper stress; keeper stress --shock ETH=-20%/+50% --json;
    keeper stress --cycle last --profile desk
    """
    from keeper.cli.names import UnknownNameError, shocks_of
    from keeper.cli.output import console, emit, working
    from keeper.cli.source import stamp, taken
    from keeper.cli.stress_view import stress_view
    from keeper.model.canonical import plain
    from keeper.policy.stress import stress

    with working("reading") as report:
        source = taken(config, at=at, cycle=cycle, journal=journal)
        shocks = shocks_of(shock or (), source.snapshot)
        names = [p.name for p in source.params.profiles]
        for name in profile or ():
            if name not in names:
                raise UnknownNameError("profile", name, names)
        report("revaluing")
        found = [
            p
            for p in stress(source.snapshot, source.params, shocks=shocks)
            if not profile or p.name in profile
        ]
    if as_json:
        emit({"schema": "keeper.stress/1", **stamp(source), "profiles": plain(tuple(found))})
    else:
        console().print(stress_view(source, found, everything=everything))
    raise typer.Exit(1 if source.snapshot.gaps else 0)
