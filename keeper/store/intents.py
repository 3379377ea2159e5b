"""The outbox: every move is one transaction, checked against the table of moves.

Power loss may take moves, the last ones first, back to the last one to SENT, which is on disk with all before
it; or to the last `mark_told`. The end of the process takes none.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from keeper.model.intent import MOVES, Simulation, TxState
from keeper.model.promise import Proof
from keeper.model.reads import Address
from keeper.store import statements
from keeper.store.database import Database
from keeper.store.errors import IllegalMoveError
from keeper.store.prepared import Prepared
from keeper.store.rows import (
    Attempt,
    Move,
    StoredIntent,
    Transition,
    attempt_columns,
    columns_of,
    stored_of,
    transition_of,
)


class Intents:
    """Reads and moves of the outbox."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        crash_at: Callable[[str], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._crash_at = crash_at

    # Moves

    def plan(self, planned: Sequence[StoredIntent]) -> tuple[Transition, ...]:
        """Write new intents in state PLANNED, all or none."""
        at_s = self._clock()
        self._crash_at("planned.before")
        with self._database.writing(at_leisure=True) as connection:
            for p in planned:
                statements.ADD_INTENT.change(connection, columns_of(p, at_s))
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
        with self._database.writing(at_leisure=to is not TxState.SENT) as connection:
            done = self._move(connection, intent_id, to, reason, changes)
            self._crash_at(f"{to.value}.written")
        self._crash_at(f"{to.value}.after")
        return done

    def move_together(self, moves: Sequence[Move]) -> tuple[Transition, ...]:
        """Take several intents to other states, all or none, in order.

        Raises `IllegalMoveError` as `move` does.
        """
        at_leisure = all(move.to is not TxState.SENT for move in moves)
        for move in moves:
            self._crash_at(f"{move.to.value}.before")
        with self._database.writing(at_leisure=at_leisure) as connection:
            done = tuple(
                self._move(connection, move.intent_id, move.to, move.reason, dict(move.changes))
                for move in moves
            )
            for move in moves:
                self._crash_at(f"{move.to.value}.written")
        for move in moves:
            self._crash_at(f"{move.to.value}.after")
        return done

    def sign(
        self, intent_id: str, lane: tuple[int, Address], at_least: int, make: Callable[[int], Attempt]
    ) -> tuple[Transition, Attempt]:
        """Assign the lane's next nonce, sign with it, and keep nonce and bytes: one transaction.

        The nonce is the greatest of `at_least` and the one after the last that we use; a dropped intent's
        nonce was used by somebody else, which the chain counts. A failure of `make` leaves the lane as it
        was, so no nonce is ever assigned without bytes that use it. `make` may take its time: the store is
        not locked meanwhile, and bytes for a nonce that was taken in between are thrown away.
        """
        while True:
            attempt = make(max(at_least, self.next_nonce(lane)))
            done = self.keep(intent_id, lane, at_least, attempt)
            if done is not None:
                return done, attempt

    def keep(
        self, intent_id: str, lane: tuple[int, Address], at_least: int, attempt: Attempt
    ) -> Transition | None:
        """Keep a first version's nonce and bytes. None when the lane's next nonce is another one by now."""
        self._crash_at("signed.before")
        with self._database.writing(at_leisure=True) as connection:
            used = statements.HIGHEST_NONCE.scalar(connection, _named(lane))
            if max(at_least, 1 + used) != attempt.nonce:
                return None
            done = self._sign(connection, intent_id, attempt, "")
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done

    def take_over(self, intent_id: str, displaced_id: str, attempt: Attempt, reason: str) -> Transition:
        """Keep a first version at the nonce of another intent, which from then on waits for its fate.

        At most one of the two lands. Raises `IllegalMoveError` unless the other is SENT and not displaced.
        """
        self._crash_at("signed.before")
        with self._database.writing(at_leisure=True) as connection:
            state = statements.STATE.scalar(connection, {"id": displaced_id})
            by = statements.DISPLACED.scalar(connection, {"id": displaced_id})
            if state != TxState.SENT.value or by is not None:
                found = None if state is None else TxState(state)
                raise IllegalMoveError(displaced_id, found=found, wanted=TxState.SIGNED)
            statements.CHANGE.change(connection, {"intent": displaced_id, "displaced_by": intent_id})
            statements.CHANGE.change(connection, {"intent": intent_id, "displaces": displaced_id})
            done = self._sign(connection, intent_id, attempt, reason)
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done

    def sign_again(self, intent_id: str, attempt: Attempt, reason: str) -> Transition:
        """Keep a replacement at the nonce that the intent already has.

        Raises `IllegalMoveError` unless the intent is SENT.
        """
        self._crash_at("signed.before")
        with self._database.writing(at_leisure=True) as connection:
            done = self._sign(connection, intent_id, attempt, reason)
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done

    def fill(self, planned: StoredIntent, simulation: Simulation, attempt: Attempt) -> tuple[Transition, ...]:
        """Plan and sign an intent at a nonce below the lane's next one that nobody uses any more."""
        at_s = self._clock()
        identity, reason = planned.intent.id, planned.reason
        simulated = {"simulation": dataclasses.asdict(simulation)}
        self._crash_at("signed.before")
        with self._database.writing(at_leisure=True) as connection:
            statements.ADD_INTENT.change(connection, columns_of(planned, at_s))
            done = (
                self._note(connection, identity, None, TxState.PLANNED, reason, {}, at_s),
                self._move(connection, identity, TxState.SIMULATED, reason, simulated),
                self._sign(connection, identity, attempt, reason),
            )
            self._crash_at("signed.written")
        self._crash_at("signed.after")
        return done

    def mark_told(self, number: int) -> None:
        """Remember that a journal has on disk the moves up to `number`. All moves are on disk afterwards."""
        with self._database.writing() as connection:
            if statements.TELL.change(connection, {"value": str(number)}) == 0:
                statements.TELL_FIRST.change(connection, {"value": str(number)})

    def _sign(self, connection: Connection, intent_id: str, attempt: Attempt, reason: str) -> Transition:
        row = {**attempt_columns(attempt), "signed_at_s": self._clock()}
        statements.ADD_ATTEMPT.change(connection, row)
        changes = {"nonce": attempt.nonce, "tx_hash": attempt.tx_hash}
        return self._move(connection, intent_id, TxState.SIGNED, reason, changes)

    def _move(
        self,
        connection: Connection,
        intent_id: str,
        to: TxState,
        reason: str,
        changes: Mapping[str, Any],
    ) -> Transition:
        found = statements.STATE.scalar(connection, {"id": intent_id})
        before = None if found is None else TxState(found)
        if before is None or to not in MOVES[before]:
            raise IllegalMoveError(intent_id, found=before, wanted=to)
        at_s = self._clock()
        row = {"state": to.value, "reason": reason, "changed_at_s": at_s, **changes}
        if to is TxState.CONFIRMED or changes.get("fee") is not None:
            row["landed_at_s"] = at_s
        elif to is TxState.SENT:
            row["landed_at_s"] = None
        statements.CHANGE.change(connection, {"intent": intent_id, **row})
        return self._note(connection, intent_id, before, to, reason, changes, at_s)

    def _note(
        self,
        connection: Connection,
        intent_id: str,
        before: TxState | None,
        after: TxState,
        reason: str,
        changes: Mapping[str, Any],
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
        number = statements.ADD_TRANSITION.scalar(connection, row)
        return transition_of({**row, "id": number})

    # Reads

    def get(self, intent_id: str) -> StoredIntent | None:
        """Return an intent; None when it was never planned."""
        found = self._intents(statements.INTENT, {"id": intent_id})
        return found[0] if found else None

    def attempts(self, intent_id: str) -> tuple[Attempt, ...]:
        """Return the signed versions of an intent, oldest first."""
        with self._database.reading() as connection:
            rows = statements.ATTEMPTS.mappings(connection, {"id": intent_id})
        return tuple(Attempt(**row) for row in rows)

    def within(
        self, states: Collection[TxState], *, lane: tuple[int, Address] | None = None
    ) -> tuple[StoredIntent, ...]:
        """Return the intents in any of `states`, of one (chain id, signer) or of all, in order of nonces."""
        query = statements.in_states(frozenset(states), of_lane=lane is not None)
        return self._intents(query, {} if lane is None else _named(lane))

    def open_like(self, action_id: str, topic: tuple[str, str]) -> StoredIntent | None:
        """Return an intent of this action, or of the same (kind, subject), that may still land."""
        named = {"action": action_id, "kind": topic[0], "subject": topic[1]}
        found = self._intents(statements.OPEN_LIKE, named)
        return found[0] if found else None

    def ended(self, action_id: str) -> int:
        """Count the intents of an action that have their outcome: the action's next episode."""
        with self._database.reading() as connection:
            return int(statements.ENDED_OF_ACTION.scalar(connection, {"action": action_id}))

    def settled(self, topic: tuple[str, str], limit: int = 10) -> tuple[StoredIntent, ...]:
        """Return the last signed intents of (kind, subject) that have ended, highest block first."""
        named = {"kind": topic[0], "subject": topic[1], "limit": limit}
        return self._intents(statements.SETTLED_OF_TOPIC, named)

    def last_proof(self, topic: tuple[str, str]) -> Proof | None:
        """Return the newest promise of (kind, subject) that was kept, or whose breach the subject rests from.

        None where there is none. One that could not be checked, while that is required, says neither.
        """
        found = self._intents(statements.PROVED_OF_TOPIC, {"kind": topic[0], "subject": topic[1]})
        return found[0].simulation.promise if found and found[0].simulation is not None else None

    def dropped_since(self, lane: tuple[int, Address], block_number: int) -> tuple[StoredIntent, ...]:
        """Return signed intents of a lane that were given up at or after a block."""
        return self._intents(statements.DROPPED_SINCE, _named(lane) | {"block": block_number})

    def next_nonce(self, lane: tuple[int, Address]) -> int:
        """Return the nonce after the last one that a transaction of ours uses; 0 for a lane never used."""
        with self._database.reading() as connection:
            return 1 + int(statements.HIGHEST_NONCE.scalar(connection, _named(lane)))

    def final_nonce(self, lane: tuple[int, Address]) -> int:
        """Return the highest nonce whose transaction is final; -1 while there is none."""
        with self._database.reading() as connection:
            return int(statements.FINAL_NONCE.scalar(connection, _named(lane)))

    def lanes(self) -> tuple[tuple[int, Address], ...]:
        """Return every (chain id, signer) with a transaction that may still land, sorted."""
        with self._database.reading() as connection:
            rows = statements.OPEN_LANES.rows(connection, {})
            return tuple((int(chain), Address(signer)) for chain, signer in rows)

    def counts(self) -> dict[TxState, int]:
        """Count the intents by state; every state has an entry."""
        with self._database.reading() as connection:
            found = {TxState(state): int(count) for state, count in statements.COUNTS.rows(connection, {})}
        return {state: found.get(state, 0) for state in TxState}

    def transitions(self, *, after: int = 0, intent_id: str | None = None) -> tuple[Transition, ...]:
        """Return the moves with an id above `after`, of one intent or of all, in order."""
        query = statements.TRANSITIONS if intent_id is None else statements.TRANSITIONS_OF_INTENT
        named = {"after": after} if intent_id is None else {"after": after, "intent": intent_id}
        with self._database.reading() as connection:
            return tuple(transition_of(row) for row in query.mappings(connection, named))

    def told(self) -> int:
        """Return up to which move some journal was told, at least; 0 before the first."""
        with self._database.reading() as connection:
            return int(statements.TOLD.scalar(connection, {}) or 0)

    def newest_transition(self) -> int:
        """Return the id of the last move; 0 before the first."""
        with self._database.reading() as connection:
            return int(statements.NEWEST_TRANSITION.scalar(connection, {}))

    def _intents(self, query: Prepared, named: Mapping[str, Any]) -> tuple[StoredIntent, ...]:
        with self._database.reading() as connection:
            rows = query.mappings(connection, named)
        return tuple(stored_of(row) for row in rows)


def _named(lane: tuple[int, Address]) -> dict[str, Any]:
    return {"chain": lane[0], "signer": lane[1]}
