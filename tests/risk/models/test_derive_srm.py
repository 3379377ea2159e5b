"""The standard manager's rules one by one, above all those that the recorded answers hardly touch."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk.models.derive_srm import Option, OptionParams, isolated_margin, settlement_loss
from tests.risk.models.derive_cases import DAY_S, SRM, expiry, margin, market, option, overlaid

RULES = OptionParams(
    max_spot=0.15,
    min_spot=0.13,
    mm_call_spot=0.09,
    mm_put_spot=0.09,
    mm_put_mtm=0.08,
    unpaired_im_scale=1.2,
    unpaired_mm_scale=1.1,
    mm_offset_scale=1.05,
)


def account(*markets: dict[str, Any], cash: float = 0.0, stable: float = 1.0) -> dict[str, Any]:
    return {"stable": stable, "cash": cash, "markets": list(markets)}


def result(*markets: dict[str, Any], params: dict[str, Any] = SRM, **over: float) -> Any:
    return margin("derive-srm", params, account(*markets, **over))


def held(strike: float, amount: float, mtm: float, *, call: bool) -> Option:
    return Option(strike=strike, is_call=call, amount=amount, mtm=mtm)


def test_longs_need_nothing() -> None:
    assert isolated_margin(RULES, 2000.0, held(2000.0, 3.0, 600.0, call=True)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("strike", "share"), [(1500.0, 0.15), (2000.0, 0.15), (2020.0, 0.14), (2040.0, 0.13), (3000.0, 0.13)]
)
def test_short_calls_need_less_out_of_the_money(strike: float, share: float) -> None:
    im, mm = isolated_margin(RULES, 2000.0, held(strike, -2.0, -300.0, call=True))
    assert im == pytest.approx(-300.0 - share * 4000.0)
    assert mm == pytest.approx(-300.0 - 0.09 * 4000.0)


def test_short_puts_take_the_larger_of_spot_and_own_value() -> None:
    cheap = isolated_margin(RULES, 2000.0, held(2000.0, -2.0, -300.0, call=False))
    assert cheap.mm == pytest.approx(-300.0 - 0.09 * 4000.0)
    dear = isolated_margin(RULES, 2000.0, held(6000.0, -2.0, -8000.0, call=False))
    assert dear.mm == pytest.approx(-8000.0 - 0.08 * 8000.0)
    # The initial margin is at least 1.05 times that, which here exceeds 15 % of spot.
    assert dear.im == pytest.approx(1.05 * dear.mm)
    assert cheap.im == pytest.approx(-300.0 - 0.15 * 4000.0)


@pytest.mark.parametrize(
    ("legs", "loss", "unpaired"),
    [
        ([], 0.0, 0.0),
        ([(2000.0, -1.0, True)], 0.0, -1.0),
        ([(2000.0, -1.0, False)], -2000.0, 0.0),
        ([(2000.0, -1.0, True), (2500.0, 1.0, True)], -500.0, 0.0),
        ([(2000.0, -1.0, True), (2500.0, 0.4, True)], -500.0, -0.6),
        ([(2000.0, 1.0, True), (2500.0, -1.0, True)], 0.0, 0.0),
        ([(1000.0, 1.0, False), (2000.0, -1.0, False)], -1000.0, 0.0),
        # A box pays the same wherever it settles.
        ([(1e3, 1.0, True), (2e3, -1.0, True), (1e3, -1.0, False), (2e3, 1.0, False)], 0.0, 0.0),
        ([(1e3, -1.0, True), (2e3, 1.0, True), (1e3, 1.0, False), (2e3, -1.0, False)], -1000.0, 0.0),
    ],
)
def test_settlement_loss(legs: list[tuple[float, float, bool]], loss: float, unpaired: float) -> None:
    options = [held(strike, amount, 0.0, call=call) for strike, amount, call in legs]
    assert settlement_loss(options) == pytest.approx((loss, unpaired))


strikes = st.sampled_from([500.0, 1000.0, 2000.0, 3000.0])
sizes = st.floats(-10, 10).map(lambda x: round(x, 2))
spread_legs = st.lists(st.tuples(strikes, sizes, st.booleans()), min_size=1, max_size=6)


@given(legs=spread_legs, settle=st.floats(0, 3000))
def test_no_settlement_up_to_the_last_strike_loses_more(
    legs: list[tuple[float, float, bool]], settle: float
) -> None:
    loss, _ = settlement_loss([held(k, a, 0.0, call=c) for k, a, c in legs])
    top = max(k for k, _, _ in legs)
    at = min(settle, top)
    payoff = sum(a * max(0.0, at - k if c else k - at) for k, a, c in legs)
    assert payoff >= loss - 1e-9


@given(legs=spread_legs, stable=st.sampled_from([1.0, 0.95]))
@settings(max_examples=50)
def test_initial_margin_never_exceeds_maintenance_and_parts_add_up(
    legs: list[tuple[float, float, bool]], stable: float
) -> None:
    options = [option(a, k, call=c) for k, a, c in legs]
    eth, btc = market(options=options), market("BTC", options=options, spot=2100.0)
    together = result(eth, btc, cash=500.0, stable=stable)
    alone = [result(one, cash=500.0, stable=stable) for one in (eth, btc)]
    assert together.im <= together.mm + 1e-9
    assert together.im == pytest.approx(sum(a.im for a in alone) - 500.0, abs=1e-7)
    assert together.mm == pytest.approx(sum(a.mm for a in alone) - 500.0, abs=1e-7)
    assert together.mtm == pytest.approx(sum(a.mtm for a in alone) - 500.0, abs=1e-7)


def test_a_spread_needs_its_greatest_loss_where_that_is_less() -> None:
    legs = [option(-1.0, 2000.0, call=True), option(1.0, 2050.0, call=True)]
    spread = result(market(options=legs), cash=1000.0)
    assert spread.im == pytest.approx(950.0)
    assert spread.mm == pytest.approx(950.0)


def test_a_naked_call_beyond_the_last_strike_costs_a_share_of_the_forward() -> None:
    """Where the isolated margin is larger than the scaled forward, the forward wins."""
    dear = overlaid(SRM, {"option": {"minSpotReq": 2.0, "maxSpotReq": 2.0, "mmCallSpotReq": 2.0}})
    legs = [option(-1.0, 2000.0, call=True)]
    naked = result(market(options=legs, expiries=[expiry(fwdVar=2100.0)]), params=dear, cash=1.0)
    assert naked.im == pytest.approx(1.0 - 1.2 * 2100.0)
    assert naked.mm == pytest.approx(1.0 - 1.1 * 2100.0)


def test_perps() -> None:
    plain = result(market(perpPos=-3.0, perpPrice=2010.0, perpPnl=40.0), cash=1000.0)
    assert plain.im == pytest.approx(1040.0 - 0.065 * 6030.0)
    assert plain.mm == pytest.approx(1040.0 - 0.05 * 6030.0)
    assert plain.mtm == pytest.approx(1040.0)
    for conf in ("perpConf", "spotConf"):
        held = {"perpPos": -3.0, "perpPrice": 2010.0, "perpPnl": 40.0, conf: 0.5}
        charged = result({**market(), **held}, cash=1000.0)
        assert plain.im - charged.im == pytest.approx(0.5 * 0.7 * 6000.0)
        assert charged.mm == plain.mm
    assert (
        result(market(perpPos=-3.0, perpConf=0.55), cash=1.0).im == result(market(perpPos=-3.0), cash=1.0).im
    )
    assert result(market(perpPnl=40.0), cash=1000.0).mtm == 1000.0


def test_weak_feeds_charge_short_options_only() -> None:
    legs = [option(-2.0, 2000.0, call=True), option(5.0, 2100.0, call=True), option(-1.0, 1800.0, call=False)]
    strong = result(market(options=legs), cash=1.0)
    for conf in ("fwdConf", "volConf"):
        charged = result(market(options=legs, expiries=[{**expiry(), conf: 0.59}]), cash=1.0)
        assert strong.im - charged.im == pytest.approx(0.41 * 0.7 * 2000.0 * 3.0)
        assert (charged.mm, charged.mtm) == (strong.mm, strong.mtm)
    # Rates are not used here, so their confidence does not matter.
    assert result(market(options=legs, expiries=[expiry(rateConf=0.0)]), cash=1.0) == strong


def test_base_collateral() -> None:
    plain = result(market(base=2.0), stable=0.995)
    assert plain.mm == pytest.approx(0.8 * 4000.0)
    assert plain.im == pytest.approx(0.9 * 0.8 * 4000.0)
    assert plain.mtm == pytest.approx(4000.0 / 0.995)
    weak = result(market(base=2.0, spotConf=0.4), stable=0.995)
    assert plain.im - weak.im == pytest.approx(0.6 * 0.7 * 4000.0)
    assert weak.mm == plain.mm


def test_a_depeg_charges_perps_and_short_options() -> None:
    legs = [option(-2.0, 2000.0, call=True), option(5.0, 2100.0, call=True)]
    on_peg = result(market(options=legs, perpPos=1.5), cash=1.0)
    below = result(market(options=legs, perpPos=1.5), cash=1.0, stable=0.95)
    assert on_peg.im - below.im == pytest.approx(0.04 * 2.0 * 2000.0 * (1.5 + 2.0))
    assert below.mm == on_peg.mm


def test_expiries_do_not_offset_each_other() -> None:
    near, far = 7 * DAY_S, 30 * DAY_S
    legs = [option(-1.0, 2000.0, call=True, seconds=near), option(1.0, 2000.0, call=True, seconds=far)]
    calendar = result(market(options=legs, expiries=[expiry(near), expiry(far)]), cash=1000.0)
    naked = result(market(options=legs[:1], expiries=[expiry(near)]), cash=1000.0)
    assert calendar.im == naked.im


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"options": [option(1.0, 2000.0, call=True, seconds=5)]}, "markets[0].options[0].secToExpiry"),
        ({"spot": 0.0}, "markets[0].spot"),
        ({"spotConf": -0.1}, "markets[0].spotConf"),
        ({"perpPos": "one"}, "markets[0].perpPos"),
        ({"expiries": [expiry(), expiry()]}, "markets[0].expiries[1].secToExpiry"),
    ],
)
def test_bad_input_is_named(over: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        result(market(**over), cash=1.0)
    assert words in str(caught.value)


def test_base_in_a_market_without_parameters_is_named() -> None:
    with pytest.raises(DataError, match="SOL"):
        result(market("SOL", base=1.0))


def test_an_empty_account_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        result(market())
