"""The auction against recorded steps of the contract, and what must hold between them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.errors import DataError
from keeper.model.units import ONE, Wad
from keeper.risk.models.derive_auction import (
    AuctionParams,
    auction_params,
    buffer_margin,
    can_terminate,
    discount,
    insolvent_bid,
    insolvent_price,
    max_share,
    solvent_bid,
    solvent_price,
    start_fee,
)
from tests.risk.models.twin import ROUNDING, loaded, one, record

SCRIPT = AuctionParams(
    start=Wad(95 * 10**16),
    cutoff=Wad(70 * 10**16),
    fast_s=900,
    slow_s=43_200,
    insolvent_s=3_600,
    fee_rate=0.1,
    buffer=0.15,
    mtm_cutoff=50.0,
)
"""Parameters of the deploy script."""


def agrees(ours: float, recorded: str) -> bool:
    return abs(ours - one(recorded)) <= ROUNDING * max(1.0, abs(one(recorded)))


def cases() -> Any:
    for case in loaded("derive/auction.json")["cases"]:
        worth = one(case["maintenanceMargin"]), one(case["markToMarket"])
        yield case, auction_params(record(case["params"])), *worth


def test_the_start() -> None:
    for case, p, mm, mtm in cases():
        assert agrees(buffer_margin(p, mm, mtm), case["output"]["bufferMargin"]), case["id"]
        assert agrees(start_fee(p, mm, mtm), case["output"]["fee"]), case["id"]


def test_the_discount_to_the_last_digit() -> None:
    for case, p, _, _ in cases():
        for step in case["steps"]:
            assert discount(p, int(step["elapsed"])) == one(step["discount"]), (case["id"], step["elapsed"])


def test_every_step() -> None:
    for case, p, mm, mtm in cases():
        for step in case["steps"]:
            elapsed_s, reserved = int(step["elapsed"]), one(step["reservedCash"])
            insolvent = case["insolvent"]
            if insolvent:
                price = insolvent_price(p, mm, mtm, elapsed_s=elapsed_s)
            else:
                price = solvent_price(p, mtm, elapsed_s=elapsed_s, reserved=reserved)
                share = max_share(p, mm, mtm, asked=discount(p, elapsed_s), reserved=reserved)
                assert agrees(share, step["maxProportion"]), (case["id"], elapsed_s)
            assert agrees(price, step["bidPrice"]), (case["id"], elapsed_s)
            ends = can_terminate(p, mm, mtm, insolvent=insolvent, reserved=reserved)
            assert ends is step["canTerminate"], (case["id"], elapsed_s)


def test_every_bid() -> None:
    for case, p, mm, mtm in cases():
        for step in (step for step in case["steps"] if "bid" in step):
            recorded = step["bid"]
            share, elapsed_s = one(recorded["requested"]), int(recorded["timestampElapsed"])
            if case["insolvent"]:
                bid = insolvent_bid(p, mm, mtm, share=share, elapsed_s=elapsed_s)
            else:
                reserved = one(step["reservedCash"])
                bid = solvent_bid(p, mm, mtm, share=share, elapsed_s=elapsed_s, reserved=reserved)
            assert agrees(bid.share, recorded["finalPercentage"]), case["id"]
            assert agrees(bid.cash_from_bidder, recorded["cashFromBidder"]), case["id"]
            assert agrees(bid.cash_to_bidder, recorded["cashToBidder"]), case["id"]
            assert bid.ongoing is recorded["ongoingAfter"], case["id"]


def test_the_discount_of_the_script() -> None:
    assert discount(SCRIPT, 0) == 0.95
    assert discount(SCRIPT, 450) == 0.825
    assert discount(SCRIPT, 900) == 0.70
    assert discount(SCRIPT, 900 + 2_700) == 0.65625  # floor(0.7 x 2700) is 1890
    assert discount(SCRIPT, 900 + 43_200) == 0.0


def test_a_recorded_flow() -> None:
    """One liquidation on a full local deployment of the contracts, script parameters without cutoff."""
    p = replace(SCRIPT, mtm_cutoff=0.0)
    mm, mtm = -426.427257733516445525, 11606.566291995401886150
    assert buffer_margin(p, mm, mtm) == pytest.approx(-2231.376290192854195276, rel=1e-14)
    assert start_fee(p, mm, mtm) == pytest.approx(187.156556552315646219, rel=1e-13)
    mm, mtm = -612.552620782728620250, 11420.227762179938895731
    assert solvent_price(p, mtm, elapsed_s=450, reserved=0.0) == pytest.approx(9421.687903798449588978)
    share = max_share(p, mm, mtm, asked=discount(p, 450), reserved=0.0)
    assert share == pytest.approx(0.204192710628108762, rel=1e-14)
    # Insolvent: 20 perps of a standard account, half way from value to requirement.
    assert insolvent_price(p, -4080.2, -2000.2, elapsed_s=1_800) == pytest.approx(-3040.2, rel=1e-14)


@given(st.integers(0, 50_000), st.integers(1, 5_000))
def test_the_discount_never_rises(elapsed_s: int, later_s: int) -> None:
    assert 0.0 <= discount(SCRIPT, elapsed_s + later_s) <= discount(SCRIPT, elapsed_s) <= 0.95


below = st.floats(-1e6, -1.0)
worth = st.floats(51.0, 1e6)
shares = st.floats(0.001, 1.0)


@given(mm=below, mtm=worth, share=shares, elapsed_s=st.integers(0, 50_000))
def test_a_maximal_bid_ends_the_auction_and_no_more_can_be_taken(
    mm: float, mtm: float, share: float, elapsed_s: int
) -> None:
    cap = max_share(SCRIPT, mm, mtm, asked=discount(SCRIPT, elapsed_s), reserved=0.0)
    assert 0.0 < cap <= 1.0
    bid = solvent_bid(SCRIPT, mm, mtm, share=share, elapsed_s=elapsed_s, reserved=0.0)
    assert bid.share <= cap
    assert bid.ongoing is (share < cap)
    assert 0.0 <= bid.cash_from_bidder <= mtm * 0.95


@given(mm=below, mtm=worth, elapsed_s=st.integers(0, 43_000))
def test_a_maximal_bid_brings_the_buffer_back_to_nothing(mm: float, mtm: float, elapsed_s: int) -> None:
    """What the cap is for: with the share sold and its cash kept, the buffer margin is 0."""
    asked = discount(SCRIPT, elapsed_s)
    cap = max_share(SCRIPT, mm, mtm, asked=asked, reserved=0.0)
    short = buffer_margin(SCRIPT, mm, mtm)
    after = short * (1.0 - cap) + mtm * asked * cap
    assert after == pytest.approx(0.0, abs=1e-9 * (abs(short) + mtm))


@given(mm=below, mtm=st.floats(-1e6, 0.0), elapsed_s=st.integers(0, 10_000))
def test_an_insolvent_auction_pays_up_to_the_requirement(mm: float, mtm: float, elapsed_s: int) -> None:
    low, high = sorted((mm, mtm))
    price = insolvent_price(SCRIPT, mm, mtm, elapsed_s=elapsed_s)
    assert low - 1e-9 <= price <= high + 1e-9
    assert insolvent_price(SCRIPT, mm, mtm, elapsed_s=0) == min(mtm, 0.0)
    assert insolvent_price(SCRIPT, mm, mtm, elapsed_s=3_600) == pytest.approx(mm)


def test_worthless_accounts_may_be_bought_whole() -> None:
    assert max_share(SCRIPT, -10.0, 49.0, asked=0.9, reserved=0.0) == 1.0
    assert start_fee(SCRIPT, -10.0, -5.0) == 0.0
    assert max_share(SCRIPT, 1e6, 1e6, asked=0.9, reserved=0.0) == 0.0


def test_a_solvent_auction_can_end() -> None:
    assert not can_terminate(SCRIPT, -10.0, 100.0, insolvent=False, reserved=0.0)
    assert can_terminate(SCRIPT, 90.0, 100.0, insolvent=False, reserved=0.0)
    assert can_terminate(SCRIPT, -10.0, -1.0, insolvent=False, reserved=0.0)
    assert can_terminate(SCRIPT, -10.0, 100.0, insolvent=False, reserved=100.0)
    assert can_terminate(SCRIPT, 0.0, -1.0, insolvent=True, reserved=0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("startingMtMPercentage", str(2 * ONE)),
        ("fastAuctionCutoffPercentage", str(ONE)),
        ("slowAuctionLength", "0"),
        ("mtmCutoff", "-1"),
        ("liquidatorFeeRate", None),
    ],
)
def test_unfit_parameters_are_named(field: str, value: object) -> None:
    fit = {
        "startingMtMPercentage": "950000000000000000",
        "fastAuctionCutoffPercentage": "700000000000000000",
        "fastAuctionLength": "900",
        "slowAuctionLength": "43200",
        "insolventAuctionLength": "3600",
        "liquidatorFeeRate": "100000000000000000",
        "bufferMarginPercentage": "150000000000000000",
        "mtmCutoff": "50000000000000000000",
    }
    assert auction_params(record(fit)) == SCRIPT
    with pytest.raises(DataError, match=field):
        auction_params(record({**fit, field: value}))
