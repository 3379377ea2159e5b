"""`keeper check`."""

import typer

from keeper.cli.options import AsJson, Config, Everything


def command(config: Config = None, as_json: AsJson = False, everything: Everything = False) -> None:
    """Test your own set-up: endpoints, contracts, signer, balances, store, journal, disk, clock.

    Every endpoint is asked what the keeper will ask of it: chain id, head, depth of state, range of events,
    gas of views, methods, heads by WebSocket. Each line has a verdict; what is wrong has a remedy. The signer
    is looked at in live mode only; nothing is changed, nothing is sent. Exit codes: 0 nothing fails,
    1 something does, 2 configuration.

    Examples: keeper check -c config/keeper.toml; keeper check --json | jq '.findings[] | select(.ok | not)'
    """
    from keeper.cli.check_view import check_document, check_view
    from keeper.cli.output import console, emit, working
    from keeper.config.load import load
    from keeper.service.check.verdicts import failures
    from keeper.service.wire import check_settings

    settings = load(config)
    with working("looking") as tell:
        found = tuple(check_settings(settings, tell))
    emit(check_document(found)) if as_json else console().print(check_view(found, everything=everything))
    raise typer.Exit(1 if failures(found) else 0)
