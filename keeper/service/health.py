"""Is the keeper alive, current and allowed to send? Told from its store and the wall clock alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keeper.config.settings import Settings
from keeper.model.errors import TransientError
from keeper.model.intent import OPEN
from keeper.model.units import ONE, Wei, coins
from keeper.store.errors import StoreMissingError, StoreOlderError, StoreUnreadableError
from keeper.store.glimpse import glimpse
from keeper.store.place import Place
from keeper.store.told import Beat, ChainBeat, Look

if TYPE_CHECKING:
    from keeper.store.store import Store

__all__ = ["ChainHealth", "Health", "Look", "ProfileHealth", "Status", "judge", "look_into", "read_health"]

STANDBY_S: Final = 30.0
"""Who has not been seen waiting for longer is not waiting any more."""


class Status(StrEnum):
    """The verdict, with the exit code of `keeper health`: 0, 1, 3."""

    OK = "ok"
    DEGRADED = "degraded"
    HALTED = "halted"

    @property
    def exit_code(self) -> int:
        """0 ok, 1 degraded, 3 halted."""
        return {Status.OK: 0, Status.DEGRADED: 1, Status.HALTED: 3}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHealth:
    """One chain as the last cycle saw it. None: never read."""

    name: str
    chain_id: int
    head: int | None
    head_age_s: float | None
    """Since this head was first seen."""

    lag_blocks: int | None
    """Head minus pinned block."""

    endpoints: tuple[Mapping[str, object], ...]
    native_wei: Wei | None = None
    """What the signer held after the last cycle. None in dry-run."""

    urgent_native_wei: Wei | None = None
    """The same of the signer of urgent work. None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileHealth:
    """One profile as the last cycle judged it."""

    name: str
    health: float | None
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderHealth:
    """Which keeper sends, or sent last."""

    name: str
    """Host and process id."""

    term: int
    """How many have led so far."""

    age_s: float
    """Since it took the lead."""

    leading: bool
    """False once it has given up the lead. One that was killed shows by the age of the last cycle."""

    standbys: tuple[str, ...]
    """Who was seen waiting for its turn within the last half minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The verdict and its reasons, most severe first."""

    status: Status
    reasons: tuple[str, ...]
    mode: str
    last_cycle_id: str | None
    last_cycle_age_s: float | None
    """Since the last cycle that ended without a failure."""

    chains: tuple[ChainHealth, ...]
    profiles: tuple[ProfileHealth, ...]
    outbox: Mapping[str, int]
    halted_by: str | None
    halted_since_s: float | None
    """Wall clock."""

    leader: LeaderHealth | None = None
    """None before the first start."""


def read_health(settings: Settings, now_s: float) -> Health:
    """Return the health that the settings' store tells. A store that cannot be read is a reason.

    Raises `StoreNewerError`: this program cannot tell.
    """
    try:
        look = glimpse(settings.store.place) or _look(settings.store.place)
    except (StoreMissingError, StoreOlderError, StoreUnreadableError, TransientError) as error:
        return judge(settings, None, now_s, unreadable=str(error))
    return judge(settings, look, now_s)


def _look(place: Place) -> Look:
    """Look through the store itself, which can also say what is the matter with it.

    Loaded only then: monitors ask for health every few seconds, and it takes longer to load than to answer.
    """
    from keeper.store.store import Store

    with Store.attach(place) as store:
        return look_into(store)


def look_into(store: "Store") -> Look:
    """Return what health is judged by."""
    return Look(
        mode=store.mode,
        beat=store.pulse.last(),
        halt=store.halted(),
        outbox=store.intents.counts(),
        oldest_open_s=min((i.changed_at_s for i in store.intents.within(OPEN)), default=None),
        leader=store.leaders.leader(),
        standbys=store.leaders.standbys(),
    )


def judge(settings: Settings, look: Look | None, now_s: float, *, unreadable: str = "") -> Health:
    """Return the verdict. Pure: `now_s` is the wall clock."""
    beat = look.beat if look else None
    halt = look.halt if look else None
    chains = tuple(_chains(settings, beat, now_s))
    reasons = [unreadable] if look is None else list(_reasons(settings, look, chains, now_s))
    status = Status.DEGRADED if reasons else Status.OK
    if halt is not None:
        status = Status.HALTED
        reasons.insert(0, f"halted by {halt.by}: {halt.reason}; `keeper resume` allows sending again")
    age_s = None if beat is None or beat.last_good_at_s is None else now_s - beat.last_good_at_s
    return Health(
        status=status,
        reasons=tuple(reasons),
        mode=look.mode if look else settings.mode,
        last_cycle_id=beat.cycle_id if beat else None,
        last_cycle_age_s=age_s,
        chains=chains,
        profiles=tuple(
            ProfileHealth(name=p.name, health=p.health, step=p.step) for p in (beat.profiles if beat else ())
        ),
        outbox={state.value: n for state, n in (look.outbox.items() if look else ()) if n},
        halted_by=halt.by if halt else None,
        halted_since_s=halt.at_s if halt else None,
        leader=_leader(look, now_s) if look else None,
    )


def _leader(look: Look, now_s: float) -> LeaderHealth | None:
    if look.leader is None:
        return None
    return LeaderHealth(
        name=look.leader.name,
        term=look.leader.term,
        age_s=now_s - look.leader.since_s,
        leading=look.leader.until_s is None,
        standbys=tuple(s.name for s in look.standbys if now_s - s.seen_s < STANDBY_S),
    )


def _chains(settings: Settings, beat: Beat | None, now_s: float) -> Iterator[ChainHealth]:
    seen: dict[int, ChainBeat] = {c.chain_id: c for c in beat.chains} if beat else {}
    for name, table in settings.chains.items():
        found = seen.get(table.chain_id)
        yield ChainHealth(
            name=name,
            chain_id=table.chain_id,
            head=found.number if found else None,
            head_age_s=now_s - found.first_seen_s if found else None,
            lag_blocks=found.number - found.pinned if found else None,
            endpoints=found.endpoints if found else (),
            native_wei=found.native if found else None,
            urgent_native_wei=found.urgent_native if found else None,
        )


def _reasons(settings: Settings, look: Look, chains: tuple[ChainHealth, ...], now_s: float) -> Iterator[str]:
    beat, limit_s = look.beat, settings.cycle.max_age_s
    if beat is None:
        yield "no cycle has ended yet: is `keeper run` running?"
        return
    if beat.failure:
        yield f"the last cycle failed: {beat.failure}"
    if beat.last_good_at_s is None:
        yield "no cycle has ended well yet"
    elif (age_s := now_s - beat.last_good_at_s) > limit_s:
        yield f"the last good cycle ended {age_s:.0f} s ago, limit is {limit_s} s: is `keeper run` running?"
    elif age_s < -limit_s:
        yield f"the last good cycle is dated {-age_s:.0f} s ahead of this clock: one of the two is wrong"
    yield from _leader_reasons(settings, look, now_s)
    for chain in chains:
        yield from _chain_reasons(chain, settings.chains[chain.name].max_head_age_s)
        yield from _native_reasons(settings, chain)
    for gap in beat.gaps:
        yield f"gap: {gap.what} {gap.key}: {gap.reason}"
    if look.oldest_open_s is not None and (age_s := now_s - look.oldest_open_s) > limit_s:
        yield f"a signed transaction has been waiting for {age_s:.0f} s, limit is {limit_s} s"


def _leader_reasons(settings: Settings, look: Look, now_s: float) -> Iterator[str]:
    """Where several share the lead, one must have it."""
    leader = look.leader
    if settings.store.standby and leader is not None and leader.until_s is not None:
        yield f"nobody leads: {leader.name} ended {now_s - leader.until_s:.0f} s ago, and none took over"


def _chain_reasons(chain: ChainHealth, limit_s: int) -> Iterator[str]:
    if chain.head_age_s is None:
        yield f"chain {chain.name} ({chain.chain_id}) has never been read"
    elif chain.head_age_s > limit_s:
        yield (
            f"chain {chain.name} ({chain.chain_id}) has shown no new block for {chain.head_age_s:.0f} s, "
            f"limit is {limit_s} s"
        )


def _native_reasons(settings: Settings, chain: ChainHealth) -> Iterator[str]:
    least, coin = settings.limits.min_native, settings.chains[chain.name].native
    for who, held in (("signer", chain.native_wei), ("urgent signer", chain.urgent_native_wei)):
        if held is not None and held < int(least * ONE):
            yield (
                f"the {who} holds {coins(held):.6g} {coin} on chain {chain.name} ({chain.chain_id}),"
                f" limits.min_native is {least:g}: nothing more is sent there; send it native coin"
            )
