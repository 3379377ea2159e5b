"""Constraints on what may be held, and gates on what may be believed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import StaleDataError, UnfitValueError
from keeper.risk.inputs import finite, require, unique


def margin_ratio(equity_usd: float, maintenance_usd: float) -> float:
    """Return equity / maintenance requirement; inf without a requirement, whatever the equity.

    An account without positions cannot be liquidated, but one that owes without a requirement has none
    of this ratio to show it: watch its equity as well.

    Raises
    ------
    UnfitValueError
        Not finite, or a negative requirement.
    """
    finite("equity_usd", equity_usd)
    finite("maintenance_usd", maintenance_usd)
    require("maintenance_usd", maintenance_usd, maintenance_usd >= 0.0, "at least 0")
    return equity_usd / maintenance_usd if maintenance_usd > 0.0 else math.inf


def leverage(notional_usd: ArrayLike, equity_usd: float) -> float:
    """Return sum |notional| / equity: 0 without positions, inf where positions have no equity under them.

    `notional_usd` are signed notionals, shape (n,), USD.

    Raises
    ------
    UnfitValueError
        Not finite.
    """
    gross = float(np.abs(finite("notional_usd", notional_usd, shape=(None,))).sum())
    finite("equity_usd", equity_usd)
    if gross == 0.0:
        return 0.0
    return gross / equity_usd if equity_usd > 0.0 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A ceiling on one figure. Positions and notionals are compared by size, whatever their sign."""

    name: str
    """Key of the figure, for example `leverage` or `position/ETH`."""

    most: float
    """Greatest size allowed, at least 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A figure beyond its limit, or one that is missing."""

    name: str
    value: float | None
    """None: not measured, which is no way to keep a limit."""

    most: float

    @property
    def excess(self) -> float:
        """How far beyond; inf where the figure is missing."""
        return math.inf if self.value is None else abs(self.value) - self.most


def limit_breaches(figures: Mapping[str, float], limits: Sequence[Limit]) -> tuple[Breach, ...]:
    """Return the limits that do not hold, in their order. A limit without its figure is breached.

    Parameters
    ----------
    figures
        By name, in the unit of the limit. inf is beyond every finite limit.
    limits
        Each name once.

    Raises
    ------
    UnfitValueError
        A limit twice, negative or NaN, or a figure that is NaN.
    """
    unique("limits", [limit.name for limit in limits])
    found = []
    for row, limit in enumerate(limits):
        if not limit.most >= 0.0:
            raise UnfitValueError("limits", f"{limit.name} is {limit.most}, expected at least 0", row=row)
        value = figures.get(limit.name)
        if value is not None and math.isnan(value):
            raise UnfitValueError(limit.name, "is nan, expected a number or no figure")
        if value is None or abs(value) > limit.most:
            found.append(Breach(name=limit.name, value=value, most=limit.most))
    return tuple(found)


class FeedState(StrEnum):
    """What is known about a feed. Only `FRESH` may carry an action."""

    FRESH = "fresh"
    STALE = "stale"
    AHEAD = "ahead"
    """Stamped later than now by more than the skew allowed: its clock or ours is wrong."""

    SILENT = "silent"
    """No answer: its own state, neither healthy nor stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A source of market data and when it last spoke."""

    source: str
    observed_at_s: int | None
    """Unix seconds of the observation; None: no answer."""

    limit_s: int
    """Greatest age allowed, at least 0."""


def feed_state(feed: Feed, now_s: int, *, skew_s: int = 0) -> FeedState:
    """Return the state of a feed at the snapshot's time `now_s`; `skew_s` is how far ahead it may be."""
    if feed.observed_at_s is None:
        return FeedState.SILENT
    age_s = now_s - feed.observed_at_s
    if age_s < -skew_s:
        return FeedState.AHEAD
    return FeedState.FRESH if age_s <= feed.limit_s else FeedState.STALE


def require_fresh(feed: Feed, now_s: int, *, skew_s: int = 0) -> None:
    """Pass a fresh feed, and hold on any other.

    Raises
    ------
    StaleDataError
        Older than its limit.
    UnfitValueError
        Silent, or ahead of the snapshot by more than `skew_s`.
    """
    state = feed_state(feed, now_s, skew_s=skew_s)
    if state is FeedState.FRESH:
        return
    if feed.observed_at_s is None:
        raise UnfitValueError(feed.source, "no answer, expected an observation")
    age_s = now_s - feed.observed_at_s
    if state is FeedState.AHEAD:
        raise UnfitValueError(feed.source, f"{-age_s} s ahead of the snapshot, allowed are {skew_s} s")
    raise StaleDataError(feed.source, age_s=age_s, limit_s=feed.limit_s)
