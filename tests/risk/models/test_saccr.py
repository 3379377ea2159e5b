"""SA-CCR against the five examples of BCBS 279, annex 4a (thousands of USD), retyped."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk.models import saccr
from keeper.risk.models.documents import document, evaluate
from keeper.risk.models.saccr import SaccrResult
from tests.risk.models.twin import loaded


def trade(factor: str, market_value: float, notional: float, years: float, **over: Any) -> dict[str, Any]:
    common = {"factor": factor, "market_value": market_value, "notional": notional, "maturity_y": years}
    return {**common, "direction": "long", **over}


RATES: Final = [
    trade("interest_rate", 30, 10_000, 10, hedging_set="USD"),
    trade("interest_rate", -20, 10_000, 4, hedging_set="USD", direction="short"),
    trade(
        "interest_rate",
        50,
        5_000,
        11,
        hedging_set="EUR",
        start_y=1,
        end_y=11,
        option={"right": "put", "bought": True, "price": 0.06, "strike": 0.05, "exercise_y": 1},
    ),
]
CREDIT: Final = [
    trade("credit/AA", 20, 10_000, 3, entity="firm A"),
    trade("credit/BBB", -40, 10_000, 6, entity="firm B", direction="short"),
    trade("credit_index/IG", 0, 10_000, 5, entity="CDX.IG"),
]
COMMODITIES: Final = [
    trade("commodity/oil_gas", -50, 10_000, 0.75, hedging_set="energy", entity="crude oil"),
    trade("commodity/oil_gas", -30, 20_000, 2, hedging_set="energy", entity="crude oil", direction="short"),
    trade("commodity/metals", 100, 10_000, 5, hedging_set="metals", entity="silver"),
]
MARGINED: Final = {
    "collateral": 200,
    "margin": {"threshold": 0, "minimum_transfer": 5, "nica": 150, "period_days": 14},
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "ex1": {"trades": RATES},
    "ex2": {"trades": CREDIT},
    "ex3": {"trades": COMMODITIES},
    "ex4": {"trades": RATES + CREDIT},
    "ex5": {"trades": RATES + COMMODITIES, **MARGINED},
}


def exposure(netting_set: dict[str, Any], **shared: Any) -> SaccrResult:
    (found,) = evaluate(saccr.MODEL, document({"cases": [netting_set], **shared}))
    assert isinstance(found, SaccrResult)
    return found


@pytest.mark.parametrize(
    ("name", "ead", "addon", "multiplier"),
    [
        ("ex1", 569, 347, 1.0),
        ("ex2", 381, 282, 0.965),
        ("ex3", 5406, 3841, 1.0),
        ("ex4", 936, 629, 1.0),
        ("ex5", 1879, 1401, 0.958),
    ],
)
def test_published_examples(name: str, ead: float, addon: float, multiplier: float) -> None:
    found = exposure(EXAMPLES[name])
    assert found.ead == pytest.approx(ead, abs=0.5)
    assert found.addon == pytest.approx(addon, abs=0.5)
    assert found.multiplier == pytest.approx(multiplier, abs=5e-4)


def test_examples_to_nine_digits() -> None:
    for name, recorded in loaded("saccr/bcbs279_examples.json").items():
        found = exposure(EXAMPLES[name])
        assert found.ead == pytest.approx(recorded["EAD"], rel=1e-9), name
        assert found.addon == pytest.approx(recorded["addon"], rel=1e-9), name
        assert found.rc == recorded["RC"], name
        assert found.multiplier == pytest.approx(recorded.get("multiplier", 1.0), rel=1e-9), name


def test_known_addons_need_no_trades() -> None:
    file = loaded("saccr/bcbs279_examples.json")
    for recorded, found in zip(file.values(), evaluate(saccr.MODEL, document(file)), strict=True):
        assert found.ead == pytest.approx(recorded["EAD"], rel=1e-12)
        assert found.addon_fx is None


def test_parts_add_up() -> None:
    found = exposure({"trades": RATES + CREDIT + COMMODITIES})
    parts = (found.addon_interest_rate, found.addon_credit, found.addon_commodity)
    assert parts == pytest.approx((346.7643863838184, 282.1288318596666, 3841.1542731880104), rel=1e-12)
    assert found.addon_fx == found.addon_equity == 0.0


def test_currency_pairs_net_within_a_pair() -> None:
    long = trade("fx", 0, 1000, 2, hedging_set="EUR/USD")
    short = {**long, "direction": "short", "notional": 400}
    other = {**short, "hedging_set": "GBP/USD"}
    assert exposure({"trades": [long, short]}).addon == pytest.approx(0.04 * 600)
    assert exposure({"trades": [long, other]}).addon == pytest.approx(0.04 * 1400)


def test_equities_hedge_each_other_in_part() -> None:
    long = trade("equity", 0, 1000, 2, entity="A")
    short = trade("equity_index", 0, 1000, 2, entity="I", direction="short")
    a, b = 320.0, -200.0
    expected = ((0.5 * a + 0.8 * b) ** 2 + 0.75 * a**2 + 0.36 * b**2) ** 0.5
    assert exposure({"trades": [long, short]}).addon == pytest.approx(expected)


def test_the_supervisory_table_is_input() -> None:
    own = {"factors": {"commodity/bitcoin": {"asset_class": "commodity", "factor": 0.5, "correlation": 0.4}}}
    coin = trade("commodity/bitcoin", 0, 1000, 2, hedging_set="coins", entity="BTC")
    assert exposure({"trades": [coin]}, params=own).addon == pytest.approx(500.0)


def test_a_margin_agreement_never_raises_the_exposure() -> None:
    """A threshold so high that nothing is ever called: CRE52.2 caps at the unmargined exposure."""
    loose = {"threshold": 1e6, "minimum_transfer": 0, "nica": 0, "period_days": 14}
    assert exposure({"trades": RATES, "margin": loose}).ead == exposure({"trades": RATES}).ead


short_dated = st.floats(0.1, 20)


@given(
    value=st.floats(-1e4, 1e4), notional=st.floats(0, 1e6), years=short_dated, collateral=st.floats(-1e4, 1e4)
)
def test_bounds(value: float, notional: float, years: float, collateral: float) -> None:
    one = trade("fx", value, notional, years, hedging_set="EUR/USD")
    found = exposure({"trades": [one], "collateral": collateral})
    assert 0.05 <= found.multiplier <= 1.0
    assert found.ead >= 1.4 * max(0.0, value - collateral) - 1e-9
    more = exposure({"trades": [one], "collateral": collateral + 100.0})
    assert more.ead <= found.ead + 1e-9


@given(scale=st.sampled_from([0.5, 2.0, 1000.0]))
def test_homogeneity(scale: float) -> None:
    trades = RATES + CREDIT + COMMODITIES
    larger = [
        {**t, "notional": t["notional"] * scale, "market_value": t["market_value"] * scale} for t in trades
    ]
    assert exposure({"trades": larger}).ead == pytest.approx(exposure({"trades": trades}).ead * scale)


FINE: Final = trade("fx", 0, 1000, 2, hedging_set="EUR/USD")


@pytest.mark.parametrize(
    ("netting_set", "words"),
    [
        ({"trades": []}, "trades"),
        ({}, "trades"),
        ({"trades": [{**FINE, "notional": -1}]}, "trades[0].notional"),
        ({"trades": [{**FINE, "maturity_y": -1}]}, "trades[0].maturity_y"),
        ({"trades": [{**FINE, "market_value": "5"}]}, "trades[0].market_value"),
        ({"trades": [{**FINE, "direction": "up"}]}, "trades[0].direction"),
        ({"trades": [{**FINE, "start_y": 3, "end_y": 1}]}, "trades[0].end_y"),
        ({"trades": [{**FINE, "factor": "crypto"}]}, "crypto"),
        ({"trades": [FINE], "collateral": float("inf")}, "collateral"),
        ({"trades": [FINE], "margin": {"threshold": 0}}, "margin.minimum_transfer"),
        ({"addon": 5, "RC": 0}, "multiplier"),
        ({"addon": -5, "RC": 0}, "addon"),
    ],
)
def test_bad_input_is_named(netting_set: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        exposure(netting_set)
    assert words in str(caught.value)


def test_one_entity_has_one_factor() -> None:
    twice = [CREDIT[0], {**CREDIT[1], "entity": "firm A"}]
    with pytest.raises(DataError, match="expected one supervisory factor"):
        exposure({"trades": twice})
