"""What monitors and people ask for often loads nothing that takes long to load."""

import subprocess
import sys
from pathlib import Path

import pytest

from keeper.journal.journal import Journal
from keeper.store.store import Store
from tests.journal.cycles import cycle

CHECKOUT = Path(__file__).resolve().parents[2]

HEAVY = {
    "alembic", "apscheduler", "asyncio", "boto3", "eth_abi", "eth_account", "eth_utils", "numba", "numpy",
    "scipy", "sqlalchemy", "structlog", "urllib3", "web3", "websockets",
}  # fmt: skip
"""Each takes 50 ms or more to load, most of them several times that."""

HELP = {"markdown_it"}
"""What only help, and errors of use, are written with."""

PROGRAM = """
import sys
from keeper.cli.main import main
sys.argv[0] = "keeper"
try:
    main()
except SystemExit as ended:
    sys.stderr.write(f"ended {ended.code}\\n")
sys.stderr.write("loaded " + " ".join(sorted({name.partition(".")[0] for name in sys.modules})) + "\\n")
"""


def ran(*arguments: str) -> tuple[str, set[str]]:
    """Run a command in a process of its own; return its exit code and the packages it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    *_, ended, loaded = done.stderr.splitlines()
    return ended, set(loaded.split())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "keeper.toml"
    path.write_text((CHECKOUT / "config" / "example.toml").read_text())
    return path


@pytest.mark.parametrize("command", ["", "health", "profile", "stress"])
def test_help_loads_nothing_heavy(command: str) -> None:
    ended, loaded = ran(*command.split(), "--help")
    assert ended == "ended 0"
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(("form", "nothing"), [([], HELP), (["--json"], HELP | {"rich"})])
def test_health_loads_nothing_heavy(config: Path, form: list[str], nothing: set[str]) -> None:
    Store.open(config.parent / "keeper.sqlite", "dry-run").close()
    ended, loaded = ran("health", "-c", str(config), *form)
    assert ended == "ended 1"
    assert loaded & (HEAVY | nothing) == set()
    assert "sqlite3" in loaded


def test_health_before_the_first_start_loads_nothing_heavy(config: Path) -> None:
    ended, loaded = ran("health", "-c", str(config))
    assert ended == "ended 1"
    assert loaded & HEAVY == set()


def test_why_loads_nothing_heavy(config: Path) -> None:
    with Journal.open(config.parent / "journal.jsonl") as journal:
        cycle(journal, 0)
    ended, loaded = ran("why", "desk", "-c", str(config))
    assert ended == "ended 1"
    assert loaded & HEAVY == set()


def test_verifying_a_journal_loads_nothing_heavy(config: Path) -> None:
    path = config.parent / "journal.jsonl"
    Journal.open(path).close()
    ended, loaded = ran("journal", "verify", "--file", str(path))
    assert ended == "ended 0"
    assert loaded & HEAVY == set()
