"""What Lyra's actions promise: the plan's own amounts, in the token of the position, with the right sign."""

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.plan import Hedge, Liquidate, Refresh, Settle, TxAction
from keeper.model.promise import Figure, Outflow, Promise
from keeper.model.reads import Address
from keeper.model.units import ONE, ZERO, Wad
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.lyra import Lyra
from tests.protocols.lyra.table import ALICE, AT, BOB, HOLDINGS, SPOT, TABLE, VENUE, struct
from tests.protocols.lyra.test_actions import REASON, move
from tests.support.fake_chain import Answers, drive, failing

OTHER = Address("0x" + "0d" * 20)
TOKEN, QUOTE, BASE = AT["OptionToken"], AT["QuoteAsset"], AT["BaseAsset"]
SPOT_READ = (AT["SynthetixAdapter"], "getSpotPriceForMarket", (AT["OptionMarket"],))


def table(*ids: int) -> dict[Hashable, object]:
    """What is asked for about these positions."""
    structs = [struct(h[:6]) for i in ids for h in HOLDINGS if h[0] == i]
    return {**TABLE, (TOKEN, "getOptionPositions", (ids,)): structs}


def promised(action: TxAction, sender: Address, answers: Answers) -> Promise:
    return drive(Lyra().promise(VENUE, action, sender), answers)


def figure(promise: Promise, name: str) -> Figure:
    (found,) = (f for f in promise.figures if name in f.name)
    return found


def liquidation(i: int, reward: int) -> Liquidate:
    return Liquidate(
        subject=f"lyra:10:{i}",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        account=f"lyra:10:{i}",
        owner=BOB,
        instrument="x",
        max_size=Wad(-ONE),
        takes_over=False,
        reward_usd=Wad(reward),
        cost_usd=ZERO,
    )


@given(st.sampled_from((3, 5)), st.integers(0, 10**24))
def test_a_liquidation_pays_in_the_token_of_the_collateral(i: int, reward: int) -> None:
    promise = promised(liquidation(i, reward), OTHER, table(i))
    paid, other = ("sETH", "sUSD") if i == 3 else ("sUSD", "sETH")
    pay = figure(promise, paid)
    assert (pay.least, pay.most, pay.priced) == (reward * ONE // SPOT if i == 3 else reward, None, True)
    assert pay.wallet == (BASE if i == 3 else QUOTE, OTHER)
    assert figure(promise, other).least == figure(promise, other).most == 0
    state = figure(promise, "state of position")
    assert (state.least, state.most) == (2, 2)
    assert promise.holders == (OTHER, BOB)
    assert promise.outflows == (Outflow(token=TOKEN, holder=BOB, most=i, item=True),)


def test_without_a_price_no_base_token_is_promised() -> None:
    promise = promised(liquidation(3, ONE), OTHER, {**table(3), SPOT_READ: 0})
    assert figure(promise, "sETH").least == 0


@given(st.sampled_from((3, 4, 5)), st.integers(1, 10**24))
def test_moved_collateral_is_exact_on_both_sides(i: int, amount: int) -> None:
    symbol, token = ("sETH", BASE) if i == 3 else ("sUSD", QUOTE)
    for direction, sign in (("add", 1), ("withdraw", -1)):
        promise = promised(move(i, amount, direction=direction), OTHER, table(i))
        collateral, wallet = figure(promise, "collateral of position"), figure(promise, f"{symbol} in the")
        assert collateral.least == collateral.most == sign * amount
        assert wallet.least == wallet.most == -sign * amount
        assert wallet.wallet == (token, OTHER)
        assert figure(promise, "size of position").least == figure(promise, "size of position").most == 0
        added = (Outflow(token=token, holder=OTHER, most=amount),)
        assert promise.outflows == (added if direction == "add" else ())


def settling(*ids: int) -> Settle:
    return Settle(
        subject="lyra:10:board:2",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        board="2",
        board_settled=True,
        accounts=tuple(f"lyra:10:{i}" for i in ids),
    )


def test_a_settled_board_pays_what_strike_and_price_make_of_each_position() -> None:
    """Two long calls at 1,500, settled at 1,800; two short calls that owe a tenth of 1 sETH each."""
    promise = promised(settling(7, 8), ALICE, table(7, 8))
    paid = figure(promise, "sUSD of the 2 owners")
    assert paid.least == paid.most == 2 * 300 * ONE
    base = figure(promise, "sETH of the 2 owners")
    assert base.least == base.most == ONE - 2 * ONE // 10
    assert [t.read.args for t in base.terms] == [(a,) for a in sorted((ALICE, BOB))]
    states = figure(promise, "states")
    assert (states.least, states.most, len(states.terms)) == (6, 6, 2)
    assert promise.outflows == (Outflow(token=TOKEN, holder=ALICE, most=7, item=True),)


def test_a_board_that_is_not_settled_pays_at_the_spot_of_the_head() -> None:
    promise = promised(settling(1, 3), OTHER, table(1, 3))
    paid = figure(promise, "sUSD of the")
    assert paid.least == paid.most == 3 * 100 * ONE
    base = figure(promise, "sETH of the")
    assert (base.least, base.most) == (0, ONE), "what the pool keeps of it is not known yet"
    assert promise.outflows == ()


def test_positions_that_others_settled_are_not_promised_again() -> None:
    promise = promised(settling(6, 7), OTHER, table(6, 7))
    states = figure(promise, "states")
    assert (states.least, [t.path for t in states.terms]) == (3, [(1, "state")])
    assert promised(settling(6), OTHER, table(6)).figures == ()


def test_a_refresh_moves_nothing() -> None:
    refresh = Refresh(subject="lyra:10", reason=REASON, protocol="lyra", chain_id=10)
    promise = promised(refresh, OTHER, TABLE)
    assert {f.wallet for f in promise.figures} == {(QUOTE, OTHER), (BASE, OTHER)}
    assert all(f.least == f.most == 0 for f in promise.figures)
    assert (promise.holders, promise.outflows) == ((OTHER,), ())


@pytest.mark.parametrize(
    ("action", "lost"),
    [
        (liquidation(5, ONE), (TOKEN, "getOptionPositions", ((5,),))),
        (liquidation(3, ONE), SPOT_READ),
        (move(5, ONE), (QUOTE, "symbol", ())),
        (settling(7, 8), (TOKEN, "getOptionPositions", ((7, 8),))),
        (settling(7, 8), (TOKEN, "ownerOf", (8,))),
        (settling(7, 8), (AT["OptionMarket"], "getStrikeAndBoard", (21,))),
        (Refresh(subject="x", reason=REASON, protocol="lyra", chain_id=10), (BASE, "symbol", ())),
    ],
)
def test_what_cannot_be_read_promises_nothing(action: TxAction, lost: Hashable) -> None:
    ids = (7, 8) if isinstance(action, Settle) else (3,) if lost == SPOT_READ else (5,)
    with pytest.raises(UnencodableActionError, match="withheld"):
        promised(action, OTHER, failing(table(*ids), lost))


def test_a_rescue_needs_no_price() -> None:
    """The oracle may be down when collateral is needed most."""
    for action, answers in ((move(5, ONE), table(5)), (settling(7, 8), table(7, 8))):
        assert promised(action, OTHER, failing(answers, SPOT_READ)) == promised(action, OTHER, answers)
    with pytest.raises(UnencodableActionError, match="withheld"):
        promised(settling(1), OTHER, failing(table(1), SPOT_READ))


def test_what_is_not_traded_promises_nothing() -> None:
    hedge = Hedge(
        subject="desk/ETH",
        reason=REASON,
        protocol="lyra",
        chain_id=10,
        account="lyra:10:1",
        owner=ALICE,
        instrument="x",
        size=Wad(ONE),
        limit_price=Wad(ONE),
        deadline_s=1,
    )
    with pytest.raises(UnencodableActionError, match="not traded"):
        promised(hedge, ALICE, TABLE)
