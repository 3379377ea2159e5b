"""What can be held: spot, perps and options, each named by protocol, chain and the venue's own key."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from keeper.model.units import Wad


class Right(StrEnum):
    """What an option gives its holder."""

    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A token held outright."""

    id: str
    underlying: str
    """Risk factor, for example `ETH`."""

    settle: str
    kind: Literal["spot"] = "spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Perp:
    """A perpetual future, linear in USD."""

    id: str
    underlying: str
    settle: str
    """Asset that profit and loss is paid in."""

    funding_interval_s: int
    kind: Literal["perp"] = "perp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A European option, settled in cash or in kind at expiry."""

    id: str
    underlying: str
    settle: str
    strike: Wad
    """USD per unit of the underlying."""

    expiry_s: int
    right: Right
    exercise: Literal["european"] = "european"
    kind: Literal["option"] = "option"


Instrument: TypeAlias = Spot | Perp | Option


def instrument_id(protocol: str, chain_id: int, key: str) -> str:
    """Return `<protocol>:<chain>:<key>`, unique over all venues."""
    return f"{protocol}:{chain_id}:{key}"
