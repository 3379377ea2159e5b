"""PostgreSQL at its worst: killed, cut off between a commit and its answer, full, and without its driver."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from psycopg import sql

from keeper.model.errors import ConfigError, TransientError
from keeper.model.intent import TxState
from keeper.store import postgres as module
from keeper.store.database import BUSY_S
from keeper.store.errors import (
    CommitUnknownError,
    DriverMissingError,
    StoreFullError,
    StoreUnreachableError,
    StoreUnreadableError,
)
from keeper.store.store import Store
from tests.store.test_intents import LANE, attempt, bring
from tests.support import tally
from tests.support.postgres import PASSWORD, Server
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.faults

COMMIT = b"COMMIT\0"
"""As it goes over the wire; without its end it is also part of an isolation level."""


@pytest.fixture
def proxy(postgres: Server) -> Iterator[TcpProxy]:
    with TcpProxy(postgres.socket) as proxy:
        yield proxy


@pytest.fixture
def cut(postgres: Server, proxy: TcpProxy) -> Iterator[Store]:
    """A store behind the proxy, with an intent that can be signed."""
    with Store.open(postgres.through(proxy.port, postgres.new_schema()), "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        yield store


def sign(store: Store) -> None:
    store.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))


def state(store: Store) -> TxState:
    found = store.intents.get("i1")
    assert found is not None
    assert len(store.intents.attempts("i1")) == (found.state is TxState.SIGNED)
    return found.state


def test_a_commit_whose_answer_is_lost_counts(cut: Store, proxy: TcpProxy) -> None:
    proxy.lose_answer(COMMIT)
    sign(cut)
    assert proxy.fired
    assert state(cut) is TxState.SIGNED


def test_a_commit_that_never_arrived_does_not(cut: Store, proxy: TcpProxy) -> None:
    proxy.lose_request(COMMIT)
    with pytest.raises(StoreUnreachableError, match="out of reach"):
        sign(cut)
    assert proxy.fired
    assert state(cut) is TxState.SIMULATED
    sign(cut)
    assert state(cut) is TxState.SIGNED


def test_a_session_that_does_not_notice_is_ended(cut: Store, proxy: TcpProxy) -> None:
    proxy.lose_request(COMMIT, half_open=True)
    with pytest.raises(StoreUnreachableError):
        sign(cut)
    assert state(cut) is TxState.SIMULATED
    sign(cut)


@pytest.mark.parametrize("arrived", [True, False])
def test_what_nobody_can_say_is_not_guessed(
    cut: Store, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    monkeypatch.setattr(cut._database, "_patience_s", 0.2)
    lose: Callable[..., None] = proxy.lose_answer if arrived else proxy.lose_request
    lose(COMMIT, down=True)
    with pytest.raises(CommitUnknownError, match="shows when it is back") as info:
        sign(cut)
    assert isinstance(info.value, TransientError)
    with pytest.raises(StoreUnreachableError):
        cut.halted()
    proxy.up()
    assert state(cut) is (TxState.SIGNED if arrived else TxState.SIMULATED)


@pytest.mark.parametrize("word", [b"pg_advisory_xact_lock", b"INSERT INTO attempts", b"UPDATE intents"])
def test_a_connection_cut_within_a_transaction_leaves_nothing(
    cut: Store, proxy: TcpProxy, word: bytes
) -> None:
    proxy.lose_answer(word)
    with pytest.raises(StoreUnreachableError):
        sign(cut)
    assert proxy.fired
    assert state(cut) is TxState.SIMULATED
    sign(cut)
    assert [t.after for t in cut.intents.transitions()] == ["planned", "simulated", "signed"]


def test_a_connection_cut_while_it_is_made_is_closed(postgres: Server, proxy: TcpProxy) -> None:
    url = postgres.through(proxy.port, postgres.new_schema())
    for look in (Store.attach, lambda url: Store.open(url, "live")):
        proxy.lose_answer(b"pg_catalog.version()")
        with pytest.raises(StoreUnreachableError):
            look(url)
        assert proxy.fired
        gc.collect()  # warns, which is an error, of what was left open


@contextmanager
def killed(server: Server) -> Iterator[None]:
    """Within the block the server is dead; after it, it runs again."""
    server.kill()
    tally.fault("database killed")
    try:
        yield
    finally:
        server.start()


def test_a_killed_server_is_told_and_gone_on_with_when_it_is_back(postgres: Server) -> None:
    url = postgres.new_schema()
    with Store.open(url, "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        with killed(postgres):
            with pytest.raises(StoreUnreachableError) as info:
                sign(store)
            assert isinstance(info.value, TransientError)
            assert "\n" not in str(info.value)
            with pytest.raises(StoreUnreachableError):
                store.pulse.last()
            with pytest.raises(StoreUnreachableError):
                Store.attach(url)
        sign(store)
        assert state(store) is TxState.SIGNED


def test_a_server_killed_within_a_transaction_has_none_of_it(postgres: Server) -> None:
    with Store.open(postgres.new_schema(), "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        store.intents._crash_at = lambda boundary: postgres.kill() if boundary == "signed.written" else None
        patience_s, store._database._patience_s = store._database._patience_s, 0.2  # type: ignore[attr-defined]
        with pytest.raises((StoreUnreachableError, CommitUnknownError)):
            sign(store)
        tally.fault("database killed")
        store._database._patience_s = patience_s  # type: ignore[attr-defined]
        store.intents._crash_at = lambda _: None
        postgres.start()
        assert state(store) is TxState.SIMULATED
        sign(store)
        assert state(store) is TxState.SIGNED


def test_sessions_ended_by_an_administrator_are_made_anew(postgres: Server) -> None:
    url = postgres.new_schema()
    with Store.open(url, "live") as store:
        assert postgres.end_sessions(url) >= 2
        tally.fault("database connection cut")
        store.halt("still here", by="test")
        assert store.halted() is not None


def test_a_full_disk_is_told_and_changes_nothing(postgres: Server, tmp_path: Path) -> None:
    with small_disk(postgres) as folder:
        named = postgres.run(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(folder))))
        assert named == []
        postgres.run(sql.SQL("CREATE DATABASE small TABLESPACE small STRATEGY file_copy"))
        try:
            with Store.open(postgres.url("small"), "live") as store:
                with pytest.raises(StoreFullError, match="nothing was sent; free some space"):
                    store.halt(os.urandom(16_000_000).hex(), by="test")
                tally.fault("database disk full")
                assert store.halted() is None
                subprocess.run(["mount", "-o", "remount,size=48m", str(folder)], check=True)
                store.halt("a short reason", by="test")
        finally:
            postgres.run(sql.SQL("DROP DATABASE small WITH (FORCE)"))
            postgres.run(sql.SQL("DROP TABLESPACE small"))


@contextmanager
def small_disk(server: Server) -> Iterator[Path]:
    """A file system of 24 MB that belongs to the server's user. Skips where we may not mount one."""
    if shutil.which("mount") is None:
        pytest.skip("file systems cannot be mounted here")
    folder = server.folder / "small"
    folder.mkdir()
    options = f"size=24m,mode=0700,uid={server.folder.stat().st_uid}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_no_message_holds_the_password(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_schema()
    wrong = tmp_path / "wrong"
    wrong.write_text("*:*:*:*:another secret\n")
    wrong.chmod(0o600)
    told: list[str] = []
    for bad in (
        url.replace("keeper@/", "nobody-we-know@/"),
        url.replace("@/postgres", "@/no-such-database"),
        url.replace(f"passfile={postgres.passfile}", f"passfile={wrong}"),
        url.replace(f"host={postgres.folder}", "host=/nowhere"),
    ):
        with pytest.raises((StoreUnreachableError, StoreUnreadableError)) as info:
            Store.open(bad, "live")
        told.append(f"{info.value!s}{info.value!r}{info.value.__cause__!s}")
    assert not [text for text in told if PASSWORD in text or "another secret" in text]


def test_a_schema_that_is_not_there(postgres: Server) -> None:
    with pytest.raises(StoreUnreadableError, match="schema"):
        Store.open(f"{postgres.url('postgres')}&options=-csearch_path%3Dnowhere", "live")


def test_a_user_who_may_not_write(postgres: Server) -> None:
    url = postgres.new_schema()
    Store.open(url, "live").close()
    reading = f"{url}%20-cdefault_transaction_read_only%3Don"
    with pytest.raises(StoreUnreachableError, match="read-only"):
        Store.open(reading, "live")
    with Store.attach(reading) as store:
        assert store.mode == "live"


def test_without_the_driver_the_remedy_is_told(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from keeper.store.errors import DriverMissingError\n"
        "from keeper.store.store import Store\n"
        "try:\n"
        "    Store.open('postgresql://keeper@127.0.0.1/keeper', 'live')\n"
        "except DriverMissingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(DriverMissingError())
    assert "pip install 'keeper[postgres]'" in done.stdout
    assert isinstance(DriverMissingError(), ConfigError)


def test_a_writer_that_freezes_does_not_keep_the_others_out(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_schema()
    with Store.open(url, "live", busy_s=0.3) as store:
        monkeypatch.setattr(module, "FROZEN_S", 0.3)
        frozen = module.Postgres(url, busy_s=BUSY_S)
        with pytest.raises(StoreUnreachableError), frozen.writing():
            halt_at_last(store)
        assert store.halted() is not None
        frozen.close()


def halt_at_last(store: Store) -> None:
    for _ in range(200):
        with suppress(TransientError):
            return store.halt("the other one is frozen", by="test")
    raise AssertionError("the frozen one still keeps the others out")
