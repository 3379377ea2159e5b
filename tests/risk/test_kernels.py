"""Every kernel equals its numpy twin: bit for bit where it sums, to rounding where it prices."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from scipy.special import erfcx

import keeper.risk.kernels as package
from keeper.risk.inputs import Floats
from keeper.risk.kernels import twins

VECTOR = Path(package.__file__).parent / "vector.py"
for _cached in VECTOR.parent.glob("__pycache__/*.nb[ic]"):
    if _cached.stat().st_mtime < VECTOR.stat().st_mtime:  # numba's cache does not look behind imports
        _cached.unlink(missing_ok=True)

from keeper.risk.kernels import pricing, scanning, tails, vector  # noqa: E402

Csr = tuple[NDArray[np.int64], NDArray[np.int32], Floats]

seeds = st.integers(0, 2**32 - 1)


def random_book(rng: np.random.Generator, accounts: int, instruments: int, most: int) -> Csr:
    """Return accounts with 0 to `most` positions each, read-only as `risk.book` makes them."""
    counts = rng.integers(0, most + 1, accounts)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = rng.integers(0, instruments, indptr[-1]).astype(np.int32)
    sizes = rng.normal(size=indptr[-1])
    for array in (indptr, indices, sizes):
        array.flags.writeable = False
    return indptr, indices, sizes


@njit
def each_exp(x):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = vector.exp_negative(x[i])
    return out


@njit
def each_log(x):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = vector.log_positive(x[i])
    return out


@njit
def each_mills(x):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = vector.mills_times((x[i] - 4.0) / (x[i] + 4.0)) / (x[i] + 4.0)
    return out


def test_exponential() -> None:
    x = np.concatenate([-np.logspace(-18, np.log10(707.9), 200_001), [0.0, -0.0]])
    assert np.max(np.abs(each_exp(x) / np.exp(x) - 1.0)) < 1.5e-15
    assert each_exp(np.array([-1e9]))[0] == pytest.approx(np.exp(-708.0), rel=1e-13)


def test_logarithm() -> None:
    x = np.concatenate([np.logspace(-300, 300, 100_001), np.linspace(0.5, 2.0, 100_001)])
    error = np.abs(each_log(x) - np.log(x))
    assert np.max(error / np.maximum(np.abs(np.log(x)), 1e-300)) < 2e-15 or np.max(error) < 1e-13
    near = 1.0 + np.linspace(-1e-3, 1e-3, 10_001)
    assert np.max(np.abs(each_log(near) - np.log(near))) < 1e-18


def test_mills_ratio() -> None:
    x = np.concatenate([np.linspace(0.0, 40.0, 200_001), np.logspace(1.6, 12, 1_001)])
    exact = np.sqrt(np.pi / 2.0) * erfcx(x / np.sqrt(2.0))
    assert np.max(np.abs(each_mills(x) / exact - 1.0)) < 3e-13
    density = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
    assert np.max(np.abs(each_mills(x) - exact) * density) < 2e-14


def wide_options(n: int, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Return forward, strike, expiry, vol, discount and sign: wings and limits included."""
    F = np.exp(rng.uniform(np.log(1e-4), np.log(1e6), n))
    K = F * np.exp(rng.choice([0.0, 0.01, 0.3, 2.0, 10.0], n) * rng.normal(size=n))
    T = rng.choice([0.0, 1e-6, 1.0 / 365.0, 0.1, 1.0, 3.0], n)
    vol = rng.choice([0.0, 0.01, 0.3, 0.8, 2.0, 5.0], n)
    limits = rng.integers(0, n, n // 50)
    F[limits[::2]] = 0.0
    K[np.setdiff1d(limits[1::2], limits[::2])] = 0.0
    return F, K, T, vol, np.exp(-0.05 * T), rng.choice([-1.0, 1.0], n)


def test_prices_and_greeks_equal_their_twin() -> None:
    options = wide_options(200_000, np.random.default_rng(1))
    F, K, T, vol, *_ = options
    ours, theirs = (tuple(np.empty(F.size) for _ in range(4)) for _ in range(2))
    pricing.price_and_greeks(*options, *ours)
    twins.price_and_greeks(*options, *theirs)
    size = np.maximum(F, K)
    spread = vol * np.sqrt(T)
    # Where nothing is left to chance the kernel computes with a spread of 1e-12 instead of none.
    assert np.max(np.abs(ours[0] - theirs[0]) / np.where(size > 0.0, size, 1.0)) < 5e-13
    # A rounding of ln(F / K) moves d1 by its size over the spread.
    blur = 1e-12 + 1e-15 / np.where(spread > 0.0, spread, 1.0)
    assert np.all(np.abs(ours[1] - theirs[1]) < blur)
    certain = (spread == 0.0) | (F == 0.0)
    peak = np.where(certain, 1.0, 0.4 / np.where(certain, 1.0, F * spread))
    assert np.all(np.abs(ours[2] - theirs[2]) < 10.0 * blur * peak)
    assert np.all(np.abs(ours[3] - theirs[3]) < 10.0 * blur * np.where(size > 0.0, size, 1.0))


def test_small_batches_use_the_twin_and_large_ones_the_kernel() -> None:
    rng = np.random.default_rng(2)
    options = wide_options(package.COMPILED_FROM_OPTIONS, rng)
    large = package.price_and_greeks(*options)
    small = package.price_and_greeks(*(column[:100] for column in options))
    for a, b in zip(large, small, strict=True):
        assert a[:100] == pytest.approx(b, rel=1e-9, abs=1e-12 * options[0][:100].max())


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([1, 7, 64, 65, 200]), st.integers(1, 3))
def test_option_profits_equal_their_twin(seed: int, scenarios: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    F, K, T, vol, D, sign = wide_options(120, rng)
    coin = rng.integers(0, 2, F.size).astype(np.float64)
    moves = np.vstack(
        [
            np.exp(rng.normal(0.0, 0.3, scenarios)),
            np.exp(rng.normal(0.0, 0.02, scenarios)),
            rng.normal(0.0, 0.5, scenarios),
            rng.normal(0.0, 0.1, scenarios),
            rng.choice([0.0, 0.4], scenarios),
            rng.uniform(0.0, 1.0, scenarios),
        ]
    )
    tenor, group = rng.uniform(0.3, 3.0, (F.size, groups)), rng.integers(0, groups, scenarios)
    rows = rng.permutation(F.size)[:100]
    ours, theirs = (np.full((F.size, scenarios), 7.0) for _ in range(2))
    pricing.option_profit(rows, F, K, T, vol, D, sign, coin, tenor, group, moves, ours)
    twins.option_profit(rows, F, K, T, vol, D, sign, coin, tenor, group, moves, theirs)
    size = np.maximum(F[:, None] * np.maximum(moves[0], 1.0), K[:, None])
    assert np.max(np.abs(ours - theirs) / np.where(size > 0.0, size, 1.0)) < 2e-12
    untouched = np.setdiff1d(np.arange(F.size), rows)
    assert np.all(ours[untouched] == 7.0)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([1, 2, 27, 63, 64, 65, 128, 300]), st.sampled_from([1, 2]))
def test_scenario_minimum_equals_its_twin_bit_for_bit(seed: int, scenarios: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    book = random_book(rng, accounts=60, instruments=30, most=12)
    profit = rng.normal(size=(30, scenarios)) * 10.0 ** rng.integers(-6, 7, (30, 1))
    _assert_same(scanning.scenario_minimum(*book, profit, threads), twins.scenario_minimum(*book, profit, 1))


@pytest.mark.parametrize(
    "profit",
    [
        pytest.param(np.zeros((30, 100)), id="nothing happens"),
        pytest.param(np.repeat(np.linspace(-1.0, 1.0, 25), 4)[None, :].repeat(30, 0), id="four-way ties"),
        pytest.param(1.0 + 1e-9 * np.sin(np.arange(3000.0)).reshape(30, 100), id="differences below float32"),
        pytest.param(1e200 * np.cos(np.arange(3000.0)).reshape(30, 100), id="beyond the range of float32"),
        pytest.param(1e-200 * np.cos(np.arange(3000.0)).reshape(30, 100), id="below the range of float32"),
        pytest.param(np.where(np.arange(3000).reshape(30, 100) % 7, 1e-30, -1e25), id="both at once"),
    ],
)
def test_float32_never_decides_what_it_cannot_see(profit: Floats) -> None:
    rng = np.random.default_rng(3)
    book = random_book(rng, accounts=200, instruments=30, most=15)
    _assert_same(scanning.scenario_minimum(*book, profit, 1), twins.scenario_minimum(*book, profit, 1))


def test_hedged_accounts_are_settled_in_float64() -> None:
    rng = np.random.default_rng(4)
    profit = np.repeat(rng.normal(size=(10, 200)), 2, axis=0) + 1e-12 * rng.normal(size=(20, 200))
    pairs = rng.integers(0, 10, 100)
    indices = np.column_stack([2 * pairs, 2 * pairs + 1]).ravel().astype(np.int32)
    sizes = np.tile([1.0, -1.0], 100)
    indptr = np.arange(0, 201, 2)
    minimum, worst = scanning.scenario_minimum(indptr, indices, sizes, profit, 1)
    _assert_same((minimum, worst), twins.scenario_minimum(indptr, indices, sizes, profit, 1))
    assert len(set(worst.tolist())) > 5


def test_slabs_and_ranges_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    book = random_book(rng, accounts=20_000, instruments=40, most=6)
    profit = rng.normal(size=(40, 500))
    whole = scanning.scenario_minimum(*book, profit, 1)
    _assert_same(scanning.scenario_minimum(*book, profit, 3), whole)
    monkeypatch.setattr(scanning, "_SLAB_BYTES", 1)
    _assert_same(scanning.scenario_minimum(*book, profit, 2), whole)


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([1, 63, 64, 65, 200]))
def test_rescan_equals_its_twin_bit_for_bit(seed: int, scenarios: int) -> None:
    rng = np.random.default_rng(seed)
    book = random_book(rng, accounts=30, instruments=20, most=9)
    profit = rng.normal(size=(20, scenarios)).round(1)
    accounts = rng.permutation(30)[:11]
    ours, theirs = ((np.full(30, 9.0), np.full(30, 9)) for _ in range(2))
    scanning.rescan(accounts, *book, profit, *ours)
    twins.rescan(accounts, *book, profit, *theirs)
    _assert_same(ours, theirs)


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([1, 2, 64, 65, 1_500]), st.floats(0.0, 0.999))
def test_scenario_tail_equals_its_twin(seed: int, scenarios: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    book = random_book(rng, accounts=25, instruments=20, most=9)
    profit = rng.normal(size=(20, scenarios)).round(rng.integers(0, 4))
    whole = int(share * scenarios)
    total, boundary = tails.scenario_tail(*book, profit, whole, 1)
    their_total, their_boundary = twins.scenario_tail(*book, profit, whole, 1)
    assert np.array_equal(boundary, their_boundary)
    assert total == pytest.approx(their_total, rel=1e-12, abs=1e-12 * max(1, whole))


def test_tail_lists_overflow_and_recover() -> None:
    # P&L that falls from scenario to scenario: every one is a candidate when it comes.
    falling = -np.arange(20_000.0).reshape(1, -1)
    one = (np.array([0, 1]), np.zeros(1, dtype=np.int32), np.ones(1))
    total, boundary = tails.scenario_tail(*one, falling, 100, 1)
    assert boundary[0] == -19_899.0
    assert total[0] == -np.arange(19_900.0, 20_000.0).sum()


def test_a_process_that_prices_a_small_book_never_loads_numba() -> None:
    script = """
import sys
import numpy as np
from keeper.risk import black76, implied_vol, inverse
from keeper.risk.book import book_of, instruments
from keeper.risk.revaluation import revalue
from keeper.risk.scan import scan_book, tail_book
from keeper.risk.scenarios import grid
table = instruments(ids=["c"], underlyings=["ETH"], underlying=[0], kind=[3], strike_usd=[100.0],
                    expiry_y=[0.1], forward_usd=[100.0], vol=[0.5], discount=[1.0], inverse=[False])
held = book_of([("a", "c", -1.0)], cash_usd={"a": 0.0}, over=table)
pnl = revalue(table, grid(["ETH"]))
assert scan_book(held, pnl).netted_usd > 0.0 and tail_book(held, pnl, level=0.9).es_usd[0] > 0.0
assert not {"numba", "llvmlite"} & set(sys.modules), "numba was loaded"
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_a_place_for_its_cache_a_kernel_is_compiled_anew() -> None:
    script = """
import numpy as np
from keeper.risk.kernels.signatures import F64, compiled
def double(x):
    for i in range(x.size):
        x[i] *= 2.0
x = np.ones(3)
compiled(F64)(double)(x)
assert x.tolist() == [2.0] * 3
"""
    # A string has no source file to cache beside, and this leaves numba no other place.
    environment = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "_IPythonCacheLocator"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def _assert_same(ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> None:
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
