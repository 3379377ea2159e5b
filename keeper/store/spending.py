"""What transactions cost and moved: what the caps per hour and day count.

The caps are asked before every signature. What is final never changes: each of those rows is read once, and
not the whole day again. What may still change is read anew each time.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from keeper.model.intent import TxState
from keeper.model.reads import Address
from keeper.model.units import Wad, Wei
from keeper.store import statements
from keeper.store.database import Database
from keeper.store.prepared import Row
from keeper.store.rows import FINAL, NOT_FINAL, Moved, Spent
from keeper.store.statements import Question

_SLACK_S: Final = 3600.0
"""Rows are kept so much longer than they count: the clock may be set back."""

_R = TypeVar("_R", bound=Spent | Moved)


class Spending:
    """Answers from the store's own rows. Several lanes may ask at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._spent: _Answers[Spent] = _Answers(statements.COSTS, _spent)
        self._moved: _Answers[Moved] = _Answers(statements.MOVES, _moved)

    def spent(self, lane: tuple[int, Address], since_s: float, *, besides: str = "") -> tuple[Spent, ...]:
        """Return what each transaction of the lane cost or may still cost, in wei.

        Until it is final it counts whenever it was signed, at the dearest of its versions: a reorg may let it
        land later and dearer than it did. Then it counts when its receipt was noted at or after `since_s`.
        The intent `besides` is left out.
        """
        with self._turn, self._database.reading(at_once=True) as connection:
            found = self._spent.since(connection, since_s)
        return tuple(spent for spent in found if spent.lane == lane and spent.intent_id != besides)

    def moved(self, since_s: float) -> tuple[Moved, ...]:
        """Return the value that each transaction, of whatever lane, moved or may still move.

        Until it is final it counts whenever it was signed, also when it reverted: after a reorg it may
        succeed, and later. Then it counts when its receipt was noted at or after `since_s`.
        """
        with self._turn, self._database.reading(at_once=True) as connection:
            return tuple(self._moved.since(connection, since_s))

    def outgoing(self, lane: tuple[int, Address], asset: str, *, after_block: int) -> Wad:
        """Return what of an asset left the wallet of a lane's signer after a block, or may still leave it."""
        named = {"chain": lane[0], "signer": lane[1], "asset": asset, "block": after_block}
        with self._database.reading() as connection:
            return Wad(sum(amount for (amount,) in statements.OUTGOING.rows(connection, named)))


class _Answers(Generic[_R]):
    """The answers to one question, of which the final ones are asked once."""

    def __init__(self, question: Question, value: Callable[[Row, _R | None], _R | None]) -> None:
        self._question = question
        self._value = value
        self._newest = 0
        self._from_s = float("inf")
        self._final: dict[str, _R] = {}

    def since(self, connection: Connection, since_s: float) -> list[_R]:
        """Return what may still change, and what landed at or after `since_s`.

        The connection must see one state of the store.
        """
        newest = int(statements.NEWEST_TRANSITION.scalar(connection, {}))
        if since_s < self._from_s:
            rows = self._question.since.rows(connection, {"since": since_s})
            self._final, self._from_s = self._values(row for row in rows if row[1] in FINAL), since_s
        elif newest > self._newest:
            for (identity,) in statements.ENDED_SINCE.rows(connection, {"after": self._newest}):
                rows = self._question.intent.rows(connection, {"id": identity})
                self._final |= self._values(row for row in rows if row[2] is not None)
        self._newest = newest
        if since_s > self._from_s + 2 * _SLACK_S:
            self._from_s = since_s - _SLACK_S
            self._final = {i: v for i, v in self._final.items() if v.at_s >= self._from_s}
        final = [value for value in self._final.values() if value.at_s >= since_s]
        return final + list(self._values(self._question.still_open.rows(connection, {})).values())

    def _values(self, rows: Iterable[Row]) -> dict[str, _R]:
        """Return one value for each intent that counts. Id, state and time are the first columns."""
        found: dict[str, _R] = {}
        for row in rows:
            value = self._value(row, found.get(row[0]))
            if value is not None:
                found[row[0]] = value
        return found


def _spent(row: Row, before: Spent | None) -> Spent:
    """Return what an intent costs, of one of its versions and of those before."""
    identity, state, at_s, chain_id, sender, kind, urgent, nonce, fee, gas, fee_per_gas, l1_fee = row
    cost = max(fee or 0, before.cost if before else 0)
    if state in NOT_FINAL:
        cost = max(cost, gas * fee_per_gas + l1_fee)
    return Spent(
        intent_id=identity,
        lane=(chain_id, sender),
        kind=kind,
        urgent=urgent,
        nonce=nonce,
        at_s=_at_s(state, at_s),
        cost=Wei(cost),
        fee_per_gas=Wei(max(before.fee_per_gas if before else 0, fee_per_gas)),
    )


def _moved(row: Row, _before: Moved | None) -> Moved | None:
    """Return what an intent moves; None where it is final that it moved nothing."""
    identity, state, at_s, urgent, success, usd = row
    if usd == 0 or state == TxState.DROPPED or (state == TxState.FINALIZED and success is False):
        return None
    return Moved(intent_id=identity, urgent=urgent, at_s=_at_s(state, at_s), usd=Wad(usd))


def _at_s(state: str, landed_at_s: float) -> float:
    return float("inf") if state in NOT_FINAL else landed_at_s
