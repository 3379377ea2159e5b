"""The counts of a run, before pytest's own last line; a duplicate or a loss fails the run."""

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import tally


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Hand the counts of a worker to its controller; fail a run in which something was lost or doubled."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = tally.counted()
    elif tally.violated(tally.counted()) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take the counts of a worker that has ended."""
    tally.merge(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the counts, if there are any."""
    counts = tally.counted()
    if not any(counts.values()):
        return
    bad = tally.violated(counts)
    terminalreporter.write_sep("=", "what this run did to the keeper")
    for line in block(counts):
        terminalreporter.write_line(line, red=any(line.strip().startswith(name) for name in bad))


def block(counts: Mapping[str, int], width: int = 100) -> list[str]:
    """Return the lines of the block: what was done, by kind, and what must be zero."""
    kinds = tally.faults(counts)
    lines = [_line("faults injected", sum(n for _, n in kinds))]
    # A kind, its number and the dot behind it stay together.
    told = "\0· ".join(f"{kind} {n:,}".replace(" ", "\0") for kind, n in kinds)
    indent = " " * 6
    wrapped = textwrap.wrap(
        told, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
    lines += [line.replace("\0", " ") for line in wrapped]
    lines += [_line(name, counts.get(name, 0)) for name in tally.DONE]
    lines.append("  " + "─" * 34)
    lines += [_line(name, counts.get(name, 0)) for name in tally.NEVER]
    return lines


def _line(name: str, number: int) -> str:
    return f"  {name:<24}{number:>10,}"
