"""Deribit's instrument names: `BTC-PERPETUAL`, `BTC-28JUN24`, `XRP_USDC-28JUN24-0d55-P`.

Source: docs.deribit.com, "Naming". Expiries are at 08:00 UTC; a `d` stands for a decimal point.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keeper.model.errors import UnfitValueError

EXPECTED: Final = "an instrument such as BTC-PERPETUAL, BTC-28JUN24 or BTC-28JUN24-70000-C"
"""What a name looks like, for messages."""

_EXPIRY_HOUR: Final = 8
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME: Final = re.compile(
    r"(?P<pair>[A-Z0-9_]+)-(?:PERPETUAL"
    r"|(?P<day>[0-9]{1,2})(?P<month>[A-Z]{3})(?P<year>[0-9]{2})"
    r"(?:-(?P<strike>[0-9]+(?:d[0-9]+)?)-(?P<right>[CP]))?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a name says."""

    pair: str
    """Currency pair, for example `BTC` or `BTC_USDC`."""

    expiry_s: int | None
    """Unix time; None for a perp."""

    strike: float
    """USD, above 0 for options, else 0."""

    right: str
    """`C`, `P`, or empty."""

    future: str
    """Name of the future of the same expiry; the name itself where it is no option."""


def parsed(name: str) -> Contract:
    """Take a name apart.

    Raises
    ------
    UnfitValueError
        It is no such name, its day is not in the calendar, or its strike is 0.

    Examples
    --------
    >>> parsed("XRP_USDC-28JUN24-0d55-P").strike
    0.55
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise UnfitValueError("instrument", f"{name!r} is not {EXPECTED}")
    if parts["day"] is None:
        return Contract(pair=parts["pair"], expiry_s=None, strike=0.0, right="", future=name)
    expiry_s = _expiry_s(name, parts["day"], parts["month"], parts["year"])
    if parts["strike"] is None:
        return Contract(pair=parts["pair"], expiry_s=expiry_s, strike=0.0, right="", future=name)
    strike = float(parts["strike"].replace("d", "."))
    if not 0.0 < strike < float("inf"):
        raise UnfitValueError("instrument", f"{name!r} has no strike above 0")
    future = name.rsplit("-", 2)[0]
    return Contract(pair=parts["pair"], expiry_s=expiry_s, strike=strike, right=parts["right"], future=future)


def _expiry_s(name: str, day: str, month: str, year: str) -> int:
    try:
        at = datetime(2000 + int(year), _MONTHS.index(month) + 1, int(day), _EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        raise UnfitValueError("instrument", f"{name!r} has a day that is not in the calendar") from None
    return int(at.timestamp())
