"""The demo's story: a price drop on two chains, from the profile before it to the profile after the answer.

Everything that it reports is read from the chains, the store and the journal; the script moves prices and
looks. Each demand on the story is checked, and a story that falls short says which.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.devnet.scenario import DROP
from keeper.devnet.world import World
from keeper.journal.verify import Verdict, verify
from keeper.model.intent import Outcome
from keeper.model.margin import MarginProfile, Role
from keeper.model.plan import ActionKind, Plan, TxAction
from keeper.model.snapshot import Snapshot
from keeper.policy.decide import margin_profiles
from keeper.replay.replay import Replayed, replay
from keeper.service.chains import observing
from keeper.service.cycle import Cycle
from keeper.service.health import Health, Status, read_health
from keeper.service.wire import assemble, rehearse

MOST_CYCLES: Final = 6
"""Live cycles before the story gives up: a partial liquidation may need a second one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The market and the profiles at one moment."""

    snapshot: Snapshot
    profiles: tuple[MarginProfile, ...]

    @property
    def prices(self) -> dict[str, float]:
        """Spot by underlying, USD, as the profiles use it."""
        return {e.underlying: e.spot_usd for p in self.profiles for e in p.exposures}

    def profile(self, role: Role) -> MarginProfile:
        """Return the profile of a role. Raises `StopIteration`."""
        return next(p for p in self.profiles if p.role is role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One thing that the story must show."""

    name: str
    met: bool
    found: str


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, as far as it went."""

    settings: Settings
    before: View
    dropped: View | None = None
    plan: Cycle | None = None
    cycles: list[Cycle] = field(default_factory=list)
    after: View | None = None
    health: Health | None = None
    verdict: Verdict | None = None
    replayed: tuple[Replayed, ...] = ()
    demands: list[Demand] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every demand is met."""
        return all(demand.met for demand in self.demands)

    @property
    def sent(self) -> tuple[Outcome, ...]:
        """What came of every transaction that was sent."""
        return tuple(o for cycle in self.cycles for o in cycle.outcomes if o.tx_hash is not None)


Tell: TypeAlias = Callable[[str, "Story"], None]
"""Called with the name of each chapter when it has happened."""


def tell_story(world: World, config: Path, *, clock: Callable[[], float], tell: Tell) -> Story:
    """Play the story on a fresh devnet. Raises `KeeperError` where it cannot go on."""
    settings = load(config)
    story = Story(settings=settings, before=_look(settings))
    tell("before", story)

    world.move_market(DROP)
    story.dropped = _look(settings)
    tell("drop", story)

    story.plan = rehearse(settings)
    story.demands += plan_demands(story.plan, settings)
    tell("plan", story)

    with assemble(settings, live=True) as keeper:
        for _ in range(MOST_CYCLES):
            keeper.daemon.run_once()
            if keeper.recorder.last is None:
                break
            story.cycles.append(keeper.recorder.last)
            if not any(o.tx_hash for o in keeper.recorder.last.outcomes):
                break
    story.demands += _sent_demands(story)
    tell("live", story)

    story.after = _look(settings)
    story.demands += _after_demands(story.after, settings)
    tell("after", story)

    story.health = read_health(settings, clock())
    story.verdict = verify(settings.journal.path)
    story.replayed = replay(settings.journal.path, None)
    story.demands += _audit_demands(story)
    tell("audit", story)
    return story


def _look(settings: Settings) -> View:
    with observing(settings) as observe:
        snapshot = observe()
    return View(snapshot=snapshot, profiles=margin_profiles(snapshot, settings.params()))


def plan_demands(cycle: Cycle, settings: Settings) -> Iterator[Demand]:
    """Yield what the dry-run must show."""
    plan = cycle.decided.plan
    yield _at_least_one("hedge planned", plan, ActionKind.HEDGE)
    yield _at_least_one("top-up planned", plan, ActionKind.MOVE_COLLATERAL)
    yield _at_least_one("margin call planned", plan, ActionKind.MARGIN_CALL)
    for name, table in settings.chains.items():
        yield _at_least_one(f"liquidation planned on {name}", plan, ActionKind.LIQUIDATE, table.chain_id)
    simulated = [o.simulation for o in cycle.outcomes if o.simulation is not None]
    wanted = sum(action.kind is not ActionKind.MARGIN_CALL for action in plan.actions)
    refused = [s.error for s in simulated if not s.ok]
    good = len(simulated) >= wanted and not refused
    found = f"{len(simulated) - len(refused)} of {len(simulated)} transactions"
    yield Demand(name="every transaction simulated", met=good, found="; ".join([found, *map(str, refused)]))
    yield Demand(name="dry-run sent nothing", met=not any(o.tx_hash for o in cycle.outcomes), found="no hash")


def _at_least_one(name: str, plan: Plan, kind: ActionKind, chain_id: int | None = None) -> Demand:
    found = [
        action.subject
        for action in plan.actions
        if action.kind is kind
        and (chain_id is None or (isinstance(action, TxAction) and action.chain_id == chain_id))
    ]
    return Demand(name=name, met=bool(found), found=", ".join(found) or "none")


def _sent_demands(story: Story) -> Iterator[Demand]:
    confirmed = [o for o in story.sent if o.success]
    failed = [f"{o.tx_hash}: {o.reason or o.state.value}" for o in story.sent if not o.success]
    yield Demand(
        name="every transaction confirmed",
        met=bool(confirmed) and not failed,
        found="; ".join([f"{len(confirmed)} of {len(story.sent)} in {len(story.cycles)} cycles", *failed]),
    )
    last = story.cycles[-1] if story.cycles else None
    quiet = last is not None and not any(o.tx_hash for o in last.outcomes)
    yield Demand(name="nothing left to send", met=quiet, found=f"after {len(story.cycles)} cycles")


def _after_demands(after: View, settings: Settings) -> Iterator[Demand]:
    for hedge in settings.policy.hedge:
        profile = next(p for p in after.profiles if p.name == hedge.profile)
        delta = next((e.delta_base for e in profile.exposures if e.underlying == hedge.underlying), 0.0)
        # the edge of the band is a multiple of the lot only up to one lot, and hedging moves the mark
        yield Demand(
            name=f"{hedge.profile} {hedge.underlying} delta inside its band",
            met=abs(delta) <= hedge.band + hedge.lot,
            found=f"{delta:+.4f}, band {hedge.band:g}",
        )
    left = [a.id for p in after.profiles for a in p.accounts if a.liquidatable]
    yield Demand(name="no account liquidatable", met=not left, found=", ".join(left) or "none")
    gaps = [f"{g.what} {g.key}" for g in after.snapshot.gaps]
    yield Demand(name="nothing unread", met=not gaps, found=", ".join(gaps) or "no gap")


def _audit_demands(story: Story) -> Iterator[Demand]:
    assert story.health is not None
    assert story.verdict is not None
    yield Demand(
        name="health ok",
        met=story.health.status is Status.OK,
        found="; ".join((story.health.status.value, *story.health.reasons)),
    )
    problems = [problem.text for problem in story.verdict.problems]
    yield Demand(
        name="journal whole",
        met=story.verdict.ok,
        found="; ".join([f"{story.verdict.records} records", *problems]),
    )
    same = [r for r in story.replayed if r.ok]
    yield Demand(
        name="every cycle replayed to the same plan",
        met=len(same) == len(story.replayed) >= len(story.cycles) > 0,
        found=f"{len(same)} of {len(story.replayed)}",
    )


def unmet(demands: Sequence[Demand]) -> tuple[Demand, ...]:
    """Return the demands that the story did not meet."""
    return tuple(demand for demand in demands if not demand.met)
