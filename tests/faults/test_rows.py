"""No fault without its test: what `rows.py` names exists, runs, and covers the page it follows."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.faults.rows import ELSEWHERE, INJECTED
from tests.support.shared import shared

TESTS = Path(__file__).resolve().parents[1]
LATER = "alert noise"
"""Row of the page that belongs to alerts, which this suite does not cover."""


@cache
def defined(file: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Return what pytest would collect from a file, by name."""
    tree = ast.parse((TESTS / file).read_text())
    return {
        node.name: node
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
        or (isinstance(node, ast.ClassDef) and node.name.startswith("Test"))
    }


@pytest.mark.parametrize("fault", [*ELSEWHERE, *INJECTED])
def test_every_fault_has_tests_that_run(fault: str) -> None:
    nodes = (ELSEWHERE | INJECTED)[fault]
    assert nodes
    for node in nodes:
        file, _, name = node.partition("::")
        assert name in defined(file), f"{node} is gone, and with it the proof for: {fault}"
        markers = "".join(ast.unparse(decorator) for decorator in defined(file)[name].decorator_list)
        assert not re.search(r"mark\.(skip|xfail)", markers), f"{node} does not run"


def test_every_row_of_the_page_is_here() -> None:
    page = shared("RELIABILITY.md").read_text()
    table = page.partition("## 4.")[2].partition("## 5.")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]
    assert [row for row in rows if not row.startswith(LATER)] == list(ELSEWHERE)
