"""A store of an earlier version is brought up to date with all that it holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, insert

import keeper.store
from keeper.model.intent import TxState
from keeper.model.units import Wei
from keeper.store.databases import database_at
from keeper.store.errors import IllegalMoveError, StoreOlderError
from keeper.store.place import Place
from keeper.store.store import Store
from tests.store.test_intents import LANE, SIMULATION, attempt, planned
from tests.store.test_pulse import BEAT, CHAIN

HEAD = {
    "chain_id": 10,
    "name": "optimism",
    "number": 100,
    "hash": "0xa",
    "pinned": 98,
    "first_seen_s": 50.0,
    "endpoints": [{"host": "http://127.0.0.1", "ok": True}],
}
CYCLE = {
    "id": 1,
    "cycle_id": "c1",
    "started_at_s": 51.0,
    "finished_at_s": 52.0,
    "chain_time_s": 40,
    "failure": "",
    "gaps": [],
}
INTENT = {
    "action_id": "a",
    "episode": 0,
    "sequence": 0,
    "kind": "hedge",
    "subject": "s",
    "cycle_id": "c",
    "chain_id": 10,
    "sender": LANE[1],
    "to": "0xb",
    "data": "0x",
    "value": "0",
    "gas": 60_000,
    "max_fee": "9",
    "valid_until_block": 50,
    "planned_at_s": 900.0,
    "changed_at_s": 950.0,
}
ATTEMPT = {
    "number": 0,
    "cancels": False,
    "raw": b"\x02",
    "gas": 60_000,
    "fee_per_gas": "100",
    "signed_at_s": 900.0,
    "signed_at_block": 5,
}

Fill = Callable[..., None]


@contextmanager
def older(place: Place, revision: str) -> Iterator[Fill]:
    """Make a store of an earlier revision, and give what adds a row to a table as it was then."""
    config = Config()
    config.set_main_option("script_location", str(Path(keeper.store.__path__[0]) / "migrations"))
    config.set_main_option("path_separator", "os")
    database = database_at(place)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        then = MetaData()
        then.reflect(connection)

        def fill(table: str, **row: object) -> None:
            connection.execute(insert(then.tables[table]), [row])

        fill("meta", key="mode", value="live")
        yield fill
    database.close()


def test_a_store_without_native_balances(place: Place) -> None:
    with older(place, "v0001") as fill:
        fill("heads", **HEAD)
        fill("cycles", **CYCLE)
        fill("halts", reason="a test", by="a test", at_s=1.0)
    with pytest.raises(StoreOlderError), Store.attach(place):
        pass
    with Store.open(place, "live") as store:
        beat = store.pulse.last()
        assert beat is not None
        assert beat.chains == (CHAIN,)
        assert store.halted() is not None
        rich = replace(CHAIN, native=Wei(10**30), urgent_native=Wei(1))
        store.pulse.beat(replace(BEAT, chains=(rich,)))
        again = store.pulse.last()
    assert again is not None
    assert again.chains == (rich,)


def test_a_store_without_lanes_by_urgency(place: Place) -> None:
    with older(place, "v0002") as fill:
        receipt = {"block_number": 7, "block_hash": "0x7", "success": True, "fee": "300"}
        fill("intents", id="landed", state="confirmed", nonce=0, tx_hash="0xl", **receipt, **INTENT)
        fill("intents", id="open", state="sent", nonce=1, tx_hash="0xo", **INTENT)
        fill("attempts", intent_id="landed", nonce=0, tx_hash="0xl", **ATTEMPT)
        fill("attempts", intent_id="open", nonce=1, tx_hash="0xo", **ATTEMPT)
    with Store.open(place, "live", clock=lambda: 1000.0) as store:
        landed, waiting = store.intents.within(list(TxState))
        assert (landed.landed_at_s, waiting.landed_at_s) == (950.0, None)
        assert not landed.urgent
        assert {(s.nonce, s.cost) for s in store.spending.spent(LANE, 999.0)} == {
            (0, 6_000_000),
            (1, 6_000_000),
        }
        store.intents.move("landed", TxState.FINALIZED)
        assert {(s.nonce, s.at_s, s.cost) for s in store.spending.spent(LANE, 950.0)} == {
            (0, 950.0, 300),
            (1, float("inf"), 6_000_000),
        }
        assert [s.nonce for s in store.spending.spent(LANE, 951.0)] == [1]
        store.intents.plan([replace(planned("i1", action="i1"), urgent=True)])
        store.intents.move("i1", TxState.SIMULATED, simulation=asdict(SIMULATION))
        store.intents.take_over("i1", "open", attempt("i1", 1), "it waits no longer")
        with pytest.raises(IllegalMoveError):
            store.intents.take_over("i1", "open", attempt("i1", 1), "twice")
