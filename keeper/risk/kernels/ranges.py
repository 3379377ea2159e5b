"""Share accounts among threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from keeper.risk.kernels.twins import Ints

_RANGES_PER_THREAD: Final = 4
_SMALLEST_RANGE: Final = 4_096


def in_ranges(work: Callable[[int, int], None], indptr: Ints, threads: int) -> None:
    """Call `work(first, last)` over all accounts, in ranges of about equally many positions.

    Each range is written by one thread and reads nothing that another writes, so the result does not
    depend on `threads`. More ranges than threads, so that a thread that lost its core holds up little.
    """
    accounts = indptr.size - 1
    if threads == 1 or accounts < 2 * _SMALLEST_RANGE:
        work(0, accounts)
        return
    parts = min(_RANGES_PER_THREAD * threads, accounts // _SMALLEST_RANGE)
    cuts = np.searchsorted(indptr, np.linspace(0, indptr[-1], parts + 1))
    cuts[0], cuts[-1] = 0, accounts
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))
