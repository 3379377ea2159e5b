"""A Deribit portfolio of one settlement currency, and how it stands in a file.

Source: docs.deribit.com `private/pme/simulate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keeper.model.errors import UnfitValueError
from keeper.risk.models.deribit_instrument import EXPECTED, parsed
from keeper.risk.models.fields import FieldError, Record

_SECONDS_PER_DAY: Final = 86_400
_OWN_PARTS: Final = ("spot_margin", "mmp_margin", "open_orders_margin", "correlation_contingency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One position."""

    instrument: str
    pair: str
    size: float
    """Signed, in units of the underlying."""

    forward: float
    """Mark of a perp or future, forward of an option's expiry, USD."""

    days: float | None
    """To expiry, at least 0; None for a perp."""

    strike: float = 0.0
    right: str = ""
    """`C`, `P`, or empty."""

    vol: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """What is held in one settlement currency, and the market that it is held in."""

    id: str
    inverse: bool
    index: Mapping[str, float]
    """Index price by pair, USD. The key `*` stands for every pair that is not named."""

    legs: tuple[Leg, ...]
    spot_margin: float
    mmp_margin: float
    open_orders_margin: float
    correlation_contingency: float

    def index_of(self, pair: str) -> float:
        """Return the index price of a pair."""
        found = self.index.get(pair, self.index.get("*"))
        if found is None:
            problem = f"has no pair {pair!r}, only {', '.join(self.index)}"
            raise UnfitValueError("index_price", problem)
        return found


def portfolio(id_: str, record: Record) -> Portfolio:
    """Read one portfolio.

    Fields: `contract` (`inverse` or `linear`), `index_price` (a number, or one per pair), `position`
    (size by instrument), `mark` (USD by instrument), `timestamp_ms`; for options also `iv` (vol as a
    fraction, by instrument) and, where no future of the expiry is marked, `forward` (USD by
    instrument). The margins that are not computed here default to 0.

    Raises
    ------
    FieldError
        A field is unfit, an instrument's name is none of Deribit's, it has no mark, vol or forward, it
        has expired, or there is no position.
    """
    position = record.record("position")
    if not position.values:
        raise record.unfit("position", "at least one position")
    at_ms = record.whole("timestamp_ms", low=0)
    legs = tuple(_leg(name, position.real(name), record, at_ms) for name in position.names())
    index = record.values.get("index_price")
    if isinstance(index, Mapping):
        prices = record.record("index_price")
        by_pair = {pair: _price(prices, pair) for pair in prices.names()}
    else:
        by_pair = {"*": _price(record, "index_price")}
    own = {name: record.real(name, low=0.0, default=0.0) for name in _OWN_PARTS}
    contract = record.text("contract", one_of=("inverse", "linear"))
    return Portfolio(id=id_, inverse=contract == "inverse", index=by_pair, legs=legs, **own)


def _leg(name: str, size: float, record: Record, at_ms: int) -> Leg:
    try:
        contract = parsed(name)
    except UnfitValueError as error:
        raise FieldError(record.at("position"), found=f"{name!r}", expected=EXPECTED) from error
    days = None if contract.expiry_s is None else (contract.expiry_s - at_ms / 1000.0) / _SECONDS_PER_DAY
    if days is not None and days < 0.0:
        expected = "a time before every expiry"
        raise FieldError(record.at("timestamp_ms"), found=f"after the expiry of {name}", expected=expected)
    if not contract.right:
        return Leg(instrument=name, pair=contract.pair, size=size, forward=_mark(record, name), days=days)
    forwards = record.record("forward" if "forward" in record else "mark")
    forward = _price(forwards, name) if name in forwards else _mark(record, contract.future)
    return Leg(
        instrument=name,
        pair=contract.pair,
        size=size,
        forward=forward,
        days=days,
        strike=contract.strike,
        right=contract.right,
        vol=record.record("iv").real(name, low=0.0),
    )


def _mark(record: Record, instrument: str) -> float:
    return _price(record.record("mark"), instrument)


def _price(record: Record, name: str) -> float:
    price = record.real(name)
    if price <= 0.0:
        raise record.unfit(name, "a price above 0")
    return price
