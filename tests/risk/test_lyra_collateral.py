"""The twin of Lyra's requirement: bounds that hold for every short; the digits are proved on the chain."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keeper.risk.lyra_collateral import CollateralTerms, min_collateral, shock_vol

DAY_S = 86_400.0
TERMS = CollateralTerms(
    min_static_quote=200.0,
    min_static_base=0.2,
    shock_vol_a=2.5,
    shock_vol_point_a_s=14 * DAY_S,
    shock_vol_b=1.8,
    shock_vol_point_b_s=56 * DAY_S,
    call_spot_shock=1.2,
    put_spot_shock=0.8,
    rate=0.05,
)


def test_shock_vol_is_flat_outside_its_points_and_linear_between() -> None:
    assert [shock_vol(TERMS, d * DAY_S) for d in (0, 14, 35, 56, 400)] == [2.5, 2.5, 2.15, 1.8, 1.8]


@given(
    st.floats(100, 5000),
    st.floats(100, 5000),
    st.floats(0, 400),
    st.floats(0.01, 100),
    st.sampled_from("pcb"),
)
def test_never_above_full_collateral_nor_below_the_static_floor(
    spot: float, strike: float, days: float, amount: float, kind: str
) -> None:
    got = float(
        min_collateral(
            TERMS,
            is_call=kind != "p",
            in_base=kind == "b",
            strike_usd=strike,
            seconds=days * DAY_S,
            spot_usd=spot,
            amount_base=amount,
        )
    )
    full = {"p": amount * strike, "b": amount, "c": np.inf}[kind]
    floor = TERMS.min_static_base if kind == "b" else TERMS.min_static_quote
    assert min(floor, full) - 1e-9 <= got <= full + 1e-9


@given(st.floats(0.05, 20.0), st.floats(1, 200))
def test_a_short_put_needs_no_less_when_spot_falls(amount: float, days: float) -> None:
    spots = np.linspace(500.0, 3000.0, 40)
    got = min_collateral(
        TERMS,
        is_call=False,
        in_base=False,
        strike_usd=1600.0,
        seconds=days * DAY_S,
        spot_usd=spots,
        amount_base=amount,
    )
    assert (np.diff(got) <= 1e-9).all()
