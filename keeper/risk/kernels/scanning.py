"""Compiled scenario minimum: float32 finds where an account is worst, float64 says how bad it is.

The product of 2 million positions with a 2,000 x 512 table is bound by the bandwidth of the second-level
cache, so the table is searched in float32, half the bytes. Every account carries a bound on the error
of its float32 sums over n positions,

    |sum32 - sum64| <= (n + 8) 2**-24 sum_p |size_p| max_s |profit[p, s]|

so a scenario more than twice that above the lowest float32 sum cannot be the worst. Nearly always
one is left, and only that one is summed in float64. Where more are left (ties, hedged books) all
scenarios of that account are. The answer is therefore the float64 one to the last bit, whatever
the float32 pass saw.

Scenarios are taken in slabs that keep two copies of the table below 16 MB: `tiles`, in float32, with
64 scenarios side by side for each instrument, so that one tile stays in the second-level cache while
the positions of all accounts stream by; and `columns`, in float64, with the instruments of one scenario side
by side, so that the final sum of an account stays within a few pages.

Source of the bound: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.1.
"""

from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.kernels.ranges import in_ranges
from keeper.risk.kernels.signatures import (
    BOOK,
    F32,
    F32_TABLE,
    F64,
    F64_TABLE,
    I64,
    INDICES,
    REAL_TABLE,
    compiled,
)
from keeper.risk.kernels.twins import Ints
from keeper.risk.kernels.vector import TILE, row_profit32, row_profit64

_UNIT32: Final = 2.0**-24
_SAFE32: Final = 1e30
"""Sizes and sums beyond this are not trusted to float32, whose largest number is 3e38."""

_SLAB_BYTES: Final = 16 * 2**20
_SEVERAL: Final = -1
"""In place of a worst scenario: float32 cannot tell which."""


def scenario_minimum(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, threads: int
) -> tuple[Floats, Ints]:
    """Return minimum and worst scenario of each account. Twin: `twins.scenario_minimum`."""
    accounts = indptr.size - 1
    instruments, scenarios = profit.shape
    minimum, worst = np.empty(accounts), np.full(accounts, _SEVERAL, dtype=np.int64)
    best, slack = np.full(accounts, np.inf, dtype=np.float32), np.empty(accounts, dtype=np.float32)
    largest = np.maximum(profit.max(axis=1), -profit.min(axis=1)) if instruments else np.empty(0)
    in_ranges(lambda *span: _bound(indptr, indices, sizes, largest, *span, slack), indptr, threads)

    slab = max(1, _SLAB_BYTES // (12 * TILE * max(1, instruments))) * TILE
    tiles, columns = _aligned(-(-slab // TILE), instruments * TILE), np.empty((slab, instruments))
    for start in range(0, scenarios, slab):
        width = min(slab, scenarios - start)
        _copy(profit, start, width, tiles, columns)

        def search(first: int, last: int, start: int = start, width: int = width) -> None:
            _search(
                indptr, indices, sizes, tiles, columns, start, width, slack, first, last, best, minimum, worst
            )

        in_ranges(search, indptr, threads)

    def settle(first: int, last: int) -> None:
        undecided = first + np.flatnonzero(worst[first:last] == _SEVERAL)
        rescan(undecided, indptr, indices, sizes, profit, minimum, worst)

    in_ranges(settle, indptr, threads)
    return minimum, worst


def _aligned(rows: int, width: int) -> NDArray[np.float32]:
    """Return an uninitialised table that begins at a cache line; `width` is a multiple of one."""
    raw = np.empty(4 * rows * width + 64, dtype=np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + 4 * rows * width].view(np.float32).reshape(rows, width)


@compiled(*BOOK, F64, types.int64, types.int64, F32)
def _bound(indptr, indices, sizes, largest, first, last, slack):  # type: ignore[no-untyped-def]
    """Write twice the error bound of each account's float32 sums; infinite where float32 may overflow."""
    for a in range(first, last):
        begin, end = indptr[a], indptr[a + 1]
        gross, size = 0.0, 0.0
        for p in range(begin, end):
            gross += abs(sizes[p]) * largest[indices[p]]
            size = max(size, abs(sizes[p]))
        safe = gross < _SAFE32 and size < _SAFE32
        slack[a] = 2.0 * (end - begin + 8) * _UNIT32 * gross if safe else np.inf


@compiled(REAL_TABLE, types.int64, types.int64, F32_TABLE, F64_TABLE)
def _copy(profit, start, width, tiles, columns):  # type: ignore[no-untyped-def]
    """Write the two copies of scenarios start..start + width - 1."""
    for t in range((width + TILE - 1) // TILE):
        filled = min(TILE, width - t * TILE)
        for j in range(profit.shape[0]):
            for w in range(filled):
                value = profit[j, start + t * TILE + w]
                tiles[t, j * TILE + w] = value
                columns[t * TILE + w, j] = value
            for w in range(filled, TILE):  # repeats of a scenario change no minimum
                tiles[t, j * TILE + w] = value


@compiled(*BOOK, F32_TABLE, F64_TABLE, types.int64, types.int64, F32, types.int64, types.int64, F32, F64, I64)
def _search(indptr, indices, sizes, tiles, columns, start, width, slack, first, last, best, minimum, worst):  # type: ignore[no-untyped-def]
    """Search a slab in float32, and sum the one scenario that is left in float64."""
    lanes = np.empty(TILE + 16, np.float32)
    lanes_start = (-lanes.ctypes.data % 64) // 4
    lanes_address = lanes.ctypes.data + 4 * lanes_start
    for t in range((width + TILE - 1) // TILE):
        filled = min(TILE, width - t * TILE)
        tile_address = tiles.ctypes.data + 4 * t * tiles.shape[1]
        for a in range(first, last):
            low = row_profit32(indices, sizes, tile_address, TILE, indptr[a], indptr[a + 1], lanes_address)
            margin = slack[a]
            if low < best[a] - margin:
                best[a] = low
                count, place = 0, 0
                for w in range(filled):
                    near = lanes[lanes_start + w] <= low + margin
                    count += near
                    place = max(place, w if near else 0)
                worst[a] = start + t * TILE + place if count == 1 else _SEVERAL
            elif not low > best[a] + margin:  # also where an overflow made it NaN
                best[a] = min(best[a], low)
                worst[a] = _SEVERAL
    for a in range(first, last):
        column = worst[a] - start
        if column >= 0:
            total = 0.0
            for p in range(indptr[a], indptr[a + 1]):
                total += sizes[p] * columns[column, indices[p]]
            minimum[a] = total


@compiled(INDICES, *BOOK, REAL_TABLE, F64, I64)
def rescan(accounts, indptr, indices, sizes, profit, minimum, worst):  # type: ignore[no-untyped-def]
    """Sum `accounts` over all scenarios in float64, and write their entries. Twin: `twins.rescan`."""
    scenarios = profit.shape[1]
    in_tiles = scenarios - scenarios % TILE
    lanes = np.empty(TILE)
    for a in accounts:
        begin, end = indptr[a], indptr[a + 1]
        lowest, place = np.inf, 0
        for start in range(0, in_tiles, TILE):
            address = profit.ctypes.data + 8 * start
            low = row_profit64(indices, sizes, address, scenarios, begin, end, lanes.ctypes.data)
            if low < lowest:
                lowest = low
                for w in range(TILE - 1, -1, -1):
                    place = start + w if lanes[w] == low else place
        for s in range(in_tiles, scenarios):
            total = 0.0
            for p in range(begin, end):
                total += sizes[p] * profit[indices[p], s]
            if total < lowest:
                lowest, place = total, s
        minimum[a], worst[a] = lowest, place
