"""Compiled kernels of the risk engine, each with a numpy twin of the same signature.

* `twins`     what the kernels compute, in numpy: read this first
* `pricing`   Black-76 price and greeks; P&L of options in scenarios
* `scanning`  each account's worst scenario
* `tails`     each account's expected shortfall
* `vector`    the unclear-but-fast part they share: polynomials and one loop in registers
* `signatures`  argument types

The functions below choose between kernel and twin by the amount of work alone, so the same input
always takes the same way. Loading numba and its cached code takes about half a second, and compiling
it the first time about eight; a command that looks at one small book pays neither. Both ways
give the same bits for scenario sums and agree to 1e-12 of the forward for prices.

Threads share nothing but the inputs: accounts are cut into ranges, each written by one thread, so the
result does not depend on their number. Numba's own parallel loops were rejected: their backend
depends on what the machine has installed, and the one that is always there aborts when two threads
enter it.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.kernels import twins
from keeper.risk.kernels.twins import Ints

COMPILED_FROM_OPTIONS: Final = 100_000
"""Option prices from which the compiled kernel is used; below, numpy needs less than 20 ms."""

COMPILED_FROM_SUMS: Final = 20_000_000
"""Positions x scenarios from which the compiled kernels are used; below, numpy needs less than 20 ms."""

_RANGES_PER_THREAD: Final = 4
_SMALLEST_RANGE: Final = 4_096


def price_and_greeks(
    forward: Floats, strike: Floats, expiry: Floats, vol: Floats, discount: Floats, sign: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return price, delta, gamma and vega as `twins.price_and_greeks` describes; shapes (n,)."""
    price, delta, gamma, vega = (np.empty(forward.size) for _ in range(4))
    _pricing(forward.size).price_and_greeks(
        forward, strike, expiry, vol, discount, sign, price, delta, gamma, vega
    )
    return price, delta, gamma, vega


def option_profit(
    rows: Ints,
    columns: tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats],
    tenor: Floats,
    group: Ints,
    moves: Floats,
    profit: Floats,
) -> None:
    """Write the P&L of options in scenarios as `twins.option_profit` describes.

    `columns` are forward, strike, expiry, vol, discount, sign and coin.
    """
    _pricing(rows.size * profit.shape[1]).option_profit(rows, *columns, tenor, group, moves, profit)


def scenario_minimum(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, *, threads: int = 1
) -> tuple[Floats, Ints]:
    """Return each account's lowest P&L and its scenario as `twins.scenario_minimum` describes."""
    minimum, worst = np.empty(indptr.size - 1), np.empty(indptr.size - 1, dtype=np.int64)
    kernel = twins.scenario_minimum
    if indices.size * profit.shape[1] >= COMPILED_FROM_SUMS:
        from keeper.risk.kernels import scanning

        kernel = scanning.scenario_minimum

    def work(first: int, last: int) -> None:
        kernel(indptr, indices, sizes, profit, first, last, minimum, worst)

    _in_ranges(work, indptr, threads)
    return minimum, worst


def scenario_tail(
    indptr: Ints,
    indices: NDArray[np.int32],
    sizes: Floats,
    profit: Floats,
    whole: int,
    *,
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Return sum of the `whole` lowest P&Ls and the next one as `twins.scenario_tail` describes."""
    total, boundary = np.empty(indptr.size - 1), np.empty(indptr.size - 1)
    kernel = twins.scenario_tail
    if indices.size * profit.shape[1] >= COMPILED_FROM_SUMS:
        from keeper.risk.kernels import tails

        kernel = tails.scenario_tail

    def work(first: int, last: int) -> None:
        kernel(indptr, indices, sizes, profit, first, last, whole, total, boundary)

    _in_ranges(work, indptr, threads)
    return total, boundary


def _pricing(options: int) -> ModuleType:
    if options < COMPILED_FROM_OPTIONS:
        return twins
    from keeper.risk.kernels import pricing

    return pricing


def _in_ranges(work: Callable[[int, int], None], indptr: Ints, threads: int) -> None:
    """Call `work(first, last)` over all accounts, cut into ranges of about equally many positions."""
    accounts = indptr.size - 1
    if threads == 1 or accounts < 2 * _SMALLEST_RANGE:
        work(0, accounts)
        return
    parts = min(_RANGES_PER_THREAD * threads, accounts // _SMALLEST_RANGE)
    cuts = np.searchsorted(indptr, np.linspace(0, indptr[-1], parts + 1))
    cuts[0], cuts[-1] = 0, accounts
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))
