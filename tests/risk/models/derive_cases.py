"""Small Derive portfolios and parameters in the vectors' format, made from plain numbers."""

from collections.abc import Mapping
from typing import Any, Final

from keeper.risk.models import model
from keeper.risk.models.documents import document, evaluate

DAY_S: Final = 86_400


def wad(number: float) -> str:
    """Return a number as an integer with 18 decimals."""
    numerator, denominator = float(number).as_integer_ratio()
    return str(numerator * 10**18 // denominator)


def scaled(tree: Any) -> Any:
    """Return a tree with every float as an integer with 18 decimals; integers and flags stay."""
    if isinstance(tree, Mapping):
        return {name: scaled(branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [scaled(branch) for branch in tree]
    return wad(tree) if isinstance(tree, float) else tree


def grid(*cells: tuple[float, int, float]) -> list[dict[str, Any]]:
    return [{"spotShock": s, "volShock": v, "dampeningFactor": d} for s, v, d in cells]


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the entries of `over` in place of its own, tables merged."""
    merged = dict(base)
    for name, value in over.items():
        old = merged.get(name)
        merged[name] = (
            overlaid(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


_BASIS: Final = {
    "scenarioSpotUp": 1.05,
    "scenarioSpotDown": 0.95,
    "basisContAddFactor": 0.25,
    "basisContMultFactor": 0.01,
}
_OTHER: Final = {"pegLossThreshold": 0.98, "pegLossFactor": 2.0, "confThreshold": 0.6, "confMargin": 0.5}
_VOL: Final = {
    "volRangeUp": 0.45,
    "volRangeDown": 0.3,
    "shortTermPower": 0.3,
    "longTermPower": 0.13,
    "dteFloor": DAY_S,
}

V1: Final[dict[str, Any]] = {
    "scenarios": grid((1.15, 1, 1.0), (1.15, 2, 1.0), (1.0, 0, 1.0), (0.85, 1, 1.0), (0.85, 2, 1.0)),
    "basis": _BASIS,
    "other": {**_OTHER, "basePercent": 0.02, "perpPercent": 0.03, "optionPercent": 0.01},
    "margin": {"imFactor": 1.3, "baseStaticDiscount": 0.95, "rateMultScale": 4.0, "rateAddScale": 0.05},
    "vol": _VOL,
}

V2: Final[dict[str, Any]] = {
    "scenarios": grid(
        (1.15, 1, 1.0), (1.0, 0, 1.0), (0.85, 1, 1.0), (2.0, 1, 0.3), (1.0, 3, 1.0), (1.0, 4, 1.0)
    ),
    "basis": _BASIS,
    "other": {
        **_OTHER,
        "MMPerpPercent": 0.03,
        "IMPerpPercent": 0.01,
        "MMOptionPercent": 0.003,
        "IMOptionPercent": 0.002,
    },
    "margin": {
        "imFactor": 1.1,
        "mmFactor": 0.8,
        "shortRateMultScale": 0.5,
        "longRateMultScale": 1.0,
        "shortRateAddScale": 0.08,
        "longRateAddScale": 0.08,
        "shortBaseStaticDiscount": 1.04,
        "longBaseStaticDiscount": 0.95,
    },
    "vol": {**_VOL, "minVolUpShock": 0.4},
    "skew": {
        "linearBaseCap": 0.25,
        "absBaseCap": 0.2,
        "linearCBase": -0.1,
        "absCBase": -0.05,
        "minKStar": 0.01,
        "widthScale": 4.0,
        "volParamStatic": 0.6,
        "volParamScale": -0.1,
    },
}

SLOTS: Final[list[dict[str, Any]]] = [
    {"name": "moving", "isRiskCancelling": True, "MMHaircut": 0.015, "IMHaircut": 0.005},
    {"name": "still", "isRiskCancelling": False, "MMHaircut": 0.08, "IMHaircut": 0.02},
]

SRM: Final[dict[str, Any]] = {
    "perp": {"mmPerpReq": 0.05, "imPerpReq": 0.065},
    "option": {
        "maxSpotReq": 0.15,
        "minSpotReq": 0.13,
        "mmCallSpotReq": 0.09,
        "mmPutSpotReq": 0.09,
        "MMPutMtMReq": 0.08,
        "unpairedIMScale": 1.2,
        "unpairedMMScale": 1.1,
        "mmOffsetScale": 1.05,
    },
    "oracle": {"perpThreshold": 0.55, "optionThreshold": 0.6, "baseThreshold": 0.5, "OCFactor": 0.7},
    "base": {"ETH": {"marginFactor": 0.8, "IMScale": 0.9}},
    "depeg": {"threshold": 0.99, "depegFactor": 2.0},
}


def expiry(seconds: int = 30 * DAY_S, **over: Any) -> dict[str, Any]:
    at = {
        "secToExpiry": seconds,
        "fwdFixed": 0.0,
        "fwdVar": 2000.0,
        "fwdConf": 1.0,
        "rate": 0.05,
        "rateConf": 1.0,
        "volConf": 1.0,
    }
    return {**at, **over}


def option(
    amount: float, strike: float, *, call: bool, seconds: int = 30 * DAY_S, vol: float = 0.8
) -> dict[str, Any]:
    return {"secToExpiry": seconds, "strike": strike, "isCall": call, "amount": amount, "vol": vol}


def portfolio(**over: Any) -> dict[str, Any]:
    empty = {
        "spot": 2000.0,
        "spotConf": 1.0,
        "stable": 1.0,
        "perpPrice": 2000.0,
        "perpConf": 1.0,
        "perpPos": 0.0,
        "perpPnl": 0.0,
        "cash": 1000.0,
        "base": 0.0,
        "expiries": [expiry()],
        "options": [],
        "collaterals": [],
    }
    return {**empty, **over}


def market(name: str = "ETH", **over: Any) -> dict[str, Any]:
    return {"name": name, **{k: v for k, v in portfolio(**over).items() if k not in ("cash", "stable")}}


def margin(name: str, params: Mapping[str, Any], case: Mapping[str, Any]) -> Any:
    """Return the model's answer to one case, through its JSON form as for a file."""
    held = document(
        scaled({"params": params, "collateralSlots": SLOTS, "cases": [{"id": "x", "input": case}]})
    )
    (result,) = evaluate(model(name), held)
    return result
