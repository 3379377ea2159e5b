"""The margin profile: one named set of accounts over all chains, in three figures that stay apart.

Floats: this is the risk side. USD and units of the underlying; long +, short -, a requirement >= 0.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What we may do with the accounts of a profile."""

    OWN = "own"
    WATCH = "watch"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRisk:
    """One position, priced by our own models."""

    instrument: str
    kind: str
    underlying: str
    size_base: float
    mark_usd: float
    """Price of one unit."""

    delta_base: float
    """Of the whole position."""

    gamma_base_per_usd: float
    vega_usd_per_vol: float
    """USD per 1.00 of vol."""

    theta_usd_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRisk:
    """One account: the venue's figures, and ours."""

    id: str
    protocol: str
    chain_id: int
    owner: str
    equity_usd: float
    """As the venue counts it against `maintenance_usd`."""

    initial_usd: float
    maintenance_usd: float
    health: float | None
    """None without a requirement."""

    liquidatable: bool
    value_usd: float
    """Net value by our marks: collateral and positions."""

    standalone_usd: float
    """House scan of this account alone."""

    positions: tuple[PositionRisk, ...]
    scan_part_usd: float = 0.0
    """Its part of the profile's scan by Euler's rule: the parts of all accounts sum to it. Negative: the
    account hedges the others, and is credited with what it saves them."""

    es_part_usd: float | None = None
    """The same of the expected shortfall; None where the profile has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Greeks of one underlying over all accounts of a profile, collateral in kind included."""

    underlying: str
    spot_usd: float
    delta_base: float
    gross_delta_base: float
    """Sum over accounts of |net delta of the account|."""

    gamma_base_per_usd: float
    gross_gamma_base_per_usd: float
    vega_usd_per_vol: float
    gross_vega_usd_per_vol: float
    theta_usd_per_day: float
    gross_theta_usd_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSum:
    """First figure: what the venues' own contracts demand, added up."""

    equity_usd: float
    initial_usd: float
    maintenance_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseRequirement:
    """Second figure: our netted economic risk, with its parts. All >= 0.

    initial = max(scan, ES, floor) + basis + liquidity + concentration; see `risk.models.house`.
    """

    initial_usd: float
    maintenance_usd: float
    scan_usd: float
    """Worst loss of the netted book over the scenario grid."""

    gross_scan_usd: float
    """Sum of the accounts' own worst losses: the same grid without netting."""

    worst_scenario: str
    var_usd: float | None
    """99 %, one day, filtered historical, by full revaluation: for information, no part of the sum. None
    where no price history is configured, or it does not hold every underlying of the book."""

    es_usd: float | None
    """Mean of the losses beyond it; None alike."""

    basis_usd: float
    liquidity_usd: float
    floor_usd: float | None = None
    """Expected shortfall over the record as it was, which holds the requirement up in calm markets; None
    as above."""

    concentration_usd: float = 0.0
    history_ends_s: int | None = None
    """Unix time of the last close that VaR and ES rest on."""

    uncovered: tuple[str, ...] = ()
    """Underlyings of the book that the configured price history does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Third figure: whether collateral reach this account before its own liquidation."""

    account: str
    distance: float | None
    """Relative adverse move of the underlying to the venue's line; None where none was found."""

    liquidation_price_usd: float | None
    time_to_barrier_s: float | None
    """Time within which the line is touched with the tolerated probability."""

    latency_s: float
    """Time until collateral from elsewhere can arrive."""

    hit_probability: float | None
    """Probability that the line is touched before it arrives."""

    feasible: bool | None
    """Latency below time to barrier; None where the account has no barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """Two accounts of a profile that stand against each other in one underlying."""

    long: str
    """Account with the greater delta in it."""

    short: str
    underlying: str
    saves_usd: float
    """What one scan of both saves against two apart, above 0. Savings of different pairs do not add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginProfile:
    """All of the above for one named set of accounts."""

    name: str
    role: Role
    members: tuple[str, ...]
    equity_usd: float
    """Net value of all members by our marks."""

    venue_sum: VenueSum
    house: HouseRequirement
    netting_benefit_usd: float
    """house.gross_scan_usd - house.scan_usd >= 0."""

    exposures: tuple[Exposure, ...]
    transfer: tuple[Transfer, ...]
    accounts: tuple[AccountRisk, ...]
    unpriced: tuple[str, ...]
    """Accounts that a gap kept out of the risk figures: they are missing, not zero."""

    opportunities: tuple[Opportunity, ...] = ()
    """Best first. None for a watched profile, whose accounts have nothing to do with each other."""
