"""Lyra: our reading against the contract's own figures."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from keeper.model.instrument import Option, Right
from keeper.model.units import ONE, Wad, mul
from keeper.risk import black76
from tests.conformance.lyra_figures import (
    DAY_S,
    SHORT_CALL_BASE,
    YEAR_S,
    black_scholes,
    held,
    liquidation,
    settlement,
    structs,
)
from tests.conformance.subject import Subject

pytestmark = pytest.mark.devnet


def test_every_position_is_read_as_the_contract_stores_it(lyra: Subject) -> None:
    state, stored = lyra.read(), structs(lyra)
    options = {i.id: i for i in state.instruments}
    assert {a.id for a in state.accounts} == set(stored)
    for account in state.accounts:
        _, strike_id, kind, amount, collateral, _ = stored[account.id]
        (position,) = account.positions
        option = options[position.instrument]
        assert isinstance(option, Option)
        assert position.size == (-amount if kind >= SHORT_CALL_BASE else amount)
        assert option.right is (Right.PUT if kind in (1, 4) else Right.CALL)
        market = lyra.chains.lyra["OptionMarket"]
        assert (option.strike, option.expiry_s) == market.call("getStrikeAndExpiry", strike_id)
        assert account.owner == lyra.chains.lyra.owner_of(int(account.key))
        assert sum(b.amount for b in account.balances) == collateral
        assert {b.asset for b in account.balances} <= ({"sETH"} if kind == SHORT_CALL_BASE else {"sUSD"})


@pytest.mark.parametrize("spot", [1_234, 1_800, 2_000, 2_345, 3_100])
def test_the_requirement_is_the_contracts_minimum_for_every_short(lyra: Subject, spot: int) -> None:
    lyra.chains.lyra.set_spot(Wad(spot * ONE + 123_456_789))
    price = lyra.chains.lyra.spot()
    state, stored = lyra.read(), structs(lyra)
    shorts = 0
    for account in state.accounts:
        _, strike_id, kind, amount, collateral, _ = stored[account.id]
        if kind < SHORT_CALL_BASE:
            assert (account.venue.equity, account.venue.maintenance, account.margin_asset) == (0, 0, None)
            continue
        shorts += 1
        minimum = lyra.chains.lyra.min_collateral(kind, strike_id, amount)
        in_usd = (lambda x: mul(Wad(x), price)) if kind == SHORT_CALL_BASE else Wad
        assert account.venue.maintenance == account.venue.initial == in_usd(minimum)
        assert account.venue.equity == in_usd(collateral)
        assert account.withdrawable == max(0, account.venue.equity - account.venue.maintenance)
    assert shorts == 10


def test_marks_agree_with_the_venues_own_library_at_the_same_inputs(lyra: Subject) -> None:
    state = lyra.read()
    (surface,), (index,) = state.surfaces, state.quotes
    now_s = surface.observed_at_s
    slices = {s.expiry_s: dict(zip(s.strikes, s.vols, strict=True)) for s in surface.slices}
    assert len(state.instruments) == 2 * sum(len(s) for s in slices.values()) == 18
    for option in state.instruments:
        assert isinstance(option, Option)
        vol, seconds = slices[option.expiry_s][option.strike], option.expiry_s - now_s
        theirs = black_scholes(
            lyra, seconds=seconds, vol=vol, spot=index.price, strike=option.strike, rate=surface.rate
        )
        expiry_y = seconds / YEAR_S
        growth = math.exp(surface.rate / ONE * expiry_y)
        ours = black76.price(
            index.price / ONE * growth,
            option.strike / ONE,
            expiry_y,
            vol / ONE,
            call=option.right is Right.CALL,
            discount=1 / growth,
        )
        assert float(ours) == pytest.approx(theirs[str(option.right)], rel=1e-12, abs=1e-9)


def test_the_surface_is_base_iv_times_skew_as_the_viewer_shows_it(lyra: Subject) -> None:
    (surface,) = lyra.read().surfaces
    market = lyra.chains.lyra["OptionMarketViewer"].call("getMarket", lyra.venue.address("OptionMarket"))
    boards = next(part for part in market if isinstance(part, tuple | list) and _looks_like_boards(part))
    assert len(surface.slices) == len(boards) == 2
    for board in boards:
        expiry_s, base_iv, strikes = board[2], board[3], board[-1]
        (shown,) = (s for s in surface.slices if s.expiry_s == expiry_s)
        assert dict(zip(shown.strikes, shown.vols, strict=True)) == {
            s[2]: base_iv * s[3] // ONE for s in strikes
        }


def _looks_like_boards(part: Any) -> bool:
    return len(part) == 2 and all(isinstance(b, tuple | list) and len(b) == 9 for b in part)


def test_the_margin_terms_are_the_contracts(lyra: Subject) -> None:
    (terms,) = lyra.read().terms
    names = [name for name, _ in terms.values]
    assert names == sorted(names)
    cache = lyra.chains.lyra["OptionGreekCache"]
    margin = cache.call("getMinCollatParams")
    assert sorted(v for n, v in terms.values if n != "rate") == sorted(margin)
    assert dict(terms.values)["rate"] == cache.call("getGreekCacheParams")[-1]
    assert dict(terms.values)["shock_vol_point_a_s"] == 14 * DAY_S


@pytest.mark.parametrize("spot", [1_000, 1_700, 2_000, 2_600, 3_400])
def test_liquidatable_is_the_contracts_own_word_and_the_bounty_what_it_pays(lyra: Subject, spot: int) -> None:
    keeper = lyra.actor("paul")
    lyra.chains.lyra.set_spot(Wad(spot * ONE))
    state = lyra.read()
    seen = 0
    for account in state.accounts:
        sends = lyra.encode(liquidation(account), keeper)
        (simulated,) = lyra.simulate(sends, keeper)
        assert account.liquidatable == simulated.ok, (account.id, simulated)
        if not simulated.ok:
            assert simulated.benign, simulated
            continue
        seen += 1
        bounty, kept, before = account.bounty, lyra.node.snapshot(), held(lyra, keeper)
        assert bounty is not None
        assert bounty.size == account.positions[0].size
        (receipt,) = lyra.send(sends, keeper)
        assert int(receipt["gasUsed"], 16) < bounty.gas
        paid = {s: v - before[s] for s, v in held(lyra, keeper).items()}
        # The transaction is a second later than the reading, and the premium has lost that second's value.
        earned = paid["sUSD"] + mul(Wad(paid["sETH"]), Wad(spot * ONE))
        assert earned == pytest.approx(bounty.reward_usd, rel=2e-6)
        assert account.id not in {a.id for a in lyra.read().accounts}
        (again,) = lyra.simulate(sends, keeper)
        assert not again.ok
        assert again.benign, again.error
        lyra.node.revert(kept)
    assert (seen > 0) == (spot != 2_000)


@pytest.mark.parametrize(
    ("contract", "function", "args"),
    [
        ("SynthetixAdapter", "setMarketPaused", ("market", True)),
        ("SynthetixAdapter", "setGlobalPaused", (True,)),
        ("OptionMarket", "setBoardFrozen", (1, True)),
    ],
)
def test_what_the_venue_has_stopped_is_not_liquidatable(
    lyra: Subject, contract: str, function: str, args: tuple[object, ...]
) -> None:
    lyra.chains.move()
    whole = lyra.read()
    assert [a.owner for a in whole.accounts if a.liquidatable] == [lyra.actor("dora")]
    named = tuple(lyra.venue.address("OptionMarket") if a == "market" else a for a in args)
    lyra.chains.lyra[contract].send(function, *named)
    state = lyra.read()
    assert not [a for a in state.accounts if a.liquidatable]
    known, gaps = {a.id for a in state.accounts}, {g.key for g in state.gaps if g.what == "account"}
    assert known | gaps == {a.id for a in whole.accounts}
    assert not known & gaps


def test_an_invalid_rate_leaves_shorts_unknown_and_the_index_missing(lyra: Subject) -> None:
    lyra.chains.lyra["ExchangeRates"].send("setRateAndInvalid", b"sETH".ljust(32, b"\0"), 2_000 * ONE, True)
    state, stored = lyra.read(), structs(lyra)
    shorts = {i for i, p in stored.items() if p[2] >= SHORT_CALL_BASE}
    assert {g.key for g in state.gaps if g.what == "account"} == shorts
    assert {a.id for a in state.accounts} == set(stored) - shorts
    assert ("quote", "ETH") in {(g.what, g.key) for g in state.gaps}
    assert all("RateIsInvalid" in g.reason for g in state.gaps)
    assert state.quotes == ()
    assert state.surfaces != ()


def test_an_expired_board_waits_then_pays_exactly_the_claims_we_showed(lyra: Subject) -> None:
    market, keeper = lyra.chains.lyra["OptionMarket"], lyra.actor("paul")
    lyra.chains.lyra.set_spot(Wad(2_150 * ONE))
    assert lyra.read().boards == ()
    lyra.node.warp(14 * DAY_S)
    waiting = lyra.read()
    (board,) = waiting.boards
    assert (board.key, board.settled, len(board.open_positions)) == ("1", False, 11)
    assert not [
        a for a in waiting.accounts if a.liquidatable or (a.id in board.open_positions and a.margin_asset)
    ]
    assert [s.expiry_s for s in waiting.surfaces[0].slices] == [
        max(o.expiry_s for o in waiting.instruments if isinstance(o, Option))
    ]

    market.send("settleExpiredBoard", 1)
    settled = lyra.read()
    assert (settled.boards[0].settled, settled.boards[0].open_positions) == (True, board.open_positions)
    for account in settled.accounts:
        if account.id not in board.open_positions:
            continue
        (claim,) = account.balances
        assert account.positions == ()
        assert account.venue.maintenance == 0
        before = held(lyra, account.owner)
        lyra.send(lyra.encode(replace(settlement(settled, "1"), accounts=(account.id,)), keeper), keeper)
        paid = {s: v - before[s] for s, v in held(lyra, account.owner).items()}
        assert paid == {**dict.fromkeys(paid, 0), claim.asset: claim.amount}, account.id
    assert lyra.read().boards == ()
    assert lyra.encode(settlement(settled, "1"), keeper) == ()


def test_wallets_show_both_assets_and_what_the_market_may_take(lyra: Subject) -> None:
    state = lyra.read()
    market = lyra.venue.address("OptionMarket")
    assert [w.owner for w in state.wallets] == sorted(lyra.wallets)
    for wallet in state.wallets:
        assert {b.asset: b.amount for b in wallet.balances} == held(lyra, wallet.owner)
        assert {b.asset: b.underlying for b in wallet.balances} == {"sUSD": None, "sETH": "ETH"}
        allowed: Mapping[str, int] = {a.asset: a.amount for a in wallet.allowances}
        assert allowed == {
            s: lyra.chains.lyra[c].call("allowance", wallet.owner, market)
            for s, c in (("sUSD", "QuoteAsset"), ("sETH", "BaseAsset"))
        }
        assert {a.spender for a in wallet.allowances} == {market}
