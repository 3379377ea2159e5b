"""`derive-pmrm-1`: Derive's first portfolio manager, one underlying with one base collateral.

    PnL_i = sum_e [disc(V_e,i) - V_e] + base value (shock_i - 1) + perp perp_price (shock_i - 1)
    span  = min(basis contingency, min_i PnL_i) - static contingency
    MM    = span + MtM
    IM    = span (im_factor + peg loss) - confidence contingency + MtM

Options are valued without discounting; `disc` lowers only expiries that are worth something, so even
the unshocked scenario loses on them. `MtM` includes cash.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `PMRM`, `PMRMLib`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.risk.models.derive_params import (
    BasisParams,
    OracleParams,
    Scenario,
    VolParams,
    VolShock,
    basis_params,
    oracle_params,
    scenarios,
    vol_params,
)
from keeper.risk.models.derive_portfolio import (
    READING,
    UNITS,
    Portfolio,
    basis_contingency,
    confidence_charge,
    forwards,
    margin_result,
    naked_shorts,
    option_confidence_charge,
    option_values,
    peg_loss,
    portfolio,
    vol_multipliers,
    worst,
)
from keeper.risk.models.fields import Record
from keeper.risk.models.model import MarginResult, Model, finite_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Parameters of one manager. Percentages are fractions."""

    scenarios: tuple[Scenario, ...]
    basis: BasisParams
    vol: VolParams
    oracle: OracleParams
    base_percent: float
    perp_percent: float
    option_percent: float
    """Static charges on base, perps and naked short options, of spot."""

    im_factor: float
    static_discount: float
    """Factor on positive expiry values at no time to expiry."""

    rate_mult: float
    rate_add: float
    """Static discount falls with exp(-tau (rate rate_mult + rate_add))."""


def params(document: Record) -> Params:
    """Read `params` of the vectors' format."""
    record = document.record("params")
    other, margin = record.record("other"), record.record("margin")
    return Params(
        scenarios=scenarios(record, allowed=(VolShock.NONE, VolShock.UP, VolShock.DOWN)),
        basis=basis_params(record),
        vol=vol_params(record),
        oracle=oracle_params(record),
        base_percent=other.wad("basePercent"),
        perp_percent=other.wad("perpPercent"),
        option_percent=other.wad("optionPercent"),
        im_factor=margin.wad("imFactor"),
        static_discount=margin.wad("baseStaticDiscount"),
        rate_mult=margin.wad("rateMultScale"),
        rate_add=margin.wad("rateAddScale"),
    )


@finite_result
def margin(p: Params, book: Portfolio) -> MarginResult:
    """Return initial and maintenance margin of one portfolio, by the formulas above.

    Raises
    ------
    NoFiniteMarginError
        The parameters overflow on this portfolio.
    """
    shock = np.array([scenario.spot_shock for scenario in p.scenarios])
    up, down = vol_multipliers(book, p.vol)
    flat = np.ones_like(up)
    by_shock = {VolShock.NONE: flat, VolShock.UP: up, VolShock.DOWN: down}
    factors = np.array([flat, flat, flat, *(by_shock[scenario.vol_shock] for scenario in p.scenarios)])
    moves = np.concatenate([[1.0, p.basis.spot_up, p.basis.spot_down], shock])
    values = option_values(book, forwards(book, moves), factors[:, book.expiry] * book.vol, flat)
    now = values[0]
    basis = basis_contingency(now, values[1], values[2], tau=book.tau, basis=p.basis)

    static_discount = p.static_discount * np.exp(-book.tau * (book.rate * p.rate_mult + p.rate_add))
    shocked = values[3:] * np.where(values[3:] > 0.0, static_discount, 1.0)
    base_value = book.base * book.spot / book.stable
    linear = base_value + book.perp * book.perp_price
    pnl = (shocked - now).sum(axis=1) + linear * (shock - 1.0)

    least, at = worst(basis, pnl)
    perp_and_base = abs(book.perp) * p.perp_percent + book.base * p.base_percent
    static = (perp_and_base + naked_shorts(book) * p.option_percent) * book.spot
    notional = (abs(book.perp) + book.base) * book.spot
    confidence = confidence_charge(book.min_conf, notional, p.oracle)
    confidence += option_confidence_charge(book, p.oracle)
    mtm = base_value + book.perp_value + float(now.sum()) + book.cash
    span = least - static
    im = span * (p.im_factor + peg_loss(book, p.oracle)) - confidence + mtm
    return margin_result(book, im=im, mm=span + mtm, mtm=mtm, worst_at=at, pnl=pnl)


MODEL: Final = Model(
    name="derive-pmrm-1",
    summary="Derive portfolio margin, first version: one underlying, scenario grid, base collateral",
    units=UNITS,
    reading=READING,
    params=params,
    case=portfolio,
    requirement=margin,
)
