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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    REALS,
    compiled,
)
from keeper.risk.kernels.twins import Ints
from keeper.risk.kernels.vector import TILE, row_profit32, row_profit64

_UNIT32: Final = 2.0**-24
_SAFE32: Final = 1e30
"""Sizes and sums beyond this are not trusted to float32, whose largest number is 3e38."""

_SLAB_BYTES: Final = 16 * 2**20
_SMALLEST_COPY: Final = 64
"""Instruments that are worth a thread of their own when the table is copied."""

_SEVERAL: Final = -1
"""In place of a worst scenario: not known, because float32 cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slab:
    """Two copies of the P&L of `width` scenarios from `start` on."""

    start: int
    width: int
    tiles: NDArray[np.float32]
    """Row t holds scenarios start + 64 t.. of all instruments, the last row filled up; (T, 64 N)."""

    columns: Floats
    """Row s holds scenario start + s of all instruments, shape (width, N)."""


def scenario_minimum(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, threads: int
) -> tuple[Floats, Ints]:
    """Return minimum and worst scenario of each account. Twin: `twins.scenario_minimum`."""
    accounts = np.arange(indptr.size - 1)
    minimum, worst = np.empty(accounts.size), np.empty(accounts.size, dtype=np.int64)
    reach, copies = largest(profit, threads), slabs(profit, threads)
    rescan_many(accounts, indptr, indices, sizes, profit, reach, copies, minimum, worst, threads)
    return minimum, worst


def largest(profit: Floats, threads: int) -> Floats:
    """Return max_s |profit[j, s]| of each instrument, shape (N,)."""
    reach = np.zeros(len(profit))

    def work(first: int, last: int) -> None:
        rows = profit[first:last]
        np.maximum(rows.max(axis=1), -rows.min(axis=1), out=reach[first:last])

    if profit.size:
        in_ranges(work, np.ones(len(profit), dtype=np.int64), threads, smallest=_SMALLEST_COPY)
    return reach


def slabs(profit: Floats, threads: int) -> Iterator[Slab]:
    """Yield the scenarios of `profit` in slabs whose two copies take 16 MB, or one tile if that is more."""
    instruments, scenarios = profit.shape
    most = max(1, _SLAB_BYTES // (12 * TILE * max(1, instruments))) * TILE
    for start in range(0, scenarios, most):
        width = min(most, scenarios - start)
        tiles = _aligned(-(-width // TILE), instruments * TILE)
        slab = Slab(start=start, width=width, tiles=tiles, columns=np.empty((width, instruments)))

        def copy(first: int, last: int, slab: Slab = slab) -> None:
            copy_rows(profit, slab, first, last)

        in_ranges(copy, np.ones(instruments, dtype=np.int64), threads, smallest=_SMALLEST_COPY)
        yield slab


def copy_rows(profit: Floats, slab: Slab, first: int, last: int) -> None:
    """Bring the copies of instruments first..last - 1 up to date."""
    _copy(profit, first, last, slab.start, slab.width, slab.tiles, slab.columns)


def rescan_many(
    accounts: Ints,
    indptr: Ints,
    indices: NDArray[np.int32],
    sizes: Floats,
    profit: Floats,
    reach: Floats,
    copies: Iterable[Slab],
    minimum: Floats,
    worst: Ints,
    threads: int,
) -> None:
    """Do what `rescan` does, given `largest` and `slabs` of `profit`: faster from a hundred accounts on."""
    worst[accounts] = _SEVERAL
    best, slack = np.full(accounts.size, np.inf, dtype=np.float32), np.empty(accounts.size, dtype=np.float32)
    weights = indptr[accounts + 1] - indptr[accounts]

    def bound(first: int, last: int) -> None:
        _bound(accounts[first:last], indptr, indices, sizes, reach, slack[first:last])

    in_ranges(bound, weights, threads)
    for slab in copies:

        def search(first: int, last: int, slab: Slab = slab) -> None:
            part = slice(first, last)
            where = slab.tiles, slab.columns, slab.start, slab.width
            _search(accounts[part], indptr, indices, sizes, *where, slack[part], best[part], minimum, worst)

        in_ranges(search, weights, threads)

    def settle(first: int, last: int) -> None:
        part = accounts[first:last]
        rescan(part[worst[part] == _SEVERAL], indptr, indices, sizes, profit, minimum, worst)

    in_ranges(settle, weights, threads)


def _aligned(rows: int, width: int) -> NDArray[np.float32]:
    """Return an uninitialised table that begins at a cache line; `width` is a multiple of one."""
    raw = np.empty(4 * rows * width + 64, dtype=np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + 4 * rows * width].view(np.float32).reshape(rows, width)


@compiled(INDICES, *BOOK, REALS, F32)
def _bound(accounts, indptr, indices, sizes, reach, slack):  # type: ignore[no-untyped-def]
    """Write twice the error bound of each account's float32 sums; infinite where float32 may overflow."""
    for k in range(accounts.size):
        begin, end = indptr[accounts[k]], indptr[accounts[k] + 1]
        gross, size = 0.0, 0.0
        for p in range(begin, end):
            gross += abs(sizes[p]) * reach[indices[p]]
            size = max(size, abs(sizes[p]))
        safe = gross < _SAFE32 and size < _SAFE32
        slack[k] = 2.0 * (end - begin + 8) * _UNIT32 * gross if safe else np.inf


@compiled(REAL_TABLE, *[types.int64] * 4, F32_TABLE, F64_TABLE)
def _copy(profit, first, last, start, width, tiles, columns):  # type: ignore[no-untyped-def]
    """Write both copies of a slab for instruments first..last - 1."""
    for t in range(tiles.shape[0]):
        filled = min(TILE, width - t * TILE)
        for j in range(first, last):
            for w in range(filled):
                value = profit[j, start + t * TILE + w]
                tiles[t, j * TILE + w] = value
                columns[t * TILE + w, j] = value
            for w in range(filled, TILE):  # repeats of a scenario change no minimum
                tiles[t, j * TILE + w] = value


@compiled(INDICES, *BOOK, F32_TABLE, REAL_TABLE, types.int64, types.int64, F32, F32, F64, I64)
def _search(accounts, indptr, indices, sizes, tiles, columns, start, width, slack, best, minimum, worst):  # type: ignore[no-untyped-def]
    """Search a slab in float32, and sum the one scenario that is left in float64."""
    lanes = np.empty(TILE, np.float32)
    for t in range(tiles.shape[0]):
        filled = min(TILE, width - t * TILE)
        tile = tiles.ctypes.data + 4 * t * tiles.shape[1]
        for k in range(accounts.size):
            a = accounts[k]
            low = row_profit32(indices, sizes, tile, TILE, indptr[a], indptr[a + 1], lanes.ctypes.data)
            margin = slack[k]
            if low < best[k] - margin:
                best[k] = low
                count, place = 0, 0
                for w in range(filled):
                    near = lanes[w] <= low + margin
                    count += near
                    place = max(place, w if near else 0)
                worst[a] = start + t * TILE + place if count == 1 else _SEVERAL
            elif not low > best[k] + margin:  # also where an overflow made it NaN
                best[k] = min(best[k], low)
                worst[a] = _SEVERAL
    for k in range(accounts.size):
        a = accounts[k]
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
