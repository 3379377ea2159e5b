"""Curie's reading against answers written by hand."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest

from keeper.model.book import Account, Balance, Bounty, Position, Requirement
from keeper.model.quote import Quote
from keeper.model.reads import Address, Call, Failed
from keeper.model.snapshot import VenueState
from keeper.model.units import ONE, Wad
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.curie import Curie
from keeper.protocols.curie.liquidations import NOBODY
from keeper.protocols.errors import VenueUnfitError
from tests.protocols.curie.table import (
    ALICE,
    AT,
    BLOCK,
    BOB,
    FOUND,
    GONE,
    MAKER,
    POOLS,
    TABLE,
    VBTC,
    VENUE,
    VETH,
    WALLETS,
)
from tests.support.fake_chain import Answers, drive, failing, rounds


def read(
    table: Answers = TABLE, *, venue: Venue = VENUE, wallets: tuple[Address, ...] = WALLETS
) -> VenueState:
    return drive(Curie().read(venue, FOUND, wallets, BLOCK), table)


def by_owner(state: VenueState) -> dict[Address, Account]:
    return {a.owner: a for a in state.accounts}


def changed(changes: dict[Hashable, object]) -> Answers:
    return {**TABLE, **changes}


def test_a_long_keeps_sign_scale_and_entry() -> None:
    alice = by_owner(read())[ALICE]
    assert alice.id == f"curie:42161:{ALICE}"
    assert alice.positions == (
        Position(instrument=f"curie:42161:{VETH}", size=Wad(2 * ONE), entry=Wad(2_050 * ONE)),
    )
    assert alice.balances == (Balance(asset="USDC", amount=Wad(1_000 * ONE)),)  # 1000 + 3 + 2 - 5
    assert alice.venue == Requirement(
        equity=Wad(900 * ONE), initial=Wad(410 * ONE), maintenance=Wad(250 * ONE)
    )
    assert (alice.funding_due, alice.withdrawable) == (5 * ONE, 500 * ONE)
    assert (alice.margin_asset, alice.margin_underlying) == ("USDC", None)
    assert (alice.liquidatable, alice.bounty) == (False, None)


def test_a_short_below_zero_may_be_taken_over_for_the_whole_penalty() -> None:
    bob = by_owner(read())[BOB]
    assert bob.positions[0].size == -ONE
    assert bob.positions[0].entry == 39_000 * ONE
    assert bob.liquidatable
    assert bob.bounty == Bounty(
        instrument=f"curie:42161:{VBTC}",
        size=Wad(-ONE),
        reward_usd=Wad(1_000 * ONE),  # 2.5 % of 40,000
        takes_over=True,
        gas=2_300_000,
    )
    assert bob.withdrawable is None, "asked for our own accounts only"


def test_the_insurance_fund_takes_half_while_there_is_equity() -> None:
    table = changed(
        {
            (AT["ClearingHouse"], "getAccountValue", (BOB,)): ONE,
            (AT["AccountBalance"], "getLiquidatablePositionSize", (BOB, VBTC, ONE)): -ONE // 2,
        }
    )
    bounty = by_owner(read(table))[BOB].bounty
    assert bounty is not None
    assert (bounty.size, bounty.reward_usd) == (-ONE // 2, 250 * ONE)


def test_who_has_left_is_left_out_unless_he_is_one_of_us() -> None:
    assert set(by_owner(read())) == {ALICE, BOB, MAKER}
    table = changed(
        {
            (AT["SettlementToken"], "balanceOf", (GONE,)): 0,
            (AT["SettlementToken"], "allowance", (GONE, AT["Vault"])): 0,
        }
    )
    assert GONE in by_owner(read(table, wallets=(ALICE, GONE)))


def test_a_maker_without_a_net_position_is_an_account_with_orders() -> None:
    maker = by_owner(read())[MAKER]
    assert maker.has_orders
    assert maker.positions == ()


def test_quotes_funding_and_pools() -> None:
    state = read()
    mark, index = state.quotes[:2]
    assert mark == Quote(
        subject=f"curie:42161:{VBTC}",
        kind="mark",
        price=Wad(40_000 * ONE),
        source="curie:42161:AccountBalance",
        chain_id=42161,
        observed_at_s=BLOCK.timestamp_s,
    )
    assert index == replace(
        mark, subject="BTC", kind="index", price=Wad(39_900 * ONE), source="curie:42161:BaseToken"
    )
    # (4 - 5) / 5 is -20 % a day, and the venue lets it be 10 % at most
    assert [f.rate_per_day for f in state.funding] == [-ONE // 10, -ONE // 10]
    eth = next(p for p in state.pools if p.instrument.endswith(VETH))
    assert (eth.tick, eth.liquidity, eth.tick_spacing, eth.fee) == (-130, 12_345, 60, ONE // 1_000)
    assert eth.nets == ((-960, 9), (-60, 5), (60, -14))  # -15360 and 12000 are out of reach


def test_a_full_read_is_four_rounds_however_many_accounts() -> None:
    state, count = rounds(Curie().read(VENUE, FOUND, WALLETS, BLOCK), TABLE)
    assert count == 4
    assert state.gaps == ()


@pytest.mark.parametrize(
    ("reason", "liquidatable"),
    [
        ("CH_NEFCI", True),
        ("CH_EAV", False),
        ("CH_IIC", False),
        ("CH_MNO", False),
        ("Pausable: paused", False),
    ],
)
def test_what_the_contract_answers_decides(reason: str, liquidatable: bool) -> None:
    refused = Failed("curie/ClearingHouse.liquidate", reason, True)
    bob = by_owner(read(changed({(AT["ClearingHouse"], "liquidate", (BOB, VBTC, 0)): refused})))[BOB]
    assert bob.liquidatable == liquidatable
    assert (bob.bounty is not None) == liquidatable


def test_an_unanswered_liquidation_leaves_the_account_unknown() -> None:
    state = read(failing(TABLE, (AT["ClearingHouse"], "liquidate", (BOB, VBTC, 0))))
    assert BOB not in by_owner(state)
    assert [(g.what, g.key) for g in state.gaps] == [("account", f"curie:42161:{BOB}")]


def test_nobody_takes_over_his_own_position() -> None:
    seen: list[Address | None] = []
    for wallets, expected in (((ALICE,), ALICE), ((BOB,), NOBODY), ((BOB, ALICE), ALICE), ((), NOBODY)):
        for read_ in _asked(wallets):
            if isinstance(read_, Call) and read_.fn == "liquidate":
                seen.append(read_.sender)
                assert read_.sender == expected
    assert len(seen) == 4


def _asked(wallets: tuple[Address, ...]) -> list[Any]:
    table: dict[Hashable, object] = dict(TABLE)
    for who in wallets:
        table |= {
            (AT["SettlementToken"], "balanceOf", (who,)): 0,
            (AT["SettlementToken"], "allowance", (who, AT["Vault"])): 0,
        }
    asked: list[Any] = []
    reads = Curie().read(VENUE, FOUND, wallets, BLOCK)
    try:
        batch = next(reads)
        while True:
            asked += batch
            batch = reads.send([table[r.to, r.fn, r.args] for r in batch])  # type: ignore[union-attr]
    except StopIteration:
        return asked


def test_orders_are_cancelled_before_the_proof() -> None:
    book = AT["OrderBook"]
    table = changed(
        {
            (AT["AccountBalance"], "hasOrder", (BOB,)): True,
            (AT["AccountBalance"], "getBaseTokens", (BOB,)): [VBTC, VETH],
            (AT["AccountBalance"], "getTotalPositionSize", (BOB, VETH)): 0,
            (AT["AccountBalance"], "getTotalOpenNotional", (BOB, VETH)): 0,
            (book, "getOpenOrderIds", (BOB, VETH)): [],
            (book, "getOpenOrderIds", (BOB, VBTC)): [b"1", b"2"],
        }
    )
    reads = Curie().read(VENUE, FOUND, WALLETS, BLOCK)
    proofs: list[Call] = []
    try:
        batch = next(reads)
        while True:
            proofs += [r for r in batch if isinstance(r, Call) and r.before]
            batch = reads.send([table[r.to, r.fn, r.args] for r in batch])  # type: ignore[union-attr]
    except StopIteration as done:
        state: VenueState = done.value
    assert by_owner(state)[BOB].liquidatable
    assert {p.fn for p in proofs} == {"liquidate", "getLiquidatablePositionSize"}
    for proof in proofs:
        assert [(s.fn, s.args) for s in proof.before] == [("cancelAllExcessOrders", (BOB, VBTC))]


@pytest.mark.parametrize("fn", ["getImRatio", "getMmRatio", "getLiquidationPenaltyRatio", "getTwapInterval"])
def test_without_its_ratios_nothing_can_be_said_of_the_venue(fn: str) -> None:
    state = read(failing(TABLE, (AT["ClearingHouseConfig"], fn, ())))
    assert state.accounts == ()
    assert [(g.what, g.key) for g in state.gaps] == [("venue", "curie:42161")]


def test_a_paused_market_is_valued_at_its_fixed_price_and_not_traded() -> None:
    reverted = Failed("getClosedPrice", "BT_NC", True)
    table = changed(
        {
            (VETH, "isOpen", ()): False,
            (VETH, "getClosedPrice", ()): reverted,
            (VETH, "getPausedIndexPrice", ()): 1_900 * ONE,
            (AT["AccountBalance"], "getMarkPrice", (VETH,)): 1,
        }
    )
    state = read(table)
    marks = {q.subject: q.price for q in state.quotes if q.kind == "mark"}
    assert marks[f"curie:42161:{VETH}"] == 1_900 * ONE
    assert [p.instrument for p in state.pools] == [f"curie:42161:{VBTC}"]
    unknown = {**table, (VETH, "getClosedPrice", ()): Failed("getClosedPrice", "timed out")}
    assert ("quote", f"curie:42161:{VETH}") in {(g.what, g.key) for g in read(unknown).gaps}


def test_a_lost_tick_loses_the_pool_not_the_accounts() -> None:
    state = read(failing(TABLE, (POOLS[VETH], "ticks", (-60,))))
    assert [(g.what, g.key) for g in state.gaps] == [("depth", f"curie:42161:{VETH}")]
    assert [p.instrument for p in state.pools] == [f"curie:42161:{VBTC}"]
    assert set(by_owner(state)) == {ALICE, BOB, MAKER}


def test_a_configured_key_that_is_no_address_is_the_operators_mistake() -> None:
    with pytest.raises(VenueUnfitError, match="vETH"):
        read(venue=replace(VENUE, underlyings=(("vETH", "ETH"),)))


def test_nothing_found_is_an_empty_venue_with_its_markets() -> None:
    state = drive(Curie().read(VENUE, Found(), (), BLOCK), TABLE)
    assert state.accounts == ()
    assert len(state.instruments) == 2
    assert len(state.quotes) == 4
