"""What an operator is told while something stands still, is full, locked, or only rehearsed."""

import contextlib
import errno
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeper.service.health import Health, Status, read_health
from keeper.store.store import Store
from tests.faults.whole import Whole
from tests.service.test_process import Files
from tests.support import tally
from tests.support.audit import audit
from tests.support.chains import Chains
from tests.support.rpc_proxy import dropped

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

MakeWhole = Callable[..., Whole]
QUICK = ("[cycle]\ninterval_s = 30", "[cycle]\ninterval_s = 1\nmax_age_s = 5")


def test_health_says_what_stands_still(chains: Chains, tmp_path: Path, make_whole: MakeWhole) -> None:
    """A chain, the loop, the database: each is named while it lasts, and the daemon gets over it."""
    files = Files(chains, tmp_path)
    whole = make_whole(QUICK)
    process = files.start("run", "--live")

    def reasons() -> str:
        return "; ".join(health(whole).reasons)

    try:
        files.wait_for("a good cycle", lambda: health(whole).status is Status.OK)
        (first, _) = whole.proxies["optimism"]
        first.fault(dropped())
        files.wait_for("the chain's reason", lambda: "gap: chain 10: " in reasons())
        first.clear()
        files.wait_for("the chain to be back", lambda: health(whole).status is Status.OK)

        process.send_signal(signal.SIGSTOP)
        tally.fault("frozen loop")
        files.wait_for("the loop's reason", lambda: "is `keeper run` running?" in reasons())
        process.send_signal(signal.SIGCONT)
        files.wait_for("the loop to go on", lambda: health(whole).status is Status.OK)

        process.send_signal(signal.SIGSTOP)
        kept = whole.folder / "kept.sqlite"
        store = whole.settings.store.path
        store.rename(kept)
        tally.fault("database gone")
        assert "no store" in reasons()
        kept.rename(store)
        process.send_signal(signal.SIGCONT)
        files.wait_for("the store to be back", lambda: health(whole).status is Status.OK)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    whole.finish()
    whole.require_once_each()


def health(whole: Whole) -> Health:
    return read_health(whole.settings, time.time())


def test_a_dry_run_sends_nothing(whole: Whole) -> None:
    with whole.keeper(live=False) as keeper:
        for _ in range(3):
            assert all(outcome.tx_hash is None for outcome in whole.run(keeper))
        assert whole.last
    with Store.attach(whole.settings.store.path) as store:
        found = audit(store, whole.settings.journal.path, whole.landed()).require()
    tally.count(tally.DRY_SENDS, whole.sent())
    assert found.intents
    assert (whole.sent(), found.landed) == (0, 0)


def test_a_full_disk_sends_nothing_and_is_told(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(file: int, content: Any) -> int:
        if os.readlink(f"/proc/self/fd/{file}").startswith(str(whole.settings.journal.path)):
            tally.fault("disk full")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content)

    with whole.keeper() as keeper:
        monkeypatch.setattr(os, "write", full)
        assert whole.run(keeper) == ()
        assert (whole.sent(), whole.landed()) == (0, ())
        found = health(whole)
        assert found.status is Status.DEGRADED
        assert any("No space left on device" in reason for reason in found.reasons)
        monkeypatch.setattr(os, "write", real)
        assert whole.run(keeper)
    whole.finish()
    whole.require_once_each()


def test_a_locked_database_delays_and_loses_nothing(whole: Whole) -> None:
    """Somebody else holds the store while a cycle begins, and lets go later."""
    with whole.keeper() as keeper, contextlib.ExitStack() as stack:
        other = stack.enter_context(
            contextlib.closing(
                sqlite3.connect(whole.settings.store.path, isolation_level=None, check_same_thread=False)
            )
        )
        other.execute("BEGIN IMMEDIATE")
        tally.fault("database locked")
        later = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
        later.start()
        stack.callback(later.join)
        assert whole.run(keeper)
    whole.finish()
    whole.require_once_each()
