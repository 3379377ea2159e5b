"""SA-CCR: exposure at default of a bilateral netting set under the standardised approach.

    EAD  = 1.4 (RC + multiplier AddOn)
    RC   = max(V - C, 0);    with a margin agreement max(V - C, TH + MTA - NICA, 0)
    mult = min(1, 0.05 + 0.95 exp((V - C) / (1.9 AddOn)))

A trade's effective notional is delta x adjusted notional x maturity factor. Interest rates aggregate
by currency over three maturity buckets, FX by pair, and the others by entity with one systematic
factor. With a margin agreement the EAD is at most that of the same set without one.

Not covered: basis and volatility hedging sets, CDO tranches, several netting sets under one agreement.

Source: BCBS 279 (2014, rev.), CRE52 of the Basel framework; annex 4a of BCBS 279 for the examples.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from scipy.special import ndtr

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import require

_ALPHA: Final = 1.4
_FLOOR: Final = 0.05
_BUSINESS_YEAR_DAYS: Final = 250.0
_LEAST_MATURITY_Y: Final = 10.0 / _BUSINESS_YEAR_DAYS
_DURATION_RATE: Final = 0.05


class AssetClass(StrEnum):
    """The five classes. Add-ons of different classes add up."""

    INTEREST_RATE = "interest_rate"
    FX = "fx"
    CREDIT = "credit"
    EQUITY = "equity"
    COMMODITY = "commodity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One row of the supervisory table."""

    asset_class: AssetClass
    factor: float
    correlation: float
    option_vol: float


def _row(asset_class: AssetClass, factor: float, correlation: float, option_vol: float) -> Factor:
    return Factor(asset_class=asset_class, factor=factor, correlation=correlation, option_vol=option_vol)


CRE52: Final[Mapping[str, Factor]] = {
    "interest_rate": _row(AssetClass.INTEREST_RATE, 0.005, 0.0, 0.5),
    "fx": _row(AssetClass.FX, 0.04, 0.0, 0.15),
    "credit/AAA": _row(AssetClass.CREDIT, 0.0038, 0.5, 1.0),
    "credit/AA": _row(AssetClass.CREDIT, 0.0038, 0.5, 1.0),
    "credit/A": _row(AssetClass.CREDIT, 0.0042, 0.5, 1.0),
    "credit/BBB": _row(AssetClass.CREDIT, 0.0054, 0.5, 1.0),
    "credit/BB": _row(AssetClass.CREDIT, 0.0106, 0.5, 1.0),
    "credit/B": _row(AssetClass.CREDIT, 0.016, 0.5, 1.0),
    "credit/CCC": _row(AssetClass.CREDIT, 0.06, 0.5, 1.0),
    "credit_index/IG": _row(AssetClass.CREDIT, 0.0038, 0.8, 0.8),
    "credit_index/SG": _row(AssetClass.CREDIT, 0.0106, 0.8, 0.8),
    "equity": _row(AssetClass.EQUITY, 0.32, 0.5, 1.2),
    "equity_index": _row(AssetClass.EQUITY, 0.2, 0.8, 0.75),
    "commodity/electricity": _row(AssetClass.COMMODITY, 0.4, 0.4, 1.5),
    "commodity/oil_gas": _row(AssetClass.COMMODITY, 0.18, 0.4, 0.7),
    "commodity/metals": _row(AssetClass.COMMODITY, 0.18, 0.4, 0.7),
    "commodity/agricultural": _row(AssetClass.COMMODITY, 0.18, 0.4, 0.7),
    "commodity/other": _row(AssetClass.COMMODITY, 0.18, 0.4, 0.7),
}
"""CRE52.72. A caller may add rows or replace them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    """What makes a trade an option on its underlying."""

    is_call: bool
    bought: bool
    price: float
    strike: float
    exercise_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade. Money in any one currency."""

    factor: str
    """Row of the supervisory table."""

    hedging_set: str
    """Interest rates: currency. FX: pair. Commodity: energy, metals and so on. Others: the asset class."""

    entity: str
    """Issuer, index or commodity type; empty for interest rates and FX."""

    market_value: float
    notional: float
    """At least 0. Equity and commodity: price times units."""

    long: bool
    """Gains when the underlying rises; of a bought or sold option without meaning."""

    maturity_y: float
    """Of the contract, for the maturity factor."""

    start_y: float
    end_y: float
    """Of the underlying rate or credit period, for duration and bucket."""

    option: OptionTerms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginAgreement:
    """Variation margin terms."""

    threshold: float
    minimum_transfer: float
    nica: float
    """Net independent collateral amount."""

    period_days: float
    """Margin period of risk, in business days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NettingSet:
    """Trades that close out together."""

    trades: tuple[Trade, ...]
    collateral: float
    """Net collateral held after haircuts, independent amounts included; negative where posted."""

    agreement: MarginAgreement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Exposure at default and its parts, each at least 0, in the currency of the trades."""

    ead: float
    rc: float
    """Replacement cost."""

    multiplier: float
    addons: Mapping[AssetClass, float]
    """By asset class, all five."""

    @property
    def addon(self) -> float:
        """Sum over the asset classes."""
        return sum(self.addons.values())


def exposure(held: NettingSet, table: Mapping[str, Factor] = CRE52) -> Exposure:
    """Return the exposure at default of one netting set, by the formulas of this module.

    Raises
    ------
    UnfitValueError
        A trade's factor is not in `table`, one entity or currency has two supervisory factors, or an
        option stands in a row without an option vol.
    """
    result = _exposure(held, table)
    if held.agreement is None:
        return result
    unmargined = _exposure(replace(held, agreement=None), table)
    return unmargined if unmargined.ead < result.ead else result


def _exposure(held: NettingSet, table: Mapping[str, Factor]) -> Exposure:
    value = sum(trade.market_value for trade in held.trades) - held.collateral
    rc = max(value, 0.0)
    if held.agreement is not None:
        terms = held.agreement
        rc = max(rc, terms.threshold + terms.minimum_transfer - terms.nica)
    addons = {asset_class: _addon(held, table, asset_class) for asset_class in AssetClass}
    addon = sum(addons.values())
    mult = multiplier(value, addon)
    return Exposure(ead=exposure_at_default(rc, mult, addon), rc=rc, multiplier=mult, addons=addons)


def exposure_at_default(rc: float, multiplier: float, addon: float) -> float:
    """Return 1.4 (RC + multiplier AddOn)."""
    return _ALPHA * (rc + multiplier * addon)


def multiplier(value: float, addon: float) -> float:
    """Return the recognition of excess collateral, 0.05..1, for V - C = `value`."""
    if value >= 0.0:
        return 1.0
    if addon <= 0.0:
        return _FLOOR
    return _FLOOR + (1.0 - _FLOOR) * math.exp(value / (2.0 * (1.0 - _FLOOR) * addon))


def supervisory_duration(start_y: float, end_y: float) -> float:
    """Return (e^{-0.05 S} - e^{-0.05 E}) / 0.05, in years."""
    return (math.exp(-_DURATION_RATE * start_y) - math.exp(-_DURATION_RATE * end_y)) / _DURATION_RATE


def adjusted_notional(trade: Trade, asset_class: AssetClass) -> float:
    """Return the notional, for rates and credit times the supervisory duration."""
    if asset_class in (AssetClass.INTEREST_RATE, AssetClass.CREDIT):
        return trade.notional * supervisory_duration(trade.start_y, trade.end_y)
    return trade.notional


def supervisory_delta(trade: Trade, option_vol: float) -> float:
    """Return +1 or -1, or the option's delta at the supervisory vol: + long in the underlying.

    d1 = (ln(P / K) + vol^2 T / 2) / (vol sqrt(T)); calls N(d1), puts -N(-d1), reversed where sold.
    """
    if trade.option is None:
        return 1.0 if trade.long else -1.0
    terms = trade.option
    require("option_vol", option_vol, option_vol > 0.0, "above 0, as the trade is an option")
    sd = option_vol * math.sqrt(terms.exercise_y)
    d1 = (math.log(terms.price) - math.log(terms.strike)) / sd + sd / 2.0
    delta = float(ndtr(d1)) if terms.is_call else -float(ndtr(-d1))
    return delta if terms.bought else -delta


def maturity_factor(maturity_y: float, agreement: MarginAgreement | None) -> float:
    """Return sqrt(min(M, 1)), M at least 10 business days; margined 1.5 sqrt(period / 250)."""
    if agreement is not None:
        return 1.5 * math.sqrt(agreement.period_days / _BUSINESS_YEAR_DAYS)
    return math.sqrt(min(max(maturity_y, _LEAST_MATURITY_Y), 1.0))


def _addon(held: NettingSet, table: Mapping[str, Factor], asset_class: AssetClass) -> float:
    sets: dict[str, list[tuple[Trade, Factor, float]]] = {}
    for row, trade in enumerate(held.trades):
        if trade.factor not in table:
            raise UnfitValueError("trades", f"factor {trade.factor!r} is unknown", row=row)
        factor = table[trade.factor]
        if factor.asset_class is asset_class:
            effective = supervisory_delta(trade, factor.option_vol) * adjusted_notional(trade, asset_class)
            effective *= maturity_factor(trade.maturity_y, held.agreement)
            sets.setdefault(trade.hedging_set, []).append((trade, factor, effective))
    if asset_class is AssetClass.INTEREST_RATE:
        return sum(_one_factor(rows) * _over_buckets(rows) for rows in sets.values())
    if asset_class is AssetClass.FX:
        return sum(_one_factor(rows) * abs(sum(d for _, _, d in rows)) for rows in sets.values())
    return sum(_over_entities(rows) for rows in sets.values())


def _over_buckets(rows: Sequence[tuple[Trade, Factor, float]]) -> float:
    """Return the effective notional of one currency over its buckets below 1, 1 to 5 and above 5 years."""
    d = [0.0, 0.0, 0.0]
    for trade, _, effective in rows:
        d[0 if trade.end_y < 1.0 else 1 if trade.end_y <= 5.0 else 2] += effective
    cross = 1.4 * d[0] * d[1] + 1.4 * d[1] * d[2] + 0.6 * d[0] * d[2]
    return math.sqrt(max(0.0, d[0] ** 2 + d[1] ** 2 + d[2] ** 2 + cross))


def _over_entities(rows: Sequence[tuple[Trade, Factor, float]]) -> float:
    """Return sqrt((sum rho_i A_i)^2 + sum (1 - rho_i^2) A_i^2) over entities, A_i their own add-ons."""
    entities: dict[str, list[tuple[Trade, Factor, float]]] = {}
    for row in rows:
        entities.setdefault(row[0].entity, []).append(row)
    systematic, own = 0.0, 0.0
    for members in entities.values():
        addon = _one_factor(members) * sum(effective for _, _, effective in members)
        rho = members[0][1].correlation
        systematic += rho * addon
        own += (1.0 - rho**2) * addon**2
    return math.sqrt(systematic**2 + own)


def _one_factor(rows: Iterable[tuple[Trade, Factor, float]]) -> float:
    factors = {trade.factor: factor.factor for trade, factor, _ in rows}
    if len(set(factors.values())) > 1:
        problem = f"{', '.join(factors)} stand in one group, expected one supervisory factor"
        raise UnfitValueError("trades", problem)
    return next(iter(factors.values()))
