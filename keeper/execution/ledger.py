"""The outbox's rows and the journal, kept in step: the move first, its record before the next step."""

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

    A move and its record are one turn: the journal tells the moves in the order in which they were made, so
    that its last one says which are missing after a crash.
    """

    def __init__(self, store: Store, journal: Recorder) -> None:
        self.store = store
        self._turn = threading.Lock()
        self._journal = journal
        self._cycle_id = ""
        self._chain_time_s = 0
        self._behind = False

    @property
    def intents(self) -> Intents:
        """The rows, for reading."""
        return self.store.intents

    def begin(self, cycle_id: str, chain_time_s: int) -> None:
        """Name the cycle that the next moves belong to, and record what the last one could not."""
        with self._in_turn():
            self._cycle_id = cycle_id
            self._chain_time_s = chain_time_s

    def catch_up(self) -> int:
        """Record the moves that a crash or a full disk kept out of the journal. Returns how many.

        A journal without any move is a new one: only what is still under way is repeated in it. Raises
        `StoreBehindError` when the journal knows a move that the store does not.
        """
        last = self._journal.last(RecordKind.TRANSITION)
        if last is not None:
            told = int(last.body["transition"])
            known = self.intents.transitions(after=told - 1)
            if not known or known[0].id != told:
                raise StoreBehindError(self.store.place, told)
            missed = known[1:]
        else:
            running = self.intents.within([state for state in TxState if state not in ENDED])
            missed = tuple(
                t for stored in running for t in self.intents.transitions(intent_id=stored.intent.id)
            )
        for transition in missed:
            self._tell(transition)
        return len(missed)

    def plan(self, planned: Sequence[StoredIntent]) -> None:
        """Write new intents, all or none."""
        with self._in_turn():
            for transition in self.intents.plan(planned):
                self._tell(transition)

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
        with self._in_turn():
            self._tell(self.intents.move(intent_id, to, reason=reason, **changes))

    def move_together(self, moves: Sequence[Move]) -> None:
        """Take several intents to other states, all or none. Raises `IllegalMoveError`."""
        with self._in_turn():
            for transition in self.intents.move_together(moves):
                self._tell(transition)

    def sign(
        self, intent_id: str, lane: tuple[int, Address], at_least: int, make: Callable[[int], Attempt]
    ) -> Attempt:
        """Assign the nonce, sign, keep the bytes. Other lanes go on while the signer takes its time."""
        while True:
            attempt = make(max(at_least, self.intents.next_nonce(lane)))
            with self._in_turn():
                transition = self.intents.keep(intent_id, lane, at_least, attempt)
                if transition is not None:
                    self._tell(transition)
                    return attempt

    def sign_again(self, intent_id: str, attempt: Attempt, reason: str) -> None:
        """Keep a replacement at the same nonce."""
        with self._in_turn():
            self._tell(self.intents.sign_again(intent_id, attempt, reason))

    def take_over(self, intent_id: str, displaced_id: str, attempt: Attempt, reason: str) -> None:
        """Keep bytes at the nonce of another intent. Raises `IllegalMoveError`."""
        with self._in_turn():
            self._tell(self.intents.take_over(intent_id, displaced_id, attempt, reason))

    def fill(
        self, planned: StoredIntent, nonce: int, simulation: Simulation, make: Callable[[int], Attempt]
    ) -> Attempt:
        """Plan and sign a transaction at a nonce that nobody uses any more."""
        attempt = make(nonce)
        with self._in_turn():
            transitions, _ = self.intents.fill(planned, nonce, simulation, lambda _: attempt)
            for transition in transitions:
                self._tell(transition)
        return attempt

    @contextmanager
    def _in_turn(self) -> Generator[None]:
        """Give way to one move and its record at a time.

        Where a move was written and its record was not, nothing further is done before that is made good.
        """
        with self._turn:
            if self._behind:
                self.catch_up()
            self._behind = True
            yield
            self._behind = False

    def _tell(self, transition: Transition) -> None:
        body = plain(transition)
        body["transition"] = body.pop("id")
        if transition.before is None:
            # The first record of an intent says what it is; the others name it.
            stored = self.intents.get(transition.intent_id)
            assert stored is not None
            body["intent"] = plain(stored.intent)
            body["kind"], body["subject"] = stored.kind, stored.subject
        # Only what leaves must be announced on disk; the store has the other moves.
        self._journal.append(
            RecordKind.TRANSITION,
            self._cycle_id,
            self._chain_time_s,
            body,
            durable=transition.after is TxState.SENT,
        )
