"""Lyra's reading against answers written by hand."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest

from keeper.model.book import Account, Balance, Bounty, Position, Requirement
from keeper.model.errors import UnfitValueError
from keeper.model.instrument import Option, Right
from keeper.model.quote import VolSlice
from keeper.model.reads import Call
from keeper.model.snapshot import Board, VenueState
from keeper.model.units import ONE, Wad
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.lyra import Lyra
from tests.protocols.lyra.table import (
    ALICE,
    AT,
    BASE_IV,
    BLOCK,
    BOB,
    EXPIRY_S,
    FOUND,
    HOLDINGS,
    NOW_S,
    REWARD,
    TABLE,
    VENUE,
    WALLETS,
    proof,
)
from tests.support.fake_chain import Answers, drive, failing, rounds


def read(table: Answers = TABLE, *, venue: Venue = VENUE) -> VenueState:
    return drive(Lyra().read(venue, FOUND, WALLETS, BLOCK), table)


def by_id(state: VenueState) -> dict[int, Account]:
    return {int(a.key): a for a in state.accounts}


def changed(changes: dict[Hashable, object]) -> Answers:
    return {**TABLE, **changes}


def test_every_open_position_is_an_account_and_no_other() -> None:
    state = read()
    assert list(by_id(state)) == [1, 2, 3, 4, 5, 7, 8]
    assert {i: a.owner for i, a in by_id(state).items()} == {h[0]: h[6] for h in HOLDINGS if h[5] == 1}
    assert state.gaps == ()


def test_a_long_is_an_option_without_collateral_or_requirement() -> None:
    call, put = by_id(read())[1], by_id(read())[2]
    assert call.positions == (Position(instrument="lyra:10:1-11-call", size=Wad(3 * ONE)),)
    assert put.positions == (Position(instrument="lyra:10:1-12-put", size=Wad(2 * ONE)),)
    nothing = Requirement(equity=Wad(0), initial=Wad(0), maintenance=Wad(0))
    for account in (call, put):
        assert (account.balances, account.venue) == ((), nothing)
        assert (account.margin_asset, account.withdrawable, account.liquidatable) == (None, None, False)


def test_collateral_in_eth_is_valued_at_the_venues_spot() -> None:
    short = by_id(read())[3]
    assert short.positions == (Position(instrument="lyra:10:1-12-call", size=Wad(-4 * ONE)),)
    assert short.balances == (Balance(asset="sETH", amount=Wad(ONE), underlying="ETH"),)
    assert short.venue == Requirement(
        equity=Wad(2_000 * ONE), initial=Wad(1_000 * ONE), maintenance=Wad(1_000 * ONE)
    )
    assert (short.margin_asset, short.margin_underlying) == ("sETH", "ETH")
    assert short.withdrawable == 1_000 * ONE


def test_collateral_in_dollars_is_itself() -> None:
    short = by_id(read())[4]
    assert short.positions[0].size == -5 * ONE
    assert short.balances == (Balance(asset="sUSD", amount=Wad(900 * ONE)),)
    assert (short.venue.equity, short.venue.maintenance) == (900 * ONE, 850 * ONE)
    assert (short.margin_asset, short.margin_underlying) == ("sUSD", None)


def test_the_bounty_is_what_the_simulated_liquidation_pays() -> None:
    short = by_id(read())[5]
    assert short.liquidatable
    assert short.bounty == Bounty(
        instrument="lyra:10:1-11-put",
        size=Wad(-6 * ONE),
        reward_usd=Wad(REWARD),
        takes_over=False,
        gas=1_100_000,
    )
    assert short.withdrawable == 0


def test_positions_of_a_strike_share_an_instrument() -> None:
    state = read()
    options = {i.id: i for i in state.instruments}
    assert options["lyra:10:1-11-put"] == Option(
        id="lyra:10:1-11-put",
        underlying="ETH",
        settle="sUSD",
        strike=Wad(1_900 * ONE),
        expiry_s=EXPIRY_S,
        right=Right.PUT,
    )
    assert [i for i in options if i.startswith("lyra:10:1-")] == sorted(
        f"lyra:10:1-{s}-{r}" for s in (11, 12) for r in ("call", "put")
    )


def test_vols_are_base_iv_times_skew() -> None:
    (surface,) = read().surfaces
    assert (surface.underlying, surface.venue, surface.rate) == ("ETH", "lyra:10", ONE // 20)
    assert surface.slices == (
        VolSlice(
            expiry_s=EXPIRY_S,
            strikes=(Wad(1_900 * ONE), Wad(2_100 * ONE)),
            vols=(Wad(BASE_IV * 11 // 10), Wad(BASE_IV)),
        ),
    )


def test_a_settled_position_is_its_claim() -> None:
    long, short = by_id(read())[7], by_id(read())[8]
    assert (long.positions, short.positions) == ((), ())
    assert long.balances == (Balance(asset="sUSD", amount=Wad(600 * ONE)),)  # 2 x (1800 - 1500)
    assert short.balances == (Balance(asset="sETH", amount=Wad(ONE * 4 // 5), underlying="ETH"),)
    assert (long.venue.equity, short.venue.equity) == (600 * ONE, 1_600 * ONE)
    assert read().boards == (
        Board(
            venue="lyra:10",
            chain_id=10,
            key="2",
            expiry_s=NOW_S - 100,
            settled=True,
            open_positions=("lyra:10:7", "lyra:10:8"),
        ),
    )


def test_a_full_read_is_four_rounds_and_three_when_nobody_is_short() -> None:
    assert rounds(Lyra().read(VENUE, FOUND, WALLETS, BLOCK), TABLE)[1] == 4
    empty = {k: v for k, v in TABLE.items() if k != (AT["OptionToken"], "getOptionPositions")}
    state, count = rounds(Lyra().read(VENUE, Found(), (), BLOCK), empty)
    assert count == 2
    assert (state.accounts, len(state.surfaces), state.gaps) == ((), 1, ())


@pytest.mark.parametrize("benign", [True, False])
def test_a_refused_liquidation_is_no_an_unanswered_one_unknown(benign: bool) -> None:
    state = read(failing(TABLE, proof(5), benign=benign))
    if benign:
        assert not by_id(state)[5].liquidatable
        assert by_id(state)[5].bounty is None
        assert state.gaps == ()
    else:
        assert 5 not in by_id(state)
        assert [(g.what, g.key) for g in state.gaps] == [("account", "lyra:10:5")]


@pytest.mark.parametrize("name", ["isMarketPaused", "isGlobalPaused"])
def test_a_paused_market_is_not_asked_for_liquidations(name: str) -> None:
    args: tuple[object, ...] = (AT["OptionMarket"],) if name == "isMarketPaused" else ()
    table = changed({(AT["SynthetixAdapter"], name, args): True})
    without_proof = {k: v for k, v in table.items() if k != proof(5)}
    assert not by_id(read(without_proof))[5].liquidatable


def test_without_a_spot_only_what_needs_none_is_known() -> None:
    spot = (AT["SynthetixAdapter"], "getSpotPriceForMarket", (AT["OptionMarket"],))
    state = read(failing(TABLE, spot, benign=True))
    assert set(by_id(state)) == {1, 2, 7}
    assert {g.key for g in state.gaps} == {"ETH", "lyra:10:3", "lyra:10:4", "lyra:10:5", "lyra:10:8"}
    assert state.quotes == ()


def test_an_unread_board_loses_the_whole_surface() -> None:
    state = read(failing(TABLE, (AT["OptionMarket"], "getBoardAndStrikeDetails", (1,))))
    assert state.surfaces == ()
    assert ("surface", "ETH") in {(g.what, g.key) for g in state.gaps}
    assert set(by_id(state)) == set(by_id(read()))


def test_an_unknown_base_asset_is_no_market_of_ours() -> None:
    state = read(venue=replace(VENUE, underlyings=(("sBTC", "BTC"),)))
    assert state.accounts == ()
    assert [(g.what, g.key) for g in state.gaps] == [("venue", "lyra:10")]
    assert "sETH" in state.gaps[0].reason


def test_an_unread_chunk_of_positions_is_a_gap_for_each_of_them() -> None:
    ids = tuple(h[0] for h in HOLDINGS)
    state = read(failing(TABLE, (AT["OptionToken"], "getOptionPositions", (ids,))))
    assert state.accounts == ()
    assert [g.key for g in state.gaps] == [f"lyra:10:{i}" for i in ids]


def test_many_positions_are_read_in_chunks() -> None:
    found = Found(keys=tuple(str(i) for i in range(1, 1_000)), next_block=1)
    asked = next(Lyra().read(VENUE, found, (), BLOCK))
    chunks: list[Any] = [r.args[0] for r in asked if isinstance(r, Call) and r.fn == "getOptionPositions"]
    assert [len(c) for c in chunks] == [400, 400, 199]
    assert [i for c in chunks for i in c] == list(range(1, 1_000))


def test_alice_and_bob_are_told_apart_in_wallets() -> None:
    (wallet,) = read().wallets
    assert wallet.owner == ALICE != BOB
    assert [(b.asset, b.amount) for b in wallet.balances] == [("sUSD", 9 * ONE), ("sETH", 9 * ONE)]
    assert {a.amount for a in wallet.allowances} == {8 * ONE}


def test_a_stranger_answer_is_not_taken_for_a_type() -> None:
    ids = tuple(h[0] for h in HOLDINGS)
    odd = dict.fromkeys(("positionId", "strikeId", "amount", "collateral"), 1) | {"optionType": 9, "state": 1}
    with pytest.raises(UnfitValueError, match="9 is not a valid OptionType"):
        read(changed({(AT["OptionToken"], "getOptionPositions", (ids,)): [odd]}))
