"""Scenario tables: shapes, builders, tenor scaling, and what they refuse."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import UnfitValueError
from keeper.risk.scenarios import (
    Scenarios,
    concatenate,
    extend,
    grid,
    restrict,
    scenarios,
    shocked_vol,
    tenor_factor,
)
from tests.support.shared import vectors


def test_house_grid_has_nine_moves_by_three_vols_and_eight_tails() -> None:
    table = grid(["BTC", "ETH"])
    assert len(table) == 27 + 8
    assert table.spot_move.shape == (35, 2)
    assert np.unique(table.spot_move[:27]).round(12).tolist() == [
        -0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16,
    ]  # fmt: skip
    assert sorted(set(table.vol_move[:27, 0])) == [-0.22, 0.0, 0.40]
    assert (table.vol_move[27:] == 0.40).all()


def test_tail_weights_are_those_of_paradex() -> None:
    # Source: Paradex portfolio margin, tail scenarios.
    published = {
        -0.66: 0.24,
        -0.33: 0.48,
        0.5: 0.32,
        1.0: 0.16,
        2.0: 0.08,
        3.0: 0.0533,
        4.0: 0.04,
        5.0: 0.032,
    }
    table = grid(["ETH"])
    ours = dict(zip(table.spot_move[27:, 0].tolist(), table.weight[27:].tolist(), strict=True))
    assert ours.keys() == published.keys()
    for move, weight in published.items():
        assert ours[move] == pytest.approx(weight, abs=0.005)  # printed to two digits
    assert (table.weight[:27] == 1.0).all()


def test_paradex_table_is_a_part_of_the_grid() -> None:
    table = grid(["BTC"])
    cells = {(round(s, 6), v) for s, v in zip(table.spot_move[:, 0], table.vol_move[:, 0], strict=True)}
    rows = json.loads(vectors("venue_pm/parameters.json").read_text())["paradex"]["scenarios"]
    assert {(row["spot"], row["vol"]) for row in rows} <= cells


def test_each_underlying_may_have_its_own_range() -> None:
    table = grid(["BTC", "ALT"], spot_range=[0.16, 0.25], extended=())
    assert table.spot_move[-1].tolist() == [0.16, 0.25]


@pytest.mark.parametrize(
    ("days", "factor"),
    [(10.0, 1.3903891703159093), (90.0, 0.8669104475782533), (30.0, 1.0), (0.0, 30.0**0.3)],
)
def test_tenor_factor_splits_at_thirty_days(days: float, factor: float) -> None:
    # Source: Deribit portfolio margin, vega powers 0.30 and 0.13; the last from the one-day floor.
    assert tenor_factor(days, power_short=0.30, power_long=0.13) == pytest.approx(factor, rel=1e-12)


def test_shocked_vol_gives_the_published_up_and_down_vols() -> None:
    # Source: Deribit's rules on vol 60 % at 10 days: up 101.7117 %, down 39.1442 %.
    table = grid(["BTC"], vol_up=0.5, vol_down=0.25, extended=())
    vols = shocked_vol(table, [0.6], [10.0], [0])
    assert vols[:3, 0] == pytest.approx([1.0171167510947727, 0.6, 0.3914416244526136], rel=1e-12)


def test_vol_floor_binds_after_an_up_move_only() -> None:
    table = scenarios(["ETH"], ["up", "same", "down"], vol_move=[0.1, 0.0, -0.1], vol_floor=0.5)
    assert shocked_vol(table, [0.3], [30.0], [0])[:, 0].tolist() == [0.5, 0.3, 0.27]


def test_a_down_move_never_makes_a_vol_negative() -> None:
    table = scenarios(["ETH"], ["down"], vol_move=-0.9, vol_power_short=0.5)
    assert shocked_vol(table, [0.8], [1.0], [0])[0, 0] == 0.0


def test_a_skew_move_lifts_one_wing_and_lowers_the_other() -> None:
    table = scenarios(["ETH"], ["tilt"], skew_move=0.1)
    vols = shocked_vol(table, [0.5] * 4, [30.0] * 4, [0] * 4, log_moneyness_sd=[-1.0, 0.0, 1.0, 9.0])
    assert vols[0] == pytest.approx([0.45, 0.5, 0.55, 0.6])


@given(st.permutations(range(7)))
def test_restriction_keeps_the_order_asked_for(order: list[int]) -> None:
    table = grid(["BTC", "ETH"], extended=())
    names = [table.names[i] for i in order]
    part = restrict(table, names=names, underlyings=["ETH"])
    assert part.names == tuple(names)
    np.testing.assert_array_equal(part.spot_move, table.spot_move[order][:, [1]])


def test_concatenation_then_restriction_gives_the_parts_back() -> None:
    first = grid(["ETH"], extended=())
    second = scenarios(["ETH"], ["basis"], perp_basis_move=-0.03, weight=0.5)
    both = concatenate(first, second)
    again = restrict(both, names=second.names)
    assert again.perp_basis_move.tolist() == [[-0.03]]
    assert again.weight.tolist() == [0.5]
    assert len(both) == len(first) + 1


def test_extension_adds_columns_that_stand_still() -> None:
    wide = extend(scenarios(["ETH"], ["down"], spot_move=-0.2), ["BTC", "ETH"])
    assert wide.spot_move.tolist() == [[0.0, -0.2]]
    with pytest.raises(UnfitValueError, match="ETH"):
        extend(wide, ["BTC"])


def test_arrays_cannot_be_written_to() -> None:
    table = grid(["ETH"])
    with pytest.raises(ValueError, match="read-only"):
        table.spot_move[0, 0] = 1.0


@pytest.mark.parametrize(
    ("field", "value", "row"),
    [
        ("spot_move", [0.0, -1.0], 1),
        ("spot_move", [np.nan, 0.0], 0),
        ("vol_move", [0.0, np.inf], 1),
        ("weight", [1.0, -0.1], 1),
        ("perp_basis_move", [0.0, -1.5], 1),
        ("spot_move", [0.0, 0.0, 0.0], None),
    ],
)
def test_bad_input_is_named_by_field_and_row(field: str, value: list[float], row: int | None) -> None:
    with pytest.raises(UnfitValueError) as caught:
        scenarios(["ETH"], ["a", "b"], **{field: value})
    assert (caught.value.field, caught.value.row) == (field, row)


def test_names_must_be_unique_and_known() -> None:
    with pytest.raises(UnfitValueError, match="occurs twice"):
        scenarios(["ETH"], ["a", "a"])
    table = grid(["ETH"])
    with pytest.raises(UnfitValueError, match="is unknown"):
        restrict(table, names=["nothing"])
    with pytest.raises(UnfitValueError, match="occurs twice"):
        concatenate(table, table)


def test_an_empty_book_of_underlyings_gives_an_empty_table() -> None:
    assert grid([]).spot_move.shape == (35, 0)


def test_direct_construction_is_checked_too() -> None:
    table = grid(["ETH"], extended=())
    with pytest.raises(UnfitValueError, match="shape"):
        Scenarios(
            names=table.names,
            underlyings=("BTC", "ETH"),
            spot_move=table.spot_move,
            vol_move=table.vol_move,
            perp_basis_move=table.perp_basis_move,
            future_basis_move=table.future_basis_move,
            skew_move=table.skew_move,
            vol_power_short=table.vol_power_short,
            vol_power_long=table.vol_power_long,
            vol_floor=table.vol_floor,
            weight=table.weight,
        )


def test_what_is_not_named_does_not_move() -> None:
    table = scenarios(["BTC", "ETH"], ["still"])
    for field in ("spot_move", "vol_move", "perp_basis_move", "future_basis_move", "skew_move"):
        assert getattr(table, field).tolist() == [[0.0, 0.0]]
    for field in ("vol_power_short", "vol_power_long", "vol_floor"):
        assert getattr(table, field).tolist() == [0.0]
    assert table.weight.tolist() == [1.0]
    assert shocked_vol(table, [0.7, 0.3], [0.0, 400.0], [0, 1]).tolist() == [[0.7, 0.3]]


def test_the_last_day_counts_as_a_whole_one() -> None:
    table = scenarios(["ETH"], ["up"], vol_move=0.1, vol_power_short=0.3)
    last = shocked_vol(table, [0.5] * 2, [0.0, 1.0], [0, 0])[0]
    assert last[0] == last[1] == pytest.approx(0.5 * (1.0 + 0.1 * 30.0**0.3))


@pytest.mark.parametrize(
    ("keywords", "field"),
    [
        ({"spot_range": 0.0}, "spot_range"),
        ({"spot_range": 1.0}, "spot_range"),
        ({"buckets": 0}, "buckets"),
        ({"vol_up": -0.1}, "vol_up"),
        ({"vol_down": 1.1}, "vol_down"),
        ({"extended": [-1.0]}, "spot_move"),
        ({"extended": [[0.5]]}, "extended"),
    ],
)
def test_unfit_grids_are_refused(keywords: dict[str, Any], field: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        grid(["ETH"], **keywords)
    assert caught.value.field == field


def test_an_extended_move_inside_the_range_keeps_its_weight() -> None:
    assert grid(["ETH"], extended=[0.0, 0.08, -0.32]).weight[27:].tolist() == [1.0, 1.0, 0.5]
