"""What a store tells, as values: they load without the database toolkit, which takes longer than a look."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keeper.model.intent import TxState
from keeper.model.snapshot import Gap
from keeper.model.units import Wei


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainBeat:
    """A chain's head as the keeper saw it."""

    chain_id: int
    name: str
    number: int
    """Head."""

    hash: str
    pinned: int
    """Block that the snapshot rests on."""

    first_seen_s: float
    """Wall clock at which this head was first seen: a frozen chain shows by its age. The store keeps
    the earlier time for as long as the hash stays the same."""

    endpoints: tuple[dict[str, Any], ...] = ()
    """As health prints them; without credentials."""

    native: Wei | None = None
    """What the signer holds of the native coin; None where there is no signer, or it could not be read."""

    urgent_native: Wei | None = None
    """The same of the signer of urgent work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBeat:
    """How one profile stands."""

    name: str
    health: float | None
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The end of a cycle."""

    cycle_id: str
    plan_id: str | None
    """None when the cycle failed before a plan."""

    started_at_s: float
    """Wall clock, as all times here except `chain_time_s`."""

    finished_at_s: float
    chain_time_s: int
    failure: str = ""
    """Kind and message of the error that ended the cycle; empty when it went well."""

    gaps: tuple[Gap, ...] = ()
    chains: tuple[ChainBeat, ...] = ()
    profiles: tuple[ProfileBeat, ...] = ()
    last_good_at_s: float | None = None
    """End of the last cycle without a failure. Kept by the store; not read when a beat is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why nothing is sent, who said so, and since when (wall clock)."""

    reason: str
    by: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who leads, or led last. Times by the wall clock."""

    term: int
    """1, 2, 3 ... over the life of the store."""

    name: str
    """Host and process id."""

    since_s: float
    until_s: float | None
    """When it gave up leading; None while it leads, or was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """A keeper that waits for its turn."""

    name: str
    seen_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the store says."""

    mode: str
    beat: Beat | None
    halt: Halt | None
    outbox: Mapping[TxState, int]
    oldest_open_s: float | None
    """Wall clock of the oldest change among transactions that may still land."""

    leader: Leader | None = None
    standbys: tuple[Standby, ...] = ()
