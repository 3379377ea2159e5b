"""Statements that the driver runs say what SQLAlchemy would."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from keeper.store import tables
from keeper.store.prepared import Prepared

HUGE = 10**60
ATTEMPT: dict[str, Any] = {
    "intent_id": "i1",
    "number": 0,
    "nonce": 7,
    "cancels": True,
    "tx_hash": "0xabc",
    "raw": b"\x00\xff",
    "gas": 60_000,
    "fee_per_gas": HUGE,
    "priority_per_gas": None,
    "l1_fee": 3,
    "signed_at_s": 1.5,
    "signed_at_block": 5,
}
READ = select(tables.attempts).where(tables.attempts.c.number == 0)


def test_values_go_in_and_come_out_as_sqlalchemy_has_them(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store'}")
    tables.metadata.create_all(engine)
    add, read = Prepared(insert(tables.attempts)), Prepared(READ)
    change = Prepared(update(tables.attempts).where(tables.attempts.c.nonce == 7))
    with engine.begin() as connection:
        assert add.change(connection, ATTEMPT) == 1
        assert read.mappings(connection, {}) == [ATTEMPT]
        assert [dict(row._mapping) for row in connection.execute(READ)] == [ATTEMPT]
        assert change.change(connection, {"fee_per_gas": HUGE + 1, "cancels": False}) == 1
        assert change.change(connection, {"l1_fee": 4}) == 1, "other columns are another text"
        changed = ATTEMPT | {"fee_per_gas": HUGE + 1, "cancels": False, "l1_fee": 4}
        assert read.mappings(connection, {}) == [changed]
        assert read.scalar(connection, {}) == "i1"
        with pytest.raises(IntegrityError):
            add.change(connection, ATTEMPT)
    engine.dispose()


def test_nothing_found_is_none(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store'}")
    tables.metadata.create_all(engine)
    with engine.connect() as connection:
        assert Prepared(READ).rows(connection, {}) == []
        assert Prepared(READ).scalar(connection, {}) is None
    engine.dispose()
