"""Where a command's words go: the result to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from keeper.model.canonical import plain

if TYPE_CHECKING:
    from rich.console import Console

WIDTH: Final = 100
"""Columns where standard output is no terminal."""


def console() -> "Console":
    """Return a console on standard output. `NO_COLOR` is respected, a pipe gets no colours."""
    return _console(stderr=False)


def errors() -> "Console":
    """Return a console on standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console  # only here: a script that asks for JSON does not wait for it

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH, highlight=False, soft_wrap=False)


def emit(document: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output: indented for a person, on one line for a script."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(
        json.dumps(plain(dict(document)), indent=indent, allow_nan=False, ensure_ascii=False) + "\n"
    )
    sys.stdout.flush()


@contextmanager
def working(text: str) -> Generator[Callable[[str], None]]:
    """Show a spinner on a terminal's standard error while something takes its time.

    Yields a function that replaces the text. Elsewhere nothing is shown: logs tell scripts enough.
    """
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    with errors().status(text, spinner="line") as status:
        yield lambda changed: status.update(changed)
