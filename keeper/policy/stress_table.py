"""The scenarios that a stress asks of every profile: recorded days, basis moves, and the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keeper.model.errors import UnfitValueError
from keeper.model.params import HouseParams
from keeper.model.stress import StressKind
from keeper.risk.scenarios import Scenarios, concatenate, scenarios
from keeper.risk.shocks import basis_scenarios
from keeper.risk.stress import Proxy, stress_scenarios
from keeper.risk.stress_days import LIBRARY

PROXY = "BTC"
"""Recorded on every day of the library: how an underlying moves that a day does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserShock:
    """A move that the user asks for."""

    underlying: str
    spot: float
    """Relative, above -1."""

    vol: float = 0.0
    """Relative at 30 days, at least -1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Named:
    """S scenarios, and what each is."""

    table: Scenarios
    kinds: tuple[StressKind, ...]
    texts: tuple[str, ...]
    """One line each."""

    proxied: tuple[tuple[str, ...], ...]
    """Underlyings that move as `PROXY` for want of a record."""


def named_scenarios(underlyings: Sequence[str], house: HouseParams, shocks: Sequence[UserShock]) -> Named:
    """Return the library's days, the basis scenarios at the house's basis rate, and the user's own.

    Raises
    ------
    UnfitValueError
        A shock at or below -100 %, of an underlying that is not listed, or two of one.
    """
    parts = [_days(underlyings)]
    if house.basis_rate > 0.0 and underlyings:
        parts.append(_basis(underlyings, house.basis_rate))
    if shocks:
        parts.append(_own(underlyings, shocks))
    return Named(
        table=concatenate(*(part.table for part in parts)),
        kinds=tuple(kind for part in parts for kind in part.kinds),
        texts=tuple(text for part in parts for text in part.texts),
        proxied=tuple(names for part in parts for names in part.proxied),
    )


def _days(underlyings: Sequence[str]) -> Named:
    proxies = {name: Proxy(underlying=PROXY) for name in underlyings}
    return Named(
        table=stress_scenarios(underlyings, LIBRARY, proxies=proxies),
        kinds=(StressKind.DAY,) * len(LIBRARY),
        texts=tuple(day.what for day in LIBRARY),
        proxied=tuple(tuple(name for name in underlyings if name not in day.before) for day in LIBRARY),
    )


def _basis(underlyings: Sequence[str], rate: float) -> Named:
    table = basis_scenarios(underlyings, perp_range=rate, future_range=rate)
    moves = zip(table.perp_basis_move[:, 0], table.future_basis_move[:, 0], strict=True)
    return Named(
        table=table,
        kinds=(StressKind.BASIS,) * len(table),
        texts=tuple(
            f"the spot stands, perps {100 * perp:+g} %, forwards {100 * future:+g} %"
            for perp, future in moves
        ),
        proxied=((),) * len(table),
    )


def _own(underlyings: Sequence[str], shocks: Sequence[UserShock]) -> Named:
    spot, vol = np.zeros((1, len(underlyings))), np.zeros((1, len(underlyings)))
    seen: set[str] = set()
    for shock in shocks:
        if shock.underlying not in underlyings:
            listed = ", ".join(underlyings)
            raise UnfitValueError("shocks", f"{shock.underlying} is not held, expected one of {listed}")
        if shock.underlying in seen:
            raise UnfitValueError("shocks", f"{shock.underlying} is named twice")
        if not (shock.spot > -1.0 and shock.vol >= -1.0):
            raise UnfitValueError(
                "shocks", f"{shock.underlying} falls to nothing, expected a move above -100 %"
            )
        seen.add(shock.underlying)
        at = underlyings.index(shock.underlying)
        spot[0, at], vol[0, at] = shock.spot, shock.vol
    return Named(
        table=scenarios(
            underlyings, ["shock"], spot_move=spot, vol_move=vol, vol_power_short=0.30, vol_power_long=0.13
        ),
        kinds=(StressKind.SHOCK,),
        texts=("as asked for; what is not named stands still",),
        proxied=((),),
    )
