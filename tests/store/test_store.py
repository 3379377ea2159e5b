"""Opening a store: who may, which files are ours, and what is told when not."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import keeper.store
from keeper.model.errors import ConfigError, TransientError
from keeper.protocols.adapter import Found
from keeper.store import tables
from keeper.store.errors import (
    StoreBusyError,
    StoreFullError,
    StoreLockedError,
    StoreMissingError,
    StoreModeError,
    StoreNewerError,
    StoreOlderError,
    StoreUnreadableError,
)
from keeper.store.migrate import SCHEMA
from keeper.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keeper.sqlite"


ATTEMPTS: Sequence[Callable[[Path], Store]] = (lambda path: Store.open(path, "live"), Store.attach)


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and len(str(error)) < 300


def test_the_migrations_make_exactly_the_tables(path: Path) -> None:
    Store.open(path, "live").close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_schema() -> None:
    scripts = ScriptDirectory(str(Path(keeper.store.__path__[0]) / "migrations"))
    assert scripts.get_heads() == [SCHEMA]


def test_a_store_keeps_its_mode(path: Path) -> None:
    Store.open(path, "dry-run").close()
    with pytest.raises(StoreModeError, match="belongs to dry-run mode") as info:
        Store.open(path, "live")
    assert one_line(info.value)
    with Store.open(path, "dry-run") as store:
        assert store.mode == "dry-run"


def test_one_owner_at_a_time_readers_beside_it(path: Path) -> None:
    with Store.open(path, "live") as owner:
        with pytest.raises(StoreBusyError, match=r"another keeper \(process \d+\)") as info:
            Store.open(path, "live")
        assert isinstance(info.value, ConfigError)
        assert one_line(info.value)
        with Store.attach(path) as reader:
            owner.halt("reason", by="owner")
            assert reader.halted() == owner.halted()
    Store.open(path, "live").close()


def test_the_owner_of_another_process_is_noticed_until_it_is_killed(path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from keeper.store.store import Store\n"
        "store = Store.open(Path(sys.argv[1]), 'live')\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusyError, match=f"process {process.pid}"):
            Store.open(path, "live")
    finally:
        process.kill()
        process.communicate()
    Store.open(path, "live").close()


def test_a_store_of_a_later_version_is_left_alone(path: Path) -> None:
    Store.open(path, "live").close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9999'")
    database.close()
    before = path.read_bytes()
    for attempt in ATTEMPTS:
        with pytest.raises(StoreNewerError, match=r"schema v9999.*update the keeper") as info:
            attempt(path)
        assert one_line(info.value)
    assert path.read_bytes() == before


def test_a_reader_does_not_migrate(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreOlderError, match="start `keeper run` once"):
        Store.attach(path)
    assert path.stat().st_size == 0


def test_a_store_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreMissingError, match="there is no store"):
        Store.attach(path)
    assert not path.exists()
    with pytest.raises(StoreUnreadableError, match="does not exist"):
        Store.open(path / "deeper" / "still", "live")


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("not a database, but long enough to look like one" * 100)
    for attempt in ATTEMPTS:
        with pytest.raises(StoreUnreadableError, match="file is not a database") as info:
            attempt(path)
        assert one_line(info.value)


def test_another_programs_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (id INTEGER)")
    database.close()
    before = path.read_bytes()
    for attempt in ATTEMPTS:
        with pytest.raises(StoreUnreadableError, match="another program's database"):
            attempt(path)
    assert path.read_bytes() == before


def test_a_locked_database_is_waited_for_then_told(path: Path) -> None:
    with Store.open(path, "live", busy_s=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError, match="stayed locked") as info:
            store.halt("reason", by="test")
        assert isinstance(info.value, TransientError)
        assert store.halted() is None, "readers are not locked out"
        other.execute("ROLLBACK")
        other.close()
        store.halt("reason", by="test")


def test_a_full_disk_is_told_and_changes_nothing(path: Path) -> None:
    with Store.open(path, "live") as store:
        with store._database.writing() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        with store._database.writing() as connection:  # the pool gives the same connection again
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFullError, match="nothing was sent; free some space"):
            store.halt("x" * 100_000, by="test")
        assert store.halted() is None


def test_the_owner_writes_ahead_and_syncs_fully(path: Path) -> None:
    with Store.open(path, "live") as store, store._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_halt_and_resume(path: Path) -> None:
    with Store.open(path, "live", clock=lambda: 5.0) as store:
        assert store.halted() is None
        assert store.resume(by="nobody") is None
        store.halt("first", by="keeper")
        store.halt("second", by="operator")
    with Store.open(path, "live") as store:
        halt = store.halted()
        assert halt is not None
        assert (halt.reason, halt.by, halt.at_s) == ("first", "keeper", 5.0)
        assert store.resume(by="operator") == halt
        assert store.halted() is None
        store.halt("third", by="keeper")
        assert store.halted() is not None


def test_found_accounts_are_remembered_by_venue(path: Path) -> None:
    with Store.open(path, "live") as store:
        assert store.found("lyra:10") == Found()
        store.save_found("lyra:10", Found(keys=("1", "2"), next_block=7))
        store.save_found("curie:42161", Found(keys=("0xa",), next_block=9))
        store.save_found("lyra:10", Found(keys=("1", "2", "3"), next_block=8))
    with Store.attach(path) as store:
        assert store.found("lyra:10") == Found(keys=("1", "2", "3"), next_block=8)
        assert store.found("curie:42161") == Found(keys=("0xa",), next_block=9)
