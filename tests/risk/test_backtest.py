"""Back-tests against the published tables and an independent likelihood."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from keeper.model.errors import UnfitValueError
from keeper.risk.backtest import (
    Zone,
    backtest,
    breaches,
    christoffersen,
    critical_value,
    kupiec,
    traffic_light,
)


def test_kupiec_as_published() -> None:
    # Source: LR(250, 5, 1 %) = 1.95681, critical value 3.8415.
    assert kupiec(250, 5, 0.01).statistic == pytest.approx(1.956809788230622, rel=1e-12)
    assert critical_value(1) == pytest.approx(3.841458820694124, rel=1e-12)


@pytest.mark.parametrize(("observations", "low", "high"), [(255, 1, 6), (510, 2, 10), (1000, 5, 16)])
def test_kupiecs_table_of_non_rejection(observations: int, low: int, high: int) -> None:
    # Source: Kupiec (1995) table, p = 1 %: N < 7; 1 < N < 11; 4 < N < 17. Zero breaches in 255 days
    # have LR = 5.13 and are rejected, although "N < 7" includes them.
    accepted = [x for x in range(60) if not kupiec(observations, x, 0.01).rejected]
    assert accepted == list(range(low, high + 1))
    assert kupiec(255, 0, 0.01).statistic == pytest.approx(5.13, abs=0.005)


@given(st.integers(1, 2000), st.data())
def test_kupiec_equals_the_ratio_of_binomials(observations: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, observations))
    seen = binom.logpmf(count, observations, count / observations)
    told = binom.logpmf(count, observations, 0.01)
    test = kupiec(observations, count, 0.01)
    assert test.statistic == pytest.approx(max(0.0, 2.0 * (seen - told)), rel=1e-7, abs=1e-7)
    assert test.p_value == pytest.approx(chi2.sf(test.statistic, 1), rel=1e-9)


def test_the_right_number_of_breaches_fits_perfectly() -> None:
    assert kupiec(1000, 10, 0.01).statistic == pytest.approx(0.0, abs=1e-12)


def test_clusters_are_seen_and_spread_breaches_are_not() -> None:
    clustered, spread = np.zeros(500, dtype=bool), np.zeros(500, dtype=bool)
    clustered[100:110] = True
    spread[25::50] = True
    assert kupiec(500, int(clustered.sum()), 0.02) == kupiec(500, int(spread.sum()), 0.02)
    assert christoffersen(clustered).rejected
    assert not christoffersen(spread).rejected


def test_christoffersen_by_hand() -> None:
    hits = [False, True, True, False, False, True, False, False]
    # Transitions: 00 x 2, 01 x 2, 10 x 2, 11 x 1.
    one = 4 * math.log(4 / 7) + 3 * math.log(3 / 7)
    two = 2 * math.log(1 / 2) + 2 * math.log(1 / 2) + 2 * math.log(2 / 3) + math.log(1 / 3)
    assert christoffersen(hits).statistic == pytest.approx(2.0 * (two - one), rel=1e-12)


def test_a_single_pair_of_breaches_by_hand() -> None:
    # Transitions: 00 x 1, 01 x 1, 11 x 1; after a breach, a breach was certain.
    one = math.log(1 / 3) + 2 * math.log(2 / 3)
    two = 2 * math.log(1 / 2)
    assert christoffersen([False, False, True, True]).statistic == pytest.approx(2.0 * (two - one))


@pytest.mark.parametrize("hits", [[False, False, False], [True, True, True], [False, True]])
def test_zero_counts_do_not_divide(hits: list[bool]) -> None:
    assert math.isfinite(christoffersen(hits).statistic)


@pytest.mark.parametrize(
    ("count", "zone", "added"),
    [
        (0, Zone.GREEN, 0.0),
        (4, Zone.GREEN, 0.0),
        (5, Zone.YELLOW, 0.40),
        (6, Zone.YELLOW, 0.50),
        (7, Zone.YELLOW, 0.65),
        (8, Zone.YELLOW, 0.75),
        (9, Zone.YELLOW, 0.85),
        (10, Zone.RED, 1.0),
        (50, Zone.RED, 1.0),
    ],
)
def test_traffic_light(count: int, zone: Zone, added: float) -> None:
    # Source: Basel Committee (1996), table of the three zones, 250 days at 99 %.
    assert traffic_light(count) == (zone, added)


def test_a_loss_equal_to_its_forecast_is_no_breach() -> None:
    assert breaches([-1.0, -1.0000001, 5.0], [1.0, 1.0, 1.0]).tolist() == [False, True, False]


def test_a_report_adds_up() -> None:
    pnl = np.zeros(250)
    pnl[[10, 90, 91]] = [-5.0, -3.0, -1.0]
    report = backtest(pnl, np.full(250, 2.0), 0.99)
    assert (report.observations, report.breaches, report.worst_excess) == (250, 2, 3.0)
    assert report.expected == pytest.approx(2.5)
    assert report.joint.statistic == pytest.approx(report.kupiec.statistic + report.independence.statistic)
    assert report.joint.p_value == pytest.approx(chi2.sf(report.joint.statistic, 2))


@pytest.mark.parametrize(
    ("pnl", "var", "level"),
    [([1.0, math.nan], [1.0, 1.0], 0.99), ([1.0, 1.0], [1.0], 0.99), ([1.0, 1.0], [1.0, 1.0], 1.0)],
)
def test_unfit_input_is_refused(pnl: list[float], var: list[float], level: float) -> None:
    with pytest.raises(UnfitValueError):
        backtest(pnl, var, level)


@pytest.mark.parametrize(("observations", "count", "tail"), [(0, 0, 0.01), (10, 11, 0.01), (10, 1, 0.0)])
def test_impossible_counts_are_refused(observations: int, count: int, tail: float) -> None:
    with pytest.raises(UnfitValueError):
        kupiec(observations, count, tail)
