"""An SQLite store whose file goes wrong while the keeper runs: full, removed, replaced, read-only."""

import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keeper.journal.journal import Journal
from keeper.journal.verify import verify
from keeper.model.errors import ConfigError, TransientError
from keeper.model.intent import TxState
from keeper.store.errors import (
    StoreFailingError,
    StoreFullError,
    StoreReplacedError,
    StoreUnreadableError,
)
from keeper.store.store import Store
from tests.store.test_intents import LANE, attempt, bring
from tests.support import tally

pytestmark = pytest.mark.faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keeper.sqlite"


def sign(store: Store) -> None:
    store.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))


def state(store: Store) -> TxState:
    found = store.intents.get("i1")
    assert found is not None
    return found.state


def removed(path: Path) -> None:
    path.unlink()


def replaced_by_another(path: Path) -> None:
    other = path.with_name("other.sqlite")
    Store.open(other, "live").close()
    other.replace(path)


def replaced_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.sqlite"))
    path.with_name("copy.sqlite").replace(path)


@pytest.mark.parametrize("gone", [removed, replaced_by_another, replaced_by_a_copy])
def test_a_file_that_is_taken_away_takes_nothing_more(path: Path, gone: Callable[[Path], None]) -> None:
    with Store.open(path, "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        gone(path)
        tally.fault("store file taken away")
        for use in (lambda: sign(store), store.halted, lambda: store.halt("x", by="test")):
            with pytest.raises(StoreReplacedError, match="put the file back") as info:
                use()
            assert isinstance(info.value, ConfigError)


def test_a_file_that_is_put_back_is_gone_on_with(path: Path) -> None:
    with Store.open(path, "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        path.rename(path.with_name("aside"))
        with pytest.raises(StoreReplacedError):
            sign(store)
        path.with_name("aside").rename(path)
        sign(store)
        assert state(store) is TxState.SIGNED


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_quota_is_told_and_nothing_is_half_written(path: Path) -> None:
    with Store.open(path, "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        wal = path.with_name(path.name + "-wal")
        with no_more_than(wal.stat().st_size), pytest.raises((StoreFailingError, StoreFullError)) as info:
            sign(store)
        tally.fault("store disk full")
        assert isinstance(info.value, TransientError)
        assert state(store) is TxState.SIMULATED
        sign(store)
    with Store.open(path, "live") as store:
        assert state(store) is TxState.SIGNED


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MB. Skips where we may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no free byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def again(write: Callable[[], object]) -> None:
    """Write until what was set aside is used up."""
    for _ in range(1000):
        write()


def halt_and_resume(store: Store) -> None:
    store.halt("a reason", by="test")
    store.resume(by="test")


def test_a_full_file_system_is_told_and_gone_on_with_when_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as folder:
        path = folder / "keeper.sqlite"
        with Store.open(path, "live") as store, Journal.open(folder / "journal.jsonl") as journal:
            bring(store, "i1", TxState.SIMULATED)
            journal.opened("live", "test")
            records = verify(journal.path).records
            filler = fill(folder)
            tally.fault("store disk full")
            with pytest.raises(StoreFullError, match="nothing was sent; free some space"):
                again(lambda: halt_and_resume(store))
            with pytest.raises(TransientError, match="could not be written: No space left"):
                again(lambda: journal.opened("live", "test"))
            filler.unlink()
            verdict = verify(journal.path)
            assert verdict.ok
            assert verdict.records >= records
            sign(store)
            assert state(store) is TxState.SIGNED
            journal.opened("live", "test")
        assert verify(folder / "journal.jsonl").ok
        with Store.open(path, "live") as store:
            assert state(store) is TxState.SIGNED


def test_a_journal_under_a_quota_holds_no_half_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path) as journal:
        journal.opened("live", "test")
        whole = path.read_bytes()
        for spare in (0, 1, len(whole) // 2, len(whole) - 1):
            with (
                no_more_than(path.stat().st_size + spare),
                pytest.raises(TransientError, match="could not be written"),
            ):
                journal.opened("live", "test")
            tally.fault("journal disk full")
            assert path.read_bytes() == whole
            assert verify(path).ok
        journal.opened("live", "test")
    verdict = verify(path)
    assert (verdict.ok, verdict.records) == (True, 2)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="keeper-store-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize(("what", "told"), [("file", "readonly database"), ("folder", "ermission denied")])
def test_a_store_that_may_not_be_written_is_told_at_the_start(
    open_folder: Path, what: str, told: str
) -> None:
    path = open_folder / "keeper.sqlite"
    Store.open(path, "live").close()
    path.with_name(path.name + ".owner").unlink()
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:  # whom modes do not bind
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
        os.chown(path, uid, gid)
        os.chown(open_folder, uid, gid)
    if what == "file":
        path.chmod(0o444)
    else:
        open_folder.chmod(0o555)
    found = tried_by(uid, gid, path)
    assert found.startswith(StoreUnreadableError.__name__)
    assert told in found


def tried_by(uid: int, gid: int, path: Path) -> str:
    """Return what another user is told who opens a store."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import keeper.store.sqlite, sqlalchemy.dialects.sqlite.pysqlite, alembic.command\n"
        "from keeper.model.errors import KeeperError\n"
        "from keeper.store.store import Store\n"
        "if os.geteuid() == 0:\n"
        "    os.setgid(int(sys.argv[2]))\n"
        "    os.setuid(int(sys.argv[1]))\n"
        "try:\n"
        "    Store.open(Path(sys.argv[3]), 'live').close()\n"
        "except KeeperError as error:\n"
        "    print(f'{type(error).__name__}: {error}')\n"
    )
    command = [sys.executable, "-c", program, str(uid), str(gid), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
