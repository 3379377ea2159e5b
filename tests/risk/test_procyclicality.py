"""Swings of a requirement."""

import math

import pytest

from keeper.model.errors import UnfitValueError
from keeper.risk.procyclicality import procyclicality


def test_peak_trough_and_rise() -> None:
    swings = procyclicality([100.0, 80.0, 120.0, 160.0, 90.0], steps=1)
    assert swings.peak_to_trough == 2.0
    assert swings.greatest_rise == pytest.approx(0.5)
    assert procyclicality([100.0, 80.0, 120.0, 160.0, 90.0], steps=2).greatest_rise == pytest.approx(1.0)


def test_a_falling_requirement_does_not_rise() -> None:
    assert procyclicality([3.0, 2.0, 1.0], steps=1).greatest_rise == 0.0


def test_from_nothing_every_rise_is_infinite() -> None:
    swings = procyclicality([0.0, 1.0], steps=1)
    assert (swings.peak_to_trough, swings.greatest_rise) == (math.inf, math.inf)
    still = procyclicality([0.0, 0.0], steps=1)
    assert (still.peak_to_trough, still.greatest_rise) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("series", "steps"), [([1.0], 1), ([1.0, -1.0], 1), ([1.0, 2.0], 0), ([1.0, math.nan], 1)]
)
def test_unfit_series_are_refused(series: list[float], steps: int) -> None:
    with pytest.raises(UnfitValueError):
        procyclicality(series, steps=steps)
