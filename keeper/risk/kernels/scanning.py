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
64 scenarios side by side for each instrument, so that one tile stays in the second-level cache, which every
core has for itself, while the positions of a block of accounts stream by; and `columns`, in float64, with the
instruments of one scenario side by side, so that the final sum of an account stays within a few
pages. A block is small enough to be in the third-level cache still when the next tile comes.

Threads are started once a scan. They share the copying by instruments, all else by accounts.

Rejected: two scenarios in one word, as 16-bit integers. Making floats of them costs most of what reading half
the bytes saves.

Source of the bound: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.kernels.ranges import Share, sharing
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
from keeper.risk.kernels.vector import TILE, prefetch, row_profit32, row_profit64, sole_at_most

_UNIT32: Final = 2.0**-24
_SAFE32: Final = 1e30
"""Sizes and sums beyond this are not trusted to float32, whose largest number is 3e38."""

_SLAB_BYTES: Final = 16 * 2**20
_BLOCK: Final = 8_192
"""Accounts whose positions, a few MB, pass all tiles before those of the next block do."""

_LINE: Final = 8
"""Float64 in a cache line: instruments that are copied at once, so that whole lines are written."""

_AHEAD: Final = 3
"""Accounts by which the numbers of the final sums are asked for early: they lie all over the table."""

_SMALLEST_COPY: Final = 64
"""Instruments that are worth a thread of their own when the table is copied."""

_PAGE: Final = 2**21
"""A huge page: a tile in small ones, which lie anywhere, leaves parts of the second-level cache unused."""

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
    reach = np.zeros(len(profit))
    with sharing(threads) as share:
        copies = slabs(profit, reach, share)
        rescan_many(accounts, indptr, indices, sizes, profit, reach, copies, minimum, worst, share)
    return minimum, worst


def slabs(profit: Floats, reach: Floats, share: Share) -> Iterator[Slab]:
    """Yield the scenarios of `profit` in slabs that take 16 MB, or one tile if that is more.

    `reach`, shape (N,), is raised to the largest |profit| of each instrument in the slabs so far.
    """
    instruments, scenarios = profit.shape
    most = max(1, _SLAB_BYTES // (12 * TILE * max(1, instruments))) * TILE
    for start in range(0, scenarios, most):
        width = min(most, scenarios - start)
        tiles = _aligned(-(-width // TILE), instruments * TILE)
        slab = Slab(start=start, width=width, tiles=tiles, columns=np.empty((width, instruments)))

        def copy(first: int, last: int, slab: Slab = slab) -> None:
            copy_rows(profit, reach, slab, first, last)

        share(copy, np.ones(instruments, dtype=np.int64), _SMALLEST_COPY)
        yield slab


def copy_rows(profit: Floats, reach: Floats, slab: Slab, first: int, last: int) -> None:
    """Bring the copy of instruments first..last - 1 up to date, and raise their `reach`."""
    _copy(profit, first, last, slab.start, slab.width, slab.tiles, slab.columns, reach)


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
    share: Share,
) -> None:
    """Do what `rescan` does, given `slabs` of `profit` and their reach: faster from a hundred accounts on."""
    book = indptr, indices, sizes
    worst[accounts] = _SEVERAL
    best = np.full(accounts.size, np.inf, dtype=np.float32)
    weights = indptr[accounts + 1] - indptr[accounts]
    for slab in copies:

        def scan(first: int, last: int, slab: Slab = slab) -> None:
            for begin in range(first, last, _BLOCK):
                end = min(last, begin + _BLOCK)
                part, so_far = accounts[begin:end], best[begin:end]
                _search(part, *book, reach, slab.tiles, slab.start, slab.width, so_far, worst)
                _sum(part, *book, slab.columns, slab.start, worst, minimum)
                if slab.start + slab.width == profit.shape[1]:
                    rescan(part[worst[part] == _SEVERAL], *book, profit, minimum, worst)

        share(scan, weights)


def _aligned(rows: int, width: int) -> NDArray[np.float32]:
    """Return an uninitialised table that begins at a page; `width` is a multiple of a cache line."""
    raw = np.empty(4 * rows * width + _PAGE, dtype=np.uint8)
    begin = -raw.ctypes.data % _PAGE
    return raw[begin : begin + 4 * rows * width].view(np.float32).reshape(rows, width)


@compiled(REAL_TABLE, *[types.int64] * 4, F32_TABLE, F64_TABLE, F64, fastmath={"nnan", "nsz"})
def _copy(profit, first, last, start, width, tiles, columns, reach):  # type: ignore[no-untyped-def]
    """Write both copies of a slab for instruments first..last - 1, and raise their reach."""
    for begin in range(first, last, _LINE):
        end = min(last, begin + _LINE)
        for t in range(tiles.shape[0]):
            filled = min(TILE, width - t * TILE)
            for j in range(begin, end):
                largest = reach[j]
                for w in range(filled):
                    value = profit[j, start + t * TILE + w]
                    tiles[t, j * TILE + w] = value
                    largest = max(largest, abs(value))
                for w in range(filled, TILE):  # repeats of a scenario change no minimum
                    tiles[t, j * TILE + w] = tiles[t, j * TILE + filled - 1]
                reach[j] = largest
            for s in range(t * TILE, t * TILE + filled):
                for j in range(begin, end):
                    columns[s, j] = profit[j, start + s]


@compiled(INDICES, *BOOK, REALS, F32_TABLE, types.int64, types.int64, F32, I64)
def _search(accounts, indptr, indices, sizes, reach, tiles, start, width, best, worst):  # type: ignore[no-untyped-def]
    """Search a slab in float32: write the scenario of each account that alone may be the worst so far."""
    lanes, slack = np.empty(TILE, np.float32), np.empty(accounts.size, np.float32)
    for k in range(accounts.size):
        # Twice the error bound of the sums; infinite where float32 may overflow.
        begin, end = indptr[accounts[k]], indptr[accounts[k] + 1]
        gross, size = 0.0, 0.0
        for p in range(begin, end):
            gross += abs(sizes[p]) * reach[indices[p]]
            size = max(size, abs(sizes[p]))
        safe = gross < _SAFE32 and size < _SAFE32
        slack[k] = 2.0 * (end - begin + 8) * _UNIT32 * gross if safe else np.inf
    for t in range(tiles.shape[0]):
        filled = min(TILE, width - t * TILE)
        tile = tiles.ctypes.data + 4 * t * tiles.shape[1]
        for k in range(accounts.size):
            a = accounts[k]
            low = row_profit32(indices, sizes, tile, TILE, indptr[a], indptr[a + 1], lanes.ctypes.data)
            margin = slack[k]
            if low < best[k] - margin:
                best[k] = low
                place = sole_at_most(lanes.ctypes.data, low + margin, filled)
                worst[a] = start + t * TILE + place if place >= 0 else _SEVERAL
            elif not low > best[k] + margin:  # also where an overflow made it NaN
                best[k] = min(best[k], low)
                worst[a] = _SEVERAL


@compiled(INDICES, *BOOK, REAL_TABLE, types.int64, INDICES, F64)
def _sum(accounts, indptr, indices, sizes, columns, start, worst, minimum):  # type: ignore[no-untyped-def]
    """Sum in float64 the one scenario of each account that is left, where it is in this slab."""
    instruments = columns.shape[1]
    for k in range(accounts.size):
        if k + _AHEAD < accounts.size:
            a = accounts[k + _AHEAD]
            row = columns.ctypes.data + 8 * instruments * max(0, worst[a] - start)
            for p in range(indptr[a], indptr[a + 1]):
                prefetch(row + 8 * indices[p])
        a = accounts[k]
        if worst[a] >= start:
            total, begin, row = 0.0, indptr[a], columns[worst[a] - start]
            for p in range(begin, indptr[a + 1]):
                total += sizes[p] * row[indices[p]]
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
