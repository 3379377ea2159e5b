"""A record's hash covers all of it."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.model.record import GENESIS, Record, RecordKind

RECORD = Record(
    sequence=3,
    previous=GENESIS,
    cycle_id="c",
    kind=RecordKind.PLAN,
    chain_time_s=1_767_225_600,
    body={"numbers": [1, 2.5, 10**30]},
)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "keeper.record/2"},
        {"sequence": 4},
        {"previous": "1" * 64},
        {"cycle_id": "d"},
        {"kind": RecordKind.OUTCOME},
        {"chain_time_s": 0},
        {"body": {"numbers": [1, 2.5, 10**30 + 1]}},
        {"body": {"numbers": [1, 2.5000000000000004, 10**30]}},
    ],
)
def test_any_change_shows(change: dict[str, Any]) -> None:
    assert replace(RECORD, **change).hash != RECORD.hash


def test_the_hash_does_not_depend_on_the_order_in_which_the_body_was_built() -> None:
    assert replace(RECORD, body={"a": 1, "b": 2}).hash == replace(RECORD, body={"b": 2, "a": 1}).hash
