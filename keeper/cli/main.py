"""The command line: one command per file, and errors as one line and an exit code."""

import json
import sys
from typing import Annotated, Final

import typer

from keeper import __version__
from keeper.cli import (
    check,
    demo,
    devnet,
    halt,
    health,
    journal,
    margin,
    plan,
    profile,
    propose,
    replay,
    run,
    stress,
    whatif,
    why,
)
from keeper.model.errors import ConfigError, KeeperError, TripwireError

DEGRADED: Final = 1
WRONG_USE: Final = 2
HALTED: Final = 3


class UnusablePathError(ConfigError):
    """A file or folder that the command was given, or that the configuration names, cannot be used."""

    path: str

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem[:1].lower()}{problem[1:]}")
        self.path = path


app = typer.Typer(
    name="keeper",
    help="Watch option and perp accounts on several chains, net them into one margin profile, and act before "
    "the venues do.\n\nExit codes of every command: 0 ok, 1 degraded or a check failed, 2 usage or "
    "configuration, 3 halted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


app.command("demo")(demo.command)
app.add_typer(devnet.app, name="devnet")
app.command("check")(check.command)
app.command("profile")(profile.command)
app.command("plan")(plan.command)
app.command("propose")(propose.command)
app.command("stress")(stress.command)
app.command("whatif")(whatif.command)
app.command("run")(run.command)
app.command("health")(health.command)
app.command("why")(why.command)
app.add_typer(journal.app, name="journal")
app.command("replay")(replay.command)
app.command("margin")(margin.margin)
app.command("halt")(halt.halt)
app.command("resume")(halt.resume)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Typer shows the application's own help instead of this line."""


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    try:
        app()
    except KeeperError as error:
        sys.exit(_report(error))
    except BrokenPipeError:
        # Whoever read our output has gone: there is nobody to tell.
        sys.stderr.close()
        sys.exit(DEGRADED)
    except (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        if error.filename is None:
            raise
        sys.exit(_report(UnusablePathError(str(error.filename), error.strerror or "cannot be used")))


def exit_code(error: KeeperError) -> int:
    """Return the exit code of an error by its kind."""
    if isinstance(error, ConfigError):
        return WRONG_USE
    return HALTED if isinstance(error, TripwireError) else DEGRADED


def _report(error: KeeperError) -> int:
    """Say what is wrong, once, where it will be read. Return the exit code."""
    code = exit_code(error)
    if "--json" in sys.argv[1:]:
        document = {
            "schema": "keeper.error/1",
            "error": type(error).__name__,
            "message": str(error),
            "exit": code,
        }
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stderr.write(f"keeper: {error}\n")
    return code
