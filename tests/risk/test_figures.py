"""The three figures of the cross-chain example, side by side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from keeper.model.errors import UnfitValueError
from keeper.risk.figures import ThreeFigures, three_figures
from keeper.risk.latency import TransferFeasibility, transfer_feasibility
from keeper.risk.scenarios import grid

Floats = NDArray[np.float64]
DAY_S = 86_400


def transfer(account: str) -> TransferFeasibility:
    return transfer_feasibility(account, drop=0.08, vol=0.6, latency_s=DAY_S, tolerated=0.01)


def example(sizes: list[float]) -> ThreeFigures:
    names = ["A", "B"]
    moves = grid(["BTC"], extended=()).spot_move[:, 0]
    return three_figures(
        names,
        np.array(sizes)[:, None] * 60_000.0 * moves,
        delta_base=[[size] for size in sizes],
        underlyings=["BTC"],
        price_usd=[60_000.0],
        transfers=[transfer("B"), transfer("A")],
    )


def test_long_ten_against_short_nine() -> None:
    # Source: own worked examples `cross_chain_netting` and `bridge_latency_hit_prob`.
    figures = example([10.0, -9.0])
    assert figures.venues_usd == pytest.approx((96_000.0, 86_400.0))
    assert figures.venue_sum_usd == pytest.approx(182_400.0)
    assert figures.house.scan_usd == pytest.approx(9_600.0)
    assert figures.house.basis_usd == pytest.approx(5_400.0)
    assert figures.house.total_usd == pytest.approx(15_000.0)
    assert figures.house.capped_usd == pytest.approx(48_480.0)
    assert figures.netting_benefit_usd == pytest.approx(167_400.0)
    assert [t.account for t in figures.transfers] == ["A", "B"]
    assert figures.transfers[0].hit_probability == pytest.approx(0.007930707547647464)


def test_a_mirror_book_nets_to_its_basis_only() -> None:
    figures = example([7.0, -7.0])
    assert figures.house.scan_usd == 0.0
    assert figures.house.total_usd == pytest.approx(7.0 * 600.0)


def test_one_direction_has_nothing_to_net() -> None:
    figures = example([3.0, 2.0])
    assert figures.netting_benefit_usd == pytest.approx(0.0, abs=1e-9)
    assert figures.house.capped_usd == pytest.approx(figures.venue_sum_usd)


books = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-1e6, 1e6))


@given(books)
def test_scan_never_exceeds_the_venues_and_figures_stay_apart(pnl_usd: Floats) -> None:
    names = [f"account{i}" for i in range(len(pnl_usd))]
    figures = three_figures(
        names,
        pnl_usd,
        delta_base=np.zeros((len(names), 0)),
        underlyings=[],
        price_usd=[],
        transfers=[transfer(name) for name in names],
    )
    assert figures.house.scan_usd <= figures.venue_sum_usd + 1e-6
    assert figures.house.total_usd - 1e-6 <= figures.house.capped_usd <= figures.venue_sum_usd + 1e-6


def test_every_account_needs_its_transfer() -> None:
    with pytest.raises(UnfitValueError, match="'B' is unknown"):
        three_figures(
            ["A", "B"],
            [[1.0], [1.0]],
            delta_base=[[0.0], [0.0]],
            underlyings=["ETH"],
            price_usd=[1.0],
            transfers=[transfer("A")],
        )


def test_no_accounts_are_no_book() -> None:
    with pytest.raises(UnfitValueError, match="at least one account"):
        three_figures(
            [], np.empty((0, 3)), delta_base=np.empty((0, 0)), underlyings=[], price_usd=[], transfers=[]
        )
