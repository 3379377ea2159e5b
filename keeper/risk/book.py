"""The book as columns: distinct instruments once, and every account as a sparse row over them.

Thousands of accounts hold the same few thousand contracts. So a contract is one row of
`Instruments`, valued once per scenario, and an account is a row of a sparse matrix (CSR) whose
entries are signed sizes. Nothing in `risk` prices a position by itself.

Rejected: arrays of position objects (one Python call per position and scenario), and a dense
accounts x instruments matrix (1 % full in practice, and 1.6 GB at 100,000 x 2,000).

The dataclasses hold what they are given. `instruments` and `book` check and copy it, and are the
way in for everything that comes from outside.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.inputs import Floats, finite, require, unique

_Scalar = TypeVar("_Scalar", bound=np.generic)


class Kind(IntEnum):
    """What a contract is. The codes are stored in `Instruments.kind` and never renumbered."""

    SPOT = 0
    PERP = 1
    FUTURE = 2
    CALL = 3
    PUT = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instruments:
    """N distinct contracts, one entry per contract in every column."""

    ids: tuple[str, ...]
    """Unique names, `<protocol>:<chain>:<key>`."""

    underlyings: tuple[str, ...]
    """The U risk factors, for example `("BTC", "ETH")`."""

    underlying: NDArray[np.int64]
    """Index into `underlyings`, shape (N,)."""

    kind: NDArray[np.int8]
    """A `Kind`, shape (N,)."""

    strike_usd: Floats
    """Options: strike, at least 0. Others: 0. Shape (N,)."""

    expiry_y: Floats
    """Years (act/365) to expiry, at least 0; 0 for spot and perps. Shape (N,)."""

    forward_usd: Floats
    """Forward of the expiry for options and futures, mark for spot and perps. At least 0. Shape (N,)."""

    vol: Floats
    """Options: implied volatility per square root of a year, as a fraction. Others: 0. Shape (N,)."""

    discount: Floats
    """Discount factor to expiry, above 0; 1 for spot and perps. Where `inverse`, spot over forward: what
    one USD of forward is worth in coins that are sold today. Shape (N,)."""

    inverse: NDArray[np.bool_]
    """Whether premium and P&L are paid in the underlying coin rather than in USD. Shape (N,)."""

    def __len__(self) -> int:
        """Return N, the number of contracts."""
        return len(self.ids)

    @property
    def is_option(self) -> NDArray[np.bool_]:
        """Which rows are calls or puts, shape (N,)."""
        return self.kind >= Kind.CALL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """A accounts with P positions, as the rows of a CSR matrix over `Instruments`.

    Account a holds `sizes_base[p]` of instrument `indices[p]` for p in
    `range(indptr[a], indptr[a + 1])`.
    """

    accounts: tuple[str, ...]
    """Unique account names, length A."""

    indptr: NDArray[np.int64]
    """Where each account's positions begin, shape (A + 1,), from 0 to P, never falling."""

    indices: NDArray[np.int32]
    """Instrument of each position, shape (P,)."""

    sizes_base: Floats
    """Signed size in units of the underlying, long positive, shape (P,). Of an inverse perp or future:
    its USD notional over the mark."""

    cash_usd: Floats
    """Cash of each account, negative where borrowed, shape (A,)."""

    def __len__(self) -> int:
        """Return A, the number of accounts."""
        return len(self.accounts)


def instruments(
    *,
    ids: Sequence[str],
    underlyings: Sequence[str],
    underlying: ArrayLike,
    kind: ArrayLike,
    strike_usd: ArrayLike,
    expiry_y: ArrayLike,
    forward_usd: ArrayLike,
    vol: ArrayLike,
    discount: ArrayLike,
    inverse: ArrayLike,
) -> Instruments:
    """Return checked, read-only columns. For the meaning of each see `Instruments`.

    Raises
    ------
    UnfitValueError
        A column does not have shape (N,) with N = len(ids); an entry is NaN or infinite, negative
        where it must not be, no `Kind`, or names no underlying; a spot is coin-settled; an id
        appears twice.
    """
    n = len(ids)
    coin_settled = np.asarray(inverse, dtype=np.bool_).astype(np.int64)
    discounts = _reals("discount", discount, n)
    require("discount", discounts, discounts > 0.0, "above 0")
    kinds = _integers("kind", kind, n, below=len(Kind))
    require(
        "kind", kinds, (kinds != Kind.SPOT) | (coin_settled == 0), "possible: a coin-settled spot is cash"
    )
    return Instruments(
        ids=unique("ids", ids),
        underlyings=unique("underlyings", underlyings),
        underlying=_frozen(_integers("underlying", underlying, n, below=len(underlyings))),
        kind=_frozen(kinds.astype(np.int8)),
        strike_usd=_frozen(_non_negative("strike_usd", strike_usd, n)),
        expiry_y=_frozen(_non_negative("expiry_y", expiry_y, n)),
        forward_usd=_frozen(_non_negative("forward_usd", forward_usd, n)),
        vol=_frozen(_non_negative("vol", vol, n)),
        discount=_frozen(discounts),
        inverse=_frozen(_integers("inverse", coin_settled, n, below=2).astype(np.bool_)),
    )


def subset(whole: Instruments, rows: ArrayLike) -> Instruments:
    """Return the contracts in `rows`, indices of shape (M,), over the same underlyings.

    Raises
    ------
    UnfitValueError
        A row outside 0..N - 1.
    """
    kept = _integers("rows", rows, np.size(rows), below=len(whole))
    columns = ("underlying", "kind", "strike_usd", "expiry_y", "forward_usd", "vol", "discount", "inverse")
    return Instruments(
        ids=tuple(whole.ids[row] for row in kept.tolist()),
        underlyings=whole.underlyings,
        **{column: _frozen(getattr(whole, column)[kept]) for column in columns},
    )


def book(
    *,
    accounts: Sequence[str],
    indptr: ArrayLike,
    indices: ArrayLike,
    sizes_base: ArrayLike,
    cash_usd: ArrayLike,
    over: Instruments,
) -> Book:
    """Return a checked, read-only book over the instruments `over`. For the meaning of each see `Book`.

    Raises
    ------
    UnfitValueError
        `indptr` does not have A + 1 entries, `cash_usd` A, or `indices` and `sizes_base` differ; a
        size or an amount is NaN or infinite; a position names no instrument; `indptr` falls; an
        account appears twice.
    """
    held = _integers("indices", indices, np.size(indices), below=len(over))
    begins = _integers("indptr", indptr, len(accounts) + 1, below=held.size + 1)
    require("indptr", begins[:1], begins[:1] == 0, "0 at the start")
    require("indptr", begins[-1:], begins[-1:] == held.size, f"{held.size} at the end, as the positions")
    require("indptr", begins[1:], begins[1:] >= begins[:-1], "at least the entry before it")
    return Book(
        accounts=unique("accounts", accounts),
        indptr=_frozen(begins),
        indices=_frozen(held.astype(np.int32)),
        sizes_base=_frozen(_reals("sizes_base", sizes_base, held.size)),
        cash_usd=_frozen(_reals("cash_usd", cash_usd, len(accounts))),
    )


def book_of(
    positions: Iterable[tuple[str, str, float]], *, cash_usd: Mapping[str, float], over: Instruments
) -> Book:
    """Return the book of `(account, instrument id, size_base)` rows; sizes of equal pairs add up.

    The accounts are the keys of `cash_usd`, in their order: an account without positions is one
    without positions, but a position of an account that is not listed is an error.

    Raises
    ------
    UnfitValueError
        A row names an unknown account or instrument, or its size is NaN or infinite.
    """
    row_of = {name: row for row, name in enumerate(over.ids)}
    held: dict[str, dict[int, float]] = {account: {} for account in cash_usd}
    for row, (account, instrument, size_base) in enumerate(positions):
        if account not in held:
            raise UnfitValueError("account", f"{account!r} has no entry in cash_usd", row=row)
        if instrument not in row_of:
            raise UnfitValueError("instrument", f"{instrument!r} is not among the instruments", row=row)
        sizes = held[account]
        sizes[row_of[instrument]] = sizes.get(row_of[instrument], 0.0) + size_base
    return book(
        accounts=tuple(held),
        indptr=np.cumsum([0, *(len(sizes) for sizes in held.values())]),
        indices=[column for sizes in held.values() for column in sizes],
        sizes_base=[size for sizes in held.values() for size in sizes.values()],
        cash_usd=list(cash_usd.values()),
        over=over,
    )


def _frozen(column: NDArray[_Scalar]) -> NDArray[_Scalar]:
    column.flags.writeable = False
    return column


def _reals(field: str, values: ArrayLike, n: int) -> Floats:
    return finite(field, values, shape=(n,)).copy()


def _non_negative(field: str, values: ArrayLike, n: int) -> Floats:
    column = _reals(field, values, n)
    require(field, column, column >= 0.0, "at least 0")
    return column


def _integers(field: str, values: ArrayLike, n: int, *, below: int) -> NDArray[np.int64]:
    """Return a column of integers in 0..below - 1. Whole floats are refused: columns got mixed."""
    column = np.asarray(values)
    if column.size and column.dtype.kind not in "iu":
        raise UnfitValueError(field, f"has type {column.dtype}, expected integers")
    finite(field, column, shape=(n,))
    require(field, column, (column >= 0) & (column < below), f"in 0..{below - 1}")
    return column.astype(np.int64)
