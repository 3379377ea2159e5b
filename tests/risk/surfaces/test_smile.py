"""Vol between quotes: the quotes themselves on the nodes, never outside their range between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.smile import vol_at

EXPIRIES = [0.1, 0.2]
STRIKES = [[1500.0, 1700.0], [1400.0, 1800.0]]
VOLS = [[0.9, 0.7], [0.8, 0.6]]


def test_a_node_is_the_quote_itself() -> None:
    for T, K, v in zip(EXPIRIES, STRIKES, VOLS, strict=True):
        assert [vol_at(EXPIRIES, STRIKES, VOLS, expiry_y=T, strike=k) for k in K] == v


def test_total_variance_is_linear_between_expiries() -> None:
    got = vol_at(EXPIRIES, [[1600.0]] * 2, [[0.8], [0.6]], expiry_y=0.15, strike=1600.0)
    assert got**2 * 0.15 == pytest.approx((0.8**2 * 0.1 + 0.6**2 * 0.2) / 2)


@given(st.floats(0.01, 1.0), st.floats(500.0, 4000.0))
def test_stays_positive_and_finite(T: float, K: float) -> None:
    assert 0.3 < vol_at(EXPIRIES, STRIKES, VOLS, expiry_y=T, strike=K) < 1.3


@pytest.mark.parametrize(
    ("expiries", "strikes", "vols"),
    [([], [], []), ([0.0], [[1.0]], [[0.5]]), ([0.1], [[]], [[]]), ([0.1], [[1.0, 2.0]], [[0.5]])],
)
def test_unfit_surfaces_are_refused(
    expiries: list[float], strikes: list[list[float]], vols: list[list[float]]
) -> None:
    with pytest.raises(UnfitValueError):
        vol_at(expiries, strikes, vols, expiry_y=0.1, strike=1.0)
