"""Scanning risk: the worst loss over a fixed grid of scenarios, alone and netted.

`scan_risk` takes the P&L of every account in every scenario. `scan_book` and `tail_book` take a book of
positions instead, and never hold that matrix.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from keeper.risk import kernels
from keeper.risk.book import Book
from keeper.risk.inputs import Floats, finite, require
from keeper.risk.kernels.twins import Ints

_RANK_SLACK: Final = 1e-9
"""Distance within which (1 - level) S counts as a whole number of scenarios, as in `risk.tail`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanRisk:
    """Requirements before and after netting."""

    minimum_usd: Floats
    """Lowest P&L of each account, shape (A,); above 0 where every scenario gains."""

    standalone_usd: Floats
    """Requirement of each account: `minimum_usd` as a loss, shape (A,), each at least 0."""

    standalone_worst: Ints
    """Scenario that sets each account's requirement, shape (A,); the first one where several tie."""

    netted_usd: float
    """For the whole profile, at least 0, at most the sum of `standalone_usd`."""

    worst: int
    """Index of the scenario that sets `netted_usd`; the first one where several tie."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TailRisk:
    """Tail of each account's P&L; a loss is positive."""

    var_usd: Floats
    """Value at risk, shape (A,)."""

    es_usd: Floats
    """Expected shortfall, shape (A,), at least `var_usd`."""


def scan_risk(pnl_usd: ArrayLike) -> ScanRisk:
    """Return each account's worst scenario loss, and the worst loss of their sum.

    The netted requirement charges one scenario to all accounts at once, so a long on one chain offsets a
    short on another:  N = max(0, -min_s sum_a P[a, s]).  It never exceeds the sum of the standalone
    requirements, because min is superadditive.

    Parameters
    ----------
    pnl_usd
        Profit of account a in scenario s, USD, shape (A, S), A >= 1 and S >= 1. Losses are negative.

    Returns
    -------
    ScanRisk
        Requirements in USD, and the scenarios that set them.

    Raises
    ------
    UnfitValueError
        No account, no scenario, or a NaN, naming its row.

    Notes
    -----
    Source: CME SPAN, "scanning risk". Differs from SPAN in that netting runs across underlyings
    and venues; a haircut on recognised offsets adds back a charge for that.
    Cost: two passes over A x S; allocates A + S numbers. For large books see `scan_book`.

    Examples
    --------
    >>> scan_risk([[100.0, -80.0], [-90.0, 70.0]]).netted_usd
    10.0
    """
    pnl = finite("pnl_usd", pnl_usd, shape=(None, None))
    require("pnl_usd", pnl.shape, np.array(pnl.shape) >= 1, "at least one account and one scenario")
    worst = pnl.argmin(axis=1)
    return _requirements(pnl[np.arange(len(pnl)), worst], worst, pnl.sum(axis=0))


def scan_book(book: Book, unit_pnl_usd: ArrayLike, *, threads: int = 1) -> ScanRisk:
    """Return what `scan_risk` would of the book's P&L, without ever holding accounts x scenarios.

    Parameters
    ----------
    book
        A >= 1 accounts over N instruments. Cash is no part of the scan: it is equity, not risk.
    unit_pnl_usd
        P&L of one unit of each instrument in each scenario, from `revaluation.revalue`,
        shape (N, S), S >= 1.
    threads
        Accounts are shared among them. The result does not depend on their number.

    Raises
    ------
    UnfitValueError
        No account, no scenario, a NaN, or fewer rows than the book has instruments.

    Notes
    -----
    Cost: 0.07 ns per position and scenario on a core at 3.5 GHz, below 32 MB besides the result.
    """
    pnl = _unit_pnl(book, unit_pnl_usd)
    minimum, worst = kernels.scenario_minimum(
        book.indptr, book.indices, book.sizes_base, pnl, threads=threads
    )
    net_sizes_base = np.bincount(book.indices, weights=book.sizes_base, minlength=len(pnl))
    return _requirements(minimum, worst, net_sizes_base @ pnl)


def tail_book(book: Book, unit_pnl_usd: ArrayLike, *, level: float, threads: int = 1) -> TailRisk:
    """Return value at risk and expected shortfall of each account over equally likely scenarios.

    As `tail.value_at_risk` and `tail.expected_shortfall` of the book's P&L, which is never held: with
    k = (1 - level) S, VaR is the loss that floor(k) scenarios exceed, and ES the mean of the worst k, the
    last with the fraction that is left.

    Parameters
    ----------
    book, unit_pnl_usd, threads
        As in `scan_book`.
    level
        Confidence, above 0 and below 1, for example 0.99.

    Raises
    ------
    UnfitValueError
        As `scan_book`, or a level outside 0..1.

    Notes
    -----
    Cost: about 0.15 ns per position and scenario; 8 MB of candidates and one tile per thread besides
    the result.
    """
    pnl = _unit_pnl(book, unit_pnl_usd)
    require("level", level, 0.0 < level < 1.0, "above 0 and below 1")
    scenarios = pnl.shape[1]
    tail = (1.0 - level) * scenarios
    near = round(tail)
    whole = min(scenarios - 1, near if abs(tail - near) <= _RANK_SLACK * max(1.0, tail) else math.floor(tail))
    fraction = tail - whole if whole == 0 or tail - whole > _RANK_SLACK * tail else 0.0
    total, boundary = kernels.scenario_tail(
        book.indptr, book.indices, book.sizes_base, pnl, whole, threads=threads
    )
    return TailRisk(var_usd=-boundary, es_usd=-(total + fraction * boundary) / (whole + fraction))


def _requirements(minimum: Floats, worst: Ints, netted: Floats) -> ScanRisk:
    at = int(netted.argmin())
    return ScanRisk(
        minimum_usd=minimum,
        standalone_usd=np.maximum(0.0, -minimum),
        standalone_worst=worst,
        netted_usd=max(0.0, -float(netted[at])),
        worst=at,
    )


def _unit_pnl(book: Book, unit_pnl_usd: ArrayLike) -> Floats:
    pnl = np.ascontiguousarray(finite("unit_pnl_usd", unit_pnl_usd, shape=(None, None)))
    require("accounts", len(book), len(book) >= 1, "at least one account")
    require("unit_pnl_usd", pnl.shape[1], pnl.shape[1] >= 1, "at least one scenario")
    require("indices", book.indices, book.indices < len(pnl), f"a row of unit_pnl_usd, below {len(pnl)}")
    return pnl
