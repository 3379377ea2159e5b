"""What transactions cost and moved, for the caps per hour and day.

The caps are asked before every signature. What is final never changes: each of those rows is read once, and
not the whole day again. What may still change is read anew each time.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from keeper.model.reads import Address
from keeper.model.units import Wad, Wei
from keeper.store import statements
from keeper.store.database import Database
from keeper.store.prepared import Row
from keeper.store.rows import NOT_FINAL, Moved, Spent
from keeper.store.statements import Ended

_SLACK_S: Final = 3600.0
"""Rows are kept so much longer than they count: the clock may be set back."""

_R = TypeVar("_R", bound=Spent | Moved)


class Spending:
    """Answers from the store's own rows. Several lanes may ask at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._spent: dict[tuple[int, Address], _Kept[Spent]] = {}
        self._moved: _Kept[Moved] = _Kept(statements.FINAL_MOVES, {}, _moved)

    def spent(self, lane: tuple[int, Address], since_s: float, *, besides: str = "") -> tuple[Spent, ...]:
        """Return what each transaction of the lane cost or may still cost, in wei.

        Until it is final it counts whenever it was signed, at the dearest of its versions: a reorg may let it
        land later and dearer than it did. Then it counts when its receipt was noted at or after `since_s`.
        The intent `besides` is left out.
        """
        named = {"chain": lane[0], "signer": lane[1]}
        with self._turn, self._database.reading(at_once=True) as connection:
            final = self._spent.setdefault(lane, _Kept(statements.FINAL_COSTS, named, _spent))
            found = final.since(connection, since_s)
            found += _joined(statements.OPEN_COSTS.rows(connection, named), _spent).values()
        return tuple(spent for spent in found if spent.intent_id != besides)

    def moved(self, since_s: float) -> tuple[Moved, ...]:
        """Return the value that each transaction, of whatever lane, moved or may still move.

        Until it is final it counts whenever it was signed, also when it reverted: after a reorg it may
        succeed, and later. Then it counts when its receipt was noted at or after `since_s`.
        """
        with self._turn, self._database.reading(at_once=True) as connection:
            found = self._moved.since(connection, since_s)
            found += _joined(statements.OPEN_MOVES.rows(connection, {}), _moved).values()
        return tuple(found)

    def outgoing(self, lane: tuple[int, Address], asset: str, *, after_block: int) -> Wad:
        """Return what of an asset left the wallet of a lane's signer after a block, or may still leave it."""
        named = {"chain": lane[0], "signer": lane[1], "asset": asset, "block": after_block}
        with self._database.reading() as connection:
            return Wad(sum(amount for (amount,) in statements.OUTGOING.rows(connection, named)))


class _Kept(Generic[_R]):
    """The final rows of one question, as far back as it was asked."""

    def __init__(self, rows: Ended, named: Mapping[str, Any], value: Callable[[Row, _R | None], _R]) -> None:
        self._rows = rows
        self._named = named
        self._value = value
        self._newest = 0
        self._from_s = float("inf")
        self._values: dict[str, _R] = {}

    def since(self, connection: Connection, since_s: float) -> list[_R]:
        """Return those that landed at or after `since_s`; the connection must see one state of the store."""
        newest = int(statements.NEWEST_TRANSITION.scalar(connection, {}))
        if since_s < self._from_s:
            rows = self._rows.landed.rows(connection, {**self._named, "since": since_s})
            self._values, self._from_s = _joined(rows, self._value), since_s
        elif newest > self._newest:
            rows = self._rows.ended.rows(connection, {**self._named, "after": self._newest})
            self._values |= _joined(rows, self._value)
        self._newest = newest
        if since_s > self._from_s + 2 * _SLACK_S:
            self._from_s = since_s - _SLACK_S
            self._values = {i: v for i, v in self._values.items() if v.at_s >= self._from_s}
        return [value for value in self._values.values() if value.at_s >= since_s]


def _joined(rows: list[Row], value: Callable[[Row, _R | None], _R]) -> dict[str, _R]:
    """Return one value for each intent, whose id is the first column."""
    found: dict[str, _R] = {}
    for row in rows:
        found[row[0]] = value(row, found.get(row[0]))
    return found


def _spent(row: Row, before: Spent | None) -> Spent:
    """Return what an intent costs, of one of its versions and of those before."""
    identity, state, at_s, kind, urgent, nonce, fee, gas, fee_per_gas, l1_fee = row
    cost = max(fee or 0, before.cost if before else 0)
    if state in NOT_FINAL:
        cost = max(cost, gas * fee_per_gas + l1_fee)
    return Spent(
        intent_id=identity,
        kind=kind,
        urgent=urgent,
        nonce=nonce,
        at_s=_at_s(state, at_s),
        cost=Wei(cost),
        fee_per_gas=Wei(max(before.fee_per_gas if before else 0, fee_per_gas)),
    )


def _moved(row: Row, _before: Moved | None) -> Moved:
    identity, state, at_s, urgent, usd = row
    return Moved(intent_id=identity, urgent=urgent, at_s=_at_s(state, at_s), usd=Wad(usd))


def _at_s(state: str, landed_at_s: float) -> float:
    return float("inf") if state in NOT_FINAL else landed_at_s
