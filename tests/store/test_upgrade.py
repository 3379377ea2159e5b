"""A store of an earlier version is brought up to date with all that it holds."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.model.units import Wei
from keeper.store.errors import StoreOlderError
from keeper.store.store import Store
from tests.store.test_pulse import BEAT, CHAIN


def test_a_store_without_native_balances(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    with Store.open(path, "live") as store:
        store.pulse.beat(BEAT)
        store.halt("a test", by="a test")
    older = sqlite3.connect(path)
    older.execute("ALTER TABLE heads DROP COLUMN native")
    older.execute("UPDATE alembic_version SET version_num = 'v0001'")
    older.commit()
    older.close()
    with pytest.raises(StoreOlderError), Store.attach(path):
        pass
    with Store.open(path, "live") as store:
        beat = store.pulse.last()
        assert beat is not None
        assert beat.chains == (CHAIN,)
        assert store.halted() is not None
        rich = replace(CHAIN, native=Wei(10**30))
        store.pulse.beat(replace(BEAT, chains=(rich,)))
        again = store.pulse.last()
    assert again is not None
    assert again.chains == (rich,)
