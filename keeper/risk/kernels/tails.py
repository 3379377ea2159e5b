"""Compiled scenario tail: an account's worst scenarios, without ever holding all of its scenarios.

100,000 accounts in 10,000 scenarios are 8 GB of P&L of which one per cent matters. So each account
keeps a short list of candidates. A tile of 64 scenarios is summed in registers; if its lowest is not
below the account's threshold it is dropped at once, else its scenarios below the threshold join the
list. When the list is full it is cut back to the `whole + 1` lowest, and the highest of these becomes the
threshold. The threshold falls quickly, so on the way the list takes in about k ln(S / k) entries of S.

Sums are float64 and add in the order of the positions, as in the numpy twin.
"""

from typing import Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.kernels.ranges import sharing
from keeper.risk.kernels.signatures import BOOK, F64, REAL_TABLE, compiled
from keeper.risk.kernels.twins import Ints
from keeper.risk.kernels.vector import TILE, row_profit64

_LIST_BYTES: Final = 24 * 2**20
"""Memory for the lists of one block of accounts. Larger blocks read the P&L table less often."""


@njit(nogil=True)
def _lowest_first(values, count, kept):  # type: ignore[no-untyped-def]
    """Reorder values[:count] so that its `kept` lowest come first, the highest of them last.

    Quickselect whose partitions move every value and advance a counter by a comparison: without a
    branch there is none to mispredict, which for random values takes most of the time.
    """
    left, right, target = 0, count - 1, kept - 1
    while left < right:
        pivot = values[(left + right) // 2]
        below = left
        for j in range(left, right + 1):
            value = values[j]
            values[j] = values[below]
            values[below] = value
            below += value < pivot
        if target < below:
            right = below - 1
            continue
        equal = below
        for j in range(below, right + 1):
            value = values[j]
            values[j] = values[equal]
            values[equal] = value
            equal += value == pivot
        if target < equal:
            return
        left = equal


def scenario_tail(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, whole: int, threads: int
) -> tuple[Floats, Floats]:
    """Return tail sum and boundary of each account. Twin: `twins.scenario_tail`."""
    total, boundary = np.empty(indptr.size - 1), np.empty(indptr.size - 1)

    def work(first: int, last: int) -> None:
        _tail(indptr, indices, sizes, profit, first, last, whole, total, boundary)

    with sharing(threads) as share:
        share(work, np.diff(indptr))
    return total, boundary


@compiled(*BOOK, REAL_TABLE, types.int64, types.int64, types.int64, F64, F64)
def _tail(indptr, indices, sizes, profit, first, last, whole, total, boundary):  # type: ignore[no-untyped-def]
    """Write tail sum and boundary of accounts first..last - 1."""
    instruments, scenarios = profit.shape
    kept = whole + 1
    capacity = kept + max(kept, 4 * TILE) + TILE
    block = max(1, min(last - first, _LIST_BYTES // (8 * capacity)))
    lists = np.empty((block, capacity))
    counts, thresholds = np.empty(block, np.int64), np.empty(block)
    tile, lanes = np.empty(instruments * TILE + 8), np.empty(TILE + 8)
    tile_start, lanes_start = (-tile.ctypes.data % 64) // 8, (-lanes.ctypes.data % 64) // 8
    tile_address = tile.ctypes.data + 8 * tile_start
    lanes_address = lanes.ctypes.data + 8 * lanes_start

    for block_start in range(first, last, block):
        accounts = min(block, last - block_start)
        counts[:] = 0
        thresholds[:] = np.inf
        for start in range(0, scenarios, TILE):
            width = min(TILE, scenarios - start)
            for j in range(instruments):
                for w in range(width):
                    tile[tile_start + j * TILE + w] = profit[j, start + w]
                for w in range(width, TILE):
                    tile[tile_start + j * TILE + w] = profit[j, start + width - 1]
            for i in range(accounts):
                account = block_start + i
                begin, end = indptr[account], indptr[account + 1]
                low = row_profit64(indices, sizes, tile_address, TILE, begin, end, lanes_address)
                threshold = thresholds[i]
                if not low < threshold:
                    continue
                candidates, count = lists[i], counts[i]
                for w in range(width):
                    value = lanes[lanes_start + w]
                    candidates[count] = value
                    count += value < threshold
                if count > capacity - TILE:
                    _lowest_first(candidates, count, kept)
                    thresholds[i] = candidates[kept - 1]
                    count = kept
                counts[i] = count
        for i in range(accounts):
            candidates = lists[i]
            _lowest_first(candidates, counts[i], kept)
            boundary[block_start + i] = candidates[kept - 1]
            total[block_start + i] = np.sum(candidates[:whole])
