"""Raw SVI for every expiry of an underlying at once, free of butterfly and calendar arbitrage.

Objective. A quote is a band, and a vol inside the band is as good as any other, so the loss is the distance
from the band in units of its half width: squared up to one half width, linear beyond, because a quote that
is far off is stale rather than informative. A tenth of the same loss, of the distance from the middle, keeps
the fit unique. Marks have no band: their distance is taken from the mark, in units of one vol point at the
money, scaled by vega.

Constraints enter as squared penalties on k from far left to far right: g below a small margin, total
variance that falls from one expiry to the next, and wings that do. They couple neighbours, so all E
expiries are solved together, 5 E unknowns, by Levenberg-Marquardt with exact derivatives (`svi_objective`).
The whole line is then searched for what the penalties left undone; they grow until nothing is found, and
`svi_lift.settled` makes of that a promise.

Deterministic: the start is a grid (`svi_start`), quotes come in canonical order, nothing is random.
Rejected: fitting from short to long expiries, where the short ones, the noisiest, push all others; and a
general solver, which even slice by slice and without any constraint takes twenty times as long.

Source: Gatheral and Jacquier (2014), arXiv:1204.0646, section 5.2, for penalties on crossing slices.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.surfaces.arbitrage import least_calendar_gap, least_density_factor
from keeper.risk.surfaces.fit_problem import dense_quotes, fit_problem
from keeper.risk.surfaces.smile_quotes import SmileQuotes
from keeper.risk.surfaces.svi import RawSvi, from_wings
from keeper.risk.surfaces.svi_lift import STEEPEST, in_order, settled
from keeper.risk.surfaces.svi_objective import (
    CENTRE,
    DENSITY_NODES,
    LEFT,
    LOG_WIDTH,
    PARAMETERS,
    RIGHT,
    A,
    Model,
    Penalties,
    Problem,
    objective,
)
from keeper.risk.surfaces.svi_start import quasi_explicit

_START_QUOTES: Final = 40

_PENALTIES: Final = (
    Penalties(30.0, 1.0),
    Penalties(100.0, 3.0),
    Penalties(300.0, 10.0),
    Penalties(1e3, 30.0),
)
_STEPS: Final = (60, 20, 20, 20)
_LOOK_BACK: Final = 6
_STALL: Final = 1e-2
"""Steps end when the last 6 together gained less than this fraction of the cost."""

_DAMPING: Final = 1e-2
_LEAST_DAMPING: Final = 1e-10
_SHRINK: Final = 0.1
_GIVE_UP: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SviFit:
    """Slices for E of the expiries that were quoted, and how they came about."""

    expiry_y: Floats
    """Years to expiry, rising, shape (E,)."""

    forward_usd: Floats
    """Shape (E,)."""

    slices: RawSvi
    """Shape (E,), free of butterfly and calendar arbitrage over the whole line."""

    left_out_y: tuple[float, ...]
    """Expiries with too few strikes."""

    lift: Floats
    """Total variance that had to be added at the end to keep the promise, shape (E,); 0 as a rule."""

    steps: int
    """Levenberg-Marquardt steps tried."""


def fit_svi(quotes: SmileQuotes) -> SviFit:
    """Return arbitrage-free raw SVI slices for all expiries of one underlying.

    Raises
    ------
    SparseSmileError
        If no expiry has enough strikes; see `fit_problem`.

    Notes
    -----
    Cost: about half a millisecond a step for 12 expiries of 60 quotes; 25 to 80 steps.
    """
    dense, strikes, left_out_y = dense_quotes(quotes)
    problem = fit_problem(dense)
    parameters = _start(problem)
    free = np.ones(parameters.shape)
    free[strikes < PARAMETERS, CENTRE:] = 0.0
    bounds = _bounds(problem)
    steps = 0
    for penalties, most in zip(_PENALTIES, _STEPS, strict=True):
        parameters, tried = _descend(parameters, problem, penalties, free, bounds, most)
        steps += tried
        if in_order(_slices(parameters)):
            break
        problem = _with_cuts(problem, parameters)
    final = settled(_slices(parameters))
    return SviFit(
        expiry_y=dense.expiry_y,
        forward_usd=dense.forward_usd,
        slices=final.slices,
        left_out_y=left_out_y,
        lift=final.lift,
        steps=steps,
    )


def inside_band(quotes: SmileQuotes, fit: SviFit) -> NDArray[np.bool_]:
    """Return which quotes (N,) hold the fitted total variance; false where the expiry was left out."""
    present = np.isin(quotes.expiry_y, fit.expiry_y)[quotes.expiry]
    row = np.searchsorted(fit.expiry_y, quotes.expiry_y)[quotes.expiry[present]]
    w = fit.slices[row].total_variance(quotes.k[present])
    inside = np.zeros(quotes.k.size, dtype=np.bool_)
    inside[present] = (w >= quotes.w_low[present]) & (w <= quotes.w_high[present])
    return inside


def _start(problem: Problem) -> Floats:
    """Return the quasi-explicit parameters from an even choice of each expiry's quotes."""
    first, count = problem.starts[:-1, None], np.diff(problem.starts)[:, None]
    chosen = first + (np.linspace(0.0, 1.0, _START_QUOTES) * (count - 1)).round().astype(np.int64)
    parameters = quasi_explicit(
        problem.k[chosen],
        problem.mid[chosen],
        problem.pull[chosen] / problem.scale[chosen] ** 2,
        problem.w_money,
    )
    parameters[:, LOG_WIDTH] = np.log(parameters[:, LOG_WIDTH])
    return parameters


def _with_cuts(problem: Problem, parameters: Floats) -> Problem:
    """Return the problem with the worst place of every slice and pair as a further node."""
    slices = _slices(parameters)
    density = least_density_factor(slices)
    gap = least_calendar_gap(slices[:-1], slices[1:])
    last = problem.calendar_nodes[:, -1]
    reach = np.where(np.isfinite(density.at), (density.at - slices.m) / slices.sigma, DENSITY_NODES[-1])
    at = np.where(np.isfinite(gap.at), gap.at, last)
    return replace(
        problem,
        density_nodes=np.concatenate([problem.density_nodes, reach[:, None]], axis=1),
        calendar_nodes=np.concatenate([problem.calendar_nodes, at[:, None]], axis=1),
    )


def _bounds(problem: Problem) -> tuple[Floats, Floats]:
    """Return the lowest and highest parameters that steps may reach, each of shape (E, 5)."""
    low_k = np.minimum.reduceat(problem.k, problem.starts[:-1])
    high_k = np.maximum.reduceat(problem.k, problem.starts[:-1])
    sd = np.sqrt(problem.w_money)
    span = high_k - low_k + sd
    E = span.size
    least, most = np.zeros((E, PARAMETERS)), np.full((E, PARAMETERS), STEEPEST)
    least[:, A], most[:, A] = -np.inf, np.inf
    least[:, CENTRE], most[:, CENTRE] = low_k - span, high_k + span
    least[:, LOG_WIDTH], most[:, LOG_WIDTH] = np.log(1e-3 * sd), np.log(10.0 * span)
    return least, most


def _descend(
    parameters: Floats,
    problem: Problem,
    penalties: Penalties,
    free: Floats,
    bounds: tuple[Floats, Floats],
    most: int,
) -> tuple[Floats, int]:
    """Return the parameters after Levenberg-Marquardt steps, and how many were tried."""
    parameters = _within(parameters, bounds, problem.w_money)
    here = objective(parameters, problem, penalties)
    damping, growth, mark = _DAMPING, 2.0, here.cost
    for tried in range(1, most + 1):
        moved = _within(parameters + _step(here, free, damping), bounds, problem.w_money)
        there = objective(moved, problem, penalties)
        if there.cost < here.cost:
            change = (moved - parameters).ravel()
            promised = -float(change @ (2.0 * here.gradient + here.normal @ change))
            gain = (here.cost - there.cost) / promised if promised > 0.0 else 1.0
            damping = max(damping * max(_SHRINK, 1.0 - (2.0 * gain - 1.0) ** 3), _LEAST_DAMPING)
            parameters, here, growth = moved, there, 2.0
        else:
            damping, growth = damping * growth, 2.0 * growth
            if damping > _GIVE_UP:
                break
        if tried % _LOOK_BACK == 0:
            if here.cost > (1.0 - _STALL) * mark:
                break
            mark = here.cost
    return parameters, tried


def _step(here: Model, free: Floats, damping: float) -> Floats:
    """Return the damped Gauss-Newton step, shape (E, 5), with ln sigma moving by at most 1."""
    mask = free.ravel()
    normal = here.normal * mask * mask[:, None]
    diagonal = normal.diagonal()
    # Without curvature a parameter stays where it is: one that is held, or m and sigma of a flat slice.
    held = (diagonal <= 0.0) * max(float(diagonal.max()), 1.0)
    np.einsum("ii->i", normal)[:] += damping * diagonal + held
    solved = np.linalg.solve(normal, here.gradient * mask).astype(np.float64, copy=False)
    step: Floats = -solved.reshape(free.shape)
    step[:, LOG_WIDTH] = np.clip(step[:, LOG_WIDTH], -1.0, 1.0)
    return step


def _within(parameters: Floats, bounds: tuple[Floats, Floats], w_money: Floats) -> Floats:
    """Return the parameters inside the bounds, with a least variance above 0."""
    inside = np.clip(parameters, *bounds)
    bend = np.exp(inside[:, LOG_WIDTH]) * np.sqrt(inside[:, LEFT] * inside[:, RIGHT])
    inside[:, A] = np.maximum(inside[:, A], 1e-6 * w_money - bend)
    return inside


def _slices(parameters: Floats) -> RawSvi:
    a, left, right, m, log_sigma = parameters.T
    return from_wings(a, left, right, m, np.exp(log_sigma))
