"""The table of `keeper check`: readable at any width, nothing hidden that is wrong, and its JSON."""

import io
import json

import pytest
from rich.console import Console

from keeper.cli.check_view import check_document, check_view
from keeper.service.check.verdicts import Checked, Section, Verdict

HERE = Section("optimism endpoint 1 of 2, https://node.example")
THERE = Section("optimism endpoint 2 of 2, https://other.example")
VENUE = Section("venue lyra")
ADDRESS = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
LINES = (
    HERE.ok("answers", "geth/1.2, 12 ms", "chain id 10"),
    HERE.fail("state", "5 blocks, then: missing trie node", "24 blocks below the head", "use an archive"),
    HERE.warn("events", "2,000 blocks, then: too wide", "10,000 blocks", "set log_blocks = 2000"),
    HERE.skipped("clock", "the node sends no HTTP date", "within 5 s"),
    THERE.warn("events", "2,000 blocks, then: too wide", "10,000 blocks", "set log_blocks = 2000"),
    *(VENUE.ok(f"lyra.Contract{i}", f"1 bytes of code at {ADDRESS}", "a contract") for i in range(12)),
    VENUE.fail("lyra.Token", f"0 bytes of code at {ADDRESS}", "a contract", "correct venues.lyra"),
)


def shown(lines: tuple[Checked, ...] = LINES, *, width: int = 100, everything: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(check_view(lines, everything=everything))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_nothing_is_cut_off_at_any_width(width: int) -> None:
    text = shown(width=width)
    assert max(len(row) for row in text.splitlines()) <= width
    words = " ".join(text.split())
    assert "…" not in text
    for part in ("5 blocks, then:", "missing trie", "24 blocks below", "use an archive", "set log_blocks"):
        assert part in words


def test_lines_stand_under_their_section() -> None:
    rows = [row.strip() for row in shown().splitlines()]
    at = [rows.index(section.name) for section in (HERE, THERE, VENUE)]
    assert at == sorted(at)
    assert rows[at[0] + 1].split() == ["ok", "answers", "geth/1.2,", "12", "ms"]
    assert rows[at[0] + 2].startswith("FAIL")


def test_a_long_section_shows_what_is_wrong_and_counts_the_rest() -> None:
    text = shown()
    assert "lyra.Token" in text
    assert "lyra.Contract3" not in text
    assert "12 lines as expected (--all)" in text
    assert "lyra.Contract3" in shown(everything=True)


def test_the_total_and_what_to_do() -> None:
    text = shown()
    assert "18 checks: 13 ok, 2 warnings, 2 failures, 1 skipped" in text
    todo = text[text.index("What to do") :]
    assert todo.index("use an archive") < todo.index("correct venues.lyra") < todo.index("set log_blocks")
    assert todo.count("set log_blocks") == 1
    assert f"{HERE.name}: events" in todo
    assert f"{THERE.name}: events" in todo


def test_nothing_to_do() -> None:
    text = shown((HERE.ok("answers", "geth", "a node"),))
    assert "1 check: 1 ok" in text
    assert "What to do" not in text


def test_the_document() -> None:
    document = check_document(LINES)
    assert (document["schema"], document["ok"]) == ("keeper.check/1", False)
    assert document["counts"] == {"ok": 13, "warn": 2, "fail": 2, "skipped": 1}
    keys = {"section", "subject", "verdict", "ok", "found", "expected", "remedy"}
    assert all(set(one) == keys for one in document["findings"])
    assert [one["ok"] for one in document["findings"]] == [one.verdict is not Verdict.FAIL for one in LINES]
    assert json.loads(json.dumps(document)) == document
    assert check_document(LINES[:1])["ok"] is True
