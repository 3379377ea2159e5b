"""The outbox's rows and the journal, kept in step.

| move | on disk | in the journal |
| --- | --- | --- |
| to SENT | at once, with all moves before it | at once, with all moves before it, and on disk |
| any other | with the next one to SENT, or when its cycle ends | then |

A node is given nothing before both have it. The journal is never told of a move that the store has not on
disk, so that it never knows more than the store.
Power loss may take moves of the second kind. Nothing has left because of them, and what they note is found
again: on the chain, or by the next decision. The end of the process takes nothing.
"""

import dataclasses
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from keeper.model.canonical import plain
from keeper.model.intent import Simulation, TxState
from keeper.model.reads import Address
from keeper.model.record import Record, RecordKind
from keeper.store.errors import StoreBehindError
from keeper.store.intents import Intents
from keeper.store.rows import ENDED, Attempt, Move, StoredIntent, Transition
from keeper.store.store import Store


class Recorder(Protocol):
    """What execution needs of the journal. `keeper.journal.journal.Journal` is one."""

    def append(
        self,
        kind: RecordKind,
        cycle_id: str,
        chain_time_s: int,
        body: dict[str, Any],
        *,
        durable: bool = True,
    ) -> Record:
        """Write one record; when `durable`, it is on disk with all before it when this returns."""
        ...

    def last(self, kind: RecordKind) -> Record | None:
        """Return the newest record of a kind."""
        ...


class Ledger:
    """Moves intents and tells the journal about each move. Lanes of several chains take turns.

    The journal tells the moves in the order in which they were made, so that its last one says which are
    missing after a crash.
    """

    def __init__(self, store: Store, journal: Recorder) -> None:
        self.store = store
        self._turn = threading.Lock()
        self._journal = journal
        self._cycle_id = ""
        self._chain_time_s = 0
        self._told: int | None = None
        """The last move that the journal has; None until it was asked."""

        self._planned: dict[str, StoredIntent] = {}
        """Intents of which the journal was told nothing yet, as they were planned."""

        self._untold = True
        self._marked: int | None = None
        """What the store has as told: for a start on a new journal."""

    @property
    def intents(self) -> Intents:
        """The rows, for reading."""
        return self.store.intents

    def begin(self, cycle_id: str, chain_time_s: int) -> None:
        """Name the cycle that the next moves belong to, and record what the last one could not."""
        self.settle()
        with self._turn:
            self._cycle_id = cycle_id
            self._chain_time_s = chain_time_s

    def settle(self) -> int:
        """Bring all moves to disk, and tell the journal those that it lacks. Returns how many.

        It lacks those since the last one to SENT, and those that a crash or a full disk kept from it. In a
        journal without any move, which is a new one, what is still under way is repeated. Raises
        `StoreBehindError` when the journal knows a move that the store does not.
        """
        with self._turn:
            if not self._untold and self._marked == self._told:
                return 0
            told = self.intents.told() if self._told is None else self._told
            self.intents.mark_told(told)
            self._marked = told
            return self._tell_all()

    def plan(self, planned: Sequence[StoredIntent]) -> None:
        """Write new intents, all or none."""
        with self._moving():
            self.intents.plan(planned)
            self._planned |= {stored.intent.id: stored for stored in planned}

    def simulated(self, stored: StoredIntent, simulation: Simulation, gas: int, max_fee: int) -> None:
        """Note that the transaction would succeed, with the gas limit and budget it will have."""
        seen = dataclasses.asdict(simulation)
        self.move(stored.intent.id, TxState.SIMULATED, simulation=seen, gas=gas, max_fee=max_fee)

    def dropped(self, stored: StoredIntent, reason: str, simulation: Simulation | None) -> None:
        """End an intent that was never signed."""
        seen = {} if simulation is None else {"simulation": dataclasses.asdict(simulation)}
        self.move(stored.intent.id, TxState.DROPPED, reason, **seen)

    def move(self, intent_id: str, to: TxState, reason: str = "", **changes: object) -> None:
        """Take an intent to another state. Raises `IllegalMoveError`."""
        with self._moving():
            self.intents.move(intent_id, to, reason=reason, **changes)
            if to is TxState.SENT:
                self._tell_all()

    def move_together(self, moves: Sequence[Move]) -> None:
        """Take several intents to other states, none of them SENT; all or none. Raises `IllegalMoveError`."""
        with self._moving():
            self.intents.move_together(moves)

    def sign(
        self, intent_id: str, lane: tuple[int, Address], at_least: int, make: Callable[[int], Attempt]
    ) -> Attempt:
        """Assign the nonce, sign, keep the bytes. Other lanes go on while the signer takes its time."""
        while True:
            attempt = make(max(at_least, self.intents.next_nonce(lane)))
            with self._moving():
                if self.intents.keep(intent_id, lane, at_least, attempt) is not None:
                    return attempt

    def sign_again(self, intent_id: str, attempt: Attempt, reason: str) -> None:
        """Keep a replacement at the same nonce."""
        with self._moving():
            self.intents.sign_again(intent_id, attempt, reason)

    def take_over(self, intent_id: str, displaced_id: str, attempt: Attempt, reason: str) -> None:
        """Keep bytes at the nonce of another intent. Raises `IllegalMoveError`."""
        with self._moving():
            self.intents.take_over(intent_id, displaced_id, attempt, reason)

    def fill(
        self, planned: StoredIntent, nonce: int, simulation: Simulation, make: Callable[[int], Attempt]
    ) -> Attempt:
        """Plan and sign a transaction at a nonce that nobody uses any more."""
        attempt = make(nonce)
        with self._moving():
            self.intents.fill(planned, simulation, attempt)
        return attempt

    @contextmanager
    def _moving(self) -> Generator[None]:
        with self._turn:
            # Also when the move fails: whether it was written may be unknown.
            self._untold = True
            yield

    def _tell_all(self) -> int:
        """Tell the journal, on disk, each move that it lacks. The store must have them on disk."""
        if self._told is None:
            newest, missed = self.intents.newest_transition(), self._missed_before()
        else:
            missed = self.intents.transitions(after=self._told)
            newest = missed[-1].id if missed else self._told
        for transition in missed:
            self._tell(transition, durable=transition is missed[-1])
            self._told = transition.id
        self._told = newest
        self._untold = False
        self._planned.clear()
        return len(missed)

    def _missed_before(self) -> tuple[Transition, ...]:
        """Return the moves that an earlier run did not tell."""
        last = self._journal.last(RecordKind.TRANSITION)
        if last is not None:
            told = int(last.body["transition"])
            known = self.intents.transitions(after=told - 1)
            if not known or known[0].id != told:
                raise StoreBehindError(self.store.place, told)
            return known[1:]
        running = self.intents.within([state for state in TxState if state not in ENDED])
        moves = {
            move.id: move
            for found in (
                self.intents.transitions(after=self.intents.told()),
                *(self.intents.transitions(intent_id=stored.intent.id) for stored in running),
            )
            for move in found
        }
        return tuple(moves[number] for number in sorted(moves))

    def _tell(self, transition: Transition, *, durable: bool) -> None:
        body = plain(transition)
        body["transition"] = body.pop("id")
        if transition.before is None:
            # The first record of an intent says what it is; the others name it.
            stored = self._planned.get(transition.intent_id) or self.intents.get(transition.intent_id)
            assert stored is not None
            body["intent"] = plain(stored.intent)
            body["kind"], body["subject"] = stored.kind, stored.subject
        self._journal.append(RecordKind.TRANSITION, self._cycle_id, self._chain_time_s, body, durable=durable)
