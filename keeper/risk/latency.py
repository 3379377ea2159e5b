"""Latency: the chance that a leg dies before help arrives, and what that chance costs.

A price that diffuses without drift touches a barrier a relative drop d away within tau years with chance

    p = 2 Phi( -|ln(1 - d)| / (sigma sqrt(tau)) )

A drop is positive for a long, which dies below, and negative for a short, which dies above: a
barrier 5 % higher is a drop of -0.05. (Reflection principle.) No jumps and no clusters of vol are in
it: read it as a floor, and pass a stressed sigma in stress.

Source: reflection principle, for example Shreve, Stochastic Calculus for Finance II, section 3.7.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from keeper.model.units import SECONDS_PER_YEAR
from keeper.risk.inputs import Floats, finite, require


def hit_probability(drop: ArrayLike, vol: ArrayLike, seconds: ArrayLike) -> Floats:
    """Return the chance that the price touches its barrier in time, in 0..1; arguments broadcast.

    Parameters
    ----------
    drop
        1 - barrier / spot, below 1: 0.08 for a long that is liquidated 8 % lower, -0.05 for a short that
        is liquidated 5 % higher. At 0 the chance is 1.
    vol
        Per year, at least 0.
    seconds
        Time window, at least 0.

    Raises
    ------
    UnfitValueError
        Not finite, or out of those ranges.

    Examples
    --------
    >>> round(float(hit_probability(0.08, 0.6, 86_400)), 6)
    0.007931
    """
    distance = _distance(drop)
    spread = _vol(vol) * np.sqrt(_seconds("seconds", seconds) / SECONDS_PER_YEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(distance > 0.0, -distance / spread, 0.0)
    return np.asarray(2.0 * ndtr(z))


def time_to_barrier_s(drop: ArrayLike, vol: ArrayLike, tolerated: ArrayLike) -> Floats:
    """Return the seconds after which the chance of a touch reaches `tolerated`; arguments broadcast.

        tau = ( ln(1 - d) / (sigma Phi^-1(p / 2)) )^2

    The deadline of a margin call is this less the latency of a transfer. It is inf where the vol is 0
    and 0 at the barrier.

    Parameters
    ----------
    drop, vol
        As in `hit_probability`.
    tolerated
        p, above 0 and below 1.

    Raises
    ------
    UnfitValueError
        Not finite, or out of those ranges.
    """
    distance, sigma, p = _distance(drop), _vol(vol), finite("tolerated", tolerated)
    require("tolerated", p, (p > 0.0) & (p < 1.0), "above 0 and below 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.where(distance > 0.0, distance / (sigma * -ndtri(p / 2.0)), 0.0)
    return np.asarray(root * root * SECONDS_PER_YEAR)


def least_barrier_distance(vol: ArrayLike, seconds: ArrayLike, tolerated: ArrayLike) -> Floats:
    """Return the log distance |ln(1 - d)| at which the chance of a touch in `seconds` is `tolerated`.

    Inverse of `hit_probability` in the barrier: sigma sqrt(tau) x -Phi^-1(p / 2), at least 0.
    Parameters and errors as in the functions above.
    """
    p = finite("tolerated", tolerated)
    require("tolerated", p, (p > 0.0) & (p < 1.0), "above 0 and below 1")
    spread = _vol(vol) * np.sqrt(_seconds("seconds", seconds) / SECONDS_PER_YEAR)
    return np.asarray(spread * -ndtri(p / 2.0))


def latency_addon_usd(
    delta_usd: ArrayLike, buffer_usd: ArrayLike, vol: ArrayLike, latency_s: ArrayLike, *, tolerated: ArrayLike
) -> Floats:
    """Return the collateral that must already lie at the venue because a transfer takes `latency_s`, USD.

        add-on = max(0, loss at the least tolerable distance - buffer),  loss = |delta| |exp(-+ D) - 1|

    with D = `least_barrier_distance`, downwards for a long and upwards for a short, on a linear leg.

    Parameters
    ----------
    delta_usd
        Signed delta of the leg, USD per relative move.
    buffer_usd
        Equity less maintenance requirement at the venue; negative where it is already short.
    vol, latency_s, tolerated
        As above; all arguments broadcast.

    Raises
    ------
    UnfitValueError
        Not finite, or out of range.
    """
    delta, buffer = finite("delta_usd", delta_usd), finite("buffer_usd", buffer_usd)
    distance = least_barrier_distance(vol, latency_s, tolerated)
    loss = -delta * np.expm1(-np.sign(delta) * distance)
    addon: Floats = np.asarray(np.maximum(0.0, loss - buffer))
    return addon


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFeasibility:
    """Whether collateral can reach one account before its own liquidation: the third figure."""

    account: str
    time_to_barrier_s: float
    """Seconds until the chance of a touch reaches the tolerated one; inf without a barrier."""

    latency_s: float
    """Seconds of the fastest route that can carry enough; inf where there is none."""

    hit_probability: float
    """Chance of a touch before the transfer lands, in 0..1."""

    @property
    def slack_s(self) -> float:
        """Seconds that remain for a decision; negative: it is too late for this route."""
        if math.isinf(self.time_to_barrier_s):
            return math.inf
        return self.time_to_barrier_s - self.latency_s

    @property
    def feasible(self) -> bool:
        """Whether a transfer started now lands before the tolerated chance is used up."""
        return self.slack_s >= 0.0


def transfer_feasibility(
    account: str, *, drop: float | None, vol: float, latency_s: float, tolerated: float
) -> TransferFeasibility:
    """Return the third figure for one account.

    Parameters
    ----------
    account
        Its id.
    drop
        1 - liquidation price / spot, below 1; None: no price liquidates it.
    vol
        Per year, at least 0.
    latency_s
        Of the transfer, at least 0; inf where no route exists.
    tolerated
        Chance of a touch that the policy accepts, above 0 and below 1.

    Raises
    ------
    UnfitValueError
        Out of those ranges.
    """
    if drop is None:
        require("latency_s", latency_s, latency_s >= 0.0, "at least 0")
        return TransferFeasibility(
            account=account, time_to_barrier_s=math.inf, latency_s=latency_s, hit_probability=0.0
        )
    (figure,) = transfer_feasibilities(
        [account], drop=[drop], vol=[vol], latency_s=latency_s, tolerated=tolerated
    )
    return figure


def transfer_feasibilities(
    accounts: Sequence[str], *, drop: ArrayLike, vol: ArrayLike, latency_s: float, tolerated: float
) -> tuple[TransferFeasibility, ...]:
    """Return the third figure for each of A accounts that a price liquidates.

    Arguments and errors as `transfer_feasibility`, `drop` and `vol` of shape (A,).
    """
    require("latency_s", latency_s, latency_s >= 0.0, "at least 0")
    drops, vols = finite("drop", drop), finite("vol", vol)
    times_s = time_to_barrier_s(drops, vols, tolerated)
    if latency_s < math.inf:
        chances = hit_probability(drops, vols, latency_s)
    else:
        chances = np.where((vols > 0.0) | (drops == 0.0), 1.0, 0.0)
    return tuple(
        TransferFeasibility(
            account=account, time_to_barrier_s=time_s, latency_s=latency_s, hit_probability=chance
        )
        for account, time_s, chance in zip(accounts, times_s.tolist(), chances.tolist(), strict=True)
    )


def _distance(drop: ArrayLike) -> Floats:
    relative = finite("drop", drop)
    require("drop", relative, relative < 1.0, "below 1")
    return np.asarray(np.abs(np.log1p(-relative)))


def _vol(vol: ArrayLike) -> Floats:
    sigma = finite("vol", vol)
    require("vol", sigma, sigma >= 0.0, "at least 0")
    return sigma


def _seconds(field: str, seconds: ArrayLike) -> Floats:
    window = finite(field, seconds)
    require(field, window, window >= 0.0, "at least 0")
    return window
