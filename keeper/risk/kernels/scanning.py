"""Compiled scenario minimum: float32 finds where an account is worst, float64 says how bad it is.

The product of 2 million positions with a 2,000 x 512 table is bound by the bandwidth of the second-level
cache, so the table is read in float32, half the bytes. Every account carries a bound on the error of
its float32 sums,

    |sum32 - sum64| <= (n + 8) 2**-24 sum_p |size_p| max_s |profit[p, s]|       (n positions)

so a scenario more than twice that above the lowest float32 sum cannot be the worst. Nearly always
one is left, and only that one is summed in float64. Where more are left (ties, hedged books) all
scenarios of that account are. The answer is therefore the float64 one to the last bit,
whatever the float32 pass saw.

Order of work: accounts in blocks, scenarios in tiles of 64. A tile is copied once per block, 64 scenarios
side by side for each instrument, and stays in the second-level cache while the block's positions
stream by. Memory: one tile and 16 bytes per account of a block.

Source of the bound: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.1.
"""

from typing import Final

import numpy as np
from numba import njit, types

from keeper.risk.kernels.signatures import BOOK, F64, I64, REAL_TABLE, compiled
from keeper.risk.kernels.vector import TILE, row_profit32

_UNIT32: Final = 2.0**-24
_SAFE32: Final = 1e30
"""Sizes and sums beyond this are not trusted to float32, whose largest number is 3e38."""

_NONE: Final = -1
_SEVERAL: Final = -2


@njit(nogil=True)
def _exact_minimum(indices, sizes, profit, begin, end, totals):  # type: ignore[no-untyped-def]
    """Sum one account over all scenarios in float64; return its minimum and the first that has it."""
    totals[:] = 0.0
    for p in range(begin, end):
        row = profit[indices[p]]
        size = sizes[p]
        for s in range(totals.size):
            totals[s] += size * row[s]
    worst = 0
    for s in range(1, totals.size):
        if totals[s] < totals[worst]:
            worst = s
    return totals[worst], worst


@compiled(*BOOK, REAL_TABLE, types.int64, types.int64, F64, I64)
def scenario_minimum(indptr, indices, sizes, profit, first, last, minimum, worst):  # type: ignore[no-untyped-def]
    """Write minimum and worst scenario of accounts first..last - 1. Twin: `twins.scenario_minimum`."""
    instruments, scenarios = profit.shape
    accounts = last - first
    tile = np.empty(instruments * TILE + 16, np.float32)
    lanes = np.empty(TILE + 16, np.float32)
    tile_start = (-tile.ctypes.data % 64) // 4
    lanes_start = (-lanes.ctypes.data % 64) // 4
    tile_address = tile.ctypes.data + 4 * tile_start
    lanes_address = lanes.ctypes.data + 4 * lanes_start
    best = np.full(accounts, np.float32(np.inf))
    slack = np.empty(accounts, np.float32)
    where = np.full(accounts, _NONE)

    largest = np.zeros(instruments)
    for j in range(instruments):
        for s in range(scenarios):
            largest[j] = max(largest[j], abs(profit[j, s]))
    for i in range(accounts):
        begin, end = indptr[first + i], indptr[first + i + 1]
        gross, size = 0.0, 0.0
        for p in range(begin, end):
            gross += abs(sizes[p]) * largest[indices[p]]
            size = max(size, abs(sizes[p]))
        slack[i] = 2.0 * (end - begin + 8) * _UNIT32 * gross
        if not (gross < _SAFE32 and size < _SAFE32):
            slack[i] = np.inf

    for start in range(0, scenarios, TILE):
        width = min(TILE, scenarios - start)
        for j in range(instruments):
            for w in range(width):
                tile[tile_start + j * TILE + w] = profit[j, start + w]
            for w in range(width, TILE):  # repeats of a scenario change no minimum
                tile[tile_start + j * TILE + w] = profit[j, start + width - 1]
        for i in range(accounts):
            begin, end = indptr[first + i], indptr[first + i + 1]
            low = row_profit32(indices, sizes, tile_address, TILE, begin, end, lanes_address)
            margin = slack[i]
            if low < best[i] - margin:
                best[i] = low
                count, place = 0, 0
                for w in range(width):
                    near = lanes[lanes_start + w] <= low + margin
                    count += near
                    place = max(place, w if near else 0)
                where[i] = start + place if count == 1 else _SEVERAL
            elif not low > best[i] + margin:  # also where an overflow made it NaN
                best[i] = min(best[i], low)
                where[i] = _SEVERAL

    totals = np.empty(scenarios)
    for i in range(accounts):
        begin, end = indptr[first + i], indptr[first + i + 1]
        if where[i] >= 0:
            total = 0.0
            for p in range(begin, end):
                total += sizes[p] * profit[indices[p], where[i]]
            minimum[first + i], worst[first + i] = total, where[i]
        else:
            minimum[first + i], worst[first + i] = _exact_minimum(indices, sizes, profit, begin, end, totals)
