"""VaR and ES: published numbers, an independent sum, and the axioms of coherence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.tail import (
    expected_shortfall,
    normal_es_multiple,
    normal_var_multiple,
    parametric_es,
    parametric_var,
    standard_deviation,
    tail_weights,
    value_at_risk,
)

Floats = NDArray[np.float64]
HULL_DELTA_USD = [10e6, 5e6]
HULL_COVARIANCE = [[0.02**2, 0.3 * 0.02 * 0.01], [0.3 * 0.02 * 0.01, 0.01**2]]

usd = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)
vectors_usd = arrays(np.float64, st.integers(1, 60), elements=usd)
levels = st.floats(0.01, 0.999)
pairs = st.integers(1, 40).flatmap(lambda n: arrays(np.float64, (2, n), elements=usd))
SLACK_USD = 1e-5  # 60 terms of 1e9 USD: rounding below 1e-5


def slow_es(pnl_usd: Floats, level: float) -> float:
    """Rockafellar and Uryasev: ES = min over c of  c + E[max(L - c, 0)] / (1 - level)."""
    losses = -pnl_usd
    candidates = [c + np.maximum(losses - c, 0.0).mean() / (1.0 - level) for c in losses]
    return float(min(candidates))


def test_losses_one_to_a_thousand() -> None:
    # Source: order statistic ceil(a N) and Acerbi-Tasche mean: VaR 990, ES 995.5 at 99 %.
    losses = np.random.default_rng(1).permutation(np.arange(1.0, 1001.0))
    assert value_at_risk(-losses, 0.99) == 990.0
    assert expected_shortfall(-losses, 0.99) == 995.5


@pytest.mark.parametrize(
    ("count", "level", "var", "es"),
    [
        (100, 0.93, 93.0, 97.0),  # 0.93 x 100 is 93.00000000000001 in binary
        (100, 0.07, 7.0, 54.0),
        (10, 0.85, 9.0, 29.0 / 3.0),  # (10 + 0.5 x 9) / 1.5
        (10, 0.99, 10.0, 10.0),  # a tenth of a scenario in the tail: the worst loss
        (1, 0.5, 1.0, 1.0),
    ],
)
def test_fractional_boundaries(count: int, level: float, var: float, es: float) -> None:
    pnl = -np.arange(1.0, count + 1.0)
    assert value_at_risk(pnl, level) == var
    assert expected_shortfall(pnl, level) == pytest.approx(es, rel=1e-14)


def test_normal_multiples_as_printed() -> None:
    # Source: normal distribution, MAR33 and Hull: 2.32635, 2.33780, 2.66521 standard deviations.
    assert normal_var_multiple(0.99) == pytest.approx(2.3263478740408408, rel=1e-13)
    assert normal_es_multiple(0.975) == pytest.approx(2.3378027922014173, rel=1e-13)
    assert normal_es_multiple(0.99) == pytest.approx(2.665214220345808, rel=1e-13)


def test_hulls_two_stocks() -> None:
    # Source: Hull, model building: 10M at 2 %, 5M at 1 %, correlation 0.3.
    assert standard_deviation(HULL_DELTA_USD, HULL_COVARIANCE) == pytest.approx(220227.15545545242)
    one = parametric_var(HULL_DELTA_USD, HULL_COVARIANCE, 0.99)
    ten = parametric_var(HULL_DELTA_USD, HULL_COVARIANCE, 0.99, horizon_steps=10.0)
    alone = [
        parametric_var([delta], [[variance]], 0.99, horizon_steps=10.0)
        for delta, variance in ((10e6, 0.02**2), (5e6, 0.01**2))
    ]
    assert round(one) == 512_325
    assert round(ten) == 1_620_114
    assert [round(x) for x in alone] == [1_471_312, 367_828]
    assert round(sum(alone) - ten) == 219_026


def test_parametric_agrees_with_its_own_distribution() -> None:
    x = np.random.default_rng(5).standard_normal(400_000) * 3.0
    assert float(value_at_risk(x, 0.99)) == pytest.approx(3.0 * normal_var_multiple(0.99), rel=0.01)
    assert float(expected_shortfall(x, 0.99)) == pytest.approx(3.0 * normal_es_multiple(0.99), rel=0.01)
    assert parametric_es([1.0], [[9.0]], 0.99) == pytest.approx(3.0 * normal_es_multiple(0.99))


@given(vectors_usd, levels)
def test_es_equals_the_minimum_of_rockafellar_and_uryasev(pnl_usd: Floats, level: float) -> None:
    scale = 1.0 + float(np.abs(pnl_usd).max())
    assert float(expected_shortfall(pnl_usd, level)) == pytest.approx(
        slow_es(pnl_usd, level), abs=1e-7 * scale
    )


@given(vectors_usd, levels)
def test_tail_weights_reproduce_es_in_any_order(pnl_usd: Floats, level: float) -> None:
    weights = tail_weights(pnl_usd, level)
    scale = 1.0 + float(np.abs(pnl_usd).max())
    assert weights.sum() == pytest.approx(1.0)
    assert float(-weights @ pnl_usd) == pytest.approx(
        float(expected_shortfall(pnl_usd, level)), abs=1e-7 * scale
    )
    np.testing.assert_allclose(tail_weights(pnl_usd[::-1], level), weights[::-1], atol=1e-15)


@given(pairs, levels)
def test_es_is_subadditive(pnl_usd: Floats, level: float) -> None:
    together = float(expected_shortfall(pnl_usd.sum(axis=0), level))
    assert together <= float(expected_shortfall(pnl_usd, level).sum()) + SLACK_USD / (1.0 - level)


def test_var_is_not_subadditive() -> None:
    # Two bonds that default in different scenarios: why the house requirement uses ES.
    first, second = np.zeros(100), np.zeros(100)
    first[:4], second[4:8] = -100.0, -100.0
    alone = float(value_at_risk(first, 0.95)) + float(value_at_risk(second, 0.95))
    assert alone == 0.0 < float(value_at_risk(first + second, 0.95))


@given(vectors_usd, levels, st.floats(0.0, 100.0))
def test_tail_measures_are_homogeneous(pnl_usd: Floats, level: float, size: float) -> None:
    for measure in (value_at_risk, expected_shortfall):
        expected = size * float(measure(pnl_usd, level))
        assert float(measure(size * pnl_usd, level)) == pytest.approx(expected, rel=1e-9, abs=1e-3)


@given(vectors_usd, levels, usd)
def test_cash_is_subtracted_from_the_risk(pnl_usd: Floats, level: float, cash_usd: float) -> None:
    for measure in (value_at_risk, expected_shortfall):
        expected = float(measure(pnl_usd, level)) - cash_usd
        assert float(measure(pnl_usd + cash_usd, level)) == pytest.approx(expected, abs=1e-3)


@given(pairs, levels)
def test_a_book_that_earns_more_everywhere_risks_less(pnl_usd: Floats, level: float) -> None:
    better = np.maximum(pnl_usd[0], pnl_usd[1])
    for measure in (value_at_risk, expected_shortfall):
        assert float(measure(better, level)) <= float(measure(pnl_usd[0], level)) + SLACK_USD / (1.0 - level)


@given(vectors_usd, levels, st.integers(0, 2**32 - 1))
def test_order_of_scenarios_does_not_matter(pnl_usd: Floats, level: float, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(pnl_usd)
    assert float(value_at_risk(shuffled, level)) == float(value_at_risk(pnl_usd, level))
    assert float(expected_shortfall(shuffled, level)) == pytest.approx(
        float(expected_shortfall(pnl_usd, level)), abs=1e-3, rel=1e-9
    )


@given(vectors_usd, levels)
def test_es_is_at_least_var_and_at_most_the_worst_loss(pnl_usd: Floats, level: float) -> None:
    es = float(expected_shortfall(pnl_usd, level))
    assert float(value_at_risk(pnl_usd, level)) - SLACK_USD <= es <= float(-pnl_usd.min()) + SLACK_USD


@given(st.integers(1, 5), st.integers(1, 40), levels, st.integers(0, 2**32 - 1))
def test_rows_are_independent(A: int, N: int, level: float, seed: int) -> None:
    table = np.random.default_rng(seed).standard_normal((A, N))
    for measure in (value_at_risk, expected_shortfall):
        np.testing.assert_allclose(measure(table, level), [measure(row, level) for row in table], rtol=1e-12)


def test_probabilities_that_are_equal_change_nothing_and_doubled_rows_count_twice() -> None:
    pnl = np.array([-5.0, -3.0, 1.0, 4.0])
    np.testing.assert_allclose(tail_weights(pnl, 0.6, probability=[0.25] * 4), tail_weights(pnl, 0.6))
    twice = np.concatenate([pnl, pnl[:1]])
    weighted = tail_weights(pnl, 0.6, probability=[0.4, 0.2, 0.2, 0.2])
    assert float(-weighted @ pnl) == pytest.approx(float(expected_shortfall(twice, 0.6)))


def test_a_stressed_observation_may_be_given_more_weight() -> None:
    pnl = np.concatenate([np.linspace(-1.0, 1.0, 99), [-50.0]])
    plain = float(-tail_weights(pnl, 0.95) @ pnl)
    stressed = float(-tail_weights(pnl, 0.95, probability=[0.75 / 99] * 99 + [0.25]) @ pnl)
    assert plain < stressed == 50.0


@pytest.mark.parametrize("measure", [value_at_risk, expected_shortfall, tail_weights])
@pytest.mark.parametrize(
    ("pnl_usd", "level", "field"),
    [
        ([], 0.99, "pnl_usd"),
        ([1.0, math.nan], 0.99, "pnl_usd"),
        ([1.0], 0.0, "level"),
        ([1.0], 1.0, "level"),
        ([1.0], math.nan, "level"),
    ],
)
def test_unfit_input_is_named(measure: object, pnl_usd: list[float], level: float, field: str) -> None:
    assert callable(measure)
    with pytest.raises(UnfitValueError) as caught:
        measure(pnl_usd, level)
    assert caught.value.field == field


@pytest.mark.parametrize("probability", [[0.5, 0.6], [1.5, -0.5], [1.0]])
def test_probabilities_must_be_probabilities(probability: list[float]) -> None:
    with pytest.raises(UnfitValueError, match="probability"):
        tail_weights([1.0, 2.0], 0.5, probability=probability)


def test_an_indefinite_matrix_is_no_covariance() -> None:
    with pytest.raises(UnfitValueError, match="positive semidefinite"):
        standard_deviation([1.0, -1.0], [[1.0, 2.0], [2.0, 1.0]])


def test_a_perfect_hedge_has_no_deviation() -> None:
    sd = 0.037
    perfect = [[sd**2, sd**2], [sd**2, sd**2]]
    assert standard_deviation([1e6, -1e6], perfect) == 0.0
    assert standard_deviation([0.1, 0.2, -0.3], np.full((3, 3), 0.1)) == pytest.approx(0.0, abs=1e-9)
    assert parametric_var([1e6], [[sd**2]], 0.99, horizon_steps=0.0) == 0.0
    with pytest.raises(UnfitValueError, match="horizon_steps"):
        parametric_var([1e6], [[sd**2]], 0.99, horizon_steps=-1.0)


def test_what_cannot_happen_has_no_weight() -> None:
    weights = tail_weights([-100.0, -1.0, 2.0], 0.5, probability=[0.0, 0.5, 0.5])
    assert weights.tolist() == [0.0, 1.0, 0.0]
