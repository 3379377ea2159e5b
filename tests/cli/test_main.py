"""Every command: help, exit codes, one object with --json, and no traceback for a user's mistake."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from keeper.cli.main import exit_code
from keeper.journal.journal import Journal
from keeper.model.errors import ConfigError, DataError, KeeperError, TransientError, TripwireError
from keeper.model.record import RecordKind
from keeper.store.store import Store
from tests.cli.conftest import Run

COMMANDS = (
    "demo", "devnet up", "devnet down", "devnet status", "check", "profile", "plan", "run", "health", "why",
    "journal verify", "journal export", "replay", "halt", "resume", "margin", "stress", "whatif",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_exit_codes_and_the_json_option(run: Run, command: str) -> None:
    ran = run(*command.split(), "--help")
    assert ran.code == 0
    words = " ".join(ran.out.split())
    assert "Exit code" in words
    assert "--json" in words


def test_a_command_line_without_a_command_shows_the_help(run: Run) -> None:
    assert "Commands" in run().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeeperError("x"), 1),
        (TransientError("x"), 1),
        (DataError("x"), 1),
        (ConfigError("x"), 2),
        (TripwireError("x"), 3),
    ],
)
def test_the_exit_code_follows_the_kind_of_error(error: KeeperError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["health"], ["check"], ["profile"], ["plan"], ["run"], ["run", "--live", "--once"], ["why", "desk"],
        ["journal", "verify"], ["journal", "export"], ["replay"], ["halt"], ["resume"],
    ],
)  # fmt: skip
def test_a_missing_configuration_is_one_line(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    ran = run(*arguments, "-c", str(tmp_path / "none.toml"))
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("keeper: no configuration file at ")
    assert ran.err.count("\n") == 1


def test_an_error_is_one_object_with_json(run: Run, tmp_path: Path) -> None:
    ran = run("health", "--json", "-c", str(tmp_path / "none.toml"))
    assert ran.code == 2
    assert ran.json["schema"] == "keeper.error/1"
    assert (ran.json["error"], ran.json["exit"]) == ("ConfigMissingError", 2)
    assert ran.json["message"] in ran.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["health", "--nonsense"], ["why"], ["run", "--once=x"]])
def test_wrong_use_exits_with_2(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_all_problems_of_a_configuration_are_shown(run: Run, config: Path) -> None:
    config.write_text(config.read_text().replace("poll_s", "pol_s").replace('role = "own"', 'role = "own1"'))
    ran = run("health", "-c", str(config))
    assert ran.code == 2
    assert "cycle.pol_s" in ran.err
    assert "profiles.desk.role" in ran.err


def test_the_configuration_may_be_named_by_the_environment(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPER_CONFIG", str(config))
    assert run("health", "--json").json["schema"] == "keeper.health/1"


def test_live_needs_the_file_as_well(run: Run, config: Path) -> None:
    ran = run("run", "--live", "--once", "-c", str(config))
    assert ran.code == 2
    assert 'mode = "live"' in ran.err
    assert not (config.parent / "keeper.sqlite").exists()


def test_health_without_a_store_is_degraded(run: Run, config: Path) -> None:
    ran = run("health", "--json", "-c", str(config))
    assert ran.code == 1
    assert ran.json["status"] == "degraded"
    minimum = {"status", "reasons", "last_cycle_age_s", "chains", "profiles", "outbox", "halted_by"}
    assert minimum <= ran.json.keys()
    assert {"chain_id", "head", "head_age_s", "lag_blocks", "endpoints"} <= ran.json["chains"][0].keys()


def test_halt_and_resume(run: Run, config: Path) -> None:
    assert run("halt", "-c", str(config)).code == 2
    Store.open(config.parent / "keeper.sqlite", "dry-run").close()
    assert run("halt", "-c", str(config), "--reason", "looks odd", "--json").json["reason"] == "looks odd"
    assert run("health", "-c", str(config)).code == 3
    assert "looks odd" in run("health", "-c", str(config)).out
    assert run("resume", "-c", str(config), "--json").json["was_halted"] is True
    assert run("health", "-c", str(config)).code == 1
    assert "was not halted" in run("resume", "-c", str(config)).out


def test_journal_verify_and_export(run: Run, config: Path) -> None:
    path = config.parent / "journal.jsonl"
    assert run("journal", "verify", "-c", str(config)).code == 2
    with Journal.open(path) as journal:
        for n in range(3):
            journal.append(RecordKind.FAILURE, f"c-{n}", n, {"error": "E", "message": f"m{n}"})
    assert run("journal", "verify", "-c", str(config), "--json").json["ok"] is True
    assert "whole" in run("journal", "verify", "--file", str(path)).out
    records = run("journal", "export", "--file", str(path), "--json").json["records"]
    assert [r["sequence"] for r in records] == [0, 1, 2]
    lines = run("journal", "export", "--file", str(path), "--cycle", "c-1").out.splitlines()
    assert [json.loads(line)["body"]["message"] for line in lines] == ["m1"]
    table = config.parent / "out.csv"
    assert run("journal", "export", "--file", str(path), "--csv", "-o", str(table)).code == 0
    assert table.read_text().splitlines()[2].split(",")[:5] == ["1", "1", "c-1", "failure", "message m1"]
    assert run("journal", "export", "--file", str(path), "-o", str(table)).code == 2

    path.write_bytes(path.read_bytes().replace(b"m1", b"mX"))
    damaged = run("journal", "verify", "-c", str(config), "--json")
    assert damaged.code == 1
    assert [p["sequence"] for p in damaged.json["problems"]] == [1]
    assert run("journal", "export", "--file", str(path)).code == 3


@pytest.mark.parametrize("arguments", [["run", "--once"], ["health"], ["halt"], ["resume"]])
def test_a_store_of_a_later_version_is_one_line(run: Run, config: Path, arguments: list[str]) -> None:
    path = config.parent / "keeper.sqlite"
    Store.open(path, "dry-run").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
        connection.commit()
    ran = run(*arguments, "-c", str(config))
    assert ran.code == 2
    assert ran.err.splitlines()[-1].startswith(f"keeper: the store {path} has schema v9999")


def test_an_unusable_path_is_one_line(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    ran = run("devnet", "up", "-d", str(taken / "inside"))
    assert ran.code == 2
    assert ran.err.startswith(f"keeper: {taken}")
    assert "Traceback" not in ran.err


def test_why_says_what_it_knows_when_asked_for_something_else(run: Run, config: Path) -> None:
    assert run("why", "desk", "-c", str(config)).code == 2
    Journal.open(config.parent / "journal.jsonl").close()
    ran = run("why", "desk", "-c", str(config))
    assert ran.code == 1
    assert "no decision about desk" in ran.err


def test_a_closed_pipe_is_no_traceback(config: Path) -> None:
    command = f"{sys.executable} -m keeper --help | true"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in ran.stderr
