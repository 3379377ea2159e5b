"""The repair of last resort: whatever comes in, what goes out admits no arbitrage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.arbitrage import require_no_arbitrage
from keeper.risk.surfaces.svi import RawSvi, joined, raw_svi
from keeper.risk.surfaces.svi_lift import in_order, raised, settled
from tests.risk.surfaces.test_svi import slices


@settings(max_examples=40)
@given(st.lists(slices(), min_size=1, max_size=4))
def test_settled_slices_admit_no_arbitrage(parts: list[RawSvi]) -> None:
    done = settled(joined(parts))
    require_no_arbitrage(done.slices)
    assert (done.lift >= 0.0).all()


@settings(max_examples=40)
@given(st.lists(slices(), min_size=1, max_size=3))
def test_settling_twice_changes_nothing(parts: list[RawSvi]) -> None:
    once = settled(joined(parts)).slices
    if in_order(once):
        again = settled(once)
        assert np.array_equal(again.slices.a, once.a)
        assert not again.lift.any()


def test_total_variance_never_falls_at_any_strike() -> None:
    crossing = raw_svi([0.03, 0.01, 0.02], [0.2, 0.05, 0.1], [-0.5, 0.4, 0.0], 0.0, 0.2)
    done = settled(crossing).slices
    k = np.linspace(-20, 20, 4001)
    w = done[:, None].total_variance(k)
    assert (np.diff(w, axis=0) >= -1e-9 * w[1:]).all()


def test_a_late_crossing_in_a_wing_is_mended_there() -> None:
    """A lift would be felt at the money as much as in the wing; a steeper wing is not."""
    early = raw_svi([0.0], 0.021, -0.3, 0.0, 0.1)
    late = raw_svi([0.001], 0.02, -0.3, 0.0, 0.12)
    done = settled(joined([early, late]))
    assert not done.lift.any()
    assert float(done.slices[1:].total_variance(0.0)[0]) == pytest.approx(
        float(late.total_variance(0.0)[0]), rel=0.1
    )


def test_a_lift_is_as_small_as_can_be() -> None:
    low = raw_svi([0.02, 0.01], 0.1, 0.0, 0.0, 0.2)
    done = settled(low)
    assert float(done.lift[1]) == pytest.approx(0.01, rel=2e-3)
    assert not in_order(raised(low, np.array([0.0, 0.0099])))


def test_shapes_are_checked() -> None:
    with pytest.raises(UnfitValueError):
        settled(raw_svi(0.04, 0.1, 0.0, 0.0, 0.1))
