"""What a settled position is worth: bounds that hold for every one of them."""

from hypothesis import given
from hypothesis import strategies as st

from keeper.model.units import ONE, ZERO, Wad, mul
from keeper.protocols.lyra.accounts import Holding, settlement_claim
from keeper.protocols.lyra.contracts import OptionType, PositionState
from keeper.protocols.lyra.market import Strike

amounts = st.integers(1, 10**24).map(Wad)
prices = st.integers(10**18, 10**23).map(Wad)


def holding(kind: OptionType, amount: Wad, collateral: Wad = ZERO) -> Holding:
    return Holding(
        id=1, strike_id=1, type=kind, amount=amount, collateral=collateral, state=PositionState.ACTIVE
    )


def strike(price: Wad, base_per_call: Wad = ZERO) -> Strike:
    return Strike(
        id=1,
        board_id=1,
        expiry_s=0,
        price=price,
        frozen=False,
        settled_at=Wad(1),
        base_per_short_call=base_per_call,
    )


@given(amounts, prices, prices)
def test_a_call_less_a_put_is_the_forward(amount: Wad, price: Wad, settled: Wad) -> None:
    call = settlement_claim(holding(OptionType.LONG_CALL, amount), strike(price), settled)
    put = settlement_claim(holding(OptionType.LONG_PUT, amount), strike(price), settled)
    assert min(call, put) == 0
    assert call - put == mul(amount, Wad(settled - price))


@given(amounts, prices, prices, st.integers(0, 10**45).map(Wad))
def test_long_and_covered_short_share_the_collateral(
    amount: Wad, price: Wad, settled: Wad, collateral: Wad
) -> None:
    for long_kind, short_kind in (
        (OptionType.LONG_CALL, OptionType.SHORT_CALL_QUOTE),
        (OptionType.LONG_PUT, OptionType.SHORT_PUT_QUOTE),
    ):
        long = settlement_claim(holding(long_kind, amount), strike(price), settled)
        short = settlement_claim(holding(short_kind, amount, collateral), strike(price), settled)
        assert 0 <= short <= collateral
        assert short == max(0, collateral - long)


@given(amounts, prices, prices, st.integers(0, ONE).map(Wad), st.integers(0, 10**24).map(Wad))
def test_a_call_covered_in_kind_gives_up_base_not_dollars(
    amount: Wad, price: Wad, settled: Wad, ratio: Wad, collateral: Wad
) -> None:
    short = holding(OptionType.SHORT_CALL_BASE, amount, collateral)
    claim = settlement_claim(short, strike(price, ratio), settled)
    assert claim == max(0, collateral - mul(amount, ratio))
    assert claim == settlement_claim(short, strike(Wad(price * 2), ratio), Wad(settled * 3))
