"""Historical and filtered-historical scenarios: what happened on one date happens to all factors together.

Whole dates are drawn, never single factors, so the correlations between spot, vol and basis of all
underlyings are those of the record. The filter divides each return by the vol that was forecast for
its day and multiplies by the vol forecast for tomorrow:

    z[t] = r[t] / sigma[t];   r*[t] = z[t] sigma[T]

With constant vol this is plain historical simulation. With `refresh_correlation` whole covariances
take the place of the vols:  r*[t] = L[T] L[t]^-1 r[t],  L the Cholesky factors.

Returns are logarithmic here, so that no rescaling can take a price below zero.

Source: Barone-Adesi, Giannopoulos, Vosper, "VaR without correlations for portfolios of derivative
securities" (1999); Duffie and Pan (1997) for the refreshed correlation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.covariance import RISKMETRICS_DECAY, ewma_covariances, ewma_variances
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.scenarios import Scenarios, scenarios
from keeper.risk.tail import value_at_risk


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorSeries:
    """Recorded levels of one underlying at the same times; a factor that is None does not move."""

    times_s: NDArray[np.int64]
    """Unix seconds, rising, shape (T,)."""

    spot_usd: Floats
    """Above 0, shape (T,)."""

    vol: Floats | None = None
    """At-the-money vol at about 30 days, per year, above 0, shape (T,)."""

    perp_usd: Floats | None = None
    """Perp mark, above 0, shape (T,)."""

    forward_usd: Floats | None = None
    """Dated forward of about constant tenor, above 0, shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorHistory:
    """Joint log returns of U underlyings over T steps; every array has shape (T, U)."""

    ends_s: NDArray[np.int64]
    """Unix time at the end of each step, shape (T,)."""

    underlyings: tuple[str, ...]
    spot: Floats
    vol: Floats
    perp_basis: Floats
    """Log return of perp over spot."""

    future_basis: Floats
    """Log return of forward over spot."""

    dropped: int
    """Steps left out because a time was missing for one underlying or more."""

    def __len__(self) -> int:
        """Return T, the number of steps."""
        return len(self.ends_s)


def joint_history(series: Mapping[str, FactorSeries], *, step_s: int, slack_s: int = 0) -> FactorHistory:
    """Return the log returns on the dates that all series share.

    Parameters
    ----------
    series
        By underlying, at least one. Times need not agree: only those in all of them are used.
    step_s
        Length of a step, for example 86,400. A return over a gap is no one-day return: steps that
        differ by more than `slack_s` are dropped and counted.
    slack_s
        See above.

    Raises
    ------
    UnfitValueError
        No series, times that do not rise, levels of another shape, not finite or not above 0, or fewer
        than one joint step.
    """
    if not series:
        raise UnfitValueError("series", "none given, expected at least one underlying")
    for name, one in series.items():
        _check(name, one)
    shared = sorted(set.intersection(*(set(one.times_s.tolist()) for one in series.values())))
    times = np.asarray(shared, dtype=np.int64)
    kept = np.abs(np.diff(times) - step_s) <= slack_s
    if not kept.any():
        raise UnfitValueError("series", f"no joint step of {step_s} s among {len(times)} joint times")

    columns: dict[str, list[Floats]] = {"spot": [], "vol": [], "perp_basis": [], "future_basis": []}
    for one in series.values():
        rows = np.searchsorted(one.times_s, times)
        spot = np.log(one.spot_usd[rows])
        still = np.zeros(len(rows))
        levels = {
            "spot": spot,
            "vol": still if one.vol is None else np.log(one.vol[rows]),
            "perp_basis": still if one.perp_usd is None else np.log(one.perp_usd[rows]) - spot,
            "future_basis": still if one.forward_usd is None else np.log(one.forward_usd[rows]) - spot,
        }
        for factor, level in levels.items():
            columns[factor].append(np.diff(level)[kept])
    stacked = {factor: np.column_stack(returns) for factor, returns in columns.items()}
    return FactorHistory(
        ends_s=times[1:][kept],
        underlyings=tuple(series),
        dropped=int((~kept).sum()),
        **stacked,
    )


_NEGLIGIBLE: Final = 1e-100
"""A return whose square is no number any more; after a variance of 0 it counts as no move."""


def filtered_returns(
    returns: ArrayLike,
    *,
    decay: float = RISKMETRICS_DECAY,
    seed: ArrayLike | None = None,
    vol_now: ArrayLike | None = None,
) -> Floats:
    """Return z[t] sigma[T] for every row, shape (T, U): past returns at the vol forecast for tomorrow.

    Parameters
    ----------
    returns
        Shape (T, U), oldest first, T >= 1. Relative or logarithmic: the filter is linear in them.
    decay, seed
        As in `covariance.ewma_variances`.
    vol_now
        sigma[T] per step in place of the filter's own, for example from implied vols; scalar or (U,).

    Raises
    ------
    UnfitValueError
        As `ewma_variances`; a negative `vol_now`; and where a return follows a variance of 0, which
        only a seed of 0 allows.
    """
    rows = finite("returns", returns, shape=(None, None))
    sigma = np.sqrt(ewma_variances(rows, decay=decay, seed=seed))
    before, now = sigma[:-1], sigma[-1] if vol_now is None else finite("vol_now", vol_now)
    require("vol_now", now, now >= 0.0, "at least 0")
    require("returns", rows, (before > 0.0) | (np.abs(rows) < _NEGLIGIBLE), "0 after a variance of 0")
    ratio = np.divide(now, before, out=np.ones_like(rows), where=before > 0.0)
    filtered: Floats = rows * ratio
    return filtered


def refreshed_returns(
    returns: ArrayLike, *, decay: float = RISKMETRICS_DECAY, seed: ArrayLike | None = None
) -> Floats:
    """Return L[T] L[t]^-1 r[t] for every row, shape (T, U): past returns at tomorrow's covariance.

    Parameters as in `filtered_returns`, with a (U, U) seed. Columns that never move stay 0.

    Raises
    ------
    UnfitValueError
        As `covariance.ewma_covariances`; and where a covariance is singular: drop a collinear factor,
        or do without the refresh.
    """
    rows = finite("returns", returns, shape=(None, None))
    moves = (rows != 0.0).any(axis=0)
    part = rows[:, moves]
    if not part.size:
        return rows.copy()
    given = None if seed is None else np.asarray(seed, dtype=np.float64)[np.ix_(moves, moves)]
    covariances = ewma_covariances(part, decay=decay, seed=given)
    try:
        lower = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise UnfitValueError("returns", "covariance is singular, expected factors that move apart") from None
    z = np.linalg.solve(lower[:-1], part[:, :, None])
    fresh = np.zeros_like(rows)
    fresh[:, moves] = (lower[-1] @ z)[:, :, 0]
    return fresh


def historical_scenarios(history: FactorHistory, *, horizon_steps: float = 1.0) -> Scenarios:
    """Return one scenario a date, with the returns as they were, scaled by sqrt(`horizon_steps`).

    Raises
    ------
    UnfitValueError
        For a horizon below 0.
    """
    return _table("historical", history, _stack(history), horizon_steps)


def filtered_scenarios(
    history: FactorHistory,
    *,
    decay: float = RISKMETRICS_DECAY,
    horizon_steps: float = 1.0,
    refresh_correlation: bool = False,
    burn_in: int = 0,
) -> Scenarios:
    """Return one scenario a date, rescaled to the vols, or covariances, forecast for tomorrow.

    Parameters
    ----------
    history
        Joint returns, oldest first.
    decay
        Of the EWMA filter, in 0..1.
    horizon_steps
        Horizon in steps; returns grow with its square root. At least 0.
    refresh_correlation
        Whether to bring the correlations to today's as well (`refreshed_returns`).
    burn_in
        First rows that only feed the filter and give no scenario.

    Raises
    ------
    UnfitValueError
        As the filters; or a burn-in that leaves no row.
    """
    require("burn_in", burn_in, 0 <= burn_in < len(history), f"in 0..{len(history) - 1}")
    refilter = refreshed_returns if refresh_correlation else filtered_returns
    moved = refilter(_stack(history), decay=decay)
    return _table("filtered", history, moved, horizon_steps, first=burn_in)


def historical_var_forecasts(pnl: ArrayLike, *, window: int, level: float) -> Floats:
    """Return the historical VaR forecast for each step from `window` on, shape (T - window,).

    Forecast i is made from pnl[i : i + window] and is for pnl[i + window].

    Parameters
    ----------
    pnl
        Profit of constant positions, shape (T,), T > window.
    window
        Look-back in steps, at least 1.
    level
        Confidence, above 0 and below 1.

    Raises
    ------
    UnfitValueError
        Series too short, not finite, or a level outside 0..1.
    """
    series = _long_enough(pnl, window)
    return value_at_risk(sliding_window_view(series[:-1], window), level)


def filtered_var_forecasts(
    pnl: ArrayLike, *, window: int, level: float, decay: float = RISKMETRICS_DECAY
) -> Floats:
    """Return the filtered-historical VaR forecast for each step from `window` on, shape (T - window,).

    The z-scores of the window are rescaled by the vol forecast for the step. The filter starts from the
    mean square of the first window, so no forecast looks ahead. Parameters and errors as in
    `historical_var_forecasts`; a series that has not moved yet has VaR 0.
    """
    series = _long_enough(pnl, window)
    seed = float(np.mean(series[:window] ** 2))
    sigma = np.sqrt(ewma_variances(series[:, None], decay=decay, seed=seed))[:-1, 0]
    z = np.divide(series, sigma, out=np.zeros_like(series), where=sigma > 0.0)
    multiple = value_at_risk(sliding_window_view(z[:-1], window), level)
    forecasts: Floats = multiple * sigma[window:]
    return forecasts


def _check(name: str, one: FactorSeries) -> None:
    T = len(one.times_s)
    if one.times_s.ndim != 1 or one.times_s.dtype.kind != "i" or (np.diff(one.times_s) <= 0).any():
        raise UnfitValueError(f"{name}.times_s", "not rising whole seconds, expected Unix times in order")
    for field in ("spot_usd", "vol", "perp_usd", "forward_usd"):
        level = getattr(one, field)
        if level is not None:
            finite(f"{name}.{field}", level, shape=(T,))
            require(f"{name}.{field}", level, level > 0.0, "above 0")


def _stack(history: FactorHistory) -> Floats:
    return np.hstack([history.spot, history.vol, history.perp_basis, history.future_basis])


def _table(
    kind: str, history: FactorHistory, moved: Floats, horizon_steps: float, *, first: int = 0
) -> Scenarios:
    require("horizon_steps", horizon_steps, horizon_steps >= 0.0, "at least 0")
    moves = np.expm1(math.sqrt(horizon_steps) * moved[first:])
    spot, vol, perp, future = np.hsplit(moves, 4)
    return scenarios(
        history.underlyings,
        [f"{kind}/{datetime.fromtimestamp(int(t), UTC):%Y-%m-%dT%H:%M:%S}" for t in history.ends_s[first:]],
        spot_move=spot,
        vol_move=vol,
        perp_basis_move=perp,
        future_basis_move=future,
    )


def _long_enough(pnl: ArrayLike, window: int) -> Floats:
    series = finite("pnl", pnl, shape=(None,))
    require("window", window, 1 <= window < len(series), f"in 1..{len(series) - 1}")
    return series
