"""How a cycle is written down: the journal for auditors, the heartbeat for monitors, the halt for all."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from keeper.execution.errors import HaltedError
from keeper.journal.journal import Journal
from keeper.model.errors import KeeperError, TripwireError
from keeper.model.intent import Outcome
from keeper.model.margin import MarginProfile
from keeper.model.params import Params
from keeper.model.plan import Decision, Step
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import Wei
from keeper.policy.decide import Decided
from keeper.service.cycle import Cycle
from keeper.store.pulse import Beat, ChainBeat, ProfileBeat
from keeper.store.store import Store

QUICK_S: Final = 1.0
"""A cycle that took no longer pinned what is the head still, on a chain whose head is what it pins."""

ASKED_EVERY_S: Final = 15.0
"""How long that is taken for granted."""


def cycle_name(snapshot: Snapshot) -> str:
    """Return an id that says when, and is unique where two cycles see the same block."""
    return f"{snapshot.taken_at_s}-{secrets.token_hex(3)}"


class JournaledCycle:
    """The journal, as a cycle needs it."""

    def __init__(self, journal: Journal, params: Params) -> None:
        self._journal = journal
        self._params = params
        self._plan_id = ""

    def decided(self, cycle_id: str, snapshot: Snapshot, decided: Decided) -> None:
        """Record what was seen and what will be done about it."""
        record = self._journal.decided(cycle_id, snapshot, self._params, decided.plan, decided.profiles)
        self._plan_id = record.body["plan_id"]

    def done(self, cycle_id: str, snapshot: Snapshot, outcomes: Sequence[Outcome]) -> None:
        """Record what came of it."""
        self._journal.done(cycle_id, snapshot.taken_at_s, self._plan_id, outcomes)


class CycleRecorder:
    """Writes the heartbeat after every cycle, and failures to the journal."""

    last: Cycle | None
    """The last cycle that ended well."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        chains: Mapping[int, str],
        hosts: Mapping[int, Sequence[str]],
        heads: Callable[[], Mapping[int, BlockRef]],
        natives: Callable[[], Mapping[int, Wei]] = dict,
        urgent_natives: Callable[[], Mapping[int, Wei]] = dict,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare to record.

        `chains` names the chain ids, `hosts` their endpoints without credentials; `heads` asks for the
        newest blocks, `natives` for what the signer holds, `urgent_natives` the same of the signer of urgent
        work, and all leave out a chain that does not answer.
        """
        self.last = None
        self._store = store
        self._journal = journal
        self._chains = chains
        self._hosts = hosts
        self._heads = heads
        self._natives = natives
        self._urgent_natives = urgent_natives
        self._clock = clock
        self._asked_s = 0.0
        """When the heads were asked for last."""

        self._pinned_heads: frozenset[int] = frozenset()
        """Chains whose pinned block was the head then."""

    def good(self, cycle: Cycle, started_at_s: float) -> None:
        """Record a cycle that ended well."""
        self.last = cycle
        self._store.pulse.beat(
            Beat(
                cycle_id=cycle.id,
                plan_id=cycle.decided.plan.id,
                started_at_s=started_at_s,
                finished_at_s=self._clock(),
                chain_time_s=cycle.snapshot.taken_at_s,
                gaps=cycle.snapshot.gaps,
                chains=self._chain_beats(cycle.snapshot, started_at_s),
                profiles=profile_beats(cycle.decided),
            )
        )

    def failed(self, error: KeeperError, started_at_s: float) -> None:
        """Record a cycle that ended in an error: the heartbeat first, it serves when the journal cannot."""
        now_s = self._clock()
        cycle_id = f"failed-{int(now_s)}-{secrets.token_hex(3)}"
        self._store.pulse.beat(
            Beat(
                cycle_id=cycle_id,
                plan_id=None,
                started_at_s=started_at_s,
                finished_at_s=now_s,
                chain_time_s=self.last.snapshot.taken_at_s if self.last else 0,
                failure=f"{type(error).__name__}: {error}",
            )
        )
        self._journal.failed(cycle_id, self.last.snapshot.taken_at_s if self.last else 0, error)

    def halt(self, error: TripwireError) -> None:
        """Stop all sending until a person resumes."""
        if not isinstance(error, HaltedError):
            self._store.halt(str(error), by="keeper")

    def _heads_after(self, snapshot: Snapshot, started_at_s: float) -> Mapping[int, BlockRef]:
        """Return the newest blocks, without those that a quick cycle must have pinned itself."""
        now_s = self._clock()
        quick = 0.0 <= now_s - started_at_s <= QUICK_S and 0.0 <= now_s - self._asked_s < ASKED_EVERY_S
        if quick and all(block.chain_id in self._pinned_heads for block in snapshot.blocks):
            return {}
        heads = self._heads()
        self._asked_s = now_s
        self._pinned_heads = frozenset(b.chain_id for b in snapshot.blocks if heads.get(b.chain_id) == b)
        return heads

    def _chain_beats(self, snapshot: Snapshot, started_at_s: float) -> tuple[ChainBeat, ...]:
        """Return every chain that was read. A pinned block is not newer than its head."""
        heads = self._heads_after(snapshot, started_at_s)
        natives, urgent_natives = self._natives(), self._urgent_natives()
        beats: list[ChainBeat] = []
        for pinned in snapshot.blocks:
            head = heads.get(pinned.chain_id, pinned)
            beats.append(
                ChainBeat(
                    chain_id=pinned.chain_id,
                    name=self._chains[pinned.chain_id],
                    number=max(head.number, pinned.number),
                    hash=head.hash,
                    pinned=pinned.number,
                    first_seen_s=self._clock(),
                    endpoints=tuple({"host": host} for host in self._hosts[pinned.chain_id]),
                    native=natives.get(pinned.chain_id),
                    urgent_native=urgent_natives.get(pinned.chain_id),
                )
            )
        return tuple(beats)


def profile_beats(decided: Decided) -> tuple[ProfileBeat, ...]:
    """Return each profile's weakest health and most severe step."""
    decisions = {decision.subject: decision for decision in decided.plan.decisions}
    return tuple(
        ProfileBeat(
            name=profile.name,
            health=min((a.health for a in profile.accounts if a.health is not None), default=None),
            step=_severest(profile, decisions).value,
        )
        for profile in decided.profiles
    )


def _severest(profile: MarginProfile, decisions: Mapping[str, Decision]) -> Step:
    ranks = list(Step)
    steps = [decisions[member].step for member in profile.members if member in decisions]
    return max(steps, key=ranks.index, default=Step.NONE)
