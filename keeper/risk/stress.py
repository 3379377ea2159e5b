"""Stress library: days that happened, as levels before and after, and a chain that goes dark.

A stress day holds the recorded levels themselves, so that every move can be traced to two quotes.
What was not recorded stays None: an underlying without a record needs a `Proxy` that the caller
chooses, or the table is refused. Vol that was not recorded is answered by `VOL_RESPONSE`.

Rejected: applying the moves of one coin to every other, which would hide exactly the days on which
they came apart (3 February 2025).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.scenarios import Scenarios, scenarios

_TWICE_25_DELTA_SD: Final = 2.0 * 0.6744897501960817
"""Distance of the two 25-delta strikes in standard deviations: 2 x the normal quantile of 75 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One underlying at one time; None is not recorded."""

    spot_usd: float
    vol_7d: float | None = None
    """At-the-money vol of the expiry nearest to 7 days, per year."""

    vol_30d: float | None = None
    vol_90d: float | None = None
    risk_reversal_30d: float | None = None
    """25-delta call vol minus put vol of the expiry nearest to 30 days."""

    forward_30d_usd: float | None = None
    """Forward of that expiry."""

    perp_usd: float | None = None

    def __post_init__(self) -> None:
        for field in ("spot_usd", "vol_7d", "vol_30d", "vol_90d", "forward_30d_usd", "perp_usd"):
            value = getattr(self, field)
            if value is not None:
                require(field, finite(field, value), value > 0.0, "above 0")
        if self.risk_reversal_30d is not None:
            finite("risk_reversal_30d", self.risk_reversal_30d)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressDay:
    """A move of the market that happened."""

    name: str
    """For example `2026-02-05`."""

    what: str
    """One line for reports."""

    before: Mapping[str, Level]
    after: Mapping[str, Level]
    """By underlying; the same keys in both."""

    source: str
    """Recording and how the levels were read from it."""

    def __post_init__(self) -> None:
        if self.before.keys() != self.after.keys():
            raise UnfitValueError(
                "after", f"{self.name} holds {sorted(self.after)}, before it {sorted(self.before)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What stands in for an underlying without a record: `beta` times the log moves of `underlying`."""

    underlying: str
    beta: float = 1.0
    """Factor on the spot's log move; vol, skew and basis move as the proxy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Moves of one underlying, as the columns of `Scenarios`."""

    spot: float
    vol: float
    perp_basis: float
    future_basis: float
    skew: float


VOL_RESPONSE: Final = -3.2
"""Log move of 30-day vol per log move of the spot, for days whose vols were not recorded.

BTC on 4 to 5 February 2026: ln(0.8548 / 0.4774) / ln(63858.345 / 76514.88) = -3.22; ETH -1.92. The
stronger of the two is taken (house choice).
"""

VOL_RESPONSE_CAP: Final = 2.0
"""Greatest relative vol move that `VOL_RESPONSE` may give: vol at most triples (house choice)."""


def move_between(before: Level, after: Level) -> Move:
    """Return the moves from one level to another.

        spot = S'/S - 1;  vol = v'/v - 1 at 30 days;  perp basis = (P'/S') / (P/S) - 1, forwards alike
        skew = (RR' - RR (1 + vol)) / (2 z25 v): makes `scenarios.shocked_vol` give RR' at 25 delta

    Perp, forward and skew stand still where they were not recorded at both ends; the vol then follows
    the spot by `VOL_RESPONSE`, upwards only: an unrecorded vol is never assumed to have helped.
    """
    spot = after.spot_usd / before.spot_usd
    if before.vol_30d is not None and after.vol_30d is not None:
        vol = after.vol_30d / before.vol_30d - 1.0
    else:
        vol = min(VOL_RESPONSE_CAP, max(0.0, spot**VOL_RESPONSE - 1.0))
    skew = 0.0
    if (
        before.vol_30d is not None
        and before.risk_reversal_30d is not None
        and after.risk_reversal_30d is not None
    ):
        unmoved = before.risk_reversal_30d * (1.0 + vol)
        skew = (after.risk_reversal_30d - unmoved) / (_TWICE_25_DELTA_SD * before.vol_30d)
    return Move(
        spot=spot - 1.0,
        vol=vol,
        perp_basis=_basis(before.perp_usd, after.perp_usd, spot),
        future_basis=_basis(before.forward_30d_usd, after.forward_30d_usd, spot),
        skew=skew,
    )


def stress_scenarios(
    underlyings: Sequence[str],
    days: Sequence[StressDay],
    *,
    proxies: Mapping[str, Proxy] | None = None,
    vol_power_short: float = 0.30,
    vol_power_long: float = 0.13,
) -> Scenarios:
    """Return one scenario a day over `underlyings`, named `stress/<day>`.

    Parameters
    ----------
    underlyings
        Column names, length U.
    days
        From `stress_days.LIBRARY`, or the operator's own.
    proxies
        For underlyings that a day does not hold. Used only where the record is missing.
    vol_power_short, vol_power_long
        Tenor scaling of the vol move, for all days. On 4 to 5 February 2026 vols at 9, 23 and 79 days
        moved with powers 0.28 (both coins) and 0.53 (BTC), 0.66 (ETH): the venues' 0.13 for long
        tenors is on the safe side.

    Raises
    ------
    UnfitValueError
        If a day holds neither an underlying nor its proxy: an unrecorded move is not no move.
    """
    stand_in = proxies or {}
    rows = [[_move_of(day, name, stand_in, row) for name in underlyings] for row, day in enumerate(days)]
    shape = (len(days), len(underlyings))

    def column(field: str) -> Floats:
        return np.array([[getattr(move, field) for move in row] for row in rows]).reshape(shape)

    return scenarios(
        underlyings,
        [f"stress/{day.name}" for day in days],
        spot_move=column("spot"),
        vol_move=column("vol"),
        perp_basis_move=column("perp_basis"),
        future_basis_move=column("future_basis"),
        skew_move=column("skew"),
        vol_power_short=vol_power_short,
        vol_power_long=vol_power_long,
    )


def covered(
    days: Sequence[StressDay], underlyings: Sequence[str], proxies: Mapping[str, Proxy] | None = None
) -> tuple[StressDay, ...]:
    """Return the days that hold every underlying, or its proxy."""
    stand_in = proxies or {}
    return tuple(
        day
        for day in days
        if all(
            name in day.before or (name in stand_in and stand_in[name].underlying in day.before)
            for name in underlyings
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkChain:
    """What it costs if one chain cannot be reached."""

    chain: str
    requirement_usd: float
    """Netted requirement when the gains of this chain do not count, at least 0."""

    addon_usd: float
    """Beyond the netted requirement with all chains up, at least 0."""

    worst: int
    """Scenario that sets `requirement_usd`."""


def chain_dark(
    pnl_usd: ArrayLike, chain: Sequence[str], *, stretch: ArrayLike = 1.0
) -> tuple[DarkChain, ...]:
    """Return, for each chain, the netted requirement while that chain cannot be adjusted.

    Its accounts lose as before, but a gain there can neither be realised nor moved, so per scenario the
    chain counts with min(0, P):  N_c = max(0, - min_s ( sum_{others} P[s] + min(0, stretch P_c[s]) )).

    Parameters
    ----------
    pnl_usd
        Profit of account a in scenario s, shape (A, S), USD, S >= 1.
    chain
        Name of each account's chain, length A.
    stretch
        Factor on the losses of the dark chain, whose legs stand while the market moves on, scalar or by
        chain in order of appearance: sqrt((horizon + dark) / horizon), see `dark_stretch`. At least 1.

    Returns
    -------
    tuple of DarkChain
        One per chain, in order of first appearance.

    Raises
    ------
    UnfitValueError
        Shapes that differ, no scenario, or a stretch below 1.
    """
    table = finite("pnl_usd", pnl_usd, shape=(len(chain), None))
    if not table.shape[1]:
        raise UnfitValueError("pnl_usd", "no scenarios, expected at least one")
    names = tuple(dict.fromkeys(chain))
    factor = np.broadcast_to(finite("stretch", stretch), (len(names),))
    require("stretch", factor, factor >= 1.0, "at least 1")
    total = table.sum(axis=0)
    lit = max(0.0, -float(total.min()))
    found = []
    for name, by in zip(names, factor, strict=True):
        own = table[[c == name for c in chain]].sum(axis=0)
        dark = total - own + np.minimum(0.0, by * own)
        worst = int(dark.argmin())
        requirement = max(0.0, -float(dark[worst]))
        found.append(
            DarkChain(
                chain=name, requirement_usd=requirement, addon_usd=max(0.0, requirement - lit), worst=worst
            )
        )
    return tuple(found)


def dark_stretch(*, horizon_s: float, dark_s: float = 3_600.0) -> float:
    """Return sqrt((horizon + dark) / horizon): how much further the market moves while a chain is dark.

    Raises
    ------
    UnfitValueError
        For a horizon not above 0 or a negative time in the dark.
    """
    require("horizon_s", horizon_s, horizon_s > 0.0, "above 0")
    require("dark_s", dark_s, dark_s >= 0.0, "at least 0")
    return float(np.sqrt((horizon_s + dark_s) / horizon_s))


def _basis(before_usd: float | None, after_usd: float | None, spot: float) -> float:
    return 0.0 if before_usd is None or after_usd is None else after_usd / before_usd / spot - 1.0


def _move_of(day: StressDay, name: str, proxies: Mapping[str, Proxy], row: int) -> Move:
    if name in day.before:
        return move_between(day.before[name], day.after[name])
    proxy = proxies.get(name)
    if proxy is None or proxy.underlying not in day.before:
        raise UnfitValueError(
            "days",
            f"{day.name} holds no {name}, expected a record or a proxy among {', '.join(day.before)}",
            row=row,
        )
    own = move_between(day.before[proxy.underlying], day.after[proxy.underlying])
    return Move(
        spot=float((1.0 + own.spot) ** proxy.beta - 1.0),
        vol=own.vol,
        perp_basis=own.perp_basis,
        future_basis=own.future_basis,
        skew=own.skew,
    )
