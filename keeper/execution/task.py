"""One action of a plan on its way, and what may stand in it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from keeper.execution.errors import LaneTakenError, UnknownVenueError, UnpinnedChainError
from keeper.execution.limits import Pace
from keeper.execution.node import Node
from keeper.execution.outcome import not_done, outcome_of
from keeper.execution.urgency import is_urgent
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import TxAction, action_id
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.intents import Intents
from keeper.store.rows import StoredIntent

_MOST_DOUBLINGS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An action with the venue, chain and block that it belongs to."""

    action: TxAction
    action_id: str
    cycle_id: str
    venue: Venue
    adapter: Adapter
    node: Node
    snapshot: Snapshot
    pinned: BlockRef
    sender: Address
    urgent: bool
    """It takes a nonce over from work that is not."""

    @property
    def topic(self) -> tuple[str, str]:
        """(kind, subject): what must not be under way twice, whatever the amounts."""
        return self.action.kind.value, self.action.subject


def task_of(
    action: TxAction,
    cycle_id: str,
    snapshot: Snapshot,
    venues: Mapping[str, tuple[Venue, Adapter]],
    nodes: Mapping[int, Node],
    sender: Address,
    urgent_kinds: Set[str],
) -> Task:
    """Return the task of an action. Raises `UnknownVenueError` and `UnpinnedChainError`."""
    name = f"{action.protocol}:{action.chain_id}"
    if name not in venues or action.chain_id not in nodes:
        raise UnknownVenueError(name)
    pinned = next((block for block in snapshot.blocks if block.chain_id == action.chain_id), None)
    if pinned is None:
        raise UnpinnedChainError(action.chain_id)
    venue, adapter = venues[name]
    return Task(
        action=action,
        action_id=action_id(action),
        cycle_id=cycle_id,
        venue=venue,
        adapter=adapter,
        node=nodes[action.chain_id],
        snapshot=snapshot,
        pinned=pinned,
        sender=sender,
        urgent=is_urgent(action, urgent_kinds),
    )


def obstacle(
    task: Task,
    intents: Intents,
    *,
    front: StoredIntent | None,
    gives_way: bool,
    pace: Pace,
    trouble: str | None,
) -> Outcome | None:
    """Return why an action must not be carried out now; None when it may.

    `front` is what is on its way in the lane that the action would use, and `gives_way` whether the action
    takes its nonce over. `trouble` is why its chain is left alone.
    """
    action = task.action
    if trouble is not None:
        return not_done(action, trouble)
    running = intents.open_like(task.action_id, task.topic)
    displaced = front is not None and gives_way and running is not None and running.intent == front.intent
    if running is not None and not displaced:
        return replace(outcome_of(running), reason=f"already on its way at nonce {running.nonce}")
    if front is not None and not gives_way:
        return not_done(action, str(LaneTakenError(f"{front.kind} of {front.subject}", front.nonce)))
    # Other actions of the same plan on this subject were decided together with this one.
    earlier = [
        stored
        for stored in intents.settled(task.topic)
        if stored.intent.cycle_id != task.cycle_id or stored.intent.action_id == task.action_id
    ]
    last = next((stored for stored in earlier if not _never_landed(stored, intents)), None)
    if last is not None and (last.block_number or 0) > task.pinned.number:
        text = f"decided at block {task.pinned.number}, before block {last.block_number} took effect"
        return not_done(action, text)
    return _cooling(task, earlier, pace)


def _never_landed(stored: StoredIntent, intents: Intents) -> bool:
    """Whether an intent was to take a nonce over, and the other landed: it had no effect of its own."""
    if stored.state is not TxState.DROPPED or stored.displaces is None:
        return False
    other = intents.get(stored.displaces)
    return other is not None and other.state in (TxState.CONFIRMED, TxState.FINALIZED)


def _cooling(task: Task, earlier: Sequence[StoredIntent], pace: Pace) -> Outcome | None:
    """Leave a subject alone for a while after a revert, longer after each in a row."""
    reverts = 0
    for stored in earlier:
        if stored.success is not False:
            break
        reverts += 1
    if reverts == 0 or earlier[0].block_time_s is None:
        return None
    rest_s = pace.cool_down_s * 2 ** min(reverts - 1, _MOST_DOUBLINGS)
    until_s = earlier[0].block_time_s + rest_s
    if task.pinned.timestamp_s >= until_s:
        return None
    times = "a revert" if reverts == 1 else f"{reverts} reverts in a row"
    return not_done(task.action, f"cooling down until {until_s} after {times}: {earlier[0].reason}")
