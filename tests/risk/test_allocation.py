"""Euler parts: published numbers, exact sums, finite differences."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.allocation import euler_es, euler_parametric_es, euler_var, group_pnl
from keeper.risk.tail import expected_shortfall, parametric_es, parametric_var
from tests.risk.test_tail import HULL_COVARIANCE, HULL_DELTA_USD
from tests.support.shared import vectors

Floats = NDArray[np.float64]
usd = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)
books = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 30)), elements=usd)
levels = st.floats(0.01, 0.99)

LOSSES = [
    [5.0, -1.0, 2.0],
    [4.0, 3.0, -2.0],
    [-2.0, 8.0, 1.0],
    [1.0, 1.0, 1.0],
    [9.0, -3.0, -1.0],
    [-4.0, -4.0, -4.0],
    [0.0, 6.0, 3.0],
    [2.0, 2.0, -5.0],
    [7.0, 1.0, 0.0],
    [-6.0, 5.0, 2.0],
]


def test_ten_scenarios_by_three_parts() -> None:
    # Source: own worked example `euler_es`: ES at 80 % = 8.5 = 3.5 + 3.5 + 1.5.
    allocation = euler_es(-np.array(LOSSES).T, 0.8)
    assert allocation.total_usd == pytest.approx(8.5, rel=1e-14)
    assert allocation.parts_usd == pytest.approx((3.5, 3.5, 1.5), rel=1e-14)


def test_the_published_file_agrees() -> None:
    case = json.loads(vectors("optimisation_examples.json").read_text())["euler_es"]
    allocation = euler_es(-np.array(case["losses"]).T, case["alpha"])
    assert allocation.total_usd == pytest.approx(case["ES"])
    assert allocation.parts_usd == pytest.approx(case["contrib"])


def test_hulls_parts() -> None:
    # Source: Hull's two stocks, one day at 99 %: 454,226 + 58,099 = 512,325.
    allocation = euler_var(HULL_DELTA_USD, HULL_COVARIANCE, 0.99)
    assert [round(part) for part in allocation.parts_usd] == [454_226, 58_099]
    assert allocation.total_usd == pytest.approx(parametric_var(HULL_DELTA_USD, HULL_COVARIANCE, 0.99))
    shortfall = euler_parametric_es(HULL_DELTA_USD, HULL_COVARIANCE, 0.975)
    assert shortfall.total_usd == pytest.approx(parametric_es(HULL_DELTA_USD, HULL_COVARIANCE, 0.975))


@given(books, levels)
def test_parts_sum_to_the_whole(pnl_usd: Floats, level: float) -> None:
    allocation = euler_es(pnl_usd, level)
    whole = float(expected_shortfall(pnl_usd.sum(axis=0), level))
    slack = 1e-7 * (1.0 + np.abs(pnl_usd).max())
    assert sum(allocation.parts_usd) == pytest.approx(allocation.total_usd, rel=1e-12, abs=1e-6)
    assert allocation.total_usd == pytest.approx(whole, abs=slack)


@given(books, levels)
def test_no_part_is_charged_more_than_it_would_pay_alone(pnl_usd: Floats, level: float) -> None:
    slack = 1e-7 * (1.0 + np.abs(pnl_usd).max())
    for part, row in zip(euler_es(pnl_usd, level).parts_usd, pnl_usd, strict=True):
        assert part <= float(expected_shortfall(row, level)) + slack


@given(books, levels, st.integers(0, 2**32 - 1))
def test_order_of_scenarios_and_parts_does_not_matter(pnl_usd: Floats, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole dollars, so that sums are exact and ties stay ties in every order.
    pnl_usd = np.round(pnl_usd)
    rows, columns = rng.permutation(len(pnl_usd)), rng.permutation(pnl_usd.shape[1])
    plain = np.array(euler_es(pnl_usd, level).parts_usd)
    shuffled = np.array(euler_es(pnl_usd[np.ix_(rows, columns)], level).parts_usd)
    np.testing.assert_allclose(shuffled, plain[rows], rtol=1e-9, atol=1e-3)


def test_a_part_is_the_derivative_of_the_whole() -> None:
    pnl = np.random.default_rng(3).standard_normal((4, 500))
    parts = euler_es(pnl, 0.9).parts_usd
    for a, part in enumerate(parts):
        bump = np.ones(4)
        bump[a] += 1e-6
        up = float(expected_shortfall(bump @ pnl, 0.9))
        bump[a] -= 2e-6
        down = float(expected_shortfall(bump @ pnl, 0.9))
        assert (up - down) / 2e-6 == pytest.approx(part, abs=1e-6)


def test_a_hedge_is_paid_for_what_it_saves() -> None:
    pnl = np.array([[-10.0, 0.0, 10.0], [6.0, 0.0, -6.0]])
    assert euler_es(pnl, 0.7).parts_usd == pytest.approx((10.0, -6.0))


def test_groups_are_summed_in_order_of_appearance() -> None:
    names, sums = group_pnl([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], ["arbitrum", "optimism", "arbitrum"])
    assert names == ("arbitrum", "optimism")
    assert sums.tolist() == [[6.0, 8.0], [3.0, 4.0]]
    with pytest.raises(UnfitValueError):
        group_pnl([[1.0]], ["a", "b"])


@given(books, levels)
def test_venue_parts_are_the_sums_of_account_parts(pnl_usd: Floats, level: float) -> None:
    venue = [f"venue{i % 2}" for i in range(len(pnl_usd))]
    accounts = np.array(euler_es(pnl_usd, level).parts_usd)
    names, sums = group_pnl(pnl_usd, venue)
    by_venue = euler_es(np.vstack([sums]), level).parts_usd
    slack = 1e-6 * (1.0 + np.abs(pnl_usd).max())
    # Adding in another order can split a tie at the boundary, which moves parts but not their sum.
    assert sum(by_venue) == pytest.approx(accounts.sum(), abs=slack)
    assert len(by_venue) == len(names)


def test_a_book_without_risk_has_nothing_to_split() -> None:
    assert euler_var([1.0, -1.0], [[1.0, 1.0], [1.0, 1.0]], 0.99).parts_usd == (0.0, 0.0)


def test_a_book_of_cents_is_split_as_one_of_millions() -> None:
    small = euler_var([1e-3, 2e-3], HULL_COVARIANCE, 0.99)
    large = euler_var([1e6, 2e6], HULL_COVARIANCE, 0.99)
    assert small.parts_usd == pytest.approx([part * 1e-9 for part in large.parts_usd])
