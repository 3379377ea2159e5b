"""A store of an earlier version is brought up to date with all that it holds."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine

import keeper.store
from keeper.model.intent import TxState
from keeper.model.units import Wei
from keeper.store.errors import IllegalMoveError, StoreOlderError
from keeper.store.store import Store
from tests.store.test_intents import LANE, SIMULATION, attempt, planned
from tests.store.test_pulse import BEAT, CHAIN

HEAD = (
    "INSERT INTO heads (chain_id, name, number, hash, pinned, first_seen_s, endpoints) "
    "VALUES (10, 'optimism', 100, '0xa', 98, 50.0, '[{\"host\": \"http://127.0.0.1\", \"ok\": true}]')"
)
CYCLE = (
    "INSERT INTO cycles (id, cycle_id, started_at_s, finished_at_s, chain_time_s, failure, gaps) "
    "VALUES (1, 'c1', 51.0, 52.0, 40, '', '[]')"
)
INTENT = (
    "INSERT INTO intents (id, action_id, episode, sequence, kind, subject, cycle_id, chain_id, sender, 'to', "
    "data, value, gas, max_fee, valid_until_block, state, nonce, tx_hash, block_number, block_hash, success, "
    "fee, planned_at_s, changed_at_s) VALUES (?, 'a', 0, 0, 'hedge', 's', 'c', 10, ?, '0xb', '0x', '0', "
    "60000, '9', 50, ?, ?, ?, ?, ?, ?, ?, 900.0, 950.0)"
)
ATTEMPT = (
    "INSERT INTO attempts (intent_id, number, nonce, cancels, tx_hash, raw, gas, fee_per_gas, signed_at_s, "
    "signed_at_block) VALUES (?, 0, ?, 0, ?, x'02', 60000, '100', 900.0, 5)"
)


@contextmanager
def older(path: Path, revision: str) -> Iterator[sqlite3.Connection]:
    """Make a store of an earlier revision, and give it for filling."""
    config = Config()
    config.set_main_option("script_location", str(Path(keeper.store.__path__[0]) / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(URL.create("sqlite", database=str(path)))
    with engine.begin() as making:
        config.attributes["connection"] = making
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO meta VALUES ('mode', 'live')")
        yield connection
        connection.commit()


def test_a_store_without_native_balances(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    with older(path, "v0001") as filled:
        filled.execute(HEAD)
        filled.execute(CYCLE)
        filled.execute("INSERT INTO halts (reason, by, at_s) VALUES ('a test', 'a test', 1.0)")
    with pytest.raises(StoreOlderError), Store.attach(path):
        pass
    with Store.open(path, "live") as store:
        beat = store.pulse.last()
        assert beat is not None
        assert beat.chains == (CHAIN,)
        assert store.halted() is not None
        rich = replace(CHAIN, native=Wei(10**30), urgent_native=Wei(1))
        store.pulse.beat(replace(BEAT, chains=(rich,)))
        again = store.pulse.last()
    assert again is not None
    assert again.chains == (rich,)


def test_a_store_without_lanes_by_urgency(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    with older(path, "v0002") as filled:
        signer = LANE[1]
        filled.execute(INTENT, ("landed", signer, "confirmed", 0, "0xl", 7, "0x7", True, "300"))
        filled.execute(INTENT, ("open", signer, "sent", 1, "0xo", None, None, None, None))
        for identity, nonce, tx_hash in (("landed", 0, "0xl"), ("open", 1, "0xo")):
            filled.execute(ATTEMPT, (identity, nonce, tx_hash))
    with Store.open(path, "live", clock=lambda: 1000.0) as store:
        landed, waiting = store.intents.within(list(TxState))
        assert (landed.landed_at_s, waiting.landed_at_s) == (950.0, None)
        assert not landed.urgent
        assert [(s.nonce, s.cost) for s in store.intents.spent(LANE, 999.0)] == [
            (0, 6_000_000),
            (1, 6_000_000),
        ]
        store.intents.move("landed", TxState.FINALIZED)
        assert [(s.nonce, s.at_s, s.cost) for s in store.intents.spent(LANE, 950.0)] == [
            (0, 950.0, 300),
            (1, float("inf"), 6_000_000),
        ]
        assert [s.nonce for s in store.intents.spent(LANE, 951.0)] == [1]
        store.intents.plan([replace(planned("i1", action="i1"), urgent=True)])
        store.intents.move("i1", TxState.SIMULATED, simulation=asdict(SIMULATION))
        store.intents.take_over("i1", "open", attempt("i1", 1), "it waits no longer")
        with pytest.raises(IllegalMoveError):
            store.intents.take_over("i1", "open", attempt("i1", 1), "twice")
