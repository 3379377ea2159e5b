"""Liquidity horizons against the published figure and by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.horizon import cascaded_es, liquidation_horizon_h


def test_frtb_cascade() -> None:
    # Source: MAR33.5 with ES 10, 8, 5, 3, 1 at the five horizons: 15.4272.
    assert cascaded_es([10, 8, 5, 3, 1]) == pytest.approx(15.427248620541512, rel=1e-14)


def test_one_horizon_is_the_square_root_of_time() -> None:
    assert cascaded_es([7.0], [40.0]) == pytest.approx(14.0)


@given(st.lists(st.floats(0.0, 1e9), min_size=5, max_size=5), st.floats(0.0, 100.0))
def test_cascade_is_homogeneous_and_at_least_the_base(es_usd: list[float], size: float) -> None:
    total = cascaded_es(es_usd)
    assert total >= es_usd[0] * (1.0 - 1e-12)
    assert cascaded_es([size * x for x in es_usd]) == pytest.approx(size * total, rel=1e-9, abs=1e-9)


def test_hours_to_close_a_position() -> None:
    hours = liquidation_horizon_h(
        [-300.0, 0.0, 5.0], [1_000.0, 0.0, 0.0], participation=0.1, latency_h=[1.0] * 3
    )
    assert hours.tolist() == [4.0, 1.0, math.inf]


@pytest.mark.parametrize(
    ("es", "horizons"), [([1.0, -1.0], [10.0, 20.0]), ([1.0, 1.0], [20.0, 10.0]), ([1.0], [10.0, 20.0])]
)
def test_unfit_cascades_are_refused(es: list[float], horizons: list[float]) -> None:
    with pytest.raises(UnfitValueError):
        cascaded_es(es, horizons)


@pytest.mark.parametrize("participation", [0.0, 1.5])
def test_participation_is_a_share(participation: float) -> None:
    with pytest.raises(UnfitValueError, match="participation"):
        liquidation_horizon_h(1.0, 1.0, participation=participation)


def test_shapes_must_match() -> None:
    with pytest.raises(UnfitValueError, match="does not match"):
        liquidation_horizon_h([1.0, 2.0], [1.0, 2.0, 3.0], participation=0.1)


def test_there_is_no_latency_unless_named() -> None:
    assert float(liquidation_horizon_h(10.0, 100.0, participation=0.1)) == 1.0


def test_no_shortfall_stays_none() -> None:
    assert cascaded_es([0.0] * 5) == 0.0
    assert cascaded_es([], []) == 0.0
