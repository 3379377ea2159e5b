"""`keeper check`."""

import typer

from keeper.cli.options import AsJson, Config


def command(config: Config = None, as_json: AsJson = False) -> None:
    """Hold the configuration against the chains: ids, bytecode, wiring, answers, signer, balances.

    The signer is looked at in live mode only. Exit codes: 0 all ok, 1 something is wrong, 2 configuration.

    Example: keeper check -c config/keeper.toml
    """
    from keeper.cli.check_view import check_document, check_view
    from keeper.cli.output import console, emit, working
    from keeper.config.load import load
    from keeper.service.check import failures
    from keeper.service.wire import check_settings

    settings = load(config)
    with working("asking the chains"):
        findings = tuple(check_settings(settings))
    emit(check_document(findings)) if as_json else console().print(check_view(findings))
    raise typer.Exit(1 if failures(findings) else 0)
