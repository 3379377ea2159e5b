"""Deribit's portfolio margin: two recorded answers, one worked option, and what must hold otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.risk.models.deribit_params import EXTENDED_MOVES, params
from keeper.risk.models.deribit_pme import MODEL, extended_cells, standard_cells
from keeper.risk.models.deribit_portfolio import portfolio
from keeper.risk.models.documents import document, evaluate
from tests.risk.models.deribit_cases import CALL, PARAMS, case, result
from tests.risk.models.twin import loaded, record


def test_recorded_answers_to_the_last_digit() -> None:
    recorded = loaded("deribit_pme/pme_simulate_cases.json")
    for answer, ours in zip(recorded, evaluate(MODEL, document(recorded)), strict=True):
        assert ours.im == answer["initial_margin"]
        assert ours.mm == pytest.approx(answer["maintenance_margin"], abs=1e-15)
        assert ours.risk_matrix == pytest.approx(answer["risk_matrix_margin"], abs=1e-15)
        assert ours.worst_case == pytest.approx(answer["worst_case"], abs=1e-15)
        assert ours.roll_shock == pytest.approx(answer["roll_shock"], abs=1e-15)
        assert ours.delta_shock == answer["delta_shock"]
        assert ours.worst_im == answer["worst_case_bucket"]["index"] - 1
        cells = answer["aggregated"]["standard"] + answer["aggregated"]["extended"]
        assert ours.scenario_pnl == pytest.approx(cells, abs=1e-15)


def test_recorded_risk_vectors_of_single_instruments() -> None:
    for answer in loaded("deribit_pme/pme_simulate_cases.json"):
        p = params(record(answer)).pair("any")
        for leg in portfolio("x", record(answer)).legs:
            vectors = answer["initial_risk_vectors"][leg.instrument]
            standard = standard_cells(p, leg, inverse=True)
            extended = extended_cells(p, leg, inverse=True)
            assert standard == pytest.approx(vectors["standard"], abs=1e-15)
            assert extended == pytest.approx(vectors["extended"], abs=1e-15)


def test_the_example_of_the_documentation_without_the_file() -> None:
    """BTC, June 2024: numbers as printed by docs.deribit.com private/pme/simulate."""
    ours = result(
        {"BTC-PERPETUAL": 0.314538364, "BTC-28JUN24": -0.001187534},
        mark={"BTC-PERPETUAL": 65_910.57, "BTC-28JUN24": 67_371.75},
        index_price=65_666.19,
        timestamp_ms=1_718_619_740_501,
        mmp_margin=0.06,
        open_orders_margin=1.8212e-05,
    )
    assert ours.im == 0.122861343
    assert ours.mm == pytest.approx(0.050274504784, abs=1e-15)
    assert ours.worst_case == pytest.approx(0.05968587238095239, abs=1e-15)
    assert ours.roll_shock == pytest.approx(0.00315725898, abs=1e-15)


def test_a_short_call() -> None:
    """Own worked example: short 70,000 call, forward 65,000, 10 days, vol 60 %."""
    ours = result({CALL: -1.0})
    assert ours.worst_case == pytest.approx(0.09307652384358249, rel=1e-12)
    assert ours.worst_im == 26  # +16 %, vol up: the last of the standard cells
    assert ours.scenario_pnl[27 + 3] == 0.0  # +100 %: the dampener takes it all
    hundred = result({CALL: -100.0})
    assert hundred.scenario_pnl[27 + 3] == pytest.approx(-5.394227191357075, rel=1e-12)
    p = params(record(case({}))).pair("BTC")
    (leg,) = portfolio("x", record(case({CALL: -1.0}))).legs
    raw = extended_cells(p, leg, inverse=True)
    assert raw[3] == pytest.approx(-0.12357091912842487, rel=1e-12)


@pytest.mark.parametrize("move", range(8))
def test_extended_moves_charge_a_future_as_the_edge_of_the_range(move: int) -> None:
    p = params(record(case({}))).pair("BTC")
    for inverse in (True, False):
        (leg,) = portfolio("x", record(case({"BTC-PERPETUAL": 2.0}))).legs
        standard = standard_cells(p, leg, inverse=inverse)
        extended = extended_cells(p, leg, inverse=inverse)
        edge = standard[0] if EXTENDED_MOVES[move] < 0.0 else standard[-1]
        assert extended[move] == pytest.approx(edge, rel=1e-12)


def test_linear_contracts_settle_in_usd() -> None:
    ours = result({"BTC-PERPETUAL": 2.0}, contract="linear")
    assert ours.worst_case == pytest.approx(0.16 * 2.0 * 65_000.0)
    assert ours.roll_shock == pytest.approx(0.01 * 2.0 * 65_000.0)


def test_roll_shock_nets_within_an_expiry_only() -> None:
    spread = result({"BTC-PERPETUAL": 1.0, "BTC-28JUN24": -1.0})
    assert spread.worst_case == pytest.approx(0.0, abs=1e-12)
    assert spread.roll_shock == pytest.approx(0.02)
    # A year out, exp(0.075) - 1 exceeds the least move.
    assert result({"BTC-28JUN24": 1.0}, days=365.0).roll_shock == pytest.approx(0.07788415088463153)


def test_a_large_delta_costs_extra_up_to_the_cap() -> None:
    slow = {**PARAMS, "m_inc": 1e-9}
    # 400 BTC at 65,000 is 6 million above the threshold.
    assert result({"BTC-PERPETUAL": 400.0}, model_params=slow).delta_shock == pytest.approx(0.006 * 400.0)
    assert result({"BTC-PERPETUAL": 400.0}).delta_shock == pytest.approx(0.1 * 400.0)
    assert result({"BTC-PERPETUAL": 300.0}).delta_shock == 0.0


def test_gains_of_one_pair_offset_another_in_part() -> None:
    half = {**PARAMS, "pnl_offset": 0.5, "max_offsetable_pnl": 1e9}
    pairs = {"BTC_USDC": half, "ETH_USDC": half}
    both = case(
        {"BTC_USDC-PERPETUAL": 1.0, "ETH_USDC-PERPETUAL": -10.0},
        contract="linear",
        mark={"BTC_USDC-PERPETUAL": 65_000.0, "ETH_USDC-PERPETUAL": 3_000.0},
        index_price={"BTC_USDC": 65_000.0, "ETH_USDC": 3_000.0},
        model_params=pairs,
    )
    (ours,) = evaluate(MODEL, document([both]))
    assert ours.worst_case == pytest.approx(0.16 * (65_000.0 - 0.5 * 30_000.0))
    capped = {**both, "model_params": {**pairs, "ETH_USDC": {**half, "max_offsetable_pnl_usd": 100.0}}}
    (ours,) = evaluate(MODEL, document([capped]))
    assert ours.worst_case == pytest.approx(0.16 * 65_000.0 - 100.0)


@given(size=st.floats(-50, 50), perp=st.floats(-50, 50))
def test_requirements_are_never_negative(size: float, perp: float) -> None:
    ours = result({CALL: size, "BTC-PERPETUAL": perp})
    assert 0.0 <= ours.mm <= ours.im + 1e-9
    assert len(ours.scenario_pnl) == 27 + 8


def test_an_option_at_its_expiry_is_worth_its_intrinsic_value() -> None:
    ours = result({"BTC-28JUN24-60000-C": 1.0}, days=0.0, iv={"BTC-28JUN24-60000-C": 0.6})
    down = 65_000.0 * 0.84
    expected = max(0.0, down - 60_000.0) / down - 5_000.0 / 65_000.0
    assert ours.scenario_pnl[:3] == pytest.approx([expected] * 3)


def test_pairs_with_different_tables_cannot_be_added() -> None:
    mark = {"BTC-PERPETUAL": 65_000.0, "ETH-PERPETUAL": 3_000.0}
    params = {"BTC": PARAMS, "ETH": {**PARAMS, "buckets_count": 5}}
    with pytest.raises(DataError, match="BTC 35, ETH 41"):
        result({"BTC-PERPETUAL": 1.0, "ETH-PERPETUAL": 1.0}, mark=mark, model_params=params)
