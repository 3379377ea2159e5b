"""Answers `Call`s at a pinned block: multicalls that fit into the node's gas, split where they do not."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from keeper.chain.abi import decode, decode_revert, encode_bytes, function
from keeper.chain.errors import AbiMismatch, MulticallMissing, NodeDisbelieved, NodeRefused
from keeper.chain.gas import Asked, GasBook, Gauged, starved, suspicious
from keeper.chain.isolation import ROLLBACK, ROLLBACK_CODE, unwrapped, wrapped
from keeper.chain.multicall import (
    GAUGE,
    GAUGE_CODE,
    GET_CHAIN_ID,
    GET_TIMESTAMP,
    Entry,
    Result,
    frame,
    unframe,
)
from keeper.chain.pinned import PinnedCalls
from keeper.chain.pool import NodePool
from keeper.chain.refusals import out_of_gas, reverted, too_large
from keeper.model.reads import Address, Call, Failed, Send
from keeper.model.snapshot import BlockRef

_LONGEST_SHOWN: Final = 60

Outcome: TypeAlias = Result | Failed


class CallReader:
    """Answers the calls of one chain."""

    def __init__(
        self,
        pool: NodePool,
        pinned: PinnedCalls,
        *,
        name: str,
        chain_id: int,
        multicall: Address,
        call_gas: int,
    ) -> None:
        self._pool = pool
        self._pinned = pinned
        self._name = name
        self._chain_id = chain_id
        self._multicall = multicall
        self._book = GasBook(call_gas)
        self._runtime: str | None = None
        self._found = False
        """Whether there was an answer at the multicall's address."""

    def answer(self, calls: Sequence[Call], at: BlockRef) -> list[Any]:
        """Return decoded answers in the order of `calls`, `Failed` for each that gave none.

        A call with a sender, with changes simulated before it, or of a function that changes state, sees
        nothing of the others and leaves nothing behind. `msg.sender` is the call's sender, or the multicall.
        Raises `PinnedBlockGone`, `NodeUnreachable`, `MulticallMissing`, `AbiMissing`; `AbiMismatch` for
        arguments that do not fit.
        """
        answers: list[Any] = [None] * len(calls)
        asked = [self._asked(i, call) for i, call in enumerate(calls)]
        for one in asked:
            if any(send.value_wei for send in one.call.before):
                answers[one.index] = _failed(one, "a simulated change cannot bring native coin")
        for chunk in self._book.chunks([a for a in asked if answers[a.index] is None]):
            for one, outcome in zip(chunk, self._chunk(chunk, at), strict=True):
                answers[one.index] = _decoded(one, outcome)
        return answers

    def _asked(self, index: int, call: Call) -> Asked:
        entry = Entry(call.to, encode_bytes(call))
        if not call.before and call.sender is None and not function(call.contract, call.fn).changes_state:
            return Asked(index, call, entry)
        before = [Entry(s.to, encode_bytes(s)) for s in call.before]
        stage = call.sender or self._multicall
        return Asked(index, call, wrapped(stage, [*before, entry]), isolated=True)

    def _chunk(self, chunk: Sequence[Asked], at: BlockRef) -> list[Outcome]:
        outcomes: list[Outcome] | None
        try:
            outcomes = self._aggregate(chunk, at)
        except NodeRefused as refusal:
            outcomes = self._refused(chunk, refusal, at)
        if outcomes is not None:
            return outcomes
        if len(chunk) == 1:
            return [self._alone(chunk[0], at)]
        half = len(chunk) // 2
        return self._chunk(chunk[:half], at) + self._chunk(chunk[half:], at)

    def _refused(self, chunk: Sequence[Asked], refusal: NodeRefused, at: BlockRef) -> list[Outcome] | None:
        """Return failures for a chunk that no splitting would help, else None."""
        if too_large(refusal) or out_of_gas(refusal):
            return None
        first = self._alone(chunk[0], at)
        if isinstance(first, Failed) and not first.benign:
            return [_failed(a, refusal.text) for a in chunk]
        return None

    def _aggregate(self, chunk: Sequence[Asked], at: BlockRef) -> list[Outcome] | None:
        """Return the outcomes of a chunk in one multicall, or None where they are in doubt."""
        gauged = Gauged.of(chunk)
        last = [Entry(self._multicall, GET_CHAIN_ID), Entry(self._multicall, GET_TIMESTAMP)]
        results, overridden = self._call([*gauged.entries, *last], self._overrides(chunk), at)
        if not overridden and any(a.isolated for a in chunk):
            return self._without_isolation(chunk, at)
        answers, readings = gauged.split(results[:-2])
        doubtful = starved(readings) if overridden else suspicious(self._book, chunk, answers)
        if readings is not None and not (doubtful and len(chunk) == 1):
            self._book.learn(gauged.runs, readings)
        if not doubtful and all(r.success for r in results[-2:]):
            self._require_same_block(results[-2:], at)
            return [_inside(a, r) if a.isolated else r for a, r in zip(chunk, answers, strict=True)]
        if len(chunk) == 1 and (answers[0].success or chunk[0].isolated):
            self._book.note(self._book.hungry, chunk[0])
            return [_failed(chunk[0], f"takes more gas than call_gas = {self._book.limit} lets it have")]
        return None

    def _overrides(self, chunk: Sequence[Asked]) -> dict[str, dict[str, str]]:
        overrides: dict[str, dict[str, str]] = {GAUGE: {"code": GAUGE_CODE}}
        if any(a.isolated for a in chunk):
            overrides[ROLLBACK] = {"code": ROLLBACK_CODE}
        for sender in sorted({a.call.sender for a in chunk if a.call.sender is not None}):
            overrides[sender] = {"code": self._multicall_code()}
        return overrides

    def _call(
        self, entries: Sequence[Entry], overrides: dict[str, dict[str, str]], at: BlockRef
    ) -> tuple[list[Result], bool]:
        transaction = {"to": self._multicall, "data": frame(entries), "gas": hex(self._book.asked)}
        data, overridden = self._pinned.call(transaction, at, overrides)
        if not data and self._found:
            raise self._disbelieved("answers nothing where there was a multicall")
        if not data:
            raise MulticallMissing(self._name, self._chain_id, self._multicall)
        try:
            results = unframe(data, len(entries))
            self._found = True
            return results, overridden
        except AbiMismatch as problem:
            raise self._disbelieved(str(problem)) from None

    def _without_isolation(self, chunk: Sequence[Asked], at: BlockRef) -> list[Outcome]:
        """Answer a chunk on a node without state overrides: what must be isolated goes on its own."""
        together = [a for a in chunk if not a.isolated]
        answered = iter(self._chunk(together, at) if together else ())
        return [self._apart(a, at) if a.isolated else next(answered) for a in chunk]

    def _apart(self, one: Asked, at: BlockRef) -> Outcome:
        if not one.call.before:
            return self._alone(one, at)
        if one.call.sender is not None:
            return _failed(one, "needs state overrides, which the node does not take")
        steps: tuple[Call | Send, ...] = (*one.call.before, one.call)
        entries = [Entry(step.to, encode_bytes(step)) for step in steps]
        try:
            results, _ = self._call(entries, {}, at)
        except NodeRefused as refusal:
            return _failed(one, refusal.text)
        return _last(one, results)

    def _alone(self, one: Asked, at: BlockRef) -> Outcome:
        """Make a call without the multicall, so that the node itself says what is the matter."""
        if one.call.before:
            return _failed(one, "could not be read together with what is simulated before it")
        transaction = {
            "from": one.call.sender or self._multicall,
            "to": one.call.to,
            "data": "0x" + encode_bytes(one.call).hex(),
            "gas": hex(self._book.asked),
        }
        try:
            return Result(True, self._pinned.call(transaction, at)[0])
        except NodeRefused as refusal:
            if out_of_gas(refusal) or (not refusal.data and "opcode" in refusal.text.lower()):
                self._book.note(self._book.hungry, one)
            elif reverted(refusal):
                self._book.note(self._book.quiet, one)
            if reverted(refusal) and not out_of_gas(refusal):
                return (
                    Result(False, refusal.data) if refusal.data else _failed(one, refusal.text, benign=True)
                )
            return _failed(one, refusal.text)

    def _require_same_block(self, results: Sequence[Result], at: BlockRef) -> None:
        """Check which chain and time the views saw: a node that is wrong there is not believed elsewhere."""
        chain_id, time_s = (int.from_bytes(r.data, "big") for r in results)
        if chain_id != self._chain_id:
            raise self._disbelieved(f"answers for chain id {chain_id}, expected {self._chain_id}")
        # The genesis block is left out: some nodes give views there a time of their own.
        if time_s != at.timestamp_s and at.number > 0:
            # A block of the same number may have taken its place: then the node is right.
            self._pinned.require_canonical(at)
            raise self._disbelieved(f"reads at time {time_s}, expected {at.timestamp_s} of block {at.number}")

    def _disbelieved(self, problem: str) -> NodeDisbelieved:
        host = self._pool.current or self._name
        self._pool.set_current_aside(problem)
        return NodeDisbelieved(self._name, host, problem)

    def _multicall_code(self) -> str:
        if self._runtime is None:
            code = self._pool.bytes_of("eth_getCode", [self._multicall, "latest"])
            if not code:
                raise self._disbelieved("shows no code where there is a multicall")
            self._runtime = "0x" + code.hex()
        return self._runtime


def _inside(one: Asked, result: Result) -> Outcome:
    try:
        results = unwrapped(result, 1 + len(one.call.before))
    except AbiMismatch as problem:
        return _failed(one, str(problem))
    return _failed(one, "its simulation did not run to the end") if results is None else _last(one, results)


def _last(one: Asked, results: Sequence[Result]) -> Outcome:
    """Return the result of the call itself, unless a change simulated before it was refused."""
    for send, result in zip(one.call.before, results, strict=False):
        if not result.success:
            reason = decode_revert(result.data, (send.contract,)).text
            return _failed(one, f"{send.contract}.{send.fn} before it was refused: {reason}", benign=True)
    return results[-1]


def _decoded(one: Asked, outcome: Outcome) -> Any:
    if isinstance(outcome, Failed):
        return outcome
    if not outcome.success:
        return _failed(one, decode_revert(outcome.data, (one.call.contract,)).text, benign=True)
    try:
        return decode(one.call, outcome.data)
    except AbiMismatch as problem:
        return _failed(one, str(problem))


def _failed(one: Asked, reason: str, *, benign: bool = False) -> Failed:
    shown = ", ".join(str(a) for a in one.call.args)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[: _LONGEST_SHOWN - 3] + "..."
    return Failed(f"{one.call.contract}.{one.call.fn}({shown})", reason, benign)
