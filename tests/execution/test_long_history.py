"""The work for one transaction does not grow with those that ended before it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from keeper.model.intent import TxState
from tests.execution.bell import BELL
from tests.execution.rig import FINAL_AFTER, Rig
from tests.execution.simulated_chain import SimulatedChain

FEW: Final = 30
MANY: Final = 3_000


class Steps:
    """Instructions that the database has carried out, on all connections made since."""

    def __init__(self, rig: Rig) -> None:
        self.count = 0
        event.listen(rig.store._database._engine, "connect", self._connected)  # type: ignore[attr-defined]
        rig.store._database.close()  # connections that are not counted

    def _connected(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.count += 1
        return 0


def test_the_database_has_as_much_to_do_after_many_transactions_as_after_few(tmp_path: Path) -> None:
    """Its rows are read by indexes, and what is final only once: counted in its own instructions."""
    chain = SimulatedChain()
    rig = Rig(tmp_path, chain)
    rig.needed([1])
    chain.mine(FINAL_AFTER)
    rig.cycle()
    steps = Steps(rig)
    taken: list[int] = []
    for number, history in ((2, FEW), (4, MANY)):
        _lengthen(rig, history)
        rig.needed([number])  # reads what became final meanwhile
        chain.mine(FINAL_AFTER)
        rig.cycle()
        before = steps.count
        rig.needed([number + 1])
        taken.append(steps.count - before)
    assert sum(chain.effects(BELL).values()) == 5
    few, many = taken
    assert few > 1_000
    assert many < 1.5 * few
    rig.stop()


def _lengthen(rig: Rig, times: int) -> None:
    """Repeat a transaction that is final in the lane's past, at nonces that nobody asks for."""
    final = TxState.FINALIZED.value
    with closing(sqlite3.connect(rig.folder / "keeper.sqlite", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row

        def one(query: str, value: str) -> dict[str, Any]:
            return dict(connection.execute(query, (value,)).fetchone())

        intent = one("SELECT * FROM intents WHERE state = ? LIMIT 1", final)
        attempt = one("SELECT * FROM attempts WHERE intent_id = ? LIMIT 1", intent["id"])
        move = one("SELECT * FROM transitions WHERE intent_id = ? ORDER BY id DESC LIMIT 1", intent["id"])
        (newest,) = connection.execute("SELECT max(id) FROM transitions").fetchone()
        connection.execute("BEGIN")
        for i in range(newest + 1, newest + 1 + times):
            past = f"past-{i}"
            own = {"id": past, "action_id": past, "subject": past, "nonce": -1 - i}
            _insert(connection, "intents", intent | own)
            _insert(connection, "attempts", attempt | {"intent_id": past})
            _insert(connection, "transitions", move | {"id": i, "intent_id": past})
        connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
