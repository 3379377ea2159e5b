"""Opening a store: who may, which files are ours, and what is told when not."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import inspect, text

import keeper.store
from keeper.model.errors import ConfigError, KeeperError, TransientError
from keeper.protocols.adapter import Found
from keeper.store import tables
from keeper.store.databases import database_at
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
from keeper.store.owner import own_name
from keeper.store.place import Place
from keeper.store.store import Store
from tests.support.postgres import Server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of an SQLite file, for what only files can be."""
    return tmp_path / "keeper.sqlite"


ATTEMPTS: Sequence[Callable[[Place], Store]] = (lambda place: Store.open(place, "live"), Store.attach)


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and len(str(error)) < 300


def test_the_migrations_make_exactly_the_tables(place: Place) -> None:
    with Store.open(place, "live") as store, store._database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_newest_migration_is_the_schema() -> None:
    scripts = ScriptDirectory(str(Path(keeper.store.__path__[0]) / "migrations"))
    assert scripts.get_heads() == [SCHEMA]


def test_a_store_keeps_its_mode(place: Place) -> None:
    Store.open(place, "dry-run").close()
    with pytest.raises(StoreModeError, match="belongs to dry-run mode") as info:
        Store.open(place, "live")
    assert one_line(info.value)
    with Store.open(place, "dry-run") as store:
        assert store.mode == "dry-run"


def test_one_owner_at_a_time_readers_beside_it(place: Place) -> None:
    with Store.open(place, "live") as owner:
        with pytest.raises(StoreBusyError, match=rf"another keeper \(process .*{os.getpid()}\)") as info:
            Store.open(place, "live")
        assert isinstance(info.value, ConfigError)
        assert one_line(info.value)
        with Store.attach(place) as reader:
            owner.halt("reason", by="owner")
            assert reader.halted() == owner.halted()
    Store.open(place, "live").close()


def test_the_owner_of_another_process_is_noticed_until_it_is_killed(place: Place) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from keeper.store.store import Store\n"
        "named = sys.argv[1]\n"
        "store = Store.open(named if '://' in named else Path(named), 'live')\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusyError, match=rf"process (\S+:)?{process.pid}\)"):
            Store.open(place, "live")
    finally:
        process.kill()
        process.communicate()
    tries = Tries(30.0)
    with Store.open(place, "live", wait=tries) as store:
        leader = store.leaders.leader()
        assert leader is not None
        assert (leader.name, leader.term) == (own_name(), 2)


class Tries:
    """Waits a moment between attempts, for so many seconds in all."""

    def __init__(self, seconds: float) -> None:
        self._until_s = time.monotonic() + seconds

    def __call__(self, trouble: KeeperError) -> bool:
        time.sleep(0.02)
        return time.monotonic() < self._until_s


def test_who_does_not_want_to_wait_any_more_is_told_who_leads(place: Place) -> None:
    told: list[KeeperError] = []

    def wait(trouble: KeeperError) -> bool:
        told.append(trouble)
        return len(told) < 3

    with Store.open(place, "live"), pytest.raises(StoreBusyError):
        Store.open(place, "live", wait=wait)
    assert [type(trouble) for trouble in told] == [StoreBusyError] * 3


def test_a_store_of_a_later_version_is_left_alone(place: Place) -> None:
    with Store.open(place, "live") as store, store._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v9999'"))
    for attempt in ATTEMPTS:
        with pytest.raises(StoreNewerError, match=r"schema v9999.*update the keeper") as info:
            attempt(place)
        assert one_line(info.value)


def test_a_file_of_a_later_version_is_not_touched(path: Path) -> None:
    Store.open(path, "live").close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9999'")
    database.close()
    before = path.read_bytes()
    for attempt in ATTEMPTS:
        with pytest.raises(StoreNewerError):
            attempt(path)
    assert path.read_bytes() == before


def test_a_reader_does_not_migrate(place: Place) -> None:
    if isinstance(place, Path):
        place.touch()
    with pytest.raises(StoreOlderError, match="start `keeper run` once"):
        Store.attach(place)
    assert not isinstance(place, Path) or place.stat().st_size == 0


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


def test_another_programs_database(place: Place) -> None:
    database = database_at(place)
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    for attempt in ATTEMPTS:
        with pytest.raises(StoreUnreadableError, match="another program's database"):
            attempt(place)
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["customers"]
    database.close()


def test_a_locked_database_is_waited_for_then_told(place: Place) -> None:
    with Store.open(place, "live", busy_s=0.1) as store:
        other = database_at(place)
        with other.writing(), pytest.raises(StoreLockedError, match="stayed locked") as info:
            store.halt("reason", by="test")
        assert isinstance(info.value, TransientError)
        with other.writing():
            assert store.halted() is None, "readers are not locked out"
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


def test_a_server_that_acknowledges_before_it_writes_is_told_not_to(postgres: Server) -> None:
    url = postgres.new_database()
    name = sql.Identifier(urlsplit(url).path[1:])
    postgres.run(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    with Store.open(url, "live") as store, store._database.writing() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_schemas_of_one_database_are_stores_of_their_own(postgres: Server) -> None:
    url = postgres.new_database()
    for name in ("one", "two"):
        postgres.run(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)), url)
    one, two = (f"{url}&options=-csearch_path%3D{name}" for name in ("one", "two"))
    with Store.open(one, "live") as first, Store.open(two, "dry-run") as second:
        first.halt("only here", by="test")
        assert second.halted() is None
        assert second.mode == "dry-run"


def test_halt_and_resume(place: Place) -> None:
    with Store.open(place, "live", clock=lambda: 5.0) as store:
        assert store.halted() is None
        assert store.resume(by="nobody") is None
        store.halt("first", by="keeper")
        store.halt("second", by="operator")
    with Store.open(place, "live") as store:
        halt = store.halted()
        assert halt is not None
        assert (halt.reason, halt.by, halt.at_s) == ("first", "keeper", 5.0)
        assert store.resume(by="operator") == halt
        assert store.halted() is None
        store.halt("third", by="keeper")
        assert store.halted() is not None


def test_what_others_wrote_is_kept_as_far_as_a_database_can(place: Place) -> None:
    with Store.open(place, "live") as store:
        store.halt("a contract said \0 and \ud800, é", by="x" * 100)
        halt = store.halted()
        assert halt is not None
        assert (halt.reason, halt.by) == ("a contract said ? and ?, é", "x" * 64)
        assert store.resume(by="y" * 100) == halt


def test_found_accounts_are_remembered_by_venue(place: Place) -> None:
    with Store.open(place, "live") as store:
        assert store.found("lyra:10") == Found()
        store.save_found("lyra:10", Found(keys=("1", "2"), next_block=7))
        store.save_found("curie:42161", Found(keys=("0xa",), next_block=9))
        store.save_found("lyra:10", Found(keys=("1", "2", "3"), next_block=8))
    with Store.attach(place) as store:
        assert store.found("lyra:10") == Found(keys=("1", "2", "3"), next_block=8)
        assert store.found("curie:42161") == Found(keys=("0xa",), next_block=9)
