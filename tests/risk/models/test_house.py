"""The house requirement: its parts by hand, what must hold for every book, and its JSON form."""

import copy
import json
import math
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk.book import Instruments, Kind, book_of, instruments
from keeper.risk.models import house_book
from keeper.risk.models.documents import document, evaluate
from keeper.risk.models.house import (
    HouseRequirement,
    HouseRules,
    Liquidity,
    exposures,
    house_requirement,
    unit_exposures,
)
from keeper.risk.models.house_book import HouseResult
from keeper.risk.scenarios import Scenarios, grid, scenarios

COINS: Final = ("BTC", "ETH")
RULES: Final = HouseRules(
    es_level=0.9,
    basis_rate=0.01,
    impact=1.0,
    concentration_share=0.1,
    concentration_rate=0.5,
    maintenance_factor=0.8,
)
FREE: Final = Liquidity(
    half_spread=np.zeros(2), vol_spread=np.zeros(2), volume_usd=np.full(2, 1e30), daily_vol=np.zeros(2)
)
DEPTH: Final = Liquidity(
    half_spread=np.array([1e-4, 2e-4]),
    vol_spread=np.array([0.01, 0.02]),
    volume_usd=np.array([1e8, 5e7]),
    daily_vol=np.array([0.03, 0.04]),
)

# id, underlying, kind, strike, years, forward, vol
CONTRACTS: Final = (
    ("a:1:BTC-PERP", 0, Kind.PERP, 0.0, 0.0, 60_000.0, 0.0),
    ("b:2:BTC-PERP", 0, Kind.PERP, 0.0, 0.0, 60_000.0, 0.0),
    ("a:1:BTC-FUT", 0, Kind.FUTURE, 0.0, 0.25, 61_000.0, 0.0),
    ("a:1:BTC-C", 0, Kind.CALL, 65_000.0, 0.25, 61_000.0, 0.6),
    ("a:1:BTC-P", 0, Kind.PUT, 65_000.0, 0.25, 61_000.0, 0.6),
    ("spot:ETH", 1, Kind.SPOT, 0.0, 0.0, 2_000.0, 0.0),
    ("a:1:ETH-P", 1, Kind.PUT, 1_800.0, 0.1, 2_010.0, 0.8),
)
NAMES: Final = tuple(row[0] for row in CONTRACTS)


def columns() -> Instruments:
    ids, underlying, kind, strike, expiry, forward, vol = zip(*CONTRACTS, strict=True)
    n = len(ids)
    return instruments(
        ids=ids,
        underlyings=COINS,
        underlying=underlying,
        kind=[int(k) for k in kind],
        strike_usd=strike,
        expiry_y=expiry,
        forward_usd=forward,
        vol=vol,
        discount=np.ones(n),
        inverse=np.zeros(n, dtype=np.bool_),
    )


COLUMNS: Final = columns()
GRID: Final = grid(COINS)
RECORD: Final = scenarios(
    COINS,
    [f"day{n}" for n in range(20)],
    spot_move=0.2 * np.sin(np.arange(40).reshape(20, 2)),
    vol_move=0.5 * np.cos(np.arange(40).reshape(20, 2)),
    perp_basis_move=0.01 * np.sin(np.arange(40).reshape(20, 2) + 1.0),
)
FILTERED: Final = scenarios(COINS, RECORD.names, spot_move=0.5 * RECORD.spot_move, vol_move=RECORD.vol_move)


def required(
    sizes: dict[str, float],
    *,
    market: Liquidity = DEPTH,
    filtered: Scenarios = FILTERED,
    record: Scenarios = RECORD,
    rules: HouseRules = RULES,
) -> HouseRequirement:
    book = book_of([("one", id_, size) for id_, size in sizes.items()], cash_usd={"one": 0.0}, over=COLUMNS)
    return house_requirement(
        COLUMNS, book, grid=GRID, filtered=filtered, record=record, liquidity=market, rules=rules
    )


def test_the_example_of_two_venues() -> None:
    """Long 10 BTC on one venue, short 9 on the other, 60,000, 16 % scan, 1 % basis: 9,600 + 5,400."""
    still = scenarios(COINS, ["none"])
    found = required({"a:1:BTC-PERP": 10.0, "b:2:BTC-PERP": -9.0}, market=FREE, filtered=still, record=still)
    assert found.scan_usd == pytest.approx(9_600.0)
    assert found.basis_usd == pytest.approx(5_400.0)
    assert found.initial_usd == pytest.approx(15_000.0)
    assert found.maintenance_usd == pytest.approx(12_000.0)


def test_every_charge_by_hand() -> None:
    found = required({"a:1:BTC-PERP": -1_000.0})
    notional, volume = 60e6, 1e8
    cost = notional * (1e-4 + 0.03 * math.sqrt(notional / volume))
    assert found.liquidity_usd == pytest.approx(cost)
    assert found.concentration_usd == pytest.approx(0.5 * (0.6 - 0.1) * notional)
    assert found.basis_usd == 0.0
    worst = 0.2 * np.sort(np.sin(np.arange(0, 40, 2)))[-2:].mean()
    # The worst tenth of 20 days is two, plus the basis of the perp; long moves hurt a short.
    profit = -60e6 * ((1 + RECORD.spot_move[:, 0]) * (1 + RECORD.perp_basis_move[:, 0]) - 1)
    assert found.floor_usd == pytest.approx(-np.sort(profit)[:2].mean())
    assert found.floor_usd == pytest.approx(60e6 * worst, rel=0.1)
    assert found.es_usd == pytest.approx(60e6 * 0.5 * worst)
    assert found.initial_usd == pytest.approx(max(_parts(found)[:3]) + cost + found.concentration_usd)


def test_options_pay_their_vol_spread() -> None:
    option = required(
        {"a:1:ETH-P": -10.0}, market=Liquidity(**{**_fields(FREE), "vol_spread": np.array([0, 0.02])})
    )
    (leg,) = [
        leg
        for leg in exposures(unit_exposures(COLUMNS), np.array([0, 0, 0, 0, 0, 0, -10.0]))
        if leg.delta_usd
    ]
    d1 = (math.log(2_010 / 1_800) + 0.5 * 0.64 * 0.1) / (0.8 * math.sqrt(0.1))
    vega = 2_010 * math.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi) * math.sqrt(0.1)
    assert leg.gross_vega_usd_per_vol == pytest.approx(10 * vega)
    assert option.liquidity_usd == pytest.approx(10 * vega * 0.02)


def test_one_forward_carries_no_basis_against_itself() -> None:
    """A synthetic forward against the future of its expiry and venue: one leg, nothing hedged."""
    synthetic = {"a:1:BTC-C": 5.0, "a:1:BTC-P": -5.0, "a:1:BTC-FUT": -5.0}
    assert required(synthetic, market=FREE).basis_usd == pytest.approx(0.0, abs=1e-6)
    assert required(synthetic, market=FREE).scan_usd == pytest.approx(0.0, abs=1e-6)
    against_perp = {"a:1:BTC-C": 5.0, "a:1:BTC-P": -5.0, "a:1:BTC-PERP": -5.0}
    assert required(against_perp, market=FREE).basis_usd == pytest.approx(0.01 * 5 * 60_000.0, rel=0.02)


def test_the_floor_holds_the_requirement_up_in_calm_times() -> None:
    calm = scenarios(COINS, ["calm"], spot_move=-0.001)
    wild = scenarios(COINS, ["wild"], spot_move=-0.5)
    found = required({"spot:ETH": 100.0}, filtered=calm, record=wild)
    assert found.floor_usd == pytest.approx(100_000.0)
    scan, es, floor, *_ = _parts(found)
    assert found.initial_usd >= floor > scan > es


def test_without_a_history_the_scan_stands_alone() -> None:
    book = book_of([("one", NAMES[0], -10.0)], cash_usd={"one": 0.0}, over=COLUMNS)
    found = house_requirement(COLUMNS, book, grid=GRID, liquidity=DEPTH, rules=RULES)
    assert (found.var_usd, found.es_usd, found.floor_usd) == (None, None, None)
    charges = found.basis_usd + found.liquidity_usd + found.concentration_usd
    assert found.initial_usd == pytest.approx(found.scan_usd + charges)


def test_an_empty_history_is_no_history_of_nothing() -> None:
    with pytest.raises(DataError, match="filtered"):
        required({NAMES[0]: 1.0}, filtered=scenarios(COINS, []))


sizes = st.dictionaries(st.sampled_from(NAMES), st.floats(-1e4, 1e4), min_size=1)


def _parts(found: HouseRequirement) -> tuple[float, ...]:
    assert found.es_usd is not None
    assert found.floor_usd is not None
    return (
        found.scan_usd,
        found.es_usd,
        found.floor_usd,
        found.basis_usd,
        found.liquidity_usd,
        found.concentration_usd,
    )


@given(sizes)
def test_parts_are_never_negative_and_make_the_total(book: dict[str, float]) -> None:
    found = required(book)
    scan, es, floor, *charges = _parts(found)
    assert min(_parts(found)) >= 0.0
    assert found.initial_usd == pytest.approx(max(scan, es, floor) + sum(charges), rel=1e-12)
    assert found.maintenance_usd == pytest.approx(0.8 * found.initial_usd)
    assert found.scan_usd == max(0.0, -found.grid_pnl_usd[found.worst])


@given(sizes)
def test_a_book_and_its_mirror_need_nothing(book: dict[str, float]) -> None:
    held = [(name, id_, sign * size) for name, sign in (("a", 1), ("b", -1)) for id_, size in book.items()]
    both = book_of(held, cash_usd={"a": 0.0, "b": 0.0}, over=COLUMNS)
    found = house_requirement(
        COLUMNS, both, grid=GRID, filtered=FILTERED, record=RECORD, liquidity=DEPTH, rules=RULES
    )
    assert found.initial_usd == 0.0


@given(sizes, sizes)
def test_netting_never_raises_the_risk(one: dict[str, float], other: dict[str, float]) -> None:
    together = {id_: one.get(id_, 0.0) + other.get(id_, 0.0) for id_ in {**one, **other}}
    parts = zip(_parts(required(together)), _parts(required(one)), _parts(required(other)), strict=True)
    for whole, first, second in list(parts)[:3]:
        assert whole <= first + second + 1e-9 * (1.0 + first + second)


@given(sizes, st.sampled_from([0.5, 2.0, 16.0]))
def test_risk_grows_with_the_book_and_costs_grow_faster(book: dict[str, float], factor: float) -> None:
    before = _parts(required(book))
    after = _parts(required({id_: size * factor for id_, size in book.items()}))
    for small, large in list(zip(before, after, strict=True))[:4]:
        assert large == pytest.approx(factor * small, rel=1e-9, abs=1e-6)
    for small, large in list(zip(before, after, strict=True))[4:]:
        scaled = factor * small
        slack = 1e-9 * (1.0 + scaled)
        assert large >= scaled - slack if factor > 1.0 else large <= scaled + slack


def test_the_split_over_accounts_does_not_matter() -> None:
    rows = [("a", NAMES[0], 3.0), ("b", NAMES[0], -1.0), ("b", NAMES[3], 2.0)]
    split = book_of(rows, cash_usd={"a": 0.0, "b": 0.0}, over=COLUMNS)
    found = house_requirement(
        COLUMNS, split, grid=GRID, filtered=FILTERED, record=RECORD, liquidity=DEPTH, rules=RULES
    )
    assert _parts(found) == pytest.approx(_parts(required({NAMES[0]: 2.0, NAMES[3]: 2.0})), rel=1e-12)


def _fields(market: Liquidity) -> dict[str, Any]:
    return {name: getattr(market, name) for name in ("half_spread", "vol_spread", "volume_usd", "daily_vol")}


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("volume_usd", [0.0, 1.0]),
        ("volume_usd", [1.0]),
        ("half_spread", [-1.0, 0.0]),
        ("daily_vol", [np.nan, 0.0]),
    ],
)
def test_unfit_depth_is_named(field: str, column: list[float]) -> None:
    with pytest.raises(DataError, match=field):
        required({NAMES[0]: 1.0}, market=Liquidity(**{**_fields(DEPTH), field: np.array(column)}))


@pytest.mark.parametrize("field", ["es_level", "impact", "basis_rate", "maintenance_factor"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_unfit_rules_are_named(field: str, value: float) -> None:
    fit = {name: getattr(RULES, name) for name in HouseRules.__slots__}
    with pytest.raises(DataError, match=field):
        HouseRules(**{**fit, field: value})


# The JSON form

DAYS: Final = 30
BOOK: Final[dict[str, Any]] = {
    "params": {
        "grid": {"spot_range": 0.16, "buckets": 4, "vol_up": 0.4, "vol_down": 0.22},
        "history": {
            "step_s": 86_400,
            "times_s": [86_400 * day for day in range(DAYS)],
            "underlyings": {
                "BTC": {"spot_usd": [60_000.0 * math.exp(0.05 * math.sin(day)) for day in range(DAYS)]},
                "ETH": {"spot_usd": [2_000.0 * math.exp(0.08 * math.cos(day)) for day in range(DAYS)]},
            },
        },
        "es_level": 0.95,
        "basis_rate": 0.01,
        "impact": 1,
        "concentration_share": 0.1,
        "concentration_rate": 0.5,
        "maintenance_factor": 0.8,
    },
    "cases": [
        {
            "id": "desk",
            "market": {
                "BTC": {"half_spread": 1e-4, "vol_spread": 0.01, "volume_usd": 1e10, "daily_vol": 0.03},
                "ETH": {"half_spread": 2e-4, "vol_spread": 0.01, "volume_usd": 5e9, "daily_vol": 0.04},
            },
            "instruments": [
                {"id": "d:0:BTC-PERP", "underlying": "BTC", "kind": "perp", "forward_usd": 60_000},
                {
                    "id": "d:0:BTC-C",
                    "underlying": "BTC",
                    "kind": "call",
                    "forward_usd": 60_500,
                    "strike_usd": 65_000,
                    "expiry_y": 0.1,
                    "vol": 0.6,
                },
                {"id": "spot:ETH", "underlying": "ETH", "kind": "spot", "forward_usd": 2_000},
            ],
            "positions": [
                {"account": "a", "instrument": "d:0:BTC-PERP", "size_base": -2},
                {"account": "b", "instrument": "d:0:BTC-C", "size_base": 3},
                {"account": "b", "instrument": "spot:ETH", "size_base": 5},
            ],
            "cash_usd": {"a": 50_000},
        }
    ],
}


def answer(parsed: Any) -> HouseResult:
    (found,) = evaluate(house_book.MODEL, document(parsed))
    assert isinstance(found, HouseResult)
    return found


def changed(*path: str | int, value: Any) -> Any:
    tree = copy.deepcopy(BOOK)
    at: Any = tree
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return tree


def test_a_book_in_json() -> None:
    found = answer(json.loads(json.dumps(BOOK)))
    assert found.im == pytest.approx(
        max(found.scan, found.es, found.floor) + found.basis + found.liquidity + found.concentration
    )
    assert found.mm == pytest.approx(0.8 * found.im)
    assert found.scan == pytest.approx(-found.scenario_pnl[found.worst_im])
    assert len(found.scenario_pnl) == 27 + 8
    # Cash and spot at face value, the call at its price, the perp settled.
    assert 50_000.0 + 10_000.0 < found.mtm < 70_000.0 + 3 * 6_000.0
    assert found.es > 0.0
    assert found.floor > 0.0


def test_a_single_book_brings_its_own_parameters() -> None:
    single = {"params": BOOK["params"], **BOOK["cases"][0]}
    assert answer(single) == answer(BOOK)


def test_the_form_in_the_docstring_is_the_one_that_is_read() -> None:
    text = house_book.__doc__ or ""
    example = text[text.index("{") : text.index("Optional:")].replace("[...]", "[]")
    parsed = json.loads(example)
    assert parsed["params"].keys() == BOOK["params"].keys()
    assert parsed["cases"][0].keys() == BOOK["cases"][0].keys()
    parsed["params"]["history"] = BOOK["params"]["history"]
    assert answer(parsed).id == "desk"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("cases", 0, "positions"), [], "positions"),
        (("cases", 0, "positions", 1, "instrument"), "d:0:SOL", "positions[1].instrument"),
        (("cases", 0, "positions", 1, "size_base"), math.nan, "positions[1].size_base"),
        (("cases", 0, "instruments", 1, "expiry_y"), -0.1, "instruments[1].expiry_y"),
        (("cases", 0, "instruments", 1, "vol"), None, "instruments[1].vol"),
        (("cases", 0, "instruments", 1, "kind"), "warrant", "instruments[1].kind"),
        (("cases", 0, "instruments", 1, "id"), "d:0:BTC-PERP", "instruments[1].id"),
        (("cases", 0, "instruments", 2, "underlying"), "SOL", "instruments[2].underlying"),
        (("cases", 0, "instruments", 2, "discount"), 0, "instruments[2].discount"),
        (("cases", 0, "market", "ETH"), {}, "market.ETH.half_spread"),
        (("cases", 0, "market", "ETH", "volume_usd"), 0, "volume_usd"),
        (("cases", 0, "cash_usd", "a"), "much", "cash_usd.a"),
        (("params", "history", "underlyings", "ETH", "spot_usd"), [1.0], "ETH.spot_usd"),
        (("params", "history", "underlyings", "ETH", "spot_usd"), [0.0] * DAYS, "ETH.spot_usd[0]"),
        (("params", "history", "underlyings"), {}, "history.underlyings"),
        (("params", "history", "times_s"), [0.5] * DAYS, "times_s"),
        (("params", "history", "step_s"), 5, "step"),
        (("params", "grid", "buckets"), 0, "params.grid.buckets"),
        (("params", "grid", "spot_range"), 2.0, "spot_range"),
        (("params", "es_level"), 1.0, "es_level"),
    ],
)
def test_bad_input_is_named(path: tuple[str | int, ...], value: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        answer(changed(*path, value=value))
    assert words in str(caught.value)


def test_an_underlying_without_history_is_named() -> None:
    series = {"BTC": BOOK["params"]["history"]["underlyings"]["BTC"]}
    with pytest.raises(DataError, match=r"cases\[0\] \(desk\).*ETH"):
        answer(changed("params", "history", "underlyings", value=series))


@given(st.floats(1e300, 1e308))
@settings(max_examples=5)
def test_sizes_that_overflow_give_no_margin(size: float) -> None:
    with pytest.raises(DataError):
        answer(changed("cases", 0, "positions", 0, "size_base", value=size))
