"""Compiled kernels of the risk engine, each with a numpy twin of the same signature.

* `twins`     what the kernels compute, in numpy: read this first
* `pricing`   Black-76 price and greeks; P&L of options in scenarios
* `scanning`  each account's worst scenario
* `tails`     each account's expected shortfall
* `ranges`    accounts shared among threads
* `vector`    the unclear-but-fast part they share: polynomials and one loop in registers
* `signatures`  argument types

The functions below choose between kernel and twin by the amount of work alone, so the same input
always takes the same way. Loading numba and its cached code takes about half a second, and compiling
it the first time about six; a command that looks at one small book pays neither. Both ways
give the same bits for scenario sums and agree to 1e-12 of the forward for prices.

Threads share nothing but the inputs: accounts are cut into ranges, each written by one thread, so the
result does not depend on their number. Numba's own parallel loops were rejected: their backend
depends on what the machine has installed, and the one that is always there aborts when two threads
enter it.
"""

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
    if indices.size * profit.shape[1] < COMPILED_FROM_SUMS:
        return twins.scenario_minimum(indptr, indices, sizes, profit, threads)
    from keeper.risk.kernels import scanning

    return scanning.scenario_minimum(indptr, indices, sizes, profit, threads)


def scenario_tail(
    indptr: Ints, indices: NDArray[np.int32], sizes: Floats, profit: Floats, whole: int, *, threads: int = 1
) -> tuple[Floats, Floats]:
    """Return the sum of the `whole` lowest P&Ls and the next one as `twins.scenario_tail` describes."""
    if indices.size * profit.shape[1] < COMPILED_FROM_SUMS:
        return twins.scenario_tail(indptr, indices, sizes, profit, whole, threads)
    from keeper.risk.kernels import tails

    return tails.scenario_tail(indptr, indices, sizes, profit, whole, threads)


def _pricing(options: int) -> ModuleType:
    if options < COMPILED_FROM_OPTIONS:
        return twins
    from keeper.risk.kernels import pricing

    return pricing
