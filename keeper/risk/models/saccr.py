"""`saccr`: the JSON form of netting sets for `keeper.risk.saccr`, and their exposure at default.

    {"cases": [{
        "id": "bank",
        "trades": [
            {"factor": "interest_rate", "hedging_set": "USD", "market_value": 30, "notional": 10000,
             "maturity_y": 10, "direction": "long"},
            {"factor": "equity", "entity": "ACME", "market_value": 5, "notional": 900, "maturity_y": 1,
             "option": {"right": "put", "bought": true, "price": 90, "strike": 100, "exercise_y": 1}}],
        "collateral": 200,
        "margin": {"threshold": 0, "minimum_transfer": 5, "nica": 150, "period_days": 14}}]}

`factor` is a row of the supervisory table (CRE52.72: `interest_rate`, `fx`, `credit/BBB`,
`credit_index/IG`, `equity`, `equity_index`, `commodity/metals` ...); `params.factors` adds rows or
replaces them. Optional: `collateral` (0), `margin` (none), `start_y` (0), `end_y` (the maturity),
`hedging_set` and `entity` where they do not matter. A set whose add-on is known already is given as
`{"addon": ..., "RC": ..., "multiplier": ...}`.

Source: see `keeper.risk.saccr`, which holds the formulas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keeper.risk import saccr
from keeper.risk.models.fields import Record
from keeper.risk.models.model import Model, finite_result
from keeper.risk.saccr import CRE52, AssetClass, Factor, MarginAgreement, NettingSet, OptionTerms, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregated:
    """A netting set whose add-on and replacement cost are known already."""

    addon: float
    rc: float
    multiplier: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One netting set by name."""

    id: str
    held: NettingSet | Aggregated


@dataclass(frozen=True, slots=True, kw_only=True)
class SaccrResult:
    """Exposure and parts, each at least 0, in the currency of the trades."""

    id: str
    ead: float
    rc: float
    multiplier: float
    addon: float
    addon_interest_rate: float | None
    """None for all classes where only the sum was given."""

    addon_fx: float | None
    addon_credit: float | None
    addon_equity: float | None
    addon_commodity: float | None


def params(document: Record) -> Mapping[str, Factor]:
    """Return the supervisory table, with the rows of `params.factors` where there are any."""
    if "params" not in document or "factors" not in document.record("params"):
        return CRE52
    rows = document.record("params").record("factors")
    return {**CRE52, **{name: _factor(rows.record(name)) for name in rows.names()}}


def case(id_: str, record: Record) -> Case:
    """Read a netting set: `trades`, `collateral` and `margin` terms; or `addon`, `RC` and `multiplier`.

    Raises
    ------
    FieldError
        A field is unfit, or there is no trade.
    """
    if "addon" in record and "trades" not in record:
        return Case(id=id_, held=_aggregated(record))
    trades = record.records("trades")
    if not trades:
        raise record.unfit("trades", "at least one trade")
    held = NettingSet(
        trades=tuple(_trade(trade) for trade in trades),
        collateral=record.real("collateral", default=0.0),
        agreement=_agreement(record.record("margin")) if "margin" in record else None,
    )
    return Case(id=id_, held=held)


@finite_result
def exposure(table: Mapping[str, Factor], case: Case) -> SaccrResult:
    """Return the exposure at default of one netting set.

    Raises
    ------
    UnfitValueError
        As `keeper.risk.saccr.exposure`.
    NoFiniteMarginError
        The amounts overflow.
    """
    held = case.held
    if isinstance(held, Aggregated):
        ead = saccr.exposure_at_default(held.rc, held.multiplier, held.addon)
        return _result(case.id, ead, held.rc, held.multiplier, held.addon, {})
    found = saccr.exposure(held, table)
    return _result(case.id, found.ead, found.rc, found.multiplier, found.addon, found.addons)


def _result(
    id_: str, ead: float, rc: float, multiplier: float, addon: float, parts: Mapping[AssetClass, float]
) -> SaccrResult:
    return SaccrResult(
        id=id_,
        ead=ead,
        rc=rc,
        multiplier=multiplier,
        addon=addon,
        addon_interest_rate=parts.get(AssetClass.INTEREST_RATE),
        addon_fx=parts.get(AssetClass.FX),
        addon_credit=parts.get(AssetClass.CREDIT),
        addon_equity=parts.get(AssetClass.EQUITY),
        addon_commodity=parts.get(AssetClass.COMMODITY),
    )


def _aggregated(record: Record) -> Aggregated:
    rc = record.real("RC", low=0.0)
    return Aggregated(
        addon=record.real("addon", low=0.0),
        rc=rc,
        # A replacement cost above 0 means V > C, for which the multiplier is 1.
        multiplier=record.real("multiplier", low=0.0, high=1.0, default=1.0 if rc else None),
    )


def _factor(record: Record) -> Factor:
    classes = [str(asset_class) for asset_class in AssetClass]
    return Factor(
        asset_class=AssetClass(record.text("asset_class", one_of=classes)),
        factor=record.real("factor", low=0.0),
        correlation=record.real("correlation", low=-1.0, high=1.0, default=0.0),
        option_vol=record.real("option_vol", low=0.0, default=0.0),
    )


def _trade(record: Record) -> Trade:
    factor = record.text("factor")
    option = _option(record.record("option")) if "option" in record else None
    maturity_y = record.real("maturity_y", low=0.0)
    start_y = record.real("start_y", low=0.0, default=0.0)
    kind = factor.split("/")[0]
    return Trade(
        factor=factor,
        hedging_set=record.text("hedging_set", default=kind.removesuffix("_index")),
        entity=record.text("entity", default="") if "entity" in record else "",
        market_value=record.real("market_value"),
        notional=record.real("notional", low=0.0),
        long=option is not None or record.text("direction", one_of=("long", "short")) == "long",
        maturity_y=maturity_y,
        start_y=start_y,
        end_y=record.real("end_y", low=start_y, default=max(maturity_y, start_y)),
        option=option,
    )


def _option(record: Record) -> OptionTerms:
    for name in ("price", "strike", "exercise_y"):
        if record.real(name) <= 0.0:
            raise record.unfit(name, "a number above 0")
    return OptionTerms(
        is_call=record.text("right", one_of=("call", "put")) == "call",
        bought=record.flag("bought"),
        price=record.real("price"),
        strike=record.real("strike"),
        exercise_y=record.real("exercise_y"),
    )


def _agreement(record: Record) -> MarginAgreement:
    return MarginAgreement(
        threshold=record.real("threshold", low=0.0),
        minimum_transfer=record.real("minimum_transfer", low=0.0),
        nica=record.real("nica"),
        period_days=record.real("period_days", low=1.0),
    )


MODEL: Final = Model(
    name="saccr",
    summary="Exposure at default of a bilateral netting set (Basel SA-CCR)",
    units={"ead": "trade ccy", "rc": "trade ccy", "multiplier": "", "addon": "trade ccy"},
    reading="ead = 1.4 (rc + multiplier addon), in the currency of the trades",
    params=params,
    case=case,
    requirement=exposure,
)
