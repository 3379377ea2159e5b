"""`keeper health`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config


def command(
    config: Config = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every few seconds.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks of --watch.")] = 2.0,
) -> None:
    """Tell whether the keeper is alive, current and allowed to send, with reasons and ages.

    Reads the store only, never a chain or a key. Exit codes: 0 ok, 1 degraded, 2 configuration, 3 halted.

    Examples: keeper health; keeper health --json; keeper health --watch --every 5
    """
    import time

    from keeper.config.load import load
    from keeper.service.health import read_health

    settings = load(config)
    found = read_health(settings, time.time())
    try:
        if as_json:
            from keeper.cli.documents import health_document
            from keeper.cli.output import emit

            emit(health_document(found))
            while watch:
                time.sleep(every)
                found = read_health(settings, time.time())
                emit(health_document(found))
        else:
            from keeper.cli.health_view import health_view
            from keeper.cli.output import console

            if not watch:
                console().print(health_view(found))
            else:
                from rich.live import Live

                with Live(health_view(found), console=console(), auto_refresh=False) as live:
                    while True:
                        time.sleep(every)
                        found = read_health(settings, time.time())
                        live.update(health_view(found), refresh=True)
    except KeyboardInterrupt:
        pass
    raise typer.Exit(found.status.exit_code)
