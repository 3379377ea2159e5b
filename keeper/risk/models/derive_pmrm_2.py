"""`derive-pmrm-2`: Derive's second portfolio manager (2 and 2.1): several collaterals, tails, skew.

    PnL_i = damp_i [ perp perp_price (shock_i - 1) + risk-cancelling value (shock_i - 1)
                     + sum_e (static(V_e,i) - V_e) ]
    span  = min(basis contingency, min_i PnL_i)
    MM    = span mm_factor - MM contingency + MtM
    IM    = span (im_factor + peg loss) - IM contingency - MM contingency + MtM

Options are discounted by exp(-rate tau). `static` multiplies a positive expiry value by the long
discount and a negative one by the short one. In a skew scenario every expiry enters as minus the
absolute value of its term, so that neither sign of the skew helps. `MtM` includes cash.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `PMRM_2`, `PMRMLib_2`.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats
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
class Slot:
    """What one collateral counts for."""

    cancels_risk: bool
    """Whether its value moves with spot in the scenarios."""

    mm_haircut: float
    im_haircut: float
    """Taken for initial margin in addition to `mm_haircut`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticDiscount:
    """Factor base exp(-+tau (rate mult + add)) on expiry values, minus for longs and plus for shorts."""

    base: float
    mult: float
    add: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewCap:
    """Greatest relative change of vol: base + slope sqrt(tau)."""

    base: float
    slope: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewParams:
    """How a skew scenario tilts the smile."""

    linear: SkewCap
    absolute: SkewCap
    min_k_star: float
    width: float
    vol_static: float
    vol_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Parameters of one manager. Percentages are fractions."""

    scenarios: tuple[Scenario, ...]
    basis: BasisParams
    vol: VolParams
    min_vol_up: float
    """Floor of the vol in an up scenario."""

    oracle: OracleParams
    mm_perp: float
    im_perp: float
    """Of spot notional, for initial margin in addition to `mm_perp`."""

    mm_option: float
    im_option: float
    """The same on naked short options."""

    im_factor: float
    mm_factor: float
    long: StaticDiscount
    short: StaticDiscount
    skew: SkewParams
    slots: tuple[Slot, ...]


def params(document: Record) -> Params:
    """Read `params` and `collateralSlots` of the vectors' format."""
    record = document.record("params")
    other, margin, skew = record.record("other"), record.record("margin"), record.record("skew")
    return Params(
        scenarios=scenarios(record, allowed=tuple(VolShock)),
        basis=basis_params(record),
        vol=vol_params(record),
        min_vol_up=record.record("vol").wad("minVolUpShock"),
        oracle=oracle_params(record),
        mm_perp=other.wad("MMPerpPercent"),
        im_perp=other.wad("IMPerpPercent"),
        mm_option=other.wad("MMOptionPercent"),
        im_option=other.wad("IMOptionPercent"),
        im_factor=margin.wad("imFactor"),
        mm_factor=margin.wad("mmFactor"),
        long=_static_discount(margin, "long"),
        short=_static_discount(margin, "short"),
        skew=SkewParams(
            linear=SkewCap(base=skew.wad("linearBaseCap"), slope=skew.wad("linearCBase")),
            absolute=SkewCap(base=skew.wad("absBaseCap"), slope=skew.wad("absCBase")),
            min_k_star=skew.wad("minKStar", low=0),
            width=skew.wad("widthScale"),
            vol_static=skew.wad("volParamStatic"),
            vol_scale=skew.wad("volParamScale"),
        ),
        slots=tuple(_slot(slot) for slot in document.records("collateralSlots", optional=True)),
    )


@finite_result
def margin(p: Params, book: Portfolio) -> MarginResult:
    """Return initial and maintenance margin of one portfolio, by the formulas above.

    Raises
    ------
    UnfitValueError
        The portfolio holds a collateral slot that the parameters do not have.
    NoFiniteMarginError
        The parameters overflow on this portfolio.
    """
    shock = np.array([scenario.spot_shock for scenario in p.scenarios])
    damp = np.array([scenario.damp for scenario in p.scenarios])
    discount = np.exp(-book.rate * book.tau)
    forward = forwards(book, np.concatenate([[1.0, p.basis.spot_up, p.basis.spot_down], shock]))
    vol = np.concatenate([np.broadcast_to(book.vol, (3, len(book.vol))), _shocked_vols(p, book, forward[3:])])
    values = option_values(book, forward, vol, discount)
    now = values[0]
    basis = basis_contingency(now, values[1], values[2], tau=book.tau, basis=p.basis)

    terms = values[3:] * np.where(values[3:] >= 0.0, *_static_factors(p, book, discount)) - now
    skewed = np.array([scenario.vol_shock >= VolShock.LINEAR for scenario in p.scenarios])
    terms = np.where(skewed[:, None], -np.abs(terms), terms)
    worth = _collateral_values(p, book)
    slots = [p.slots[held.slot] for held in book.collaterals]
    moving = math.fsum(value for value, slot in zip(worth, slots, strict=True) if slot.cancels_risk)
    linear = book.perp * book.perp_price + moving
    pnl = damp * (linear * (shock - 1.0) + terms.sum(axis=1))

    least, at = worst(basis, pnl)
    perp, naked = abs(book.perp) * book.spot, naked_shorts(book) * book.spot
    mm_charge = perp * p.mm_perp + naked * p.mm_option
    mm_charge += math.fsum(value * slot.mm_haircut for value, slot in zip(worth, slots, strict=True))
    im_charge = perp * p.im_perp + naked * p.im_option + _confidence_charges(p, book, worth)
    im_charge += math.fsum(value * slot.im_haircut for value, slot in zip(worth, slots, strict=True))
    mtm = math.fsum(worth) + book.perp_value + float(now.sum()) + book.cash
    mm = least * p.mm_factor - mm_charge + mtm
    im = least * (p.im_factor + peg_loss(book, p.oracle)) - im_charge - mm_charge + mtm
    return margin_result(book, im=im, mm=mm, mtm=mtm, worst_at=at, pnl=pnl)


def skew_multiplier(tau: Floats, k: Floats, cap: SkewCap, skew: SkewParams) -> Floats:
    """Return the factor on vol at log-moneyness k = ln(K / F), or |k| in an absolute scenario.

    With q = sqrt(tau), c = base + slope q and k* = max(min_k_star, q width (vol_static + q vol_scale)):
    max(0, 1 + x), x = min(c, k c / k*) for k >= 0 and max(-c, k c / k*) below. The one-sided form
    matters where c is negative. Arguments broadcast.
    """
    q = np.sqrt(tau)
    c = cap.base + cap.slope * q
    k_star = np.maximum(skew.min_k_star, q * skew.width * (skew.vol_static + q * skew.vol_scale))
    # Without width the tilt is a step at the forward.
    steep = np.where(k == 0.0, 0.0, np.copysign(np.inf, k * c))
    slope = np.where(k_star > 0.0, k * c / np.where(k_star > 0.0, k_star, 1.0), steep)
    return np.maximum(0.0, 1.0 + np.where(k >= 0.0, np.minimum(c, slope), np.maximum(-c, slope)))


def _shocked_vols(p: Params, book: Portfolio, forward: Floats) -> Floats:
    """Return vols per scenario and option, shape (S, N)."""
    up, down = vol_multipliers(book, p.vol)
    e = book.expiry
    flat = {
        VolShock.NONE: book.vol,
        VolShock.UP: np.maximum(p.min_vol_up, book.vol * up[e]),
        VolShock.DOWN: book.vol * down[e],
    }
    rows = []
    for scenario, at in zip(p.scenarios, forward, strict=True):
        if scenario.vol_shock in flat:
            rows.append(flat[scenario.vol_shock])
            continue
        possible = (book.strike > 0.0) & (at[e] > 0.0)
        k = np.log(np.where(possible, book.strike, 1.0) / np.where(possible, at[e], 1.0))
        if scenario.vol_shock is VolShock.ABS:
            k, cap = np.abs(k), p.skew.absolute
        else:
            cap = p.skew.linear
        rows.append(book.vol * skew_multiplier(book.tau[e], k, cap, p.skew))
    return np.array(rows)


def _static_factors(p: Params, book: Portfolio, discount: Floats) -> tuple[Floats, Floats]:
    """Return the factors on positive and on negative values, each (E,). The second at most undoes D."""
    long = p.long.base * np.exp(-book.tau * (book.rate * p.long.mult + p.long.add))
    short = p.short.base * np.exp(book.tau * (book.rate * p.short.mult + p.short.add))
    return long, np.minimum(1.0 / discount, short)


def _collateral_values(p: Params, book: Portfolio) -> list[float]:
    for row, held in enumerate(book.collaterals):
        if held.slot >= len(p.slots):
            problem = f"slot {held.slot} is not among the {len(p.slots)} collateralSlots"
            raise UnfitValueError("collaterals", problem, row=row)
    return [held.amount * held.price / book.stable for held in book.collaterals]


def _confidence_charges(p: Params, book: Portfolio, worth: list[float]) -> float:
    """Return charges on perp, options and collaterals. A collateral's confidence leaves out the perp's."""
    charge = confidence_charge(book.min_conf, abs(book.perp) * book.spot, p.oracle)
    charge += option_confidence_charge(book, p.oracle)
    for held, value in zip(book.collaterals, worth, strict=True):
        charge += confidence_charge(min(held.conf, book.spot_conf), value, p.oracle)
    return charge


def _static_discount(margin_: Record, side: str) -> StaticDiscount:
    return StaticDiscount(
        base=margin_.wad(f"{side}BaseStaticDiscount"),
        mult=margin_.wad(f"{side}RateMultScale"),
        add=margin_.wad(f"{side}RateAddScale"),
    )


def _slot(record: Record) -> Slot:
    return Slot(
        cancels_risk=record.flag("isRiskCancelling"),
        mm_haircut=record.wad("MMHaircut"),
        im_haircut=record.wad("IMHaircut"),
    )


MODEL: Final = Model(
    name="derive-pmrm-2",
    summary="Derive portfolio margin, second version: several collaterals, dampened tails, skew scenarios",
    units=UNITS,
    reading=READING,
    params=params,
    case=portfolio,
    requirement=margin,
)
