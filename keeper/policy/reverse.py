"""Reverse stress of a profile: the most likely move that consumes what it has above its requirements."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keeper.model.params import HouseParams
from keeper.model.stress import ReverseStress, StressKind
from keeper.policy.house import past_of
from keeper.policy.profile import vol_of
from keeper.policy.stressed import Held, Label, factors_of, results
from keeper.policy.valuation import Valuation
from keeper.risk.inputs import Floats
from keeper.risk.revaluation import DAYS_PER_YEAR, revalue
from keeper.risk.reverse_stress import reverse_stress_revalued
from keeper.risk.scenarios import Scenarios, scenarios
from keeper.risk.stress import VOL_RESPONSE, VOL_RESPONSE_CAP

ASSUMED_CORRELATION = 0.8
"""Between the daily returns of two underlyings that no history covers together (house choice)."""

REACH_SD = 8.0
"""Farthest move that is searched."""

TURNS = 12
"""Turns of a search ray towards the surface's normal: enough for a few underlyings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """Of daily log returns of a profile's underlyings."""

    matrix: Floats
    """Shape (U, U)."""

    source: str
    """`history` or `assumed`."""


def covariance_of(underlyings: Sequence[str], valuation: Valuation, house: HouseParams) -> Covariance:
    """Return the history's forecast for tomorrow, or vols of today's options with an assumed correlation."""
    past = None if house.history is None else past_of(house.history)
    if past is not None and set(underlyings) <= set(past.filtered.underlyings):
        at = [past.filtered.underlyings.index(name) for name in underlyings]
        return Covariance(matrix=past.covariance[np.ix_(at, at)], source="history")
    vols = np.array([vol_of(name, valuation, house) for name in underlyings]) / math.sqrt(DAYS_PER_YEAR)
    correlation = np.full((len(vols), len(vols)), ASSUMED_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    return Covariance(matrix=correlation * np.outer(vols, vols), source="assumed")


def reverse_stresses(held: Held, covariance: Covariance) -> tuple[ReverseStress, ...]:
    """Return the nearest move that consumes the house's buffer, and that of the first member to fail.

    Spots move, perps and forwards with them; vols answer a fall as `risk.stress.VOL_RESPONSE` says and do not
    fall on a rise. Both requirements are today's for the house and the moved one for the venues.
    """
    return (
        _nearest("house", _house_buffer(held), held, covariance),
        *((_nearest("venue", _venue_buffer(held), held, covariance),) if held.rules else ()),
    )


def _nearest(
    name: str, buffer: Callable[[Floats], Floats], held: Held, covariance: Covariance
) -> ReverseStress:
    """Search one buffer, a function of log moves, shape (n, U) to (n,)."""
    today_usd = float(buffer(np.zeros((1, len(held.underlyings))))[0])
    found = reverse_stress_revalued(buffer, covariance.matrix, reach_sd=REACH_SD, rounds=TURNS)
    if found is None:
        return ReverseStress(
            buffer=name, buffer_usd=today_usd, distance_sd=None, breach_probability=None, result=None
        )
    text = f"{found.distance_sd:.2f} daily standard deviations away"
    (result,) = results(
        held,
        _moves(held, np.array([found.shock]), [f"reverse/{name}"]),
        [Label(kind=StressKind.REVERSE, text=text)],
    )
    return ReverseStress(
        buffer=name,
        buffer_usd=today_usd,
        distance_sd=found.distance_sd,
        breach_probability=found.breach_probability,
        result=result,
    )


def _house_buffer(held: Held) -> Callable[[Floats], Floats]:
    today_usd = held.equity_usd - held.requirement.maintenance_usd
    used = held.sizes != 0.0

    def buffer(moves: Floats) -> Floats:
        table = _moves(held, moves, [str(n) for n in range(len(moves))])
        left_usd: Floats = today_usd + held.sizes[used] @ revalue(held.model.columns, table)[used]
        return left_usd

    return buffer


def _venue_buffer(held: Held) -> Callable[[Floats], Floats]:
    rules = list(held.rules.values())

    def buffer(moves: Floats) -> Floats:
        factors = factors_of(_moves(held, moves, [str(n) for n in range(len(moves))]))
        least_usd = np.full(len(moves), np.inf)
        for rule in rules:
            standing = rule(factors)
            asked = standing.maintenance_usd > 0.0
            least_usd = np.where(asked, np.minimum(least_usd, standing.excess_usd), least_usd)
        # Where nobody has a requirement nothing can be breached.
        return np.where(np.isfinite(least_usd), least_usd, 1.0)

    return buffer


def _moves(held: Held, log_moves: Floats, names: Sequence[str]) -> Scenarios:
    """Return log moves of the profile's underlyings, shape (n, U), over all of the model's underlyings."""
    all_names = held.model.columns.underlyings
    spot, vol = np.zeros((len(names), len(all_names))), np.zeros((len(names), len(all_names)))
    at = [all_names.index(name) for name in held.underlyings]
    spot[:, at] = np.expm1(log_moves)
    vol[:, at] = np.clip(np.expm1(VOL_RESPONSE * log_moves), 0.0, VOL_RESPONSE_CAP)
    return scenarios(
        all_names, names, spot_move=spot, vol_move=vol, vol_power_short=0.30, vol_power_long=0.13
    )
