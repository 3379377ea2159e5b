"""`keeper run`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config


def command(
    config: Config = None,
    as_json: AsJson = False,
    live: Annotated[
        bool, typer.Option("--live", help='Send transactions. The file must say mode = "live" too.')
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="One cycle, then end.")] = False,
) -> None:
    """Run the daemon: cycles on new heads and on a timer, dry-run unless live in file and flag.

    With `store.standby` it waits, connected, for as long as another keeper leads on the store, and takes over
    when that one ends. SIGTERM and Ctrl-C let the running cycle finish. Logs go to standard error, as JSON
    lines where that is no terminal. Exit codes: 0 ended as asked, 1 the one cycle failed, 2 configuration,
    3 halted.

    Examples: keeper run; keeper run --live; keeper run --once --json
    """
    from keeper.cli.documents import plan_document
    from keeper.cli.output import console, emit
    from keeper.cli.plan_view import plan_view
    from keeper.config.load import load
    from keeper.service import logs
    from keeper.service.serve import serve
    from keeper.service.wire import assemble

    settings = load(config)
    logs.configure()
    if not once:
        serve(settings, live=live)
        return
    with assemble(settings, live=live) as keeper:
        good = keeper.daemon.run_once()
        cycle = keeper.recorder.last
        if good and cycle is not None:
            if as_json:
                emit(plan_document(cycle.decided.plan, cycle.outcomes, live=live))
            else:
                chains = settings.chain_names()
                console().print(plan_view(cycle.decided.plan, cycle.outcomes, chains=chains))
        halt = keeper.store.halted()
    if halt is not None:
        typer.echo(
            f"keeper: halted by {halt.by}: {halt.reason}; `keeper resume` allows sending again", err=True
        )
        raise typer.Exit(3)
    raise typer.Exit(0 if good else 1)
