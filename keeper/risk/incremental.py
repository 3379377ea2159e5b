"""A scan that is kept up to date: one changed account or one repriced contract costs what it touches.

A fill changes one account: its worst scenario is found again, in microseconds. A new vol for one option
changes one row of the P&L table: its holders are scanned again. A spot move changes everything,
and then `scan.scan_book` from scratch is the faster way.

The answer is always the one that `scan_book` gives for the changed book, bit for bit: accounts are scanned
again from their positions, never adjusted by differences, so no rounding piles up over a day of ticks.
Rejected for that reason, and for its 0.4 GB: keeping accounts x scenarios and adding size x change.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.book import Book
from keeper.risk.inputs import Floats, finite
from keeper.risk.kernels.ranges import alone
from keeper.risk.kernels.twins import Ints
from keeper.risk.scan import scan_book

Positions: TypeAlias = tuple[NDArray[np.int32], Floats]
"""Rows of the P&L table and signed sizes of one account."""

_NOTHING: Final[Positions] = (np.empty(0, dtype=np.int32), np.empty(0))
_FIRST: Final = np.zeros(1, dtype=np.int64)


class LiveScan:
    """The worst scenario of every account of a book, under changes. Holds its own P&L table.

    Not a value: `replace_account` and `reprice` change it in place. Use one from one thread.
    """

    def __init__(self, book: Book, unit_pnl_usd: ArrayLike) -> None:
        """Scan the whole book once. Arguments and errors as in `scan.scan_book`."""
        # Here, not above: loading numba takes half a second, which only those pay who keep a scan alive.
        from keeper.risk.kernels import scanning

        risk = scan_book(book, unit_pnl_usd)
        self._kernels: Final = scanning
        self._book: Final = book
        self._pnl_usd: Final = np.array(unit_pnl_usd, dtype=np.float64, order="C")
        self._reach: Final = np.zeros(len(self._pnl_usd))
        self._slabs: Final = tuple(scanning.slabs(self._pnl_usd, self._reach, alone))
        self._minimum_usd: Final = risk.minimum_usd.copy()
        self._worst: Final = risk.standalone_worst.copy()
        self._replaced: Final[dict[int, Positions]] = {}
        order = np.argsort(book.indices, kind="stable")
        self._holders: Final = np.searchsorted(book.indptr, order, side="right") - 1
        self._first_holder: Final = np.searchsorted(book.indices[order], np.arange(len(self._pnl_usd) + 1))

    @property
    def standalone_usd(self) -> Floats:
        """Requirement of every account now, shape (A,), each at least 0. A copy."""
        return np.maximum(0.0, -self._minimum_usd)

    @property
    def standalone_worst(self) -> Ints:
        """Scenario that sets each requirement now, shape (A,). A copy."""
        return self._worst.copy()

    def replace_account(self, account: int, indices: ArrayLike, sizes_base: ArrayLike) -> float:
        """Give an account new positions, and return its new requirement in USD.

        Parameters
        ----------
        account
            Row of the book.
        indices, sizes_base
            All positions of the account after the change, shape (n,), n >= 0: rows of the P&L
            table and signed sizes.

        Raises
        ------
        UnfitValueError
            No such account or instrument, a NaN, or shapes that differ. Nothing has changed then.
        """
        if not 0 <= account < len(self._book):
            raise UnfitValueError("account", f"{account} is not in 0..{len(self._book) - 1}")
        held, sizes = np.asarray(indices), np.asarray(sizes_base, dtype=np.float64)
        if held.shape != sizes.shape or held.ndim != 1:
            raise UnfitValueError(
                "sizes_base", f"shape is {sizes.shape}, expected {held.shape} as the indices"
            )
        if not held.size:
            self._replaced[account] = _NOTHING
        else:
            if held.dtype.kind not in "iu" or held.min() < 0 or held.max() >= len(self._pnl_usd):
                raise UnfitValueError(
                    "indices", f"not all are rows of the table, 0..{len(self._pnl_usd) - 1}"
                )
            if not np.isfinite(sizes).all():
                raise UnfitValueError("sizes_base", "not all are finite numbers")
            self._replaced[account] = (held.astype(np.int32), sizes.copy())
        self._scan_replaced(account)
        return max(0.0, -float(self._minimum_usd[account]))

    def reprice(self, instrument: int, pnl_usd: ArrayLike) -> Ints:
        """Give one instrument a new row of scenario P&L, and return the accounts that hold it.

        Parameters
        ----------
        instrument
            Row of the P&L table.
        pnl_usd
            P&L of one unit in each scenario, shape (S,), as `revaluation.revalue` gives it.

        Raises
        ------
        UnfitValueError
            No such instrument, a NaN, or another number of scenarios. Nothing has changed then.
        """
        if not 0 <= instrument < len(self._pnl_usd):
            raise UnfitValueError("instrument", f"{instrument} is not in 0..{len(self._pnl_usd) - 1}")
        self._pnl_usd[instrument] = finite("pnl_usd", pnl_usd, shape=self._pnl_usd.shape[1:])
        self._reach[instrument] = 0.0
        for slab in self._slabs:
            self._kernels.copy_rows(self._pnl_usd, self._reach, slab, instrument, instrument + 1)
        begin, end = self._first_holder[instrument : instrument + 2]
        touched = np.unique(self._holders[begin:end])
        if self._replaced:
            touched = touched[~np.isin(touched, list(self._replaced))]
        self._kernels.rescan_many(
            touched,
            self._book.indptr,
            self._book.indices,
            self._book.sizes_base,
            self._pnl_usd,
            self._reach,
            self._slabs,
            self._minimum_usd,
            self._worst,
            alone,
        )
        replaced = [a for a, (held, _) in self._replaced.items() if (held == instrument).any()]
        for account in replaced:
            self._scan_replaced(account)
        return np.sort(np.concatenate([touched, np.array(replaced, dtype=np.int64)]))

    def _scan_replaced(self, account: int) -> None:
        held, sizes = self._replaced[account]
        self._kernels.rescan(
            _FIRST,
            np.array([0, held.size]),
            held,
            sizes,
            self._pnl_usd,
            self._minimum_usd[account : account + 1],
            self._worst[account : account + 1],
        )
