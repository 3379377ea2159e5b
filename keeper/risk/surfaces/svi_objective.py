"""What a calibration minimises, with exact derivatives: distance from quotes, and penalties on arbitrage.

Parameters are one row (a, L, R, m, ln sigma) per expiry, L and R being the slopes of the wings; see
`svi_start`. All terms are sums of squares, so a Gauss-Newton model needs their first derivatives only.
Penalties are evaluated at all nodes but differentiated where they are active, which is at few.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats

PARAMETERS: Final = 5
A, LEFT, RIGHT, CENTRE, LOG_WIDTH = range(PARAMETERS)
"""Columns of the parameters."""

PULL: Final = 0.1
"""Weight of the distance from the middle of a band, beside that from the band itself."""

FAR: Final = 1.0
"""Distance, in half widths, from which the loss is no longer squared but linear."""

DENSITY_MARGIN: Final = 2e-3
"""g that the penalty asks for, so that what lies between its nodes stays above 0."""

CALENDAR_MARGIN: Final = 1e-3
"""Rise of total variance from one expiry to the next that the penalty asks for, relative."""

DENSITY_NODES: Final = np.sinh(
    np.concatenate([np.linspace(-6.0, -3.0, 5), np.linspace(-2.6, 2.6, 25), np.linspace(3.0, 6.0, 5)])
)
"""Where g is looked at, in units of sigma from the centre."""

CALENDAR_NODES: Final = np.sinh(np.linspace(-5.3, 5.3, 41))
"""Where total variance is compared, in standard deviations at the money of the later expiry, out to 100."""

STEEP: Final = 0.7
"""Slope of a wing, in standard deviations at the money, up to which nothing speaks against it."""

STEEPNESS: Final = 0.7
"""Weight of a wing's excess over `STEEP`, in units of a quote one half width outside its band.

Beyond the last quote a wing is extrapolation, and quotes hardly tell a wide bend with steep wings from a
narrower one with flat wings. On the recorded chains this takes a third off the distance between the
model-free variances of fits and of marks, for 0.3 % of the quotes.
"""

_WING_SD: Final = 30.0
"""Log-moneyness, in standard deviations, at which the slopes of the wings are compared."""

_NEAR_SD: Final = 3.0
"""Crossings count less beyond, where total variance is larger: else the far wings would rule the fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """N quotes of E expiries, ordered by expiry, and the nodes of the penalties."""

    row: NDArray[np.int64]
    """Expiry of each quote, shape (N,), never falling."""

    starts: NDArray[np.int64]
    """First quote of each expiry, and N; shape (E + 1,)."""

    k: Floats
    """Log-moneyness, shape (N,)."""

    mid: Floats
    """Middle of the band, total variance, shape (N,)."""

    half: Floats
    """Half width of the band, shape (N,); 0 for marks."""

    scale: Floats
    """Unit of distance, above 0, shape (N,): the half width, or one vol point scaled by vega for marks."""

    pull: Floats
    """1 where the middle means something, 0 where the bid is worth no vol, shape (N,)."""

    w_money: Floats
    """Total variance at the money, shape (E,)."""

    unit: Floats
    """Typical `scale` of an expiry, shape (E,): what a crossing is measured in."""

    density_nodes: Floats
    """In units of sigma from the centre, shape (E, n)."""

    calendar_nodes: Floats
    """Log-moneyness for each pair of neighbours, shape (E - 1, n)."""


class Penalties(NamedTuple):
    """Weights of the constraints, in units of a quote one half width outside its band."""

    density: float
    calendar: float


class Model(NamedTuple):
    """The objective at a point, and its Gauss-Newton model there."""

    cost: float
    normal: Floats
    """Shape (5 E, 5 E)."""

    gradient: Floats
    """Half the gradient of the cost, shape (5 E,)."""


def objective(parameters: Floats, problem: Problem, penalties: Penalties) -> Model:
    """Return cost, normal matrix and gradient at `parameters`, shape (E, 5)."""
    model = _quotes(parameters, problem)
    density = _density(parameters, problem, penalties.density)
    calendar = _calendar(parameters, problem, penalties.calendar)
    cost, normal, gradient = model
    steep = _steepness(parameters, problem)
    for lack, jacobian in (density, calendar, steep):
        cost += float(lack @ lack)
        normal += jacobian.T @ jacobian
        gradient += jacobian.T @ lack
    return Model(cost, normal, gradient)


def total_variance(parameters: Floats, k: Floats) -> Floats:
    """Return w at k, for parameters of shape (..., 5) that broadcast against k."""
    x, r = _shifted(parameters, k)
    left, right = parameters[..., LEFT], parameters[..., RIGHT]
    w: Floats = parameters[..., A] + 0.5 * (left * (r - x) + right * (r + x))
    return w


def variance_gradient(parameters: Floats, k: Floats) -> Floats:
    """Return the derivatives of w by the parameters, shape (..., 5)."""
    x, r = _shifted(parameters, k)
    left, right = parameters[..., LEFT], parameters[..., RIGHT]
    gradient = np.empty((*x.shape, PARAMETERS))
    gradient[..., A] = 1.0
    gradient[..., LEFT] = 0.5 * (r - x)
    gradient[..., RIGHT] = 0.5 * (r + x)
    gradient[..., CENTRE] = 0.5 * (left * (r - x) - right * (r + x)) / r
    gradient[..., LOG_WIDTH] = 0.5 * (left + right) * (r - x * x / r)
    return gradient


def density_factor(parameters: Floats, k: Floats) -> Floats:
    """Return g at k (`arbitrage.density_factor`), for parameters of shape (..., 5)."""
    x, r = _shifted(parameters, k)
    left, right = parameters[..., LEFT], parameters[..., RIGHT]
    low, high = 0.5 * left * (r - x), 0.5 * right * (r + x)
    w = parameters[..., A] + low + high
    slope = (high - low) / r
    curvature = 0.5 * (left + right) * (1.0 - (x / r) ** 2) / r
    g: Floats = (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * curvature
    return g


def density_gradient(parameters: Floats, k: Floats) -> Floats:
    """Return the derivatives of g by the parameters, shape (..., 5)."""
    x, r = _shifted(parameters, k)
    mean, q = 0.5 * (parameters[..., LEFT] + parameters[..., RIGHT]), x / r
    square = 1.0 - q * q
    w, by_w = total_variance(parameters, k), variance_gradient(parameters, k)
    slope, curvature = -by_w[..., CENTRE], mean * square / r
    by_slope, by_curvature = np.zeros_like(by_w), np.zeros_like(by_w)
    by_slope[..., LEFT], by_slope[..., RIGHT] = 0.5 * (q - 1.0), 0.5 * (q + 1.0)
    by_slope[..., CENTRE], by_slope[..., LOG_WIDTH] = -curvature, -mean * q * square
    by_curvature[..., LEFT] = by_curvature[..., RIGHT] = 0.5 * square / r
    by_curvature[..., CENTRE] = 3.0 * curvature * q / r
    by_curvature[..., LOG_WIDTH] = curvature * (2.0 - 3.0 * square)
    moneyness = 1.0 - 0.5 * k * slope / w
    of_w = (moneyness * k * slope + 0.25 * slope**2) / w**2
    of_slope = -moneyness * k / w - 0.5 * slope * (1.0 / w + 0.25)
    gradient: Floats = of_w[..., None] * by_w + of_slope[..., None] * by_slope + 0.5 * by_curvature
    return gradient


def _shifted(parameters: Floats, k: Floats) -> tuple[Floats, Floats]:
    """Return x = k - m and r = sqrt(x**2 + sigma**2)."""
    x = k - parameters[..., CENTRE]
    return x, np.sqrt(x * x + np.exp(2.0 * parameters[..., LOG_WIDTH]))


def _quotes(parameters: Floats, problem: Problem) -> tuple[float, Floats, Floats]:
    """Return cost, normal matrix and gradient of the distance from the quotes."""
    at = parameters[problem.row]
    z = (total_variance(at, problem.k) - problem.mid) / problem.scale
    jacobian = (variance_gradient(at, problem.k) / problem.scale[:, None]).T
    away = np.abs(z)
    outside = np.maximum(away - problem.half / problem.scale, 0.0)
    pull = PULL * problem.pull
    loss = _flattened(outside) + pull * _flattened(away)
    weight, pull_weight = FAR / np.maximum(outside, FAR), pull * FAR / np.maximum(away, FAR)
    force = weight * np.copysign(outside, z) + pull_weight * z
    weighted = jacobian * (weight * (outside > 0.0) + pull_weight)
    E = parameters.shape[0]
    normal, gradient = np.zeros((E, PARAMETERS, E, PARAMETERS)), np.zeros((E, PARAMETERS))
    for row in range(E):
        own = slice(problem.starts[row], problem.starts[row + 1])
        normal[row, :, row, :] = weighted[:, own] @ jacobian[:, own].T
        gradient[row] = jacobian[:, own] @ force[own]
    return float(loss.sum()), normal.reshape(E * PARAMETERS, E * PARAMETERS), gradient.ravel()


def _flattened(away: Floats) -> Floats:
    """Return the square of a distance, or beyond `FAR` the line that touches it there."""
    return np.where(away > FAR, FAR * (2.0 * away - FAR), away * away)


def _density(parameters: Floats, problem: Problem, weight: float) -> tuple[Floats, Floats]:
    """Return how much g lacks where it is below its margin, and the derivatives, shape (n, 5 E)."""
    k = parameters[:, CENTRE, None] + np.exp(parameters[:, LOG_WIDTH, None]) * problem.density_nodes
    lack = weight * (DENSITY_MARGIN - density_factor(parameters[:, None], k))
    rows, nodes = np.nonzero(lack > 0.0)
    gradient = _along_node(parameters[rows], k[rows, nodes])
    return lack[rows, nodes], _spread(-weight * gradient, rows, parameters.shape[0])


def _along_node(parameters: Floats, k: Floats) -> Floats:
    """Return the derivatives of g where k moves with the slice, as m + sigma times a constant."""
    gradient = density_gradient(parameters, k)
    w, slope = total_variance(parameters, k), -variance_gradient(parameters, k)[:, CENTRE]
    by_k = -(1.0 - 0.5 * k * slope / w) * slope / w - gradient[:, CENTRE]
    gradient[:, LOG_WIDTH] += by_k * (k - parameters[:, CENTRE])
    gradient[:, CENTRE] += by_k
    return gradient


def _calendar(parameters: Floats, problem: Problem, weight: float) -> tuple[Floats, Floats]:
    """Return how much total variance and wings fall from expiry to expiry, and the derivatives, (n, 5 E)."""
    E = parameters.shape[0]
    early, late = parameters[:-1], parameters[1:]
    sd = np.sqrt(problem.w_money[1:, None])
    k, at_least = problem.calendar_nodes, 1.0 + CALENDAR_MARGIN
    scale = weight / problem.unit[1:, None] / (1.0 + np.abs(k) / (_NEAR_SD * sd))
    lack = scale * (at_least * total_variance(early[:, None], k) - total_variance(late[:, None], k))
    pairs, nodes = np.nonzero(lack > 0.0)
    found, size = lack[pairs, nodes], scale[pairs, nodes, None]
    own = size * at_least * variance_gradient(early[pairs], k[pairs, nodes])
    next_own = size * variance_gradient(late[pairs], k[pairs, nodes])
    lacks, jacobians = [found], [_spread(own, pairs, E) - _spread(next_own, pairs + 1, E)]
    wing = (weight * _WING_SD / (1.0 + _WING_SD / _NEAR_SD)) * sd[:, 0] / problem.unit[1:]
    for side in (LEFT, RIGHT):
        lack = wing * (at_least * early[:, side] - late[:, side])
        (pairs,) = np.nonzero(lack > 0.0)
        jacobian = np.zeros((pairs.size, E, PARAMETERS))
        count = np.arange(pairs.size)
        jacobian[count, pairs, side] = at_least * wing[pairs]
        jacobian[count, pairs + 1, side] = -wing[pairs]
        lacks.append(lack[pairs])
        jacobians.append(jacobian.reshape(pairs.size, E * PARAMETERS))
    return np.concatenate(lacks), np.concatenate(jacobians)


def _steepness(parameters: Floats, problem: Problem) -> tuple[Floats, Floats]:
    """Return by how much wings are steeper than usual, and the derivatives, shape (n, 5 E)."""
    sd = np.sqrt(problem.w_money)
    wings = parameters[:, LEFT : RIGHT + 1] / sd[:, None] - STEEP
    rows, sides = np.nonzero(wings > 0.0)
    jacobian = np.zeros((rows.size, parameters.shape[0], PARAMETERS))
    jacobian[np.arange(rows.size), rows, LEFT + sides] = STEEPNESS / sd[rows]
    return STEEPNESS * wings[rows, sides], jacobian.reshape(rows.size, parameters.size)


def _spread(gradient: Floats, rows: NDArray[np.int64], expiries: int) -> Floats:
    """Return derivatives by one expiry's parameters, (n, 5), as derivatives by all, (n, 5 E)."""
    whole = np.zeros((rows.size, expiries, PARAMETERS))
    whole[np.arange(rows.size), rows] = gradient
    return whole.reshape(rows.size, expiries * PARAMETERS)
