"""Agreement of several endpoints: what one answered is asked of others, at the same block.

Each round of reads is put to the witnesses while the next one is read, so that a quorum costs requests rather
than time. What is compared are decoded answers: nodes differ in gas left and in words, not in values.
Questions about the present are put to all at once, and again after a moment where the answers differ.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar

from keeper.chain.agreement import Settle
from keeper.chain.errors import (
    AnswersDiffer,
    EndpointsDisagree,
    MulticallMissing,
    NodeUnreachable,
    PinnedBlockGone,
    QuorumMissing,
    WrongChain,
)
from keeper.chain.facts import Facts
from keeper.chain.reader import Reader
from keeper.chain.simulation import Explain, Rehearsal, Simulator
from keeper.chain.transactions import Tx
from keeper.model.errors import DataError, KeeperError, TransientError
from keeper.model.intent import Simulation
from keeper.model.reads import Address, Call, Failed, Logs, Read
from keeper.model.snapshot import BlockRef

T = TypeVar("T")

_PATIENCE_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses for a witness that has not seen the block yet: nodes hear of a block within about a second."""

_LONGEST_SHOWN: Final = 160

_NO_TESTIMONY: Final = (TransientError, DataError, WrongChain, MulticallMissing)
"""What a witness may come to. Whether the configuration is right, the endpoint in use tells."""

Testimony: TypeAlias = list[Any] | KeeperError
"""A witness's answers, or why it has none."""


@dataclass(slots=True)
class Witness:
    """One endpoint, with a thread and connections of its own."""

    reader: Reader
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "witness"))
    silent: KeeperError | None = None
    """Why it has not answered: what else waits for it is given up, until the reads are settled."""

    failed_s: float = 0.0
    """When it last failed, on the monotonic clock."""

    @property
    def host(self) -> str:
        """Scheme and host."""
        return self.reader.pool.hosts[0]

    def answer(self, reads: Sequence[Read], at: BlockRef) -> Testimony:
        """Answer reads. Raises nothing that a node can bring about."""
        if self.silent is not None:
            return self.silent
        for pause_s in (*_PATIENCE_S, None):
            try:
                return self.reader.answer(reads, at)
            except PinnedBlockGone as problem:
                if pause_s is None:
                    return self._failed(problem)
                time.sleep(pause_s)
            except _NO_TESTIMONY as problem:
                return self._failed(problem)
        raise AssertionError

    def rehearse(self, run: Callable[[Simulator], Rehearsal], not_before: int) -> Rehearsal:
        """Simulate at the witness's head, once that has reached block `not_before`.

        Raises one of `_NO_TESTIMONY`.
        """
        for pause_s in (*_PATIENCE_S, None):
            found = run(self.reader.simulator)
            if all((s.block_number or 0) >= not_before for s in found.simulations):
                return found
            if pause_s is not None:
                time.sleep(pause_s)
        raise NodeUnreachable(self.host, (f"has not seen block {not_before}",))

    def tell(self, question: Callable[[Facts], T]) -> T | KeeperError:
        """Answer a question about the present. Raises nothing that a node can bring about."""
        try:
            return question(self.reader.facts)
        except _NO_TESTIMONY as problem:
            self.failed_s = time.monotonic()
            return problem

    def _failed(self, problem: KeeperError) -> KeeperError:
        self.silent, self.failed_s = problem, time.monotonic()
        return problem


@dataclass(slots=True)
class _Noted:
    reads: Sequence[Read]
    at: BlockRef
    answers: list[Any]
    by: frozenset[int]
    """Positions of the endpoints that gave the answers."""

    asked: dict[int, "Future[Testimony]"]


class Quorum:
    """Holds what one endpoint answers against what `needed` others do."""

    def __init__(self, name: str, readers: Sequence[Reader], needed: int) -> None:
        """Prepare; nobody is asked. `readers` are one per endpoint, in the order of the pool."""
        self._name = name
        self._needed = needed
        self._witnesses = [Witness(reader) for reader in readers]
        self._noted: list[_Noted] = []

    @property
    def requests(self) -> int:
        """POSTs made so far."""
        return sum(w.reader.pool.requests for w in self._witnesses)

    def note(self, reads: Sequence[Read], at: BlockRef, answers: list[Any], by: Collection[int]) -> None:
        """Remember an answer, and begin to ask others. `by`: positions of those who gave it."""
        if not reads:
            return
        noted = _Noted(reads, at, answers, frozenset(by), {})
        self._noted.append(noted)
        for i in self._others(noted.by)[: self._needed]:
            self._ask(noted, i)

    def forget(self) -> None:
        """Let go of what was noted."""
        for noted in self._noted:
            for future in noted.asked.values():
                future.cancel()
        self._noted.clear()
        for witness in self._witnesses:
            witness.silent = None

    def settle(self) -> None:
        """Wait until enough others have given the same answers to all that was noted.

        Raises `EndpointsDisagree`, and `QuorumMissing` when too few can answer.
        """
        try:
            for noted in self._noted:
                self._settle(noted)
        finally:
            self.forget()

    def agreed(
        self,
        what: str,
        mine: Callable[[], tuple[T, Collection[int]]],
        question: Callable[[Facts], T],
        settle: Settle[T],
    ) -> T:
        """Return what the endpoint in use and enough others make of a question about the present.

        `mine` asks the endpoint in use, and tells the positions of those who answered. Where answers differ,
        all others are asked too, and all again for a second and a half. Raises `AnswersDiffer`,
        `QuorumMissing`, and what `mine` raises.
        """
        for pause_s in (*_PATIENCE_S, None):
            own, by = mine()
            said = [(self._hosts(by), own)]
            others = self._others(frozenset(by))
            said += self._told(question, others, self._needed, least=self._needed)
            for _ in range(2):
                found = settle([answer for _, answer in said], self._needed + 1)
                if found is not None:
                    return found[0]
                said += self._told(question, others, len(others))
            if pause_s is not None:
                time.sleep(pause_s)
        raise AnswersDiffer(self._name, what, [(host, _brief(answer)) for host, answer in said])

    def all_say(self, question: Callable[[Facts], T], own: T, by: Collection[int]) -> list[tuple[str, T]]:
        """Return the answer of the endpoint in use and of as many others as the quorum needs, with hosts.

        Raises `QuorumMissing`.
        """
        return [
            (self._hosts(by), own),
            *self._told(question, self._others(frozenset(by)), self._needed, least=self._needed),
        ]

    def simulate(
        self,
        sender: Address,
        txs: Sequence[Tx],
        explain: Explain | None,
        found: tuple[Simulation, ...],
        by: Collection[int],
    ) -> tuple[Simulation, ...]:
        """Return simulations that succeed only where enough others say so too, with the most gas of all."""

        def run(simulator: Simulator) -> Rehearsal:
            return Rehearsal(simulations=simulator.bundle(sender, txs, explain))

        return self.rehearse(run, Rehearsal(simulations=found), by).simulations

    def rehearse(
        self, run: Callable[[Simulator], Rehearsal], own: Rehearsal, by: Collection[int]
    ) -> Rehearsal:
        """Return `own` with what others find, each at its head: it succeeds only where enough of them do."""
        found = own.simulations
        if not found or not all(s.ok for s in found):
            return own
        number = max(s.block_number or 0 for s in found)
        agreeing: list[Rehearsal] = []
        reasons: list[str] = []
        for i in self._others(frozenset(by)):
            witness = self._witnesses[i]
            try:
                theirs = witness.rehearse(run, number)
            except _NO_TESTIMONY as problem:
                reasons.append(str(problem))
                continue
            failed = next((s for s in theirs.simulations if not s.ok), None)
            if failed is not None:
                reason = f"{self._hosts(by)} would take it, {witness.host} would not: {failed.error}"
                return replace(own, simulations=self._held(found, reason))
            found = tuple(
                replace(mine, gas=max(mine.gas or 0, other.gas or 0))
                for mine, other in zip(found, theirs.simulations, strict=True)
            )
            agreeing.append(theirs)
            if len(agreeing) == self._needed:
                return replace(own, simulations=found, others=tuple(agreeing))
        return replace(own, simulations=self._held(found, str(self._missing(len(agreeing), reasons))))

    def close(self) -> None:
        """Close all connections."""
        self.forget()
        for witness in self._witnesses:
            witness.threads.shutdown(wait=False, cancel_futures=True)
            witness.reader.pool.close()

    def _others(self, by: frozenset[int]) -> list[int]:
        """Return who may bear witness, those that failed lately last."""
        others = [i for i in range(len(self._witnesses)) if i not in by]
        return sorted(others, key=lambda i: self._witnesses[i].failed_s)

    def _told(
        self, question: Callable[[Facts], T], others: list[int], enough: int, *, least: int = 0
    ) -> list[tuple[str, T]]:
        """Put a question to others at once, until enough of them have answered or none is left.

        Who was asked is taken out of `others`. Raises `QuorumMissing` where fewer than `least` answer.
        """
        said: list[tuple[str, T]] = []
        reasons: list[str] = []
        while others and len(said) < enough:
            asked = others[: enough - len(said)]
            del others[: len(asked)]
            jobs = [self._witnesses[i].threads.submit(self._witnesses[i].tell, question) for i in asked]
            for i, job in zip(asked, jobs, strict=True):
                answer = job.result()
                if isinstance(answer, KeeperError):
                    reasons.append(str(answer))
                else:
                    said.append((self._witnesses[i].host, answer))
        if len(said) < least:
            raise self._missing(len(said), reasons)
        return said

    def _ask(self, noted: _Noted, i: int) -> None:
        witness = self._witnesses[i]
        noted.asked[i] = witness.threads.submit(witness.answer, noted.reads, noted.at)

    def _settle(self, noted: _Noted) -> None:
        agreeing, reasons = 0, []
        for i in self._others(noted.by):
            if i not in noted.asked:
                self._ask(noted, i)
            theirs, host = noted.asked[i].result(), self._witnesses[i].host
            unread = str(theirs) if not isinstance(theirs, list) else self._compare(noted, theirs, host)
            if unread:
                reasons.append(f"{host}: {unread}")
                continue
            agreeing += 1
            if agreeing == self._needed:
                return
        raise self._missing(agreeing, reasons)

    def _compare(self, noted: _Noted, theirs: list[Any], host: str) -> str:
        """Return what the witness could not read, empty where it agrees. Raises `EndpointsDisagree`."""
        unread = ""
        for read, mine, other in zip(noted.reads, noted.answers, theirs, strict=True):
            if _unread(other):
                # What neither could read is a gap either way.
                unread = unread or ("" if _unread(mine) else str(other))
            elif mine != other:
                hosts = (self._hosts(noted.by), host)
                raise EndpointsDisagree(self._name, hosts, _shown(read), noted.at.number)
        return unread

    def _missing(self, agreeing: int, reasons: Sequence[str]) -> QuorumMissing:
        return QuorumMissing(self._name, needed=self._needed + 1, found=agreeing + 1, reasons=reasons)

    def _held(self, found: Sequence[Simulation], reason: str) -> tuple[Simulation, ...]:
        number = found[0].block_number
        return (Simulation(ok=False, gas=None, error=reason, block_number=number),) * len(found)

    def _hosts(self, by: Collection[int]) -> str:
        return " and ".join(self._witnesses[i].host for i in sorted(by))


def _unread(answer: object) -> bool:
    return isinstance(answer, Failed) and not answer.benign


def _brief(answer: object) -> str:
    return str(answer) if len(str(answer)) <= _LONGEST_SHOWN else f"{str(answer)[:_LONGEST_SHOWN]}..."


def _shown(read: Read) -> str:
    if isinstance(read, Call):
        return f"{read.contract}.{read.fn}"
    return f"{read.contract} events" if isinstance(read, Logs) else read.method
