"""Share rows among threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from keeper.risk.kernels.twins import Ints

_RANGES_PER_THREAD: Final = 4
_SMALLEST_RANGE: Final = 4_096


def in_ranges(
    work: Callable[[int, int], None], weights: Ints, threads: int, *, smallest: int = _SMALLEST_RANGE
) -> None:
    """Call `work(first, last)` over all rows, in ranges of about equal weight; `weights` has shape (rows,).

    Each range is written by one thread and reads nothing that another writes, so the result does not
    depend on `threads`. More ranges than threads, so that a thread that lost its core holds up little.
    """
    parts = min(_RANGES_PER_THREAD * threads, weights.size // smallest)
    if threads == 1 or parts < 2:
        work(0, weights.size)
        return
    done = np.cumsum(weights + 1)
    inner = np.searchsorted(done, done[-1] * np.arange(1, parts) / parts).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [0, *inner], [*inner, weights.size]))
