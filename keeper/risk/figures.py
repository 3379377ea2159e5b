"""The three figures of a book, side by side: no function here adds or mixes them.

1. venues: what each margin account is charged alone; this alone decides liquidation.
2. house: the netted risk with its add-ons; this decides how much risk we hold.
3. transfers: whether collateral can reach a losing account in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk.basis import basis_charge_usd
from keeper.risk.inputs import finite, positions_of, unique
from keeper.risk.latency import TransferFeasibility
from keeper.risk.netting import capped_requirement_usd, net_exposures
from keeper.risk.scan import scan_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseFigure:
    """Second figure, with every part. All USD, at least 0."""

    scan_usd: float
    """Worst loss of the sum."""

    worst: int
    """Scenario that sets it."""

    basis_usd: float
    """Charge on what stands against itself."""

    capped_usd: float
    """Requirement where only a share of the offset may be recognised."""

    @property
    def total_usd(self) -> float:
        """Scan and basis."""
        return self.scan_usd + self.basis_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeFigures:
    """Side by side."""

    accounts: tuple[str, ...]
    venues_usd: tuple[float, ...]
    """First figure, one per account, each at least 0."""

    house: HouseFigure
    transfers: tuple[TransferFeasibility, ...]
    """Third figure, one per account, in the same order."""

    @property
    def venue_sum_usd(self) -> float:
        """Sum of the first figure."""
        return sum(self.venues_usd)

    @property
    def netting_benefit_usd(self) -> float:
        """What netting would save if it were enforceable; negative where basis outweighs it."""
        return self.venue_sum_usd - self.house.total_usd


def three_figures(
    accounts: Sequence[str],
    pnl_usd: ArrayLike,
    *,
    delta_base: ArrayLike,
    underlyings: Sequence[str],
    price_usd: ArrayLike,
    transfers: Sequence[TransferFeasibility],
    basis_rate: ArrayLike = 0.01,
    recognised: float = 0.8,
) -> ThreeFigures:
    """Return the three figures of accounts that share scenarios.

    Parameters
    ----------
    accounts
        Unique names, length A, at least one.
    pnl_usd
        Profit of account a in scenario s, shape (A, S), S >= 1, losses negative.
    delta_base
        Delta of account a in underlying u, in units of it, shape (A, U): what stands against itself over
        accounts carries the basis charge.
    underlyings
        Length U.
    price_usd
        Spot of each underlying, shape (U,), at least 0.
    transfers
        One per account, any order.
    basis_rate
        Charge per hedged notional, scalar or shape (U,).
    recognised
        Share of the offset that the capped figure counts, in 0..1.

    Raises
    ------
    UnfitValueError
        Shapes that differ, not finite, unknown or repeated accounts.
    """
    names = unique("accounts", accounts)
    pnl = finite("pnl_usd", pnl_usd, shape=(len(names), None))
    deltas = finite("delta_base", delta_base, shape=(len(names), len(unique("underlyings", underlyings))))
    prices = finite("price_usd", price_usd, shape=(len(underlyings),))
    order = positions_of("accounts", names, unique("transfers", [t.account for t in transfers]))

    scan = scan_risk(pnl)
    exposures = net_exposures(deltas.T.ravel(), np.repeat(underlyings, len(names)).tolist())
    hedged = [exposure.hedged for exposure in exposures]
    basis_usd = float(basis_charge_usd(hedged, prices, rate=basis_rate).sum())
    return ThreeFigures(
        accounts=names,
        venues_usd=tuple(scan.standalone_usd.tolist()),
        house=HouseFigure(
            scan_usd=scan.netted_usd,
            worst=scan.worst,
            basis_usd=basis_usd,
            capped_usd=capped_requirement_usd(
                float(scan.standalone_usd.sum()), scan.netted_usd + basis_usd, recognised=recognised
            ),
        ),
        transfers=tuple(transfers[i] for i in order),
    )
