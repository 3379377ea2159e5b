"""Share rows among threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, Protocol

import numpy as np

from keeper.risk.kernels.twins import Ints

_RANGES_PER_THREAD: Final = 4
_SMALLEST_RANGE: Final = 4_096


class Share(Protocol):
    """Calls `work(first, last)` over all rows, in ranges of about equal weight, and waits for the end.

    `weights` has shape (rows,). Each range is written by one thread and reads nothing that another writes, so
    the result does not depend on the number of threads. More ranges than threads, so that a thread that
    lost its core holds up little; none with fewer than `smallest` rows.
    """

    def __call__(
        self, work: Callable[[int, int], None], weights: Ints, smallest: int = _SMALLEST_RANGE
    ) -> None:
        """Do the work."""
        ...


def alone(work: Callable[[int, int], None], weights: Ints, smallest: int = _SMALLEST_RANGE) -> None:
    """Share with nobody: all rows at once, in the caller's thread."""
    work(0, weights.size)


@contextmanager
def sharing(threads: int) -> Iterator[Share]:
    """Give what shares rows among `threads` threads, which live as long as the `with` block."""
    if threads == 1:
        yield alone
        return
    with ThreadPoolExecutor(threads) as pool:

        def share(work: Callable[[int, int], None], weights: Ints, smallest: int = _SMALLEST_RANGE) -> None:
            parts = min(_RANGES_PER_THREAD * threads, weights.size // smallest)
            if parts < 2:
                work(0, weights.size)
                return
            done = np.cumsum(weights + 1)
            inner = np.searchsorted(done, done[-1] * np.arange(1, parts) / parts).tolist()
            list(pool.map(work, [0, *inner], [*inner, weights.size]))

        yield share
