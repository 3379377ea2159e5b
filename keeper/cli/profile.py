"""`keeper profile`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config, Everything


def command(
    config: Config = None,
    as_json: AsJson = False,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHAIN=BLOCK",
            help="Read this chain, by name or id, at an earlier block. Once per chain.",
        ),
    ] = None,
    everything: Everything = False,
) -> None:
    """Show the margin profiles now: venue requirement, house risk, transfer feasibility, side by side.

    Reads the chains, loads no key, changes nothing. Exit codes: 0 ok, 1 something could not be read,
    2 configuration.

    Examples: keeper profile; keeper profile --json; keeper profile --at optimism=1200 --at arbitrum=3400
    """
    from keeper.cli.documents import profile_document
    from keeper.cli.output import console, emit, working
    from keeper.cli.profile_view import SHOWN_ACCOUNTS, profiles_view
    from keeper.config.load import load
    from keeper.policy.decide import margin_profiles
    from keeper.service.chains import blocks_of, observing

    settings = load(config)
    with working("reading the chains"), observing(settings, at=blocks_of(settings, at or ())) as observe:
        snapshot = observe()
        params = settings.params()
        profiles = margin_profiles(snapshot, params)
    if as_json:
        emit(profile_document(snapshot, profiles))
    else:
        view = profiles_view(
            snapshot,
            profiles,
            chains=settings.chain_names(),
            ladder=params.ladder,
            rows=None if everything else SHOWN_ACCOUNTS,
        )
        console().print(view)
    raise typer.Exit(1 if snapshot.gaps else 0)
