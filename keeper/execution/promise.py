"""Hold what a plan promised against what its transactions do at the head, before anything is signed.

A figure that is exact must change by exactly what was promised. One that follows a price may fall short by
the tolerance, because the head is newer than the block the plan rests on; it never may have another sign. And
no token may leave a wallet of ours that the action did not name, whatever the tolerance.

A subject whose promise was broken is left alone for a while, from the second time in a row on where only a
price had moved: the next plan rests on the newer price. How long stands with the proof in the outbox, so that
the next start goes on with it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from keeper.chain.simulation import Rehearsal
from keeper.chain.transactions import Receipt, Tx
from keeper.execution.errors import PromiseRestError, UnpromisedTransferError
from keeper.execution.limits import Limits, Pace
from keeper.execution.task import Task
from keeper.model.intent import Simulation
from keeper.model.promise import (
    Checked,
    Figure,
    Line,
    Promise,
    Proof,
    Rest,
    Term,
    bounds,
    in_units,
    net_transfer,
    unpromised,
)
from keeper.model.reads import Failed
from keeper.store.rows import StoredIntent

_BPS: Final = 10_000
_MOST_DOUBLINGS: Final = 5
_PRICE_REST: Final = 8
"""A moved price rests this many times shorter than what should not have been possible."""


class Kept(Protocol):
    """What outlives a run. `keeper.store.intents.Intents` is one."""

    def last_proof(self, topic: tuple[str, str]) -> Proof | None:
        """Return the newest promise of (kind, subject) that was kept, or broken so that the subject rests."""
        ...


class Promises:
    """Simulates actions and holds them to their promises. Leaves those alone whose were broken.

    A breach that a crash keeps out of the outbox did not happen: nothing was sent, and it is found again.
    """

    def __init__(self, limits: Limits, pace: Pace, kept: Kept) -> None:
        """`kept` is where the caller writes down what is simulated, and where an earlier run did."""
        self._limits = limits
        self._pace = pace
        self._kept = kept
        self._last: dict[tuple[str, str], Proof | None] = {}

    def simulate(self, task: Task, txs: Sequence[Tx]) -> tuple[Simulation, ...]:
        """Run an action's transactions at the head. The last one fails where the promise is broken.

        Raises `PromiseRestError` while the subject is left alone, `DataError` where the adapter cannot say
        what it promises, and node trouble.
        """
        if not txs:
            return ()
        last = self._last_of(task.topic)
        if last is not None and last.rest is not None and task.pinned.timestamp_s < last.rest.until_s:
            raise PromiseRestError(until_s=last.rest.until_s, times=last.rest.times, why=last.broken)
        head = task.node.head()
        promise = task.node.run(task.adapter.promise(task.venue, task.action, task.sender), head)
        rehearsal = task.node.rehearse(task.sender, txs, promise.reads, task.adapter.meaning)
        if any(not s.ok and not s.untold for s in rehearsal.simulations):
            return rehearsal.simulations
        proof = _agreed(promise, rehearsal, self._limits.promise_tolerance_bps)
        if proof.checked is Checked.NOT and self._limits.require_promise:
            proof = replace(proof, broken=_UNCHECKED)
        else:
            proof = replace(proof, rest=self._rest(last, proof, head.timestamp_s))
            self._last[task.topic] = proof
        return _with(rehearsal.simulations, proof)

    def next_step(self, task: Task, txs: Sequence[Tx]) -> Simulation:
        """Run what is left of an action, and return what that says of the next transaction."""
        first, *others = self.simulate(task, txs)
        doomed = next((s for s in others if not s.ok and not s.untold), None)
        if doomed is None or not first.ok:
            return first
        return replace(first, ok=False, gas=None, error=doomed.error, benign=doomed.benign)

    def _last_of(self, topic: tuple[str, str]) -> Proof | None:
        if topic not in self._last:
            self._last[topic] = self._kept.last_proof(topic)
        return self._last[topic]

    def _rest(self, last: Proof | None, proof: Proof, now_s: int) -> Rest | None:
        """Return what follows from a proof, given the one before it on the same subject."""
        if not proof.broken:
            return None
        times = 1 if last is None or last.rest is None else last.rest.times + 1
        doublings, base_s = times - 1, self._pace.cool_down_s
        if _only_fell_short(proof):
            doublings, base_s = times - 2, max(1, base_s // _PRICE_REST)
        rest_s = base_s * 2 ** min(doublings, _MOST_DOUBLINGS) if doublings >= 0 else 0
        return Rest(times=times, until_s=now_s + rest_s)


def prove(promise: Promise, rehearsal: Rehearsal, tolerance_bps: int) -> Proof:
    """Hold a promise against a rehearsal that succeeds. Every figure has its line, found or not."""
    known = rehearsal.before is not None and rehearsal.after is not None
    lines = tuple(_line(figure, rehearsal, tolerance_bps) for figure in promise.figures)
    shown = rehearsal.transfers
    broken = unpromised(shown or (), promise.holders, promise.outflows)
    if known and not broken:
        broken = next((_otherwise(line) for line in lines if not line.kept), "")
    checked = Checked.NOT if not known else Checked.FIGURES if shown is None else Checked.WHOLE
    return Proof(
        checked=checked,
        lines=lines,
        broken=broken,
        holders=promise.holders,
        outflows=promise.outflows,
        steps=len(rehearsal.simulations),
    )


def _agreed(promise: Promise, rehearsal: Rehearsal, tolerance_bps: int) -> Proof:
    """Return the proof of the endpoint in use, broken where another one of its quorum finds it so."""
    proof = prove(promise, rehearsal, tolerance_bps)
    others = (prove(promise, other, tolerance_bps) for other in rehearsal.others)
    against = next((other for other in others if other.broken), None)
    if proof.broken or against is None:
        return proof
    return replace(against, broken=f"by another endpoint of the quorum, {against.broken}")


def breach_of(stored: StoredIntent, receipt: Receipt) -> UnpromisedTransferError | None:
    """Hold what landed against its promise.

    No token may have left a wallet of ours that was not named, and what was to change in a wallet by an exact
    amount must have, where the token's events told so in the simulation. The receipt holds our own
    transaction's transfers only, so neither prices nor others' transactions matter. Returns what is to stop
    all sending; None where the promise was kept, or nothing was promised.
    """
    proof = stored.simulation.promise if stored.simulation is not None else None
    if proof is None or receipt.status != 1:
        return None
    found = unpromised(receipt.transfers, proof.holders, proof.outflows)
    if not found and proof.steps == 1:
        found = next((text for line in proof.lines if (text := _otherwise_paid(line, receipt))), "")
    return UnpromisedTransferError(stored.intent.id, receipt.tx_hash, found) if found else None


def _otherwise_paid(line: Line, receipt: Receipt) -> str:
    """Return how a wallet's exact change is not what landed, in words; else empty."""
    if line.wallet is None or line.priced or line.least != line.most:
        return ""
    landed = net_transfer(receipt.transfers, line.wallet)
    return "" if landed == line.least else _otherwise(replace(line, found=landed))


_UNCHECKED: Final = (
    "what it promises cannot be checked: the node neither simulates several calls in a row (eth_simulateV1) "
    "nor takes state overrides; name a node that does, or set limits.require_promise = false"
)


def _with(simulations: Sequence[Simulation], proof: Proof) -> tuple[Simulation, ...]:
    found = [replace(s, promise=proof) for s in simulations]
    if proof.broken:
        found[-1] = replace(found[-1], ok=False, gas=None, error=f"not as promised: {proof.broken}")
    return tuple(found)


def _line(figure: Figure, rehearsal: Rehearsal, tolerance_bps: int) -> Line:
    found = _change(figure.terms, rehearsal)
    bound = max(figure.least or 0, -(figure.most or 0), 0)
    tolerance = bound * tolerance_bps // _BPS if figure.priced else 0
    return Line(
        name=figure.name,
        unit=figure.unit,
        decimals=figure.decimals,
        least=figure.least,
        most=figure.most,
        found=found,
        tolerance=tolerance,
        kept=found is not None and _within(figure, found, tolerance),
        priced=figure.priced,
        wallet=figure.wallet if found is not None and _told(figure, rehearsal, found) else None,
    )


def _told(figure: Figure, rehearsal: Rehearsal, found: int) -> bool:
    """Whether a wallet's change is what the token's own events say."""
    shown = rehearsal.transfers
    return figure.wallet is not None and shown is not None and net_transfer(shown, figure.wallet) == found


def _within(figure: Figure, found: int, tolerance: int) -> bool:
    """Whether a change keeps its bounds; what follows a price may be nearer to nothing by the tolerance."""
    least, most = figure.least, figure.most
    enough = least is None or found >= least or (found > 0 and found >= least - tolerance)
    little = most is None or found <= most or (found < 0 and found <= most + tolerance)
    return enough and little


def _change(terms: Sequence[Term], rehearsal: Rehearsal) -> int | None:
    if rehearsal.before is None or rehearsal.after is None:
        return None
    total = 0
    for term in terms:
        sides = [
            _picked(answers.get(term.read), term.path) for answers in (rehearsal.before, rehearsal.after)
        ]
        if sides[0] is None or sides[1] is None:
            return None
        total += term.weight * (sides[1] - sides[0])
    return total


def _picked(answer: Any, path: Sequence[int | str]) -> int | None:
    if answer is None or isinstance(answer, Failed):
        return None
    for step in path:
        answer = answer[step]
    return int(answer)


def _only_fell_short(proof: Proof) -> bool:
    """Whether all that is wrong is that priced figures are nearer to nothing than promised."""
    short = [line for line in proof.lines if not line.kept]
    return (
        bool(short)
        and all(
            line.priced
            and line.found is not None
            and (0 < line.found < (line.least or 0) or (line.most or 0) < line.found < 0)
            for line in short
        )
        and proof.broken.endswith(_otherwise(short[0]))
    )


def _otherwise(line: Line) -> str:
    """Return promise and finding of a figure in words."""
    if line.found is None:
        return f"{line.name} cannot be read, {bounds(line)} was promised"
    tolerance = f", tolerance {in_units(line.tolerance, line)}" if line.tolerance else ""
    return f"{line.name} changes by {in_units(line.found, line)}, {bounds(line)} was promised{tolerance}"
