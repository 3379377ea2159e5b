"""One bet at a time: basis, skew, coins apart."""

import numpy as np
import pytest

from keeper.model.errors import UnfitValueError
from keeper.risk.scenarios import grid, scenarios
from keeper.risk.shocks import (
    basis_scenarios,
    futures_apart,
    one_at_a_time,
    per_expiry,
    skew_scenarios,
)


def test_basis_moves_perp_and_future_in_every_combination_but_none() -> None:
    table = basis_scenarios(["BTC", "ETH"], perp_range=0.01, future_range=[0.02, 0.03])
    assert len(table) == 8
    assert not table.spot_move.any()
    pairs = {(p, f) for p, f in zip(table.perp_basis_move[:, 1], table.future_basis_move[:, 1], strict=True)}
    assert len(pairs) == 8
    assert (0.01, -0.03) in pairs
    assert (0.0, 0.0) not in pairs


def test_a_perp_hedged_with_a_future_loses_only_where_they_part() -> None:
    table = basis_scenarios(["ETH"], perp_range=0.01, future_range=0.01)
    pnl = 1_000.0 * (table.perp_basis_move - table.future_basis_move)[:, 0]
    assert pnl.min() == pytest.approx(-20.0)
    assert pnl[table.names.index("basis/perp-1/future-1")] == 0.0


def test_skew_tilts_both_ways_at_each_spot() -> None:
    assert skew_scenarios(["ETH"], skew_range=0.05).skew_move[:, 0].tolist() == [-0.05, 0.05]
    table = skew_scenarios(["ETH"], skew_range=0.05, spot_range=0.1)
    cells = set(zip(table.spot_move[:, 0].tolist(), table.skew_move[:, 0].tolist(), strict=True))
    assert cells == {(s, k) for s in (-0.1, 0.0, 0.1) for k in (-0.05, 0.05)}


def test_one_at_a_time_splits_a_joint_move() -> None:
    table = scenarios(["BTC", "ETH"], ["crash"], spot_move=[[-0.1, -0.2]], vol_move=0.5, weight=0.5)
    alone = one_at_a_time(table)
    assert alone.names == ("crash/BTC only", "crash/ETH only")
    assert alone.spot_move.tolist() == [[-0.1, 0.0], [0.0, -0.2]]
    assert alone.vol_move.tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert alone.weight.tolist() == [0.5, 0.5]
    joint = alone.spot_move.reshape(1, 2, 2).sum(axis=1)
    np.testing.assert_array_equal(joint, table.spot_move)


def test_one_at_a_time_keeps_the_order_of_the_grid() -> None:
    table = grid(["BTC", "ETH"])
    alone = one_at_a_time(table)
    np.testing.assert_array_equal(alone.spot_move[::2, 0], table.spot_move[:, 0])
    np.testing.assert_array_equal(alone.spot_move[1::2, 1], table.spot_move[:, 1])
    np.testing.assert_array_equal(alone.weight[::2], table.weight)


@pytest.mark.parametrize("bad", [-0.01, 1.0, float("nan")])
def test_ranges_are_checked(bad: float) -> None:
    with pytest.raises(UnfitValueError, match="perp_range"):
        basis_scenarios(["ETH"], perp_range=bad, future_range=0.0)
    with pytest.raises(UnfitValueError, match="skew_range"):
        skew_scenarios(["ETH"], skew_range=bad)


def test_shapes_are_checked() -> None:
    with pytest.raises(UnfitValueError, match="shape"):
        basis_scenarios(["ETH"], perp_range=[0.1, 0.2], future_range=0.0)
    with pytest.raises(UnfitValueError, match="at least one"):
        one_at_a_time(grid([]))


def test_each_future_is_its_own_factor() -> None:
    table = futures_apart(["MAR", "JUN", "DEC"], [0.25, 0.5, 1.0], annual_rate=0.05)
    assert len(table) == 6 + 6
    assert not table.spot_move.any()
    rows = {name: row.tolist() for name, row in zip(table.names, table.future_basis_move, strict=True)}
    assert rows["future/JUN-1"] == [0.0, -0.025, 0.0]
    assert rows["future/DEC+1/MAR-1"] == [-0.0125, 0.0, 0.05]


def test_a_calendar_spread_loses_only_where_its_futures_part() -> None:
    apart = futures_apart(["ETH-MAR", "ETH-JUN"], [0.25, 0.5], annual_rate=0.05)
    grid_table = per_expiry(grid(["ETH"]), {"ETH-MAR": "ETH", "ETH-JUN": "ETH"})
    spread = np.array([1.0, -1.0])  # long March, short June, 1 USD each
    forward = (1.0 + grid_table.spot_move) * (1.0 + grid_table.future_basis_move) - 1.0
    np.testing.assert_allclose(forward @ spread, 0.0, atol=1e-15)
    assert (apart.future_basis_move @ spread).min() == pytest.approx(-0.0375)


def test_per_expiry_copies_the_column_of_its_underlying() -> None:
    table = grid(["BTC", "ETH"], spot_range=[0.1, 0.2])
    fine = per_expiry(table, {"ETH-MAR": "ETH", "BTC": "BTC"})
    np.testing.assert_array_equal(fine.spot_move, table.spot_move[:, [1, 0]])
    assert fine.names == table.names
    with pytest.raises(UnfitValueError, match="SOL"):
        per_expiry(table, {"SOL-MAR": "SOL"})


@pytest.mark.parametrize(
    ("years", "rate"), [([-0.1], 0.05), ([0.1, 0.2], 0.05), ([0.1], -0.05), ([30.0], 0.05)]
)
def test_unfit_expiries_are_refused(years: list[float], rate: float) -> None:
    with pytest.raises(UnfitValueError):
        futures_apart(["MAR"], years, annual_rate=rate)
