"""`keeper demo`."""

from pathlib import Path
from typing import Annotated

import typer

from keeper.cli.options import AsJson


def command(
    as_json: AsJson = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="FOLDER", help="Keep configuration, store, journal and logs here."),
    ] = None,
) -> None:
    """Play the whole story on two local chains with real protocol bytecode, in about a minute.

    Profile, price drop, dry-run plan, live cycles, profile after, health, audit. Leaves no process and,
    unless --keep is given, no file. Exit codes: 0 the story met every demand, 1 it did not, 2 it cannot be
    had here.

    Examples: keeper demo; keeper demo --json; keeper demo --keep ./demo
    """
    import contextlib
    import logging
    import tempfile
    import time

    from keeper.cli.demo_story import tell_story
    from keeper.cli.demo_view import demo_document, narrator
    from keeper.cli.devnet_view import building
    from keeper.cli.output import emit
    from keeper.devnet import lifecycle
    from keeper.service import logs

    logs.configure(logging.ERROR)
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keeper-demo-")))
        tell = narrator(quiet=as_json)
        with building("setting up two local chains") as (on_step, on_fetch):
            devnet = lifecycle.temporary(folder, on_step=on_step, on_fetch=on_fetch)
            world, deployment = stack.enter_context(devnet)
        tell.built(deployment, time.monotonic() - started_s)
        story = tell_story(world, deployment.config, clock=time.time, tell=tell)
    took_s = time.monotonic() - started_s
    if as_json:
        emit(demo_document(story, took_s))
    else:
        tell.end(story, took_s, keep)
    raise typer.Exit(0 if story.ok else 1)
