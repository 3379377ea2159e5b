"""Parameters that Derive's two portfolio managers share, and how they stand in the vectors' format.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `PMRM`, `PMRMLib`, `PMRM_2`,
`PMRMLib_2`; rules written down in words and rebuilt here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from keeper.risk.models.fields import Record


class VolShock(IntEnum):
    """How a scenario moves vol. The codes are the contracts'."""

    NONE = 0
    UP = 1
    DOWN = 2
    LINEAR = 3
    ABS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One cell of the grid."""

    spot_shock: float
    """Factor on spot, perp and the variable part of forwards: 1.15 is +15 %."""

    vol_shock: VolShock
    damp: float
    """Factor on the profit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisParams:
    """Charge for options moving against their own forward, per expiry."""

    spot_up: float
    spot_down: float
    add: float
    mult: float
    """Per year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolParams:
    """Vol ranges at 30 days and how they scale with the term."""

    range_up: float
    range_down: float
    power_short: float
    """Up to and with 30 days."""

    power_long: float
    floor_s: int
    """Shorter terms count as this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleParams:
    """Charges for a weak stable coin and for feeds of low confidence. Initial margin only."""

    peg_threshold: float
    peg_factor: float
    conf_threshold: float
    conf_margin: float


def scenarios(params: Record, *, allowed: Sequence[VolShock]) -> tuple[Scenario, ...]:
    """Read the grid. Without a `dampeningFactor` the profit counts in full."""
    records = params.records("scenarios")
    if not records:
        raise params.unfit("scenarios", "at least one scenario")
    codes = {int(shock) for shock in allowed}
    grid = []
    for record in records:
        code = record.whole("volShock", low=0)
        if code not in codes:
            raise record.unfit(
                "volShock", f"one of {', '.join(f'{s:d} ({s.name.lower()})' for s in allowed)}"
            )
        grid.append(
            Scenario(
                spot_shock=record.wad("spotShock", low=0),
                vol_shock=VolShock(code),
                damp=record.wad("dampeningFactor", low=0, default=1.0),
            )
        )
    return tuple(grid)


def basis_params(params: Record) -> BasisParams:
    """Read the basis contingency."""
    basis = params.record("basis")
    return BasisParams(
        spot_up=basis.wad("scenarioSpotUp", low=0),
        spot_down=basis.wad("scenarioSpotDown", low=0),
        add=basis.wad("basisContAddFactor"),
        mult=basis.wad("basisContMultFactor"),
    )


def vol_params(params: Record) -> VolParams:
    """Read the vol ranges."""
    vol = params.record("vol")
    return VolParams(
        range_up=vol.wad("volRangeUp", low=0),
        range_down=vol.wad("volRangeDown", low=0),
        power_short=vol.wad("shortTermPower"),
        power_long=vol.wad("longTermPower"),
        floor_s=vol.whole("dteFloor", low=0),
    )


def oracle_params(params: Record) -> OracleParams:
    """Read the peg and confidence charges."""
    other = params.record("other")
    return OracleParams(
        peg_threshold=other.wad("pegLossThreshold"),
        peg_factor=other.wad("pegLossFactor"),
        conf_threshold=other.wad("confThreshold"),
        conf_margin=other.wad("confMargin"),
    )
