"""One action of a plan on its way, and what may stand in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keeper.execution.errors import UnknownVenueError, UnpinnedChainError
from keeper.execution.limits import Pace
from keeper.execution.node import Node
from keeper.execution.outcome import not_done, outcome_of
from keeper.model.intent import Outcome
from keeper.model.plan import TxAction, action_id
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
    )


def obstacle(
    task: Task, intents: Intents, *, in_lane: StoredIntent | None, pace: Pace, unreachable: Mapping[int, str]
) -> Outcome | None:
    """Return why an action must not be carried out now; None when it may.

    `in_lane` is what is on its way in the lane that the action would use.
    """
    action = task.action
    if (trouble := unreachable.get(action.chain_id)) is not None:
        return not_done(action, trouble)
    if (running := intents.open_like(task.action_id, task.topic)) is not None:
        return replace(outcome_of(running), reason=f"already on its way at nonce {running.nonce}")
    if in_lane is not None:
        other = f"{in_lane.kind} of {in_lane.subject} is on its way at nonce {in_lane.nonce}"
        return not_done(action, f"the lane is taken: {other}")
    # Other actions of the same plan on this subject were decided together with this one.
    earlier = [
        stored
        for stored in intents.settled(task.topic)
        if stored.intent.cycle_id != task.cycle_id or stored.intent.action_id == task.action_id
    ]
    if earlier and (earlier[0].block_number or 0) > task.pinned.number:
        text = f"decided at block {task.pinned.number}, before block {earlier[0].block_number} took effect"
        return not_done(action, text)
    return _cooling(task, earlier, pace)


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
