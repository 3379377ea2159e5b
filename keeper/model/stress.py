"""What a stress does to a profile: profit, requirements after it, and whose account would be liquidatable.

Floats: this is the risk side. Signs as in `margin`: profit +, loss -, a requirement >= 0.
"""

from dataclasses import dataclass
from enum import StrEnum

from keeper.model.margin import Role


class StressKind(StrEnum):
    """Where a scenario comes from."""

    DAY = "day"
    """A day that happened, from the stress library."""

    GRID = "grid"
    """The worst of the house's scenario grid."""

    BASIS = "basis"
    """Perps and forwards part from the spot, which stands still."""

    SHOCK = "shock"
    """Asked for by the user."""

    DARK = "dark"
    """A chain cannot be reached: its losses count, its gains do not."""

    REVERSE = "reverse"
    """The most likely move that consumes a buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """Relative moves of one underlying."""

    underlying: str
    spot: float
    vol: float
    """At 30 days; shorter tenors move more, longer ones less."""

    perp_basis: float
    """Of perps on top of the spot."""

    future_basis: float
    """Of dated forwards on top of the spot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakest:
    """The account with the lowest health after a stress."""

    account: str
    health: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StressResult:
    """One profile after one scenario."""

    name: str
    """`stress/2024-08-05`, `dark/10`, `spot-0.66/vol+0.40`."""

    kind: StressKind
    what: str
    """One line for reports."""

    shocks: tuple[Shock, ...]
    """Of the underlyings that the profile holds."""

    proxied: tuple[str, ...]
    """Those of them without a record of this day: they move as `policy.stress.PROXY` did."""

    weight: float
    """Part of the profit that `pnl_usd` counts: below 1 for the dampened tail of the grid."""

    pnl_usd: float
    """Of the netted book."""

    equity_usd: float
    """Net value of the profile after it: before, plus the profit at full weight."""

    house_initial_usd: float
    """House requirement asked again after the move, add-ons included; for a dark chain today's, with its
    scan in place of the netted one."""

    house_maintenance_usd: float
    venue_equity_usd: float
    """Sum over the members after it, each by its venue's own rule."""

    venue_maintenance_usd: float
    liquidatable: tuple[str, ...]
    """Members that would fail their venue's own rule, those that fail it today included."""

    newly: tuple[str, ...]
    """Those of them that do not fail it today."""

    unknown: tuple[str, ...]
    """Members with a requirement whose venue's rule cannot be asked: neither healthy nor failing."""

    weakest: Weakest | None
    """None where no member has a requirement after it."""

    addon_usd: float | None = None
    """Dark chains: what the darkness adds to the scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseStress:
    """The most likely move that consumes a buffer."""

    buffer: str
    """`house`: net value less house maintenance. `venue`: the least excess of any member over its venue's
    maintenance, which is where the first liquidation comes from."""

    buffer_usd: float
    """What there is today; negative: it is gone already."""

    distance_sd: float | None
    """How far away, in standard deviations of a day; None: nothing within reach consumes it."""

    breach_probability: float | None
    """Of a move at least as bad within a day, to first order."""

    result: StressResult | None
    """The profile after that move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStress:
    """All scenarios for one profile."""

    name: str
    role: Role
    members: tuple[str, ...]
    unpriced: tuple[str, ...]
    """Members that a gap kept out: no figure here counts them."""

    equity_usd: float
    """Net value today."""

    house_initial_usd: float
    house_maintenance_usd: float
    venue_equity_usd: float
    venue_maintenance_usd: float
    liquidatable: tuple[str, ...]
    """By the contracts' own answer, today."""

    results: tuple[StressResult, ...]
    reverse: tuple[ReverseStress, ...]
    """None for a watched profile: its buffer is nobody's."""

    covariance: str
    """What the reverse stress calls likely: `history`, the forecast of the configured closes, or `assumed`,
    implied or fallback vols with `policy.stress.ASSUMED_CORRELATION`."""
