"""What must hold for every book, not only for the ones we thought of."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import keeper.risk.kernels as kernels
from keeper.model.errors import DataError
from keeper.risk.book import Book
from keeper.risk.inputs import Floats
from keeper.risk.scan import ScanRisk, scan_book, scan_risk, tail_book
from keeper.risk.tail import expected_shortfall, value_at_risk

usd = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
books = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 16)), elements=usd)
TOLERANCE_USD = 1e-5  # 6 x 16 terms of 1e9 USD: rounding below 1e-5


def book_of_size(accounts: int, instruments: int, seed: int) -> Book:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 8, accounts)
    return Book(
        accounts=tuple(f"a{row}" for row in range(accounts)),
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        indices=rng.integers(0, instruments, counts.sum()).astype(np.int32),
        sizes_base=rng.normal(size=counts.sum()),
        cash_usd=np.zeros(accounts),
    )


def dense(book: Book, unit_pnl_usd: Floats) -> Floats:
    """Return the P&L of every account in every scenario, one position at a time."""
    pnl = np.zeros((len(book), unit_pnl_usd.shape[1]))
    for a in range(len(book)):
        for p in range(book.indptr[a], book.indptr[a + 1]):
            pnl[a] += book.sizes_base[p] * unit_pnl_usd[book.indices[p]]
    return pnl


@given(books)
def test_netting_never_costs_more_than_standing_alone(pnl_usd: Floats) -> None:
    risk = scan_risk(pnl_usd)
    assert 0.0 <= risk.netted_usd <= risk.standalone_usd.sum() + TOLERANCE_USD


@given(books)
def test_a_book_and_its_mirror_net_to_nothing(pnl_usd: Floats) -> None:
    assert scan_risk(np.vstack([pnl_usd, -pnl_usd])).netted_usd <= TOLERANCE_USD


@given(books)
def test_merging_accounts_never_raises_the_sum(pnl_usd: Floats) -> None:
    merged = np.vstack([pnl_usd[:2].sum(axis=0), pnl_usd[2:]])
    apart, together = scan_risk(pnl_usd), scan_risk(merged)
    assert together.standalone_usd.sum() <= apart.standalone_usd.sum() + TOLERANCE_USD
    assert together.netted_usd == pytest.approx(apart.netted_usd, abs=TOLERANCE_USD)


@given(books, st.floats(0.0, 100.0))
def test_scan_is_homogeneous(pnl_usd: Floats, scale: float) -> None:
    once, scaled = scan_risk(pnl_usd), scan_risk(scale * pnl_usd)
    assert scaled.standalone_usd == pytest.approx(scale * once.standalone_usd, rel=1e-12, abs=1e-300)
    assert scaled.netted_usd == pytest.approx(scale * once.netted_usd, abs=100.0 * TOLERANCE_USD)


@given(books, st.floats(0.0, 1e9))
def test_cash_in_every_scenario_lowers_the_requirement_by_itself(pnl_usd: Floats, cash: float) -> None:
    lower = scan_risk(pnl_usd + cash).standalone_usd
    assert np.all(lower <= scan_risk(pnl_usd).standalone_usd)
    assert scan_risk(pnl_usd - 2e9).standalone_usd == pytest.approx(
        scan_risk(pnl_usd).standalone_usd + 2e9 - np.maximum(0.0, pnl_usd.min(axis=1)), abs=TOLERANCE_USD
    )


@given(books)
def test_the_worst_scenario_is_the_one_that_sets_the_requirement(pnl_usd: Floats) -> None:
    risk = scan_risk(pnl_usd)
    assert np.array_equal(pnl_usd[np.arange(len(pnl_usd)), risk.standalone_worst], risk.minimum_usd)
    assert pnl_usd.sum(axis=0)[risk.worst] == pnl_usd.sum(axis=0).min()


@pytest.mark.parametrize("threshold", [0, 10**12])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_book_scans_as_its_dense_pnl(threshold: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "COMPILED_FROM_SUMS", threshold)
    unit_pnl_usd = np.random.default_rng(1).normal(size=(50, 90))
    book = book_of_size(300, 50, seed=2)
    ours, plain = scan_book(book, unit_pnl_usd, threads=threads), scan_risk(dense(book, unit_pnl_usd))
    assert np.array_equal(ours.standalone_usd, plain.standalone_usd)
    assert np.array_equal(ours.standalone_worst, plain.standalone_worst)
    assert ours.netted_usd == pytest.approx(plain.netted_usd, rel=1e-12)
    assert ours.worst == plain.worst


@pytest.mark.parametrize("threshold", [0, 10**12])
@pytest.mark.parametrize("scenarios", [1, 3, 250, 1_000])
@pytest.mark.parametrize("level", [0.01, 0.5, 0.93, 0.975, 0.99, 0.9999])
def test_tails_of_a_book_are_those_of_its_dense_pnl(
    threshold: int, scenarios: int, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "COMPILED_FROM_SUMS", threshold)
    unit_pnl_usd = np.random.default_rng(3).standard_t(3, size=(20, scenarios))
    book = book_of_size(40, 20, seed=4)
    tail, pnl = tail_book(book, unit_pnl_usd, level=level), dense(book, unit_pnl_usd)
    assert tail.var_usd == pytest.approx(value_at_risk(pnl, level), rel=1e-12, abs=1e-12)
    assert tail.es_usd == pytest.approx(expected_shortfall(pnl, level), rel=1e-12, abs=1e-12)
    assert np.all(tail.es_usd >= tail.var_usd - 1e-12)


@pytest.mark.parametrize(
    ("pnl", "message"),
    [
        (np.empty((0, 3)), "account"),
        (np.empty((3, 0)), "scenario"),
        ([1.0, 2.0], "shape"),
        ([[1.0, np.nan]], r"pnl_usd\[0\].*column 1"),
    ],
)
def test_bad_pnl_is_named(pnl: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        scan_risk(pnl)


@pytest.mark.parametrize(
    ("accounts", "unit_pnl_usd", "message"),
    [
        (0, np.ones((5, 4)), "account"),
        (3, np.ones((5, 0)), "scenario"),
        (9, np.ones((2, 4)), "indices"),
        (3, np.full((5, 4), np.inf), r"unit_pnl_usd\[0\]"),
    ],
)
def test_a_bad_book_is_named(accounts: int, unit_pnl_usd: Floats, message: str) -> None:
    for call in (scan_book, lambda book, pnl: tail_book(book, pnl, level=0.9)):
        with pytest.raises(DataError, match=message):
            call(book_of_size(accounts, 5, seed=5), unit_pnl_usd)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_outside_its_range_is_named(level: float) -> None:
    with pytest.raises(DataError, match="level"):
        tail_book(book_of_size(3, 5, seed=6), np.ones((5, 4)), level=level)


def test_an_account_without_positions_needs_nothing() -> None:
    empty = Book(
        accounts=("nobody",),
        indptr=np.zeros(2, dtype=np.int64),
        indices=np.empty(0, dtype=np.int32),
        sizes_base=np.empty(0),
        cash_usd=np.zeros(1),
    )
    risk: ScanRisk = scan_book(empty, np.ones((0, 5)))
    assert (risk.netted_usd, risk.standalone_usd.tolist(), risk.worst) == (0.0, [0.0], 0)
