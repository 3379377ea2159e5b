"""`keeper halt` and `keeper resume`: the kill switch."""

from typing import Annotated

import typer

from keeper.cli.options import AsJson, Config


def halt(
    config: Config = None,
    as_json: AsJson = False,
    reason: Annotated[str, typer.Option("-r", "--reason", help="Why; shown by health.")] = "no reason given",
) -> None:
    """Stop all sending within one cycle, also after a restart, until `keeper resume`.

    A running daemon goes on watching, deciding and recording. Exit codes: 0 ok, 2 no store.

    Example: keeper halt --reason "oracle looks wrong"
    """
    from keeper.cli.output import console, emit
    from keeper.cli.text import utc
    from keeper.config.load import load
    from keeper.store.store import Store

    with Store.attach(load(config).store.place) as store:
        store.halt(reason, _who())
        standing = store.halted()
    assert standing is not None
    if as_json:
        emit({"schema": "keeper.halt/1", "halted": True, "by": standing.by, "reason": standing.reason,
              "since_s": standing.at_s})  # fmt: skip
    else:
        console().print(f"[bold red]halted[/] by {standing.by} since {utc(standing.at_s)}: {standing.reason}")


def resume(config: Config = None, as_json: AsJson = False) -> None:
    """Allow sending again after a halt, by hand or by a tripwire.

    Find out first why it was halted: `keeper health`, `keeper journal verify`. Exit codes: 0 ok, 2 no store.

    Example: keeper resume
    """
    from keeper.cli.output import console, emit
    from keeper.config.load import load
    from keeper.store.store import Store

    with Store.attach(load(config).store.place) as store:
        ended = store.resume(_who())
    if as_json:
        emit({"schema": "keeper.resume/1", "halted": False, "was_halted": ended is not None,
              "reason": ended.reason if ended else None})  # fmt: skip
    elif ended is None:
        console().print("was not halted")
    else:
        console().print(f"[green]sending is allowed again[/]; it was halted by {ended.by}: {ended.reason}")


def _who() -> str:
    """Return who halts or resumes, for the record."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
