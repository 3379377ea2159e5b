"""The kernels in numpy: the same signatures, the same results, written to be read.

They are what the kernels are tested against, and what runs when a book is too small to be worth
the half second that loading numba takes. Arrays are unchecked; `risk.revaluation` and `risk.scan`
check.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr

from keeper.risk.black76 import INV_SQRT_2PI, log_ratio
from keeper.risk.inputs import Floats
from keeper.risk.scenarios import MONEYNESS_CAP

FORWARD: Final = 0
BASIS: Final = 1
VOL: Final = 2
SKEW: Final = 3
VOL_FLOOR: Final = 4
WEIGHT: Final = 5
"""Rows of `moves`: forward after / before, future basis after / before, relative move of the vol at 30
days, skew move, least vol after an up move, factor on the P&L."""

_BLOCK_CELLS: Final = 262_144
"""Numbers in a temporary array: 2 MB."""

Ints: TypeAlias = NDArray[np.int64]


def price_and_greeks(
    forward: Floats,
    strike: Floats,
    expiry: Floats,
    vol: Floats,
    discount: Floats,
    sign: Floats,
    price: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
) -> None:
    """Write Black-76 price, delta, gamma and vega of n options into the last four arrays.

    Units and limits as in `black76.Greeks`; all shapes (n,); `sign` is 1 for calls and -1 for
    puts. Prices are right to 1e-13 of the larger of forward and strike.
    """
    root_t = np.sqrt(expiry)
    sd = vol * root_t
    d1, d2 = _d1_d2(log_ratio(forward, strike), sd)
    with np.errstate(all="ignore"):
        density = discount * INV_SQRT_2PI * np.exp(-0.5 * d1 * d1)
        gamma[:] = np.where((sd > 0.0) & (density > 0.0), density / (forward * sd), 0.0)
    n1 = ndtr(sign * d1)
    price[:] = discount * sign * (forward * n1 - strike * ndtr(sign * d2))
    delta[:] = discount * sign * n1
    vega[:] = density * forward * root_t


def option_profit(
    rows: Ints,
    forward: Floats,
    strike: Floats,
    expiry: Floats,
    vol: Floats,
    discount: Floats,
    sign: Floats,
    coin: Floats,
    tenor: Floats,
    group: Ints,
    moves: Floats,
    profit: Floats,
) -> None:
    """Write the P&L of the options `rows`, all of one underlying, in S scenarios.

        P&L = weight D (V(F', vol') c - V(F, vol)),  F' = F moves[FORWARD]
        vol' = vol (1 + moves[VOL] tenor + moves[SKEW] clip(ln(K / F) / sd, -2, 2)), floored

    c is 1, or for coin-settled options 1 / moves[BASIS]: their premium is V / F coins, and the coin
    is worth the spot, so the basis between both divides out.

    Parameters
    ----------
    forward, strike, expiry, vol, discount, sign
        Columns of all N instruments, of which `rows` are read; shape (N,).
    coin
        1.0 for coin-settled options, else 0.0; shape (N,).
    tenor
        Scaling of the vol move for each option and group of scenarios, shape (N, G).
    group
        Column of `tenor` that each scenario uses, shape (S,).
    moves
        Shape (6, S), rows as named above.
    profit
        Written at `rows`, USD per unit of the underlying, shape (N, S).
    """
    step = max(1, _BLOCK_CELLS // max(1, profit.shape[1]))
    for begin in range(0, rows.size, step):
        at = rows[begin : begin + step]
        F, K, T, v, D, side, is_coin = (
            column[at, None] for column in (forward, strike, expiry, vol, discount, sign, coin)
        )
        profit[at] = _option_profit(F, K, T, v, D, side, is_coin, tenor[at][:, group], moves)


def scenario_minimum(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, threads: int
) -> tuple[Floats, Ints]:
    """Return each account's lowest P&L over all scenarios and the first scenario that has it.

    Parameters
    ----------
    indptr, indices, sizes
        The book as in `book.Book`, shapes (A + 1,), (P,), (P,).
    profit
        P&L of one unit of instrument j in scenario s, USD, shape (N, S), S >= 1, C order. The largest sum
        must be a finite float64.
    threads
        Threads of the kernel; the twin runs in the caller's.

    Returns
    -------
    minimum, worst
        Shape (A,). An account without positions has 0.0 and scenario 0.
    """
    accounts = indptr.size - 1
    minimum, worst = np.empty(accounts), np.empty(accounts, dtype=np.int64)
    for begin, block in _profits(indptr, indices, sizes, profit):
        place = block.argmin(axis=1)
        minimum[begin : begin + len(block)] = block[np.arange(len(block)), place]
        worst[begin : begin + len(block)] = place
    return minimum, worst


def rescan(
    accounts: Ints,
    indptr: Ints,
    indices: NDArray[np.int32],
    sizes: Floats,
    profit: Floats,
    minimum: Floats,
    worst: Ints,
) -> None:
    """Write minimum and worst scenario of the `accounts` at their place in `minimum` and `worst`.

    `accounts` are rows of the book; the rest as in `scenario_minimum`.
    """
    positions = csr_array((sizes, indices, indptr), shape=(indptr.size - 1, len(profit)))
    totals = np.asarray(positions[accounts] @ profit)
    worst[accounts] = totals.argmin(axis=1)
    minimum[accounts] = totals[np.arange(accounts.size), worst[accounts]]


def scenario_tail(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, whole: int, threads: int
) -> tuple[Floats, Floats]:
    """Return the sum of each account's `whole` lowest P&Ls, and the next one above them.

    Parameters as in `scenario_minimum`, with 0 <= whole < S. Shapes (A,).
    """
    total, boundary = np.empty(indptr.size - 1), np.empty(indptr.size - 1)
    for begin, block in _profits(indptr, indices, sizes, profit):
        ordered = np.partition(block, whole, axis=1)
        total[begin : begin + len(block)] = ordered[:, :whole].sum(axis=1)
        boundary[begin : begin + len(block)] = ordered[:, whole]
    return total, boundary


def _profits(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats
) -> Iterator[tuple[int, Floats]]:
    """Yield (first account of a block, P&L of the block's accounts in every scenario)."""
    positions = csr_array((sizes, indices, indptr), shape=(indptr.size - 1, len(profit)))
    step = max(1, _BLOCK_CELLS // max(1, profit.shape[1]))
    for begin in range(0, indptr.size - 1, step):
        yield begin, np.asarray(positions[begin : begin + step] @ profit)


def _option_profit(
    F: Floats,
    K: Floats,
    T: Floats,
    vol: Floats,
    D: Floats,
    sign: Floats,
    coin: Floats,
    tenor: Floats,
    moves: Floats,
) -> Floats:
    """Return the P&L of a block, shape (n, S); columns come as (n, 1), `tenor` as (n, S)."""
    root_t = np.sqrt(T)
    x = log_ratio(F, K)
    centre, _ = _d1_d2(x, vol * root_t)
    moneyness = np.clip(-(centre - 0.5 * vol * root_t), -MONEYNESS_CAP, MONEYNESS_CAP)
    shocked = vol * (1.0 + moves[VOL] * tenor + moves[SKEW] * moneyness)
    shocked = np.maximum(shocked, np.where(moves[VOL] > 0.0, moves[VOL_FLOOR], 0.0))
    after = _value(F * moves[FORWARD], K, shocked * root_t, sign)
    coins_kept = coin / moves[BASIS] + (1.0 - coin)
    gain: Floats = moves[WEIGHT] * D * (after * coins_kept - _value(F, K, vol * root_t, sign))
    return gain


def _value(F: Floats, K: Floats, sd: Floats, sign: Floats) -> Floats:
    d1, d2 = _d1_d2(log_ratio(F, K), sd)
    value: Floats = sign * (F * ndtr(sign * d1) - K * ndtr(sign * d2))
    return value


def _d1_d2(x: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Return d1 and d2 at x = ln(F / K), infinite where `sd` is 0 and x is not."""
    with np.errstate(all="ignore"):
        centre = np.where(x == 0.0, 0.0, x / sd)
    return centre + 0.5 * sd, centre - 0.5 * sd
