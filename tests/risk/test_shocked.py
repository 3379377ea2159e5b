"""Contracts after a scenario: their value there, less their value today, is what revaluation says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk import black76
from keeper.risk.book import Instruments, Kind, instruments, subset
from keeper.risk.inputs import Floats
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios, scenarios
from keeper.risk.shocked import shocked

NAMES = ("BTC", "ETH")


def columns(*, inverse: bool = False) -> Instruments:
    return instruments(
        ids=["spot", "perp", "future", "call", "put", "dead", "wing"],
        underlyings=NAMES,
        underlying=[0, 1, 1, 1, 0, 1, 0],
        kind=[Kind.SPOT, Kind.PERP, Kind.FUTURE, Kind.CALL, Kind.PUT, Kind.CALL, Kind.CALL],
        strike_usd=[0.0, 0.0, 0.0, 2_100.0, 38_000.0, 1_900.0, 90_000.0],
        expiry_y=[0.0, 0.0, 0.2, 0.1, 0.5, 0.0, 0.02],
        forward_usd=[40_000.0, 2_000.0, 2_010.0, 2_005.0, 40_400.0, 2_000.0, 40_010.0],
        vol=[0.0, 0.0, 0.0, 0.8, 0.6, 0.0, 1.4],
        discount=[1.0, 1.0, 1.0, 0.99, 0.95, 1.0, 1.0],
        inverse=[False, inverse, False, False, False, False, False],
    )


def value_usd(held: Instruments) -> Floats:
    """Value of one unit of each, straight from Black-76."""
    unit = held.forward_usd.copy()
    o = held.is_option
    unit[o] = black76.price(
        held.forward_usd[o],
        held.strike_usd[o],
        held.expiry_y[o],
        held.vol[o],
        call=held.kind[o] == Kind.CALL,
        discount=held.discount[o],
    )
    return unit


moves = st.floats(-0.9, 2.0)


@settings(deadline=None)
@given(
    moves, moves, st.floats(-1.0, 2.0), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-0.2, 0.2)
)
def test_value_after_less_value_before_is_the_profit(
    btc: float, eth: float, vol: float, perp: float, future: float, skew: float
) -> None:
    table = scenarios(
        NAMES,
        ["still", "moved"],
        spot_move=[[0.0, 0.0], [btc, eth]],
        vol_move=[0.0, vol],
        perp_basis_move=[0.0, perp],
        future_basis_move=[0.0, future],
        skew_move=[0.0, skew],
        vol_power_short=0.3,
        vol_power_long=0.13,
        vol_floor=0.2,
    )
    before, profit = columns(), revalue(columns(), table)
    for row in range(2):
        gained = value_usd(shocked(before, table, row)) - value_usd(before)
        assert gained == pytest.approx(profit[:, row], rel=1e-9, abs=1e-6)


def test_nothing_moves_in_a_scenario_of_nothing() -> None:
    after = shocked(columns(), scenarios(NAMES, ["still"]), 0)
    assert np.array_equal(after.forward_usd, columns().forward_usd)
    assert np.array_equal(after.vol, columns().vol)


def test_scenarios_may_list_their_underlyings_in_another_order() -> None:
    table: Scenarios = scenarios(("SOL", "ETH", "BTC"), ["x"], spot_move=[[0.5, 0.1, -0.2]])
    after = shocked(columns(), table, 0)
    assert after.forward_usd / columns().forward_usd == pytest.approx([0.8, 1.1, 1.1, 1.1, 0.8, 1.1, 0.8])


def test_coin_settled_contracts_and_strange_underlyings_are_refused() -> None:
    with pytest.raises(UnfitValueError, match=r"inverse\[1\]"):
        shocked(columns(inverse=True), scenarios(NAMES, ["x"]), 0)
    with pytest.raises(UnfitValueError, match="underlyings"):
        shocked(columns(), scenarios(("ETH",), ["x"]), 0)


def test_a_subset_keeps_its_columns_together() -> None:
    kept = subset(columns(), [4, 0])
    assert kept.ids == ("put", "spot")
    assert kept.strike_usd.tolist() == [38_000.0, 0.0]
    assert kept.underlyings == NAMES
    assert not len(subset(columns(), []))
    with pytest.raises(UnfitValueError, match="rows"):
        subset(columns(), [7])
