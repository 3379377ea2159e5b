"""Reading the contracts' recorded answers, and the measure in which a twin may differ from them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from keeper.risk.models import model
from keeper.risk.models.documents import document, evaluate
from keeper.risk.models.fields import Record
from tests.support.shared import vectors

ROUNDING: Final = 1e-15
"""Of gross notional and cash. The published tolerance is 1e-12; a float twin reaches this."""


def one(text: str | int) -> float:
    """Leave fixed point with 18 decimals."""
    return int(text) / 10**18


def record(values: Mapping[str, object]) -> Record:
    return Record(path="", values=values)


def loaded(path: str) -> Any:
    return json.loads(vectors(path).read_text(encoding="utf-8"))


def answers(name: str, file: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each recorded case with our result."""
    yield from zip(file["cases"], evaluate(model(name), document(file)), strict=True)


def scale(data: Any) -> float:
    """Return gross notional + |cash| + 1 of a case's input."""
    total = 1.0 + abs(one(data["cash"]))
    for market in data.get("markets", [data]):
        spot = one(market["spot"])
        total += sum(abs(one(o["amount"])) * max(one(o["strike"]), spot) for o in market["options"])
        total += (abs(one(market["perpPos"])) + one(market["base"])) * spot
        total += sum(one(c["amount"]) * one(c["price"]) for c in market.get("collaterals", ()))
    return total
