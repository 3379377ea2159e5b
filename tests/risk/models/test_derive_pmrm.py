"""What the recorded answers say little about: confidences, peg, skew, vol floor, static charges."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk.models.derive_black76 import YEAR_S, option_prices
from keeper.risk.models.derive_pmrm_2 import SkewCap, SkewParams, skew_multiplier
from tests.risk.models.derive_cases import (
    DAY_S,
    V1,
    V2,
    expiry,
    grid,
    margin,
    option,
    overlaid,
    portfolio,
)

VERSIONS = [("derive-pmrm-1", V1), ("derive-pmrm-2", V2)]
both = pytest.mark.parametrize(("name", "params"), VERSIONS)

amounts = st.floats(-50, 50).map(lambda x: round(x, 3))
options = st.builds(
    lambda amount, strike, call, days: option(amount, strike, call=call, seconds=days * DAY_S),
    amounts,
    st.sampled_from([1500.0, 2000.0, 2200.0, 3000.0]),
    st.booleans(),
    st.sampled_from([0, 7, 30, 90]),
)
EXPIRIES = [expiry(days * DAY_S, rate=rate) for days, rate in ((0, 0.0), (7, -0.1), (30, 0.05), (90, 0.12))]
books = st.builds(
    lambda legs, perp, cash: portfolio(
        options=legs, perpPos=perp, perpPnl=12.5, cash=cash, expiries=EXPIRIES, spotConf=0.9, stable=0.97
    ),
    st.lists(options, max_size=6),
    amounts,
    st.floats(1, 1e5),
)


def straddle(size: float, **over: Any) -> dict[str, Any]:
    legs = [option(size, 2000.0, call=True), option(size, 2000.0, call=False)]
    return portfolio(options=legs, **over)


def price(
    *, call: bool, vol: float, forward: float = 2000.0, strike: float = 2000.0, rate: float = 0.0
) -> float:
    tau = 30 / 365
    numbers = (30.0 * DAY_S, vol, forward, strike, math.exp(-rate * tau))
    prices = option_prices(*(np.array(number) for number in numbers))
    return float(prices.call if call else prices.put)


@both
@given(book=books, cash=st.floats(-1e6, 1e6))
@settings(max_examples=25)
def test_cash_counts_in_full(name: str, params: dict[str, Any], book: dict[str, Any], cash: float) -> None:
    before = margin(name, params, book)
    after = margin(name, params, {**book, "cash": book["cash"] + cash})
    for field in ("im", "mm", "mtm"):
        moved = getattr(after, field) - getattr(before, field)
        assert moved == pytest.approx(cash, rel=1e-12, abs=1e-6)
    assert after.scenario_pnl == before.scenario_pnl


@both
@given(book=books, factor=st.sampled_from([0.5, 2.0, 8.0]))
@settings(max_examples=25)
def test_twice_the_book_needs_twice_the_margin(
    name: str, params: dict[str, Any], book: dict[str, Any], factor: float
) -> None:
    larger = {
        **book,
        "cash": book["cash"] * factor,
        "perpPos": book["perpPos"] * factor,
        "perpPnl": book["perpPnl"] * factor,
        "options": [{**leg, "amount": leg["amount"] * factor} for leg in book["options"]],
    }
    before, after = margin(name, params, book), margin(name, params, larger)
    for field in ("im", "mm", "mtm"):
        assert getattr(after, field) == pytest.approx(getattr(before, field) * factor, rel=1e-9, abs=1e-6)
    expected = [pnl * factor for pnl in before.scenario_pnl]
    assert after.scenario_pnl == pytest.approx(expected, rel=1e-9, abs=1e-6)


@both
@given(book=books, seed=st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_order_of_rows_does_not_matter(
    name: str, params: dict[str, Any], book: dict[str, Any], seed: Any
) -> None:
    legs, listed = list(book["options"]), list(book["expiries"])
    seed.shuffle(legs)
    seed.shuffle(listed)
    before, after = (
        margin(name, params, book),
        margin(name, params, {**book, "options": legs, "expiries": listed}),
    )
    assert after.im == pytest.approx(before.im, rel=1e-12, abs=1e-7)
    assert after.scenario_pnl == pytest.approx(before.scenario_pnl, rel=1e-12, abs=1e-7)


@both
@pytest.mark.parametrize("field", ["fwdConf", "rateConf", "volConf"])
def test_weak_feeds_of_an_expiry_cost_initial_margin_only(
    name: str, params: dict[str, Any], field: str
) -> None:
    strong = margin(name, params, straddle(-3.0))
    weak = margin(name, params, straddle(-3.0, expiries=[{**expiry(), field: 0.59}]))
    # (1 - 0.59) x 0.5 x 6 options x 2,000
    assert strong.im - weak.im == pytest.approx(0.41 * 0.5 * 6 * 2000, rel=1e-12)
    assert (weak.mm, weak.mtm) == (strong.mm, strong.mtm)


@both
def test_the_confidence_threshold_is_strict(name: str, params: dict[str, Any]) -> None:
    at = margin(name, params, straddle(-3.0, expiries=[expiry(fwdConf=0.6)]))
    assert at.im == margin(name, params, straddle(-3.0)).im


@both
def test_weak_spot_costs_perps_and_options(name: str, params: dict[str, Any]) -> None:
    strong = margin(name, params, straddle(1.0, perpPos=-2.0))
    weak = margin(name, params, straddle(1.0, perpPos=-2.0, spotConf=0.5))
    assert strong.im - weak.im == pytest.approx(0.5 * 0.5 * (2 + 2) * 2000, rel=1e-12)


@both
def test_perp_confidence_counts_only_with_a_perp(name: str, params: dict[str, Any]) -> None:
    without = margin(name, params, straddle(1.0, perpConf=0.1, perpPnl=500.0))
    assert without == margin(name, params, straddle(1.0))
    with_perp = margin(name, params, straddle(1.0, perpConf=0.1, perpPos=1.0))
    strong = margin(name, params, straddle(1.0, perpPos=1.0))
    assert strong.im - with_perp.im == pytest.approx(0.9 * 0.5 * (1 + 2) * 2000, rel=1e-12)


@both
def test_a_weak_stable_coin_raises_the_loss_factor(name: str, params: dict[str, Any]) -> None:
    factor = params["margin"]["imFactor"]
    on_peg = margin(name, params, straddle(-3.0, stable=0.98))
    below = margin(name, params, straddle(-3.0, stable=0.93))
    span = min(on_peg.scenario_pnl)
    if name == "derive-pmrm-1":
        span -= 6.0 * 0.01 * 2000.0  # static charge, inside the factor
    assert on_peg.im - below.im == pytest.approx(-span * (0.98 - 0.93) * 2.0, rel=1e-9)
    assert on_peg.mm == below.mm
    assert factor > 1.0


@both
def test_naked_shorts_offset_within_a_strike_only(name: str, params: dict[str, Any]) -> None:
    def static(*legs: tuple[float, float, bool]) -> float:
        still = {
            "scenarios": grid((1.0, 0, 1.0)),
            "basis": {"basisContAddFactor": 0.0, "basisContMultFactor": 0.0},
        }
        book = portfolio(options=[option(a, k, call=c) for a, k, c in legs])
        bare = {"other": {"optionPercent": 0.0, "MMOptionPercent": 0.0}}
        charged: float = margin(name, overlaid(params, still), book).mm
        free: float = margin(name, overlaid(overlaid(params, still), bare), book).mm
        return free - charged

    percent = 0.01 if name == "derive-pmrm-1" else 0.003
    one = percent * 2000.0
    assert static((-2.0, 2000.0, True)) == pytest.approx(2 * one)
    assert static((-2.0, 2000.0, True), (-1.0, 2000.0, False)) == pytest.approx(3 * one)
    assert static((-2.0, 2000.0, True), (1.5, 2000.0, False)) == pytest.approx(0.5 * one)
    assert static((-2.0, 2000.0, True), (5.0, 2000.0, False)) == pytest.approx(0.0, abs=1e-9)
    assert static((-2.0, 2000.0, True), (2.0, 2100.0, True)) == pytest.approx(2 * one)


def test_first_version_charges_base_on_its_confidence_and_share() -> None:
    params = overlaid(V1, {"scenarios": grid((1.0, 0, 1.0))})
    strong = margin("derive-pmrm-1", params, portfolio(base=2.0))
    assert strong.mtm == pytest.approx(2.0 * 2000.0 + 1000.0)
    assert strong.mm == pytest.approx(strong.mtm - 2.0 * 0.02 * 2000.0)
    weak = margin("derive-pmrm-1", params, portfolio(base=2.0, spotConf=0.5))
    assert strong.im - weak.im == pytest.approx(0.5 * 0.5 * 2.0 * 2000.0)


def test_first_version_discounts_only_what_is_worth_something() -> None:
    params = overlaid(V1, {"scenarios": grid((1.0, 0, 1.0))})
    tau = 30 / 365
    value = price(call=True, vol=0.8)
    discount = 0.95 * math.exp(-tau * (0.05 * 4.0 + 0.05))
    long = margin("derive-pmrm-1", params, portfolio(options=[option(1.0, 2000.0, call=True)]))
    assert long.scenario_pnl[0] == pytest.approx(value * (discount - 1.0), rel=1e-12)
    short = margin("derive-pmrm-1", params, portfolio(options=[option(-1.0, 2000.0, call=True)]))
    assert short.scenario_pnl[0] == 0.0


def test_second_version_discounts_longs_and_shorts_apart() -> None:
    params = overlaid(V2, {"scenarios": grid((1.0, 0, 1.0))})
    tau = 30 / 365
    value = price(call=True, vol=0.8, rate=0.05)
    long = margin("derive-pmrm-2", params, portfolio(options=[option(1.0, 2000.0, call=True)]))
    assert long.scenario_pnl[0] == pytest.approx(value * (0.95 * math.exp(-tau * 0.13) - 1.0), rel=1e-12)
    short = margin("derive-pmrm-2", params, portfolio(options=[option(-1.0, 2000.0, call=True)]))
    # 1.04 exp(tau 0.105) is above 1 / D, which caps it: the short then loses its whole discount.
    assert short.scenario_pnl[0] == pytest.approx(-value * (math.exp(0.05 * tau) - 1.0), rel=1e-12)
    mild = overlaid(params, {"margin": {"shortBaseStaticDiscount": 0.99}})
    short = margin("derive-pmrm-2", mild, portfolio(options=[option(-1.0, 2000.0, call=True)]))
    assert short.scenario_pnl[0] == pytest.approx(-value * (0.99 * math.exp(tau * 0.105) - 1.0), rel=1e-9)


def test_second_version_floors_the_vol_of_up_scenarios() -> None:
    flat = {"shortBaseStaticDiscount": 1.0, "longBaseStaticDiscount": 1.0}
    none = dict.fromkeys(
        ("shortRateMultScale", "longRateMultScale", "shortRateAddScale", "longRateAddScale"), 0.0
    )
    params = overlaid(V2, {"scenarios": grid((1.0, 1, 1.0)), "margin": {**flat, **none}})
    book = portfolio(expiries=[expiry(rate=0.0)], options=[option(-1.0, 2000.0, call=False, vol=0.1)])
    (pnl,) = margin("derive-pmrm-2", params, book).scenario_pnl
    assert pnl == pytest.approx(price(call=False, vol=0.1) - price(call=False, vol=0.4), rel=1e-9)
    lower = overlaid(params, {"vol": {"minVolUpShock": 0.12}})
    (pnl,) = margin("derive-pmrm-2", lower, book).scenario_pnl
    assert pnl == pytest.approx(price(call=False, vol=0.1) - price(call=False, vol=0.145), rel=1e-9)


def test_collateral_moves_only_where_it_cancels_risk() -> None:
    def held(slot: int) -> Any:
        return margin(
            "derive-pmrm-2",
            V2,
            portfolio(
                stable=0.99,
                collaterals=[{"slot": slot, "amount": 2.0, "price": 2000.0, "conf": 1.0}],
                cash=0.0,
            ),
        )

    worth = 2.0 * 2000.0 / 0.99
    moving, still = held(0), held(1)
    assert moving.mtm == still.mtm == pytest.approx(worth)
    assert moving.scenario_pnl[:4] == pytest.approx([0.15 * worth, 0.0, -0.15 * worth, 0.3 * worth])
    assert set(still.scenario_pnl) == {0.0}
    assert still.mm == pytest.approx(worth * 0.92)
    assert still.im == pytest.approx(worth * 0.90)


def test_collateral_confidence_leaves_out_the_perp() -> None:
    def held(**over: float) -> Any:
        collateral = {"slot": 1, "amount": 2.0, "price": 500.0, "conf": 1.0}
        return margin("derive-pmrm-2", V2, portfolio(collaterals=[collateral], perpPos=1.0, **over))

    perp_only = 0.9 * 0.5 * 2000.0
    assert held().im - held(perpConf=0.1).im == pytest.approx(perp_only)
    both_weak = 0.5 * 0.5 * 2000.0 + 0.5 * 0.5 * 1000.0
    assert held().im - held(spotConf=0.5).im == pytest.approx(both_weak)


SKEW = SkewParams(
    linear=SkewCap(base=0.25, slope=-0.1),
    absolute=SkewCap(base=0.2, slope=-0.05),
    min_k_star=0.01,
    width=4.0,
    vol_static=0.6,
    vol_scale=-0.1,
)
k_values = st.floats(-3, 3)
taus = st.floats(0, 4)


@given(k=k_values, tau=taus)
def test_skew_is_odd_and_capped_where_the_cap_is_positive(k: float, tau: float) -> None:
    cap = SKEW.linear.base + SKEW.linear.slope * math.sqrt(tau)
    up = float(skew_multiplier(np.array(tau), np.array(k), SKEW.linear, SKEW))
    down = float(skew_multiplier(np.array(tau), np.array(-k), SKEW.linear, SKEW))
    assert up + down == pytest.approx(2.0, abs=1e-12)
    assert abs(up - 1.0) <= cap + 1e-12


@given(k=st.floats(1e-3, 3), tau=taus)
def test_a_negative_cap_binds_the_other_way_round(k: float, tau: float) -> None:
    cap = SkewCap(base=-0.2, slope=0.0)
    k_star = max(SKEW.min_k_star, math.sqrt(tau) * 4.0 * (0.6 - 0.1 * math.sqrt(tau)))
    above = float(skew_multiplier(np.array(tau), np.array(k), cap, SKEW))
    below = float(skew_multiplier(np.array(tau), np.array(-k), cap, SKEW))
    assert above == pytest.approx(max(0.0, 1.0 + min(-0.2, -0.2 * k / k_star)))
    assert below == pytest.approx(max(0.0, 1.0 + max(0.2, 0.2 * k / k_star)))


def test_the_least_width_holds_at_expiry() -> None:
    half = skew_multiplier(np.array(0.0), np.array(0.005), SKEW.linear, SKEW)
    assert float(half) == pytest.approx(1.125)
    wider = replace(SKEW, min_k_star=0.02)
    assert float(skew_multiplier(np.array(0.0), np.array(0.005), wider.linear, wider)) == pytest.approx(
        1.0625
    )


def test_without_any_width_the_skew_is_a_step_at_the_forward() -> None:
    step = replace(SKEW, min_k_star=0.0)
    found = skew_multiplier(np.zeros(3), np.array([-0.3, 0.0, 0.3]), step.linear, step)
    assert found.tolist() == [0.75, 1.0, 1.25]


def test_skew_scenarios_never_pay() -> None:
    flat = {"shortBaseStaticDiscount": 1.0, "longBaseStaticDiscount": 1.0}
    none = dict.fromkeys(
        ("shortRateMultScale", "longRateMultScale", "shortRateAddScale", "longRateAddScale"), 0.0
    )
    params = overlaid(V2, {"scenarios": grid((1.0, 3, 1.0), (1.0, 4, 0.5)), "margin": {**flat, **none}})

    def pnl(size: float) -> tuple[float, ...]:
        legs = [option(size, 2400.0, call=True)]
        book = portfolio(expiries=[expiry(rate=0.0)], options=legs)
        found: tuple[float, ...] = margin("derive-pmrm-2", params, book).scenario_pnl
        return found

    q, k = math.sqrt(30 / 365), math.log(2400.0 / 2000.0)
    k_star = q * 4.0 * (0.6 - 0.1 * q)
    linear = 0.8 * (1.0 + min(0.25 - 0.1 * q, k * (0.25 - 0.1 * q) / k_star))
    absolute = 0.8 * (1.0 + min(0.2 - 0.05 * q, k * (0.2 - 0.05 * q) / k_star))
    now = price(call=True, vol=0.8, strike=2400.0)
    expected = [
        -(price(call=True, vol=linear, strike=2400.0) - now),
        -0.5 * (price(call=True, vol=absolute, strike=2400.0) - now),
    ]
    assert pnl(1.0) == pytest.approx(expected, rel=1e-9)
    assert pnl(-1.0) == pytest.approx(expected, rel=1e-9)


def test_vol_scales_with_the_term_by_the_time_itself_and_not_by_the_floor() -> None:
    """An hour before expiry m is that of the floor; at 30 days and one second the long power takes over."""
    params = overlaid(V1, {"scenarios": grid((1.0, 1, 1.0)), "vol": {"dteFloor": 40 * DAY_S}})
    seconds = 30 * DAY_S + 1
    for at, power in ((30 * DAY_S, 0.3), (seconds, 0.13)):
        legs = [option(-1.0, 2000.0, call=True, seconds=at)]
        book = portfolio(expiries=[expiry(at)], options=legs)
        (pnl,) = margin("derive-pmrm-1", params, book).scenario_pnl
        up = 0.8 * (1.0 + 0.45 * (30 / 40) ** power)
        numbers = (float(at), 0.8, 2000.0, 2000.0, 1.0), (float(at), up, 2000.0, 2000.0, 1.0)
        now, then = (float(option_prices(*(np.array(x) for x in row)).call) for row in numbers)
        assert pnl == pytest.approx(now - then, rel=1e-10)


def test_basis_contingency_charges_the_worse_side_of_each_expiry() -> None:
    params = overlaid(
        V1,
        {
            "scenarios": grid((1.0, 0, 1.0)),
            "basis": {"basisContAddFactor": 10.0, "basisContMultFactor": 2.0},
            "other": {"optionPercent": 0.0},
        },
    )
    book = portfolio(options=[option(-1.0, 2000.0, call=True)])
    result = margin("derive-pmrm-1", params, book)
    loss = price(call=True, vol=0.8) - price(call=True, vol=0.8, forward=2100.0)
    assert result.worst_im == 1  # one scenario, so 1 is the basis contingency
    assert result.mm - result.mtm == pytest.approx(loss * (10.0 + 2.0 * 30 / 365), rel=1e-10)


def test_only_the_variable_part_of_a_forward_moves() -> None:
    params = overlaid(V1, {"scenarios": grid((1.1, 0, 1.0))})
    seconds = 600
    book = portfolio(
        expiries=[expiry(seconds, fwdFixed=1300.0, fwdVar=700.0)],
        options=[option(-1.0, 1000.0, call=True, seconds=seconds)],
    )
    (pnl,) = margin("derive-pmrm-1", params, book).scenario_pnl
    assert pnl == pytest.approx(-70.0, rel=1e-9)


@both
@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"options": [{**option(1.0, 2000.0, call=True), "secToExpiry": -1}]}, "options[0].secToExpiry"),
        ({"options": [option(1.0, 2000.0, call=True, seconds=5)]}, "options[0].secToExpiry"),
        ({"options": [{**option(1.0, 2000.0, call=True), "vol": -0.5}]}, "options[0].vol"),
        ({"options": [{**option(1.0, 2000.0, call=True), "isCall": 1}]}, "options[0].isCall"),
        ({"options": [{**option(1.0, 2000.0, call=True), "amount": "1.5"}]}, "options[0].amount"),
        ({"options": [{**option(1.0, 2000.0, call=True), "strike": "nan"}]}, "options[0].strike"),
        ({"options": {}}, "options"),
        ({"expiries": [expiry(), expiry()]}, "expiries[1].secToExpiry"),
        ({"expiries": [3]}, "expiries[0]"),
        ({"spotConf": 1.5}, "spotConf"),
        ({"stable": 0.0}, "stable"),
        ({"spot": None}, "spot"),
        ({"cash": 0.0}, "empty"),
        ({"cash": str(2**255)}, "cash"),
    ],
)
def test_bad_input_is_named(name: str, params: dict[str, Any], over: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=r"cases\[0\] \(x\): input") as caught:
        margin(name, params, portfolio(**over))
    assert words in str(caught.value)


@both
@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"scenarios": []}, "params.scenarios"),
        ({"scenarios": grid((1.0, 9, 1.0))}, "params.scenarios[0].volShock"),
        ({"vol": {"dteFloor": -1}}, "params.vol.dteFloor"),
        ({"margin": {"imFactor": None}}, "params.margin.imFactor"),
    ],
)
def test_bad_parameters_are_named(
    name: str, params: dict[str, Any], over: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError) as caught:
        margin(name, overlaid(params, over), portfolio())
    assert words in str(caught.value)


def test_the_first_version_knows_no_skew() -> None:
    with pytest.raises(DataError, match="volShock"):
        margin("derive-pmrm-1", overlaid(V1, {"scenarios": grid((1.0, 3, 1.0))}), portfolio())


def test_an_unknown_collateral_slot_is_named() -> None:
    held = [{"slot": 7, "amount": 1.0, "price": 1.0, "conf": 1.0}]
    with pytest.raises(DataError, match=r"cases\[0\] \(x\): collaterals\[0\]: slot 7"):
        margin("derive-pmrm-2", V2, portfolio(collaterals=held))


def test_parameters_that_overflow_give_no_margin() -> None:
    params = overlaid(V2, {"margin": {"longRateAddScale": -1e50}})
    with pytest.raises(DataError, match="not finite"):
        margin("derive-pmrm-2", params, straddle(1.0))


def test_a_year_is_365_days() -> None:
    assert YEAR_S == 31_536_000
