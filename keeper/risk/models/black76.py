"""`black76`: option prices with the conventions of Derive's contracts, one row of numbers per option.

Source: see `keeper.risk.models.derive_black76`, which holds the formulas.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.risk.models.derive_black76 import option_prices
from keeper.risk.models.fields import Record
from keeper.risk.models.model import Model, finite_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One option of both rights."""

    id: str
    seconds: int
    discount: float
    vol: float
    forward: float
    strike: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceResult:
    """Prices in the currency of the forward."""

    id: str
    call: float
    put: float
    call_delta: float
    """To the forward, discounted."""


def params(document: Record) -> None:
    """Return nothing: a price has no parameters beyond its row. `document` is not read."""


def case(id_: str, record: Record) -> Quote:
    """Read one row. Raises `FieldError` where a column is unfit or missing."""
    return Quote(
        id=id_,
        seconds=record.whole("timeToExpirySec", low=0),
        discount=record.wad("discount", low=0),
        vol=record.wad("volatility", low=0),
        forward=record.wad("forward", low=0),
        strike=record.wad("strike", low=0),
    )


@finite_result
def prices(_: None, quote: Quote) -> PriceResult:
    """Return call, put and call delta. Raises `NoFiniteMarginError` where they overflow."""
    numbers = (quote.seconds, quote.vol, quote.forward, quote.strike, quote.discount)
    call, put, call_delta = option_prices(*(np.array(number, dtype=np.float64) for number in numbers))
    return PriceResult(id=quote.id, call=float(call), put=float(put), call_delta=float(call_delta))


MODEL: Final = Model(
    name="black76",
    summary="Option prices and deltas, Black-76 with Derive's conventions at the edges",
    units={"call": "quote", "put": "quote", "call_delta": "base"},
    reading="prices in the currency of the forward, call_delta to the forward",
    params=params,
    case=case,
    requirement=prices,
)
