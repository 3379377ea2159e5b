"""Raw SVI and its jump wings: published figures, derivatives by differences, round trips."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.surfaces.svi import RawSvi, from_jump_wing, from_wings, joined, jump_wing, raw_svi
from tests.support.shared import vectors

VOGT = (-0.041, 0.1331, 0.306, 0.3586, 0.4153)
"""a, b, rho, m, sigma; Gatheral and Jacquier, arXiv:1204.0646, example 3.1."""

VOGT_JW = {"v": 0.01742625, "psi": -0.1752111, "p": 0.6997381, "c": 1.316798, "v_tilde": 0.0116249}
"""As printed there, example 5.1."""


@st.composite
def slices(draw: st.DrawFn) -> RawSvi:
    """One slice of any shape a market could show, butterflies or not."""
    b = draw(st.floats(1e-4, 1.5))
    rho = draw(st.floats(-0.99, 0.99))
    sigma = draw(st.floats(0.01, 2.0))
    least = draw(st.floats(1e-4, 0.5))
    a = least - b * sigma * np.sqrt(1.0 - rho**2)
    return raw_svi([a], b, rho, draw(st.floats(-1.0, 1.0)), sigma)


def test_vogt_slice_has_the_printed_jump_wings() -> None:
    jw = jump_wing(raw_svi(*VOGT), 1.0)
    for name, printed in VOGT_JW.items():
        assert float(getattr(jw, name)) == pytest.approx(printed, abs=5e-7 if name == "c" else 5e-8), name


def test_reference_figures() -> None:
    reference = json.loads(vectors("svi/reference.json").read_text())
    for raw, figures in (
        (reference["vogt_raw"], reference["points"]),
        (reference["raw_sigma1"]["raw"], reference["raw_sigma1"]),
    ):
        slice_ = raw_svi(**raw)
        for k, w in figures["w"].items():
            assert float(slice_.total_variance(float(k))) == pytest.approx(w, rel=1e-9)
        for k, vol in figures.get("iv", {}).items():
            assert float(np.sqrt(slice_.total_variance(float(k)))) == pytest.approx(vol, rel=1e-9)
    precise = jump_wing(raw_svi(**reference["vogt_raw"]), reference["t"])
    for name, value in reference["jw_precise"].items():
        assert float(getattr(precise, name)) == pytest.approx(value, rel=1e-8)
    other = jump_wing(raw_svi(**reference["raw_sigma1"]["raw"]), 1.0)
    for name, value in reference["raw_sigma1"]["jw_t1"].items():
        assert float(getattr(other, name)) == pytest.approx(value, rel=1e-9)


@given(slices(), st.floats(-3.0, 3.0))
def test_derivatives_are_those_of_total_variance(slice_: RawSvi, k: float) -> None:
    h = 1e-4 * float(slice_.sigma[0])
    below, at, above = (float(slice_.total_variance(k + shift)[0]) for shift in (-h, 0.0, h))
    w, slope, curvature = (float(part[0]) for part in slice_.derivatives(k))
    steepest, sharpest = float(2 * slice_.b[0]), float(slice_.b[0] / slice_.sigma[0])
    assert w == at
    assert slope == pytest.approx((above - below) / (2 * h), abs=1e-6 * steepest)
    rounding = 8e-16 * max(abs(at), steepest * (abs(k) + 3.0)) / h**2
    assert curvature == pytest.approx((above - 2 * at + below) / h**2, abs=1e-6 * sharpest + rounding)


@given(slices())
def test_least_variance_is_the_least(slice_: RawSvi) -> None:
    k = slice_.least_at[0] + slice_.sigma[0] * np.sinh(np.linspace(-8, 8, 501))
    assert (slice_.total_variance(k) >= slice_.least_variance * (1 - 1e-12) - 1e-15).all()
    assert slice_.total_variance(slice_.least_at)[0] == pytest.approx(
        slice_.least_variance[0], rel=1e-9, abs=1e-12
    )


@given(slices(), st.floats(0.001, 5.0))
def test_jump_wings_round_trip(slice_: RawSvi, expiry_y: float) -> None:
    jw = jump_wing(slice_, expiry_y)
    # A least variance at the money leaves sigma undetermined: nothing to recover.
    assume(float(jw.v[0]) > float(jw.v_tilde[0]) * (1 + 1e-6))
    back = from_jump_wing(jw.v, jw.psi, jw.p, jw.c, jw.v_tilde, expiry_y)
    k = np.linspace(-2, 2, 21)
    # The depth of the bend is a difference of two variances, whose rounding the inverse divides by.
    condition = float(jw.v[0] / (jw.v[0] - jw.v_tilde[0]))
    np.testing.assert_allclose(
        back.total_variance(k), slice_.total_variance(k), rtol=1e-11 * condition + 1e-9
    )


@given(slices())
def test_wings_round_trip(slice_: RawSvi) -> None:
    back = from_wings(slice_.a, slice_.left_slope, slice_.right_slope, slice_.m, slice_.sigma)
    np.testing.assert_allclose(back.b, slice_.b, rtol=1e-12)
    np.testing.assert_allclose(back.rho, slice_.rho, atol=1e-12)


def test_wings_are_the_slopes_far_out() -> None:
    slice_ = from_wings([0.01], [0.3], [0.1], [0.05], [0.2])
    far = slice_.derivatives(np.array([-1e6, 1e6]))[1]
    np.testing.assert_allclose(far, [-0.3, 0.1], rtol=1e-9)
    flat = from_wings([0.04], [0.0], [0.0], [0.0], [0.1])
    np.testing.assert_allclose(flat.total_variance(np.linspace(-5, 5, 11)), 0.04)


def test_a_wing_of_zero_beside_another_is_kept_off_the_edge() -> None:
    slice_ = from_wings([0.04], [0.0], [0.2], [0.0], [0.1])
    assert -1.0 < float(slice_.rho[0]) < 1.0
    assert float(slice_.left_slope[0]) < 1e-12


def test_slices_index_and_join() -> None:
    whole = raw_svi([0.01, 0.02, 0.03], 0.1, [-0.3, 0.0, 0.3], 0.0, 0.2)
    again = joined([whole[:1], whole[1:]])
    assert np.array_equal(again.rho, whole.rho)
    assert whole[:, None].total_variance(np.zeros(4)).shape == (3, 4)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"a": np.nan}, "a"),
        ({"b": -0.1}, "b"),
        ({"rho": 1.0}, "rho"),
        ({"sigma": 0.0}, "sigma"),
        ({"a": -1.0}, "least_variance"),
        ({"m": np.inf}, "m"),
    ],
)
def test_unfit_raw_parameters_are_refused(changed: dict[str, float], field: str) -> None:
    good = {"a": 0.04, "b": 0.1, "rho": 0.0, "m": 0.0, "sigma": 0.1}
    with pytest.raises(UnfitValueError) as refusal:
        raw_svi(**(good | changed))
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"v": 0.0}, "v"),
        ({"v_tilde": 0.02}, "v_tilde"),
        ({"v_tilde": 0.0}, "v_tilde"),
        ({"p": -0.1}, "p"),
        ({"p": 0.0, "c": 0.0}, "p"),
        ({"c": -0.1}, "c"),
        ({"psi": -0.5}, "psi"),
        ({"psi": 0.0, "c": 0.6997381, "v_tilde": 0.01742625}, "psi"),
        ({"v_tilde": 0.01742625}, "v_tilde"),
        ({"expiry_y": 0.0}, "expiry_y"),
    ],
)
def test_unfit_jump_wings_are_refused(changed: dict[str, float], field: str) -> None:
    with pytest.raises(UnfitValueError) as refusal:
        from_jump_wing(**({**VOGT_JW, "expiry_y": 1.0} | changed))
    assert refusal.value.field == field


def test_jump_wings_need_a_time() -> None:
    with pytest.raises(UnfitValueError):
        jump_wing(raw_svi(*VOGT), 0.0)
