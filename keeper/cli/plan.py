"""`keeper plan`."""

import typer

from keeper.cli.options import AsJson, Config, Everything


def command(config: Config = None, as_json: AsJson = False, everything: Everything = False) -> None:
    """Decide once and send nothing: decisions, actions, calldata, simulation results.

    Needs no key and touches neither store nor journal, so it may run beside the daemon. Exit codes: 0 ok,
    1 an action could not be proven or something could not be read, 2 configuration.

    Examples: keeper plan; keeper plan --json | jq '.actions[].tx.data'
    """
    from keeper.cli.documents import plan_document
    from keeper.cli.output import console, emit, working
    from keeper.cli.plan_view import SHOWN_QUIET, plan_view
    from keeper.cli.profile_view import gaps_view
    from keeper.config.load import load
    from keeper.service.wire import rehearse

    settings = load(config)
    with working("reading the chains, deciding, simulating"):
        cycle = rehearse(settings)
    plan, chains = cycle.decided.plan, settings.chain_names()
    if as_json:
        emit(plan_document(plan, cycle.outcomes, live=False))
    else:
        if cycle.snapshot.gaps:
            console().print(gaps_view(cycle.snapshot.gaps, chains))
        console().print(
            plan_view(plan, cycle.outcomes, chains=chains, rows=None if everything else SHOWN_QUIET)
        )
    proven = all(o.simulation and (o.simulation.ok or o.simulation.benign) for o in cycle.outcomes)
    raise typer.Exit(0 if proven and not cycle.snapshot.gaps else 1)
