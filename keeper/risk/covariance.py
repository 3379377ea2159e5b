"""Variance that decays, and matrices that are covariances.

Covariances are per step of the returns given (a day, an hour), in squared units of the return.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require

RISKMETRICS_DECAY: Final = 0.94
"""Daily decay of RiskMetrics (1996): half-life 11.2 days, 99 % of the weight in 74 observations."""


def ewma_variances(
    returns: ArrayLike, *, decay: float = RISKMETRICS_DECAY, seed: ArrayLike | None = None
) -> Floats:
    """Return the variance forecast before each return, and one more after the last, shape (T + 1, U).

        v[0] = seed;   v[t + 1] = decay v[t] + (1 - decay) r[t]^2

    Row t uses returns before t only, so it may be compared with return t in a back-test.

    Parameters
    ----------
    returns
        Shape (T, U), oldest first.
    decay
        In 0..1; nearer to 1 is a longer memory.
    seed
        Variance before the first return, scalar or shape (U,), at least 0. Absent: the mean square of
        all rows, which looks ahead; a back-test passes one from before its first forecast.

    Raises
    ------
    UnfitValueError
        Wrong shape, not finite, decay outside 0..1, negative seed, or no row and no seed.

    Notes
    -----
    Source: RiskMetrics Technical Document (1996); Hull, Options, Futures, and Other Derivatives, EWMA.

    Examples
    --------
    >>> v = ewma_variances([[0.02]], decay=0.9, seed=0.01**2)
    >>> round(float(np.sqrt(v[-1, 0])), 5)
    0.0114
    """
    rows = finite("returns", returns, shape=(None, None))
    require("decay", decay, 0.0 <= decay < 1.0, "in 0..1, below 1")
    variances = np.empty((len(rows) + 1, rows.shape[1]))
    variances[0] = _seed(rows, seed)
    squares = (1.0 - decay) * rows * rows
    for t, square in enumerate(squares):
        variances[t + 1] = decay * variances[t] + square
    return variances


def ewma_covariances(
    returns: ArrayLike, *, decay: float = RISKMETRICS_DECAY, seed: ArrayLike | None = None
) -> Floats:
    """Return the covariance forecast before each row of returns, and one after, shape (T + 1, U, U).

        S[t + 1] = decay S[t] + (1 - decay) r[t] r[t]'

    Parameters, errors and source as in `ewma_variances`; `seed` has shape (U, U), and where absent is
    the mean outer product of all rows.
    """
    rows = finite("returns", returns, shape=(None, None))
    require("decay", decay, 0.0 <= decay < 1.0, "in 0..1, below 1")
    U = rows.shape[1]
    if seed is None and not len(rows):
        raise UnfitValueError("returns", "no rows, expected at least one, or a seed")
    start = rows.T @ rows / len(rows) if seed is None else covariance("seed", seed, size=U)
    covariances = np.empty((len(rows) + 1, U, U))
    covariances[0] = start
    for t, row in enumerate(rows):
        covariances[t + 1] = decay * covariances[t] + (1.0 - decay) * np.outer(row, row)
    return covariances


def covariance(field: str, matrix: ArrayLike, *, size: int) -> Floats:
    """Return `matrix` if it is a finite symmetric (size, size) matrix with a non-negative diagonal.

    Symmetry is checked to 1e-9 of the greatest element. Positive semidefiniteness is not: see
    `nearest_covariance`.

    Raises
    ------
    UnfitValueError
        Named `field`, with the row.
    """
    square = finite(field, matrix, shape=(size, size))
    require(field, square.diagonal(), square.diagonal() >= 0.0, "a variance of at least 0")
    scale = float(np.abs(square).max(initial=0.0))
    require(field, square, np.abs(square - square.T) <= 1e-9 * scale, "equal to its transpose")
    return square


def nearest_correlation(
    matrix: ArrayLike, *, eigenvalue_floor: float = 1e-10, tolerance: float = 1e-12, rounds: int = 10_000
) -> Floats:
    """Return the correlation matrix nearest to a symmetric one in the Frobenius norm, shape (U, U).

    Alternates projections onto the positive semidefinite cone, with Dykstra's correction, and onto
    the matrices of unit diagonal, until a round moves no element by more than `tolerance`. The last
    step lifts eigenvalues to `eigenvalue_floor` and rescales, so that a Cholesky factor exists.

    Raises
    ------
    UnfitValueError
        If the matrix is not square, symmetric and finite, or does not settle in `rounds`.

    Notes
    -----
    Source: Higham, "Computing the nearest correlation matrix", IMA J. Numer. Anal. 22 (2002), alg. 3.3.
    """
    given = finite("matrix", matrix, shape=(None, None))
    given = covariance("matrix", given, size=len(given))
    current, correction = given.copy(), np.zeros_like(given)
    np.fill_diagonal(current, 1.0)
    for _ in range(rounds):
        before = current
        uncorrected = current - correction
        projected = _lift_eigenvalues(uncorrected, 0.0)
        correction = projected - uncorrected
        current = projected.copy()
        np.fill_diagonal(current, 1.0)
        if not len(given) or float(np.abs(current - before).max()) <= tolerance:
            break
    else:
        raise UnfitValueError("matrix", f"no nearest correlation within {rounds} rounds")
    lifted = _lift_eigenvalues(current, eigenvalue_floor)
    scale = np.sqrt(lifted.diagonal())
    nearest: Floats = lifted / np.outer(scale, scale)
    np.fill_diagonal(nearest, 1.0)
    return nearest


def nearest_covariance(matrix: ArrayLike) -> Floats:
    """Return a positive semidefinite covariance with the same variances, shape (U, U).

    The correlations are those of `nearest_correlation`; a matrix that is already positive definite
    comes back unchanged. A factor of zero variance is independent of all others.

    Raises
    ------
    UnfitValueError
        As `covariance`.
    """
    given = finite("matrix", matrix, shape=(None, None))
    given = covariance("matrix", given, size=len(given))
    if len(given) and float(np.linalg.eigvalsh(given)[0]) > 0.0:
        return given.copy()
    sd = np.sqrt(given.diagonal())
    moves = sd > 0.0
    nearest = np.zeros_like(given)
    block = np.ix_(moves, moves)
    scale = np.outer(sd[moves], sd[moves])
    nearest[block] = nearest_correlation(given[block] / scale) * scale
    return nearest


def factor(matrix: ArrayLike) -> Floats:
    """Return the lower triangular L with L L' = `nearest_covariance(matrix)`, shape (U, U).

    Rows and columns of zero variance are zero. Errors as `nearest_covariance`.
    """
    psd = nearest_covariance(matrix)
    moves = psd.diagonal() > 0.0
    lower = np.zeros_like(psd)
    lower[np.ix_(moves, moves)] = np.linalg.cholesky(psd[np.ix_(moves, moves)])
    return lower


def _seed(rows: Floats, seed: ArrayLike | None) -> Floats:
    if seed is not None:
        start = finite("seed", seed)
        require("seed", start, start >= 0.0, "a variance of at least 0")
        try:
            return np.broadcast_to(start, rows.shape[1:])
        except ValueError:
            raise UnfitValueError("seed", f"shape is {start.shape}, expected {rows.shape[1:]}") from None
    if not len(rows):
        raise UnfitValueError("returns", "no rows, expected at least one, or a seed")
    mean_square: Floats = np.mean(rows * rows, axis=0)
    return mean_square


def _lift_eigenvalues(matrix: Floats, floor: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    lifted: Floats = (vectors * np.maximum(values, floor)) @ vectors.T
    symmetric: Floats = (lifted + lifted.T) / 2.0
    return symmetric
