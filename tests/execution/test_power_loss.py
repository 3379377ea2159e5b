"""Power loss at every state boundary: what was not on disk is gone, of the store and of the journal each.

The end of a process takes nothing that it wrote. Power loss may take what no synchronised write followed, and
how much of that is not for us to choose: here the store keeps everything or only what is certain, and the
journal likewise, in every combination.
"""

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection

from keeper.execution.crash import BOUNDARIES
from keeper.model.intent import TxState
from keeper.store.sqlite import Sqlite
from tests.execution.bell import BELL
from tests.execution.rig import FINAL_AFTER, Rig, never
from tests.execution.simulated_chain import GWEI, SimulatedChain
from tests.support import tally

pytestmark = pytest.mark.faults

REACHED: Final = frozenset(name for name in BOUNDARIES if name.endswith(".after") or "broadcast" in name)
"""Where something is different from the boundary before."""

WANTED: Final = [1, 2]
GROUPS: Final = ("keeper.sqlite*", "journal.jsonl*")


class Disk:
    """Keeps what is certain to be on disk: copies made after each synchronised write."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._certain = folder.with_name("certain")
        self._count = 0
        self._watching = False
        transaction, fsync = Sqlite.transaction, os.fsync

        @contextmanager
        def synchronised(database: Sqlite, *, at_leisure: bool) -> Generator[Connection]:
            with transaction(database, at_leisure=at_leisure) as connection:
                yield connection
                level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
            if level == 2 and self._watching and database.place == folder / "keeper.sqlite":
                self._keep("keeper.sqlite*")

        def synchronise(file: int) -> None:
            fsync(file)
            if self._watching and os.readlink(f"/proc/self/fd/{file}") == str(folder / "journal.jsonl"):
                self._keep("journal.jsonl*")

        monkeypatch.setattr(Sqlite, "transaction", synchronised)
        monkeypatch.setattr("keeper.journal.journal.os.fsync", synchronise)

    def watch(self) -> None:
        """Begin with everything on disk."""
        for group in GROUPS:
            self._keep(group)
        self._watching = True

    def after_power_loss(self) -> Generator[Path]:
        """Yield each folder that a machine could find when it is started again."""
        watching, self._watching = self._watching, False
        for whole in product((True, False), repeat=len(GROUPS)):
            self._count += 1
            found = self.folder.with_name(f"found-{self._count}")
            found.mkdir()
            for group, everything in zip(GROUPS, whole, strict=True):
                _copy(self.folder if everything else self._certain, group, found)
            tally.fault("power losses")
            yield found
        self._watching = watching

    def _keep(self, group: str) -> None:
        self._certain.mkdir(exist_ok=True)
        for old in self._certain.glob(group):
            old.unlink()
        _copy(self.folder, group, self._certain)


def _copy(source: Path, group: str, target: Path) -> None:
    # By another process: closing a file of SQLite's gives this process's locks on it up.
    subprocess.run(["cp", *map(str, source.glob(group)), str(target)], check=True)


def straight(rig: Rig) -> None:
    """Both decisions land at once."""
    rig.needed(WANTED)
    rig.chain.mine(FINAL_AFTER)
    rig.cycle()


def stuck(rig: Rig) -> None:
    """The first one is replaced at a higher fee before it lands."""
    rig.chain.automine = False
    rig.needed(WANTED)
    rig.chain.base_fee_wei = 30 * GWEI
    rig.chain.mine(rig.pace.bump_after_blocks)
    rig.cycle()
    rig.chain.mine(FINAL_AFTER)
    rig.chain.automine = True
    rig.needed(WANTED)
    rig.chain.mine(FINAL_AFTER)
    rig.cycle()


def reopened(rig: Rig) -> None:
    """A reorg takes what was confirmed."""
    rig.needed(WANTED)
    rig.chain.reorg(2, keep=False)
    rig.cycle()
    rig.chain.mine(FINAL_AFTER)
    rig.needed(WANTED)
    rig.chain.mine(FINAL_AFTER)
    rig.cycle()


@pytest.mark.parametrize("story", [straight, stuck, reopened])
def test_the_next_start_goes_on_from_whatever_is_left(
    story: Callable[[Rig], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keeper"
    folder.mkdir()
    disk = Disk(folder, monkeypatch)
    chain = SimulatedChain()
    rig = Rig(folder, chain)
    disk.watch()
    losses = 0

    def reached(boundary: str) -> None:
        nonlocal losses
        if boundary in REACHED:
            for found in disk.after_power_loss():
                losses += 1
                require_all_ends_well(found, deepcopy(chain))

    rig.crash_at = reached
    story(rig)
    rig.crash_at = never
    rig.stop()
    assert losses > 4 * len(TxState)


def require_all_ends_well(found: Path, chain: SimulatedChain) -> None:
    """Start on what is left, and decide until both have their effect: each once, and the journal whole."""
    chain.automine = True
    rig = Rig(found, chain)
    for _ in range(3):
        chain.mine(FINAL_AFTER)
        rig.needed(WANTED)
    chain.mine(FINAL_AFTER)
    rig.cycle()
    effects = dict(enumerate(chain.effects(BELL).values()))
    assert len(effects) == len(WANTED)
    rig.audit(effects=effects).require()
    rig.stop()
