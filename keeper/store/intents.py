"""The outbox's rows: every move is one transaction, checked against the table of moves."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from keeper.model.intent import MOVES, OPEN, Simulation, TxIntent, TxState
from keeper.model.reads import Address
from keeper.model.units import Wei
from keeper.store import tables
from keeper.store.engine import reading, writing
from keeper.store.errors import IllegalMoveError

UNSIGNED: Final = frozenset({TxState.PLANNED, TxState.SIMULATED})
"""States that nobody but the process which planned the intent carries on."""

ENDED: Final = frozenset({TxState.CONFIRMED, TxState.FINALIZED, TxState.DROPPED})
"""States in which the decision has its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIntent:
    """An intent, whose it is, and how far it got."""

    intent: TxIntent
    episode: int
    sequence: int
    kind: str
    """Kind of the action, or `lane` for a transaction that fills a nonce."""

    subject: str
    state: TxState = TxState.PLANNED
    reason: str = ""
    nonce: int | None = None
    tx_hash: str | None = None
    """The version that landed; before that, the newest one signed."""

    block_number: int | None = None
    """Block of the receipt; of a drop, the head at which it was decided."""

    block_hash: str | None = None
    block_time_s: int | None = None
    success: bool | None = None
    gas_used: int | None = None
    fee: Wei | None = None
    simulation: Simulation | None = None
    changed_at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed version of an intent's transaction. Any of them may land, at most one will."""

    intent_id: str
    number: int
    nonce: int
    cancels: bool
    """A transfer of nothing to ourselves, which only uses up the nonce."""

    tx_hash: str
    raw: bytes
    gas: int
    fee_per_gas: Wei
    """Fee cap, or the gas price of a legacy transaction."""

    priority_per_gas: Wei | None
    """None for a legacy transaction."""

    signed_at_block: int
    signed_at_s: float = 0.0

    @property
    def worst_fee(self) -> Wei:
        """Most that this version can cost."""
        return Wei(self.gas * self.fee_per_gas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move, as it was written."""

    id: int
    """1, 2, 3 ... over all intents."""

    intent_id: str
    before: TxState | None
    """None when the intent was planned."""

    after: TxState
    reason: str
    tx_hash: str | None
    block_number: int | None
    at_s: float
    """Wall clock."""


class Intents:
    """Reads and moves of the outbox."""

    def __init__(
        self,
        engine: Engine,
        path: Path,
        clock: Callable[[], float],
        crash_at: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._path = path
        self._clock = clock
        self._crash_at = crash_at

    # Moves

    def plan(self, planned: Sequence[StoredIntent]) -> tuple[Transition, ...]:
        """Write new intents in state PLANNED, all or none."""
        at_s = self._clock()
        self._crash_at("planned.before")
        with writing(self._engine, self._path) as connection:
            connection.execute(insert(tables.intents), [_columns(p, at_s) for p in planned])
            done = tuple(
                self._note(connection, p.intent.id, None, TxState.PLANNED, p.reason, {}, at_s)
                for p in planned
            )
            self._crash_at("planned.written")
        self._crash_at("planned.after")
        return done

    def move(self, intent_id: str, to: TxState, *, reason: str = "", **changes: object) -> Transition:
        """Take an intent to another state, with the columns that change with it.

        Raises `IllegalMoveError` for a move that is not in the table of moves.
        """
        self._crash_at(f"{to.value}.before")
        with writing(self._engine, self._path) as connection:
            done = self._move(connection, intent_id, to, reason, changes)
            self._crash_at(f"{to.value}.written")
        self._crash_at(f"{to.value}.after")
        return done

    def sign(
        self, intent_id: str, lane: tuple[int, Address], at_least: int, make: Callable[[int], Attempt]
    ) -> tuple[Transition, Attempt]:
        """Assign the lane's next nonce, sign with it, and keep the bytes: one transaction.

        The nonce is the greatest of `at_least` and the one after the last that we use; a dropped intent's
        nonce was used by somebody else, which the chain counts. A failure of `make` leaves the lane as it
        was, so no nonce is ever assigned without bytes that use it.
        """
        self._crash_at("signed.before")
        with writing(self._engine, self._path) as connection:
            not_dropped = tables.intents.c.state != TxState.DROPPED.value
            used = connection.execute(_highest_nonce(lane, not_dropped))
            attempt = make(max(at_least, 1 + used.scalar_one()))
            done = self._sign(connection, intent_id, attempt, "")
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done, attempt

    def sign_again(self, intent_id: str, attempt: Attempt, reason: str) -> Transition:
        """Keep a replacement at the nonce that the intent already has.

        Raises `IllegalMoveError` unless the intent is SENT.
        """
        self._crash_at("signed.before")
        with writing(self._engine, self._path) as connection:
            done = self._sign(connection, intent_id, attempt, reason)
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done

    def fill(
        self, planned: StoredIntent, nonce: int, simulation: Simulation, make: Callable[[int], Attempt]
    ) -> tuple[tuple[Transition, ...], Attempt]:
        """Plan and sign an intent at a nonce below the lane's next one that nobody uses any more."""
        at_s = self._clock()
        attempt = make(nonce)
        self._crash_at("signed.before")
        with writing(self._engine, self._path) as connection:
            connection.execute(insert(tables.intents), [_columns(planned, at_s)])
            identity = planned.intent.id
            done = (
                self._note(connection, identity, None, TxState.PLANNED, planned.reason, {}, at_s),
                self._move(
                    connection,
                    identity,
                    TxState.SIMULATED,
                    planned.reason,
                    {"simulation": dataclasses.asdict(simulation)},
                ),
                self._sign(connection, identity, attempt, planned.reason),
            )
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done, attempt

    def _sign(self, connection: Connection, intent_id: str, attempt: Attempt, reason: str) -> Transition:
        row = {**dataclasses.asdict(attempt), "signed_at_s": self._clock()}
        connection.execute(insert(tables.attempts), [row])
        changes = {"nonce": attempt.nonce, "tx_hash": attempt.tx_hash}
        return self._move(connection, intent_id, TxState.SIGNED, reason, changes)

    def _move(
        self, connection: Connection, intent_id: str, to: TxState, reason: str, changes: dict[str, Any]
    ) -> Transition:
        found = connection.execute(
            select(tables.intents.c.state).where(tables.intents.c.id == intent_id)
        ).scalar()
        before = None if found is None else TxState(found)
        if before is None or to not in MOVES[before]:
            raise IllegalMoveError(intent_id, found=before, wanted=to)
        at_s = self._clock()
        connection.execute(
            update(tables.intents)
            .where(tables.intents.c.id == intent_id)
            .values(state=to.value, reason=reason, changed_at_s=at_s, **changes)
        )
        return self._note(connection, intent_id, before, to, reason, changes, at_s)

    def _note(
        self,
        connection: Connection,
        intent_id: str,
        before: TxState | None,
        after: TxState,
        reason: str,
        changes: dict[str, Any],
        at_s: float,
    ) -> Transition:
        row = {
            "intent_id": intent_id,
            "before": None if before is None else before.value,
            "after": after.value,
            "reason": reason,
            "tx_hash": changes.get("tx_hash"),
            "block_number": changes.get("block_number"),
            "at_s": at_s,
        }
        inserted = connection.execute(insert(tables.transitions), row).inserted_primary_key
        assert inserted is not None
        return _transition({**row, "id": inserted[0]})

    # Reads

    def get(self, intent_id: str) -> StoredIntent | None:
        """Return an intent; None when it was never planned."""
        rows = self._select(tables.intents.c.id == intent_id)
        return rows[0] if rows else None

    def attempts(self, intent_id: str) -> tuple[Attempt, ...]:
        """Return the signed versions of an intent, oldest first."""
        query = (
            select(tables.attempts)
            .where(tables.attempts.c.intent_id == intent_id)
            .order_by(tables.attempts.c.number)
        )
        with reading(self._engine, self._path) as connection:
            return tuple(Attempt(**row._mapping) for row in connection.execute(query))

    def within(
        self,
        states: Collection[TxState],
        *,
        lane: tuple[int, Address] | None = None,
        action_id: str | None = None,
        topic: tuple[str, str] | None = None,
    ) -> tuple[StoredIntent, ...]:
        """Return the intents in any of `states`: unsigned ones first as planned, then by nonce.

        `topic` is (kind, subject) of the action; `lane` is (chain id, signer).
        """
        table = tables.intents.c
        conditions: list[ColumnElement[bool]] = [table.state.in_([state.value for state in states])]
        if lane is not None:
            conditions += [table.chain_id == lane[0], table.sender == lane[1]]
        if action_id is not None:
            conditions.append(table.action_id == action_id)
        if topic is not None:
            conditions += [table.kind == topic[0], table.subject == topic[1]]
        return self._select(and_(*conditions))

    def open_like(self, action_id: str, topic: tuple[str, str]) -> StoredIntent | None:
        """Return an intent of this action, or of the same kind and subject, that may still land."""
        table = tables.intents.c
        same = or_(table.action_id == action_id, and_(table.kind == topic[0], table.subject == topic[1]))
        rows = self._select(and_(same, table.state.in_([state.value for state in OPEN])))
        return rows[0] if rows else None

    def ended(self, action_id: str) -> int:
        """Count the intents of an action that have their outcome: the action's next episode."""
        table = tables.intents.c
        query = (
            select(func.count())
            .select_from(tables.intents)
            .where(and_(table.action_id == action_id, table.state.in_([state.value for state in ENDED])))
        )
        with reading(self._engine, self._path) as connection:
            return int(connection.execute(query).scalar_one())

    def settled(self, topic: tuple[str, str], limit: int = 10) -> tuple[StoredIntent, ...]:
        """Return the last signed intents of (kind, subject) that have ended, highest block first."""
        table = tables.intents.c
        query = (
            select(tables.intents)
            .where(
                and_(
                    table.kind == topic[0],
                    table.subject == topic[1],
                    table.nonce.is_not(None),
                    table.state.in_([state.value for state in ENDED]),
                )
            )
            .order_by(table.block_number.desc(), table.nonce.desc())
            .limit(limit)
        )
        with reading(self._engine, self._path) as connection:
            return tuple(_stored(row) for row in connection.execute(query))

    def dropped_since(self, lane: tuple[int, Address], block_number: int) -> tuple[StoredIntent, ...]:
        """Return signed intents of a lane that were given up at or after a block."""
        table = tables.intents.c
        return self._select(
            and_(
                table.chain_id == lane[0],
                table.sender == lane[1],
                table.state == TxState.DROPPED.value,
                table.nonce.is_not(None),
                table.block_number >= block_number,
            )
        )

    def spent(self, lane: tuple[int, Address], since_s: float, *, besides: str = "") -> Wei:
        """Return what the lane's transactions signed since then cost, or may still cost, in wei.

        One that can still land is counted at the dearest of its versions. The intent `besides` is left out.
        """
        intents, attempts = tables.intents.c, tables.attempts.c
        query = (
            select(intents.id, intents.state, intents.fee, attempts.gas, attempts.fee_per_gas)
            .join(tables.attempts, attempts.intent_id == intents.id)
            .where(
                and_(
                    intents.chain_id == lane[0],
                    intents.sender == lane[1],
                    intents.id != besides,
                    attempts.signed_at_s >= since_s,
                )
            )
        )
        costs: dict[str, int] = {}
        with reading(self._engine, self._path) as connection:
            for identity, state, fee, gas, fee_per_gas in connection.execute(query):
                if TxState(state) in OPEN:
                    costs[identity] = max(costs.get(identity, 0), gas * fee_per_gas)
                else:
                    costs[identity] = fee or 0
        return Wei(sum(costs.values()))

    def next_nonce(self, lane: tuple[int, Address]) -> int:
        """Return the nonce after the last one that a transaction of ours uses; 0 for a lane never used."""
        not_dropped = tables.intents.c.state != TxState.DROPPED.value
        with reading(self._engine, self._path) as connection:
            return 1 + int(connection.execute(_highest_nonce(lane, not_dropped)).scalar_one())

    def final_nonce(self, lane: tuple[int, Address]) -> int:
        """Return the highest nonce whose transaction is final; -1 while there is none."""
        final = tables.intents.c.state == TxState.FINALIZED.value
        with reading(self._engine, self._path) as connection:
            return int(connection.execute(_highest_nonce(lane, final)).scalar_one())

    def lanes(self) -> tuple[tuple[int, Address], ...]:
        """Return every (chain id, signer) with a transaction that may still land, sorted."""
        table = tables.intents.c
        query = (
            select(table.chain_id, table.sender)
            .where(table.state.in_([state.value for state in OPEN]))
            .distinct()
            .order_by(table.chain_id, table.sender)
        )
        with reading(self._engine, self._path) as connection:
            return tuple((int(chain), Address(signer)) for chain, signer in connection.execute(query))

    def counts(self) -> dict[TxState, int]:
        """Count the intents by state; every state has an entry."""
        query = select(tables.intents.c.state, func.count()).group_by(tables.intents.c.state)
        with reading(self._engine, self._path) as connection:
            found = {TxState(state): int(count) for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in TxState}

    def transitions(self, *, after: int = 0, intent_id: str | None = None) -> tuple[Transition, ...]:
        """Return the moves with an id above `after`, in order."""
        table = tables.transitions.c
        condition = table.id > after
        if intent_id is not None:
            condition = and_(condition, table.intent_id == intent_id)
        query = select(tables.transitions).where(condition).order_by(table.id)
        with reading(self._engine, self._path) as connection:
            return tuple(_transition(dict(row._mapping)) for row in connection.execute(query))

    def _select(self, condition: Any) -> tuple[StoredIntent, ...]:
        table = tables.intents.c
        query = (
            select(tables.intents)
            .where(condition)
            .order_by(table.chain_id, table.nonce, table.planned_at_s, table.episode, table.sequence)
        )
        with reading(self._engine, self._path) as connection:
            return tuple(_stored(row) for row in connection.execute(query))


_INTENT_FIELDS: Final = tuple(f.name for f in dataclasses.fields(TxIntent))
_STORED_FIELDS: Final = tuple(f.name for f in dataclasses.fields(StoredIntent) if f.name != "intent")


def _columns(planned: StoredIntent, at_s: float) -> dict[str, Any]:
    row = {name: getattr(planned.intent, name) for name in _INTENT_FIELDS}
    return row | {
        "episode": planned.episode,
        "sequence": planned.sequence,
        "kind": planned.kind,
        "subject": planned.subject,
        "state": TxState.PLANNED.value,
        "reason": planned.reason,
        "planned_at_s": at_s,
        "changed_at_s": at_s,
    }


def _stored(row: Row[Any]) -> StoredIntent:
    columns = dict(row._mapping)
    fields: dict[str, Any] = {name: columns[name] for name in _STORED_FIELDS}
    fields["state"] = TxState(fields["state"])
    if fields["simulation"] is not None:
        fields["simulation"] = Simulation(**fields["simulation"])
    return StoredIntent(intent=TxIntent(**{name: columns[name] for name in _INTENT_FIELDS}), **fields)


def _transition(row: dict[str, Any]) -> Transition:
    before = row["before"]
    return Transition(
        **{**row, "before": None if before is None else TxState(before), "after": TxState(row["after"])}
    )


def _highest_nonce(lane: tuple[int, Address], condition: ColumnElement[bool]) -> Select[int]:
    table = tables.intents.c
    return select(func.coalesce(func.max(table.nonce), -1)).where(
        and_(table.chain_id == lane[0], table.sender == lane[1], condition)
    )
