"""Bids: enough for the next block, replaceable in every pool, never above the cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.transactions import TRANSACTION_GAS, Fees
from keeper.execution.errors import LimitError
from keeper.execution.fees import Bid, first_bid, gas_limit, price_now, replacement_bid
from keeper.execution.limits import Limits, check_limits
from keeper.model.units import Wei
from tests.execution.rig import LIMITS

wei = st.integers(0, 10**13)
modern = st.builds(Fees, base_fee_wei=wei, priority_fee_wei=wei, legacy_gas_price_wei=st.none())
legacy = wei.map(lambda p: Fees(base_fee_wei=0, priority_fee_wei=p, legacy_gas_price_wei=p))
fees = modern | legacy


@given(fees, wei)
def test_a_first_bid_covers_the_next_block_within_the_cap(now: Fees, cap: int) -> None:
    bid = first_bid(now, cap)
    if bid is None:
        assert price_now(now) > cap
    else:
        assert price_now(now) <= bid.fee_per_gas <= cap
        assert (bid.priority_per_gas is None) == (now.legacy_gas_price_wei is not None)


@given(fees, fees, wei, wei)
def test_a_replacement_is_an_eighth_dearer_on_both_fees(before: Fees, now: Fees, cap: int, more: int) -> None:
    last = first_bid(before, cap)
    kind_changed = (before.legacy_gas_price_wei is None) != (now.legacy_gas_price_wei is None)
    if last is None or kind_changed:
        return
    bid = replacement_bid(last, now, cap + more)
    if bid is None:
        assert last.fee_per_gas * 9 > (cap + more) * 8 - 16 or price_now(now) > cap + more
        return
    assert bid.fee_per_gas * 8 >= last.fee_per_gas * 9
    assert bid.fee_per_gas <= cap + more
    if last.priority_per_gas is not None:
        assert bid.priority_per_gas is not None
        assert bid.priority_per_gas <= bid.fee_per_gas
        assert bid.priority_per_gas * 8 >= last.priority_per_gas * 9


def test_a_replacement_follows_the_market_up() -> None:
    last = Bid(fee_per_gas=Wei(100), priority_per_gas=Wei(10))
    bid = replacement_bid(
        last, Fees(base_fee_wei=1000, priority_fee_wei=50, legacy_gas_price_wei=None), 10_000
    )
    assert bid == Bid(fee_per_gas=Wei(2050), priority_per_gas=Wei(50))


def test_a_bid_states_itself_as_transaction_fields() -> None:
    assert Bid(fee_per_gas=Wei(5), priority_per_gas=None).fields() == {"gasPrice": 5}
    assert Bid(fee_per_gas=Wei(5), priority_per_gas=Wei(1)).fields() == {
        "type": 2,
        "maxFeePerGas": 5,
        "maxPriorityFeePerGas": 1,
    }


@pytest.mark.parametrize(
    ("estimate", "limit"),
    [
        (21_000, 26_250),
        (1_000_000, 1_250_000),
        (TRANSACTION_GAS - 1, TRANSACTION_GAS),
        (TRANSACTION_GAS, TRANSACTION_GAS),
        (TRANSACTION_GAS + 5, TRANSACTION_GAS + 5),
    ],
)
def test_gas_limits(estimate: int, limit: int) -> None:
    assert gas_limit(estimate) == limit


amounts = st.integers(0, 10**6).map(Wei)


@given(amounts, amounts, amounts, amounts, amounts, st.sampled_from([1, 2]))
def test_limits_bind_exactly(worst: Wei, value: Wei, native: Wei, hour: Wei, day: Wei, steps: int) -> None:
    limits = Limits(
        max_gas_wei_per_tx=Wei(300_000),
        max_gas_wei_per_hour=Wei(500_000),
        max_gas_wei_per_day=Wei(900_000),
        min_native=Wei(1000),
        max_fee_per_gas=LIMITS.max_fee_per_gas,
        valid_blocks=1,
    )
    expected = next(
        (
            name
            for name, broken in (
                ("max_gas_wei_per_tx", worst - (worst // 3 if steps == 2 else 0) > 300_000),
                ("max_gas_wei_per_hour", hour + worst > 500_000),
                ("max_gas_wei_per_day", hour + day + worst > 900_000),
                ("min_native", native - worst - value < 1000),
            )
            if broken
        ),
        None,
    )
    now_s = 10**6
    found = None
    try:
        check_limits(
            limits,
            worst_fees=[Wei(worst - worst // 3), Wei(worst // 3)] if steps == 2 else [worst],
            value=value,
            native=native,
            spent=((now_s - 3600, hour), (now_s - 3601, day), (now_s - 86_400, Wei(0))),
            now_s=now_s,
        )
    except LimitError as error:
        found = error.limit
    assert found == expected
