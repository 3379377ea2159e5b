"""Monte Carlo: converges to closed forms, repeats from a seed, keeps copula and margins apart."""

import math

import numpy as np
import pytest
from scipy.special import stdtr
from scipy.stats import kstest

from keeper.model.errors import UnfitValueError
from keeper.risk.covariance import nearest_covariance
from keeper.risk.simulation import (
    empirical_quantiles,
    normal_moves,
    normal_quantiles,
    simulated_scenarios,
    t_copula,
)
from keeper.risk.tail import normal_var_multiple, value_at_risk
from tests.risk.test_history import correlation
from tests.risk.test_tail import HULL_COVARIANCE, HULL_DELTA_USD

CORRELATION = [[1.0, 0.8], [0.8, 1.0]]


def test_converges_to_hulls_var() -> None:
    # Source: Hull: 512,325 USD over a day at 99 %.
    count = 400_000
    moves = normal_moves(HULL_COVARIANCE, count, np.random.default_rng(20))
    var = float(value_at_risk(moves @ HULL_DELTA_USD, 0.99))
    sd = 220_227.155
    density = math.exp(-(normal_var_multiple(0.99) ** 2) / 2) / math.sqrt(2 * math.pi) / sd
    standard_error = math.sqrt(0.01 * 0.99 / count) / density
    assert abs(var - 512_325) <= 3 * standard_error
    assert standard_error < 1_500


def test_the_same_generator_state_gives_the_same_draws() -> None:
    first, again, other = (normal_moves(CORRELATION, 5, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_indefinite_matrix_is_simulated_at_its_nearest_covariance() -> None:
    bad = [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]
    moves = normal_moves(bad, 200_000, np.random.default_rng(3))
    np.testing.assert_allclose(np.cov(moves.T), nearest_covariance(bad), atol=0.02)


def test_a_factor_without_variance_stands_still() -> None:
    moves = normal_moves([[1.0, 0.0], [0.0, 0.0]], 10, np.random.default_rng(1))
    assert moves[:, 0].any()
    assert not moves[:, 1].any()


def test_t_copula_has_uniform_margins() -> None:
    uniforms = t_copula(CORRELATION, 20_000, np.random.default_rng(5), dof=4.0)
    for column in uniforms.T:
        assert kstest(column, "uniform").pvalue > 0.01


def test_t_copula_has_the_tail_dependence_of_theory() -> None:
    # Source: Demarta and McNeil (2005): lambda = 2 t_{nu+1}( - sqrt((nu+1)(1-rho)/(1+rho)) ).
    dof, rho, level = 3.0, 0.5, 0.995
    uniforms = t_copula([[1.0, rho], [rho, 1.0]], 2_000_000, np.random.default_rng(6), dof=dof)
    both = float((uniforms > level).all(axis=1).mean()) / (1.0 - level)
    theory = 2.0 * stdtr(dof + 1.0, -math.sqrt((dof + 1.0) * (1.0 - rho) / (1.0 + rho)))
    assert both == pytest.approx(theory, abs=0.03)
    gauss = normal_moves([[1.0, rho], [rho, 1.0]], 2_000_000, np.random.default_rng(6))
    edge = normal_var_multiple(level)
    assert float((gauss > edge).all(axis=1).mean()) / (1.0 - level) < 0.6 * both


def test_many_degrees_of_freedom_are_the_normal_copula() -> None:
    moves = normal_quantiles(t_copula(CORRELATION, 200_000, np.random.default_rng(8), dof=1e6), [0.02, 0.03])
    np.testing.assert_allclose(np.std(moves, axis=0), [0.02, 0.03], rtol=0.01)
    assert correlation(moves) == pytest.approx(0.8, abs=0.005)


def test_empirical_margins_come_from_the_record() -> None:
    sample = np.array([[-0.3, 1.0], [0.1, 3.0], [0.2, 2.0]])
    middle = empirical_quantiles([[0.5, 0.5], [0.25, 1.0 - 1e-16]], sample)
    assert middle[0].tolist() == [0.1, 2.0]
    assert middle[1] == pytest.approx([-0.1, 3.0])
    uniforms = t_copula(CORRELATION, 1_000, np.random.default_rng(9), dof=3.0)
    drawn = empirical_quantiles(uniforms, sample)
    assert (drawn >= sample.min(axis=0)).all()
    assert (drawn <= sample.max(axis=0)).all()


def test_draws_become_scenarios() -> None:
    table = simulated_scenarios(["BTC", "ETH"], [[-20.0, 0.0], [0.1, 0.2]], vol_log=[[0.0, 0.1]] * 2)
    assert (table.spot_move > -1.0).all()
    assert table.spot_move[1].tolist() == pytest.approx(np.expm1([0.1, 0.2]))
    assert table.vol_move[0, 1] == pytest.approx(math.expm1(0.1))
    assert table.names == ("simulated/0", "simulated/1")


def test_unfit_input_is_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(UnfitValueError, match="count"):
        normal_moves(CORRELATION, 0, rng)
    with pytest.raises(UnfitValueError, match="dof"):
        t_copula(CORRELATION, 10, rng, dof=0.0)
    with pytest.raises(UnfitValueError, match="diagonal"):
        t_copula([[0.0]], 10, rng, dof=3.0)
    with pytest.raises(UnfitValueError, match="uniforms"):
        normal_quantiles([[1.0]], 0.1)
    with pytest.raises(UnfitValueError, match="sample"):
        empirical_quantiles([[0.5]], np.empty((0, 1)))
    with pytest.raises(UnfitValueError, match="spot_log"):
        simulated_scenarios(["BTC"], [[0.1, 0.2]])


def test_basis_is_not_simulated_unless_asked() -> None:
    table = simulated_scenarios(["ETH"], [[0.1]])
    assert not table.perp_basis_move.any()
    assert not table.future_basis_move.any()
    assert not table.vol_move.any()
    asked = simulated_scenarios(["ETH"], [[0.1]], perp_basis_log=[[0.01]], future_basis_log=[[-0.01]])
    assert asked.perp_basis_move[0, 0] == pytest.approx(math.expm1(0.01))
    assert asked.future_basis_move[0, 0] == pytest.approx(math.expm1(-0.01))


def test_a_record_of_one_day_is_drawn_again_and_again() -> None:
    assert empirical_quantiles([[0.1], [0.9]], [[0.3]]).tolist() == [[0.3], [0.3]]


def test_heavy_tails_below_one_degree_of_freedom_still_draw() -> None:
    uniforms = t_copula(CORRELATION, 1_000, np.random.default_rng(2), dof=0.5)
    assert ((uniforms > 0.0) & (uniforms < 1.0)).all()
