"""The outbox state machine, as a whole."""

from itertools import product

import pytest

from keeper.model.intent import MOVES, OPEN, TxState, intent_id
from keeper.model.reads import Address

TO = Address("0x00000000000000000000000000000000000000AA")


def reachable(start: TxState) -> set[TxState]:
    found, todo = set[TxState](), [start]
    while todo:
        for after in MOVES[todo.pop()] - found:
            found.add(after)
            todo.append(after)
    return found


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(TxState)


def test_every_state_can_be_reached() -> None:
    assert reachable(TxState.PLANNED) == set(TxState) - {TxState.PLANNED}


def test_nothing_is_signed_unsimulated_but_a_replacement() -> None:
    assert {s for s, after in MOVES.items() if TxState.SIGNED in after} == {TxState.SIMULATED, TxState.SENT}


def test_nothing_is_sent_unsigned() -> None:
    # From CONFIRMED it goes back to SENT: it was signed before.
    assert {s for s, after in MOVES.items() if TxState.SENT in after} == {TxState.SIGNED, TxState.CONFIRMED}


def test_nothing_is_confirmed_that_was_not_sent() -> None:
    assert {s for s, after in MOVES.items() if TxState.CONFIRMED in after} == {TxState.SENT}


def test_only_finalized_and_dropped_are_ends() -> None:
    assert {s for s, after in MOVES.items() if not after} == {TxState.FINALIZED, TxState.DROPPED}


def test_every_state_can_come_to_an_end() -> None:
    ends = {TxState.FINALIZED, TxState.DROPPED}
    assert all(reachable(s) & ends for s in set(TxState) - ends)


def test_a_confirmed_transaction_is_never_dropped_while_it_lies_in_a_block() -> None:
    assert TxState.DROPPED not in MOVES[TxState.CONFIRMED]


def test_open_is_where_bytes_may_land() -> None:
    assert {TxState.SIGNED, TxState.SENT} == OPEN


IDENTITY = {"action_id": "a", "episode": "0", "sequence": 0, "chain_id": 10, "to": TO, "data": "0x01"}


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("action_id", "b"),
        ("episode", "1"),
        ("sequence", 1),
        ("chain_id", 11),
        ("to", Address("0x00000000000000000000000000000000000000BB")),
        ("data", "0x02"),
    ],
)
def test_an_intent_is_another_when_any_part_of_it_is(field: str, other: object) -> None:
    assert intent_id(**IDENTITY) != intent_id(**{**IDENTITY, field: other})  # type: ignore[arg-type]


def test_the_same_decision_twice_is_the_same_intent() -> None:
    assert intent_id(**IDENTITY) == intent_id(**IDENTITY)  # type: ignore[arg-type]


def test_identities_do_not_run_together() -> None:
    # "1" + "11" and "11" + "1" must not meet.
    pairs = {
        intent_id(action_id="a", episode=e, sequence=s, chain_id=10, to=TO, data="0x")
        for e, s in product(("1", "11", "111"), (1, 11, 111))
    }
    assert len(pairs) == 9
