"""Repairs of butterflies: the printed example, and what any repair must keep."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.arbitrage import density_factor, least_density_factor
from keeper.risk.surfaces.svi import RawSvi, from_jump_wing, joined, jump_wing, raw_svi
from keeper.risk.surfaces.svi_repair import closest_repair, guaranteed_repair, mirrored, price_distance
from tests.risk.surfaces.test_svi import VOGT, VOGT_JW, slices
from tests.support.shared import vectors

VOGT_SLICE = raw_svi([VOGT[0]], *VOGT[1:])
PRINTED_OPTIMUM = {"c": 0.8564763, "v_tilde": 0.0116249}
"""arXiv:1204.0646, example 5.1."""


def printed_optimum() -> RawSvi:
    jw = VOGT_JW | PRINTED_OPTIMUM
    return from_jump_wing([jw["v"]], jw["psi"], jw["p"], jw["c"], jw["v_tilde"], 1.0)


def test_guaranteed_repair_of_the_vogt_slice_as_printed() -> None:
    repaired = jump_wing(guaranteed_repair(VOGT_SLICE), 1.0)
    assert float(repaired.c[0]) == pytest.approx(0.3493158, abs=5e-8)
    assert float(repaired.v_tilde[0]) == pytest.approx(0.01548182, abs=5e-9)
    assert least_density_factor(guaranteed_repair(VOGT_SLICE)).least[0] > 0.0


def test_printed_optimum_has_the_published_points() -> None:
    reference = json.loads(vectors("svi/reference.json").read_text())["optimal_fix_points"]
    slice_ = printed_optimum()
    for k, w in reference["w"].items():
        assert float(slice_.total_variance(float(k))[0]) == pytest.approx(w, rel=1e-5)
    for k, g in reference["g"].items():
        assert float(density_factor(slice_, float(k))[0]) == pytest.approx(g, abs=1e-6)


def test_closest_repair_beats_the_printed_optimum() -> None:
    """The paper does not state its strikes and penalty, so its pair is a bound: free, yet not the closest."""
    ours, theirs = closest_repair(VOGT_SLICE), printed_optimum()
    assert least_density_factor(theirs).least[0] > 0.008
    assert 0.0 <= least_density_factor(ours).least[0] < 1e-3
    assert price_distance(ours, VOGT_SLICE)[0] < price_distance(theirs, VOGT_SLICE)[0]
    assert price_distance(ours, VOGT_SLICE)[0] < price_distance(guaranteed_repair(VOGT_SLICE), VOGT_SLICE)[0]
    # Like the printed one it leaves the least variance alone and flattens the call wing.
    jw = jump_wing(ours, 1.0)
    assert float(jw.v_tilde[0]) == pytest.approx(VOGT_JW["v_tilde"], rel=1e-6)
    assert PRINTED_OPTIMUM["c"] < float(jw.c[0]) < VOGT_JW["c"]


@pytest.mark.parametrize("repair", [guaranteed_repair, closest_repair])
def test_repairs_keep_the_money_and_the_flatter_wing(repair: Callable[[RawSvi], RawSvi]) -> None:
    repaired = jump_wing(repair(VOGT_SLICE), 1.0)
    for name in ("v", "psi", "p"):
        assert float(getattr(repaired, name)[0]) == pytest.approx(VOGT_JW[name], abs=1e-7)


def test_the_mirror_image_is_repaired_as_the_mirror_image() -> None:
    ours = closest_repair(VOGT_SLICE)
    other = mirrored(closest_repair(mirrored(VOGT_SLICE)))
    k = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(other.total_variance(k), ours.total_variance(k), rtol=1e-9)


@given(slices())
def test_repaired_slices_are_free_of_butterflies(slice_: RawSvi) -> None:
    repaired = guaranteed_repair(slice_)
    assert least_density_factor(repaired).least[0] >= -1e-9
    if least_density_factor(slice_).least[0] >= 0.0:
        assert float(repaired.a[0]) == float(slice_.a[0])


@settings(max_examples=15)
@given(st.floats(0.3, 0.6), st.floats(0.1, 0.4), st.floats(0.2, 0.5))
def test_closest_repairs_are_free_and_no_farther_than_the_guaranteed(
    m: float, rho: float, sigma: float
) -> None:
    b, least = 0.1331, 0.0116
    slice_ = raw_svi([least - b * sigma * np.sqrt(1 - rho**2)], b, rho, m, sigma)
    closest, guaranteed = closest_repair(slice_), guaranteed_repair(slice_)
    assert least_density_factor(closest).least[0] >= -1e-9
    assert price_distance(closest, slice_)[0] <= price_distance(guaranteed, slice_)[0]


def test_only_offending_slices_are_touched() -> None:
    tame = raw_svi([0.04], 0.1, -0.3, 0.0, 0.2)
    both = joined([tame, VOGT_SLICE])
    repaired = closest_repair(both)
    assert float(repaired.a[0]) == 0.04
    assert float(repaired.b[1]) != VOGT[1]


def test_one_slice_without_rows_is_refused() -> None:
    with pytest.raises(UnfitValueError):
        guaranteed_repair(raw_svi(*VOGT))
