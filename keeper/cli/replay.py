"""`keeper replay`."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config, JournalElsewhere


def command(
    cycle: Annotated[str | None, typer.Argument(help="Cycle id. Default: every journaled cycle.")] = None,
    config: Config = None,
    as_json: AsJson = False,
    path: JournalElsewhere = None,
) -> None:
    """Recompute the plan of journaled cycles and compare: plan ids equal, risk figures to 1e-9.

    Needs no chain and no key. Exit codes: 0 all the same, 1 a difference, 2 no such journal or cycle, 3 the
    journal is damaged.

    Examples: keeper replay; keeper replay 1700000000-3f9c2a --json
    """
    from keeper.cli.output import console, emit, working
    from keeper.cli.replay_view import replay_document, replay_view
    from keeper.config.load import load
    from keeper.replay.replay import replay

    journal = path if path is not None else load(config).journal.path
    with working("recomputing"):
        found = replay(journal, cycle)
    emit(replay_document(found)) if as_json else console().print(replay_view(found))
    raise typer.Exit(0 if all(r.ok for r in found) else 1)
