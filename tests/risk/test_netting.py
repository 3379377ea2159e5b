"""Netting: the cross-chain example, caps, opportunities, clearing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.basis import basis_charge_usd
from keeper.risk.netting import (
    bilateral_exposure,
    capped_requirement_usd,
    cleared_exposure,
    minimum_delta_margin_usd,
    net_exposures,
    netting_benefits_usd,
    netting_opportunities,
)
from keeper.risk.scenarios import grid

Floats = NDArray[np.float64]
usd = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)
books = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 16)), elements=usd)
requirements_usd = st.floats(0.0, 1e9)


def scan_usd(pnl_usd: Floats) -> float:
    return max(0.0, -float(pnl_usd.min()))


def test_long_ten_on_one_chain_short_nine_on_another() -> None:
    # Source: own worked example `cross_chain_netting`: 96,000 + 86,400 = 182,400; net 9,600 and basis
    # 5,400 = 15,000; with 80 % of the offset recognised 48,480.
    moves = grid(["BTC"], extended=()).spot_move[:, 0]
    legs = np.array([10.0, -9.0])
    pnl = legs[:, None] * 60_000.0 * moves
    alone = [scan_usd(row) for row in pnl]
    assert alone == pytest.approx([96_000.0, 86_400.0])
    (exposure,) = net_exposures(legs, ["BTC", "BTC"])
    assert (exposure.gross, exposure.net, exposure.hedged) == (19.0, 1.0, 9.0)
    house = scan_usd(pnl.sum(axis=0)) + float(basis_charge_usd(exposure.hedged, 60_000.0))
    assert house == pytest.approx(15_000.0)
    assert capped_requirement_usd(sum(alone), house) == pytest.approx(48_480.0)
    (found,) = netting_opportunities(pnl, ["long A", "short B"], netted_already=["A", "B"])
    assert found.saves_usd == pytest.approx(182_400.0 - 9_600.0)


def test_eighty_percent_rule() -> None:
    # Source: EMIR RTS 153/2013 art. 27: standalone 180, portfolio 60 -> 84.
    assert capped_requirement_usd(180.0, 60.0) == pytest.approx(84.0)


@given(requirements_usd, requirements_usd, st.floats(0.0, 1.0))
def test_a_cap_never_goes_below_the_house_or_above_the_sum(alone: float, house: float, share: float) -> None:
    capped = capped_requirement_usd(alone, house, recognised=share)
    assert house * (1 - 1e-12) <= capped <= max(alone, house) * (1 + 1e-12)
    assert capped_requirement_usd(alone, house, recognised=share / 2.0) >= capped * (1 - 1e-12)


def test_paradex_minimum_delta_margin() -> None:
    # Source: Paradex portfolio margin: +1 perp, -5 calls of delta 0.3 at 70,000 -> 1,400.
    assert minimum_delta_margin_usd([1.0, -5 * 0.3], 70_000.0) == pytest.approx(1_400.0)
    (exposure,) = net_exposures([1.0, -1.5], ["BTC"] * 2)
    assert (exposure.net, exposure.gross, exposure.hedged) == (-0.5, 2.5, 1.0)


@given(st.lists(st.floats(-1e6, 1e6), max_size=8), st.randoms(use_true_random=False))
def test_exposures_do_not_depend_on_order_or_on_splitting_a_leg(legs: list[float], rnd: object) -> None:
    whole = net_exposures([*legs, 8.0], ["ETH"] * (len(legs) + 1))[0]
    split = net_exposures([4.0, *reversed(legs), 4.0], ["ETH"] * (len(legs) + 2))[0]
    assert split.net == pytest.approx(whole.net, abs=1e-6)
    assert split.gross == pytest.approx(whole.gross)
    assert 0.0 <= whole.hedged <= whole.gross / 2.0 + 1e-9
    assert minimum_delta_margin_usd(legs, 100.0) >= 0.0


def test_exposures_keep_underlyings_apart() -> None:
    exposures = net_exposures([1.0, -1.0, 2.0], ["ETH", "BTC", "ETH"])
    assert [(e.underlying, e.net, e.hedged) for e in exposures] == [("ETH", 3.0, 0.0), ("BTC", -1.0, 0.0)]
    assert net_exposures([], []) == ()


@given(books)
def test_pairs_save_what_they_cost_apart_less_together(pnl_usd: Floats) -> None:
    benefits = netting_benefits_usd(pnl_usd)
    np.testing.assert_array_equal(benefits, benefits.T)
    assert not benefits.diagonal().any()
    for a in range(len(pnl_usd)):
        for b in range(a):
            apart = scan_usd(pnl_usd[a]) + scan_usd(pnl_usd[b])
            together = scan_usd(pnl_usd[a] + pnl_usd[b])
            assert benefits[a, b] == pytest.approx(max(0.0, apart - together), abs=1e-5)
            assert together <= apart + 1e-5


@given(books)
def test_a_leg_and_its_mirror_save_everything(pnl_usd: Floats) -> None:
    benefits = netting_benefits_usd(np.vstack([pnl_usd, -pnl_usd]))
    A = len(pnl_usd)
    for a in range(A):
        both = scan_usd(pnl_usd[a]) + scan_usd(-pnl_usd[a])
        assert benefits[a, A + a] == pytest.approx(both, abs=1e-5)


@given(books, st.integers(0, 2**32 - 1))
def test_opportunities_do_not_depend_on_the_order_of_legs(pnl_usd: Floats, seed: int) -> None:
    names = [f"leg{i}" for i in range(len(pnl_usd))]
    order = np.random.default_rng(seed).permutation(len(names))
    plain = netting_opportunities(pnl_usd, names)
    shuffled = netting_opportunities(pnl_usd[order], [names[i] for i in order])
    assert {(p.first, p.second) for p in plain} == {(p.first, p.second) for p in shuffled}
    for one, other in zip(plain, shuffled, strict=True):
        assert one.saves_usd == pytest.approx(other.saves_usd, abs=1e-5)


@given(books, st.data())
def test_more_netting_never_raises_the_scan(pnl_usd: Floats, data: st.DataObject) -> None:
    """Merging margin accounts, in any way and again, lowers the sum of their requirements or leaves it."""
    A = len(pnl_usd)
    fine = data.draw(st.lists(st.integers(0, A - 1), min_size=A, max_size=A))
    merge = data.draw(st.lists(st.integers(0, A - 1), min_size=A, max_size=A))
    coarse = [merge[group] for group in fine]

    def charged(groups: list[int]) -> float:
        return float(sum(scan_usd(pnl_usd[np.array(groups) == g].sum(axis=0)) for g in set(groups)))

    slack = 1e-4
    assert charged(coarse) <= charged(fine) + slack <= charged(list(range(A))) + 2.0 * slack
    assert scan_usd(pnl_usd.sum(axis=0)) <= charged(coarse) + slack


@given(books)
def test_a_book_and_its_mirror_net_to_nothing(pnl_usd: Floats) -> None:
    assert scan_usd(np.vstack([pnl_usd, -pnl_usd]).sum(axis=0)) <= 1e-4
    legs = np.concatenate([pnl_usd[:, 0], -pnl_usd[:, 0]])
    (exposure,) = net_exposures(legs, ["ETH"] * len(legs))
    assert exposure.net == pytest.approx(0.0, abs=1e-4)
    assert exposure.hedged == pytest.approx(exposure.gross / 2.0)


def test_opportunities_leave_out_what_a_venue_nets_already() -> None:
    pnl = [[-10.0, 10.0], [8.0, -8.0], [7.0, -7.0], [5.0, 5.0]]
    names = ["long A", "short A", "short B", "carry B"]
    found = netting_opportunities(pnl, names, netted_already=["A", "A", "B", "B"])
    assert [(p.first, p.second) for p in found] == [
        ("long A", "short B"),
        ("carry B", "long A"),
        ("carry B", "short A"),
    ]
    assert found[0].saves_usd == pytest.approx(14.0)
    assert found[0].apart_usd == pytest.approx(17.0)
    assert netting_opportunities(pnl, names, least_usd=8.0, most=1)[0].saves_usd == 16.0
    assert netting_opportunities(pnl, names, least_usd=1e9) == ()


def test_duffie_and_zhu_at_four_classes() -> None:
    # Source: Duffie and Zhu (2011): with K = 4 clearing helps from N = 15 on.
    assert bilateral_exposure(14, 4) == pytest.approx(10.37249929043725)
    assert cleared_exposure(14, 4) == pytest.approx(10.42125473419262)
    assert bilateral_exposure(15, 4) == pytest.approx(11.170383851240116)
    assert cleared_exposure(15, 4) == pytest.approx(11.166541515557856)


@pytest.mark.parametrize(("classes", "members"), [(2, 7), (4, 15), (6, 23), (10, 39)])
def test_smallest_market_in_which_clearing_helps(classes: int, members: int) -> None:
    helps = [n for n in range(2, 60) if cleared_exposure(n, classes) < bilateral_exposure(n, classes)]
    assert helps[0] == members
    assert all(classes < n * n / (4 * (n - 1)) for n in helps)


@pytest.mark.parametrize(
    ("alone", "house", "share"), [(-1.0, 0.0, 0.8), (0.0, math.nan, 0.8), (1.0, 1.0, 1.1)]
)
def test_unfit_requirements_are_refused(alone: float, house: float, share: float) -> None:
    with pytest.raises(UnfitValueError):
        capped_requirement_usd(alone, house, recognised=share)


def test_unfit_books_are_refused() -> None:
    with pytest.raises(UnfitValueError, match="no scenarios"):
        netting_benefits_usd([[], []])
    with pytest.raises(UnfitValueError, match="twice"):
        netting_opportunities([[1.0], [2.0]], ["a", "a"])
    with pytest.raises(UnfitValueError, match="netted_already"):
        netting_opportunities([[1.0], [2.0]], ["a", "b"], netted_already=["x"])
    with pytest.raises(UnfitValueError, match="legs"):
        net_exposures([1.0], ["a", "b"])
    with pytest.raises(UnfitValueError, match="members"):
        bilateral_exposure(1, 4)
    with pytest.raises(UnfitValueError, match="spot_usd"):
        minimum_delta_margin_usd([1.0], -1.0)
