"""Lyra: our reading against the contract's own figures, our actions against what they do to balances."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from keeper.model.book import Account, Balance
from keeper.model.instrument import Option, Right
from keeper.model.plan import Liquidate, MoveCollateral, Reason, Refresh, Settle
from keeper.model.reads import Address
from keeper.model.snapshot import VenueState
from keeper.model.units import ONE, ZERO, Wad, mul
from keeper.protocols.errors import UnencodableActionError
from keeper.risk import black76
from tests.conformance.conftest import Subject

pytestmark = pytest.mark.devnet

REASON = Reason(text="test")
DAY_S = 86_400
YEAR_S = 31_536_000
SHORT_CALL_BASE = 2
NO_CASH = Balance(asset="sUSD", amount=ZERO)


def structs(lyra: Subject) -> dict[str, Any]:
    """The contract's own positions by account id: (id, strike id, type, amount, collateral, state)."""
    token = lyra.chains.lyra["OptionToken"]
    ids = list(range(1, token.call("nextId")))
    return {f"{lyra.venue.id}:{p[0]}": p for p in token.call("getOptionPositions", ids)}


def black_scholes(
    lyra: Subject, *, seconds: int, vol: Wad, spot: Wad, strike: Wad, rate: Wad
) -> dict[str, float]:
    """Ask the venue's pricing library. A library's selector hashes the name of its struct, not its types."""
    selector = keccak(text="pricesDeltaStdVega(BlackScholes.BlackScholesInputs)")[:4]
    inputs = encode(["(uint256,uint256,uint256,uint256,int256)"], [(seconds, vol, spot, strike, rate)])
    library = lyra.chains.lyra["BlackScholes"].address
    answer = lyra.node.call(library, "0x" + (selector + inputs).hex(), what="BlackScholes")
    types = ["uint256", "uint256", "int256", "int256", "uint256", "uint256"]
    names = ("call", "put", "call delta", "put delta", "vega", "std vega")
    return dict(zip(names, (v / ONE for v in decode(types, bytes.fromhex(answer[2:]))), strict=True))


def liquidation(account: Account) -> Liquidate:
    position = account.positions[0]
    return Liquidate(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        instrument=position.instrument,
        max_size=position.size,
        takes_over=False,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )


def move(account: Account, amount: int, direction: Literal["add", "withdraw"] = "add") -> MoveCollateral:
    return MoveCollateral(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        asset=account.balances[0].asset,
        amount=Wad(amount),
        direction=direction,
    )


def settlement(state: VenueState, key: str) -> Settle:
    board = next(b for b in state.boards if b.key == key)
    return Settle(
        subject=board.venue,
        reason=REASON,
        protocol="lyra",
        chain_id=board.chain_id,
        board=board.key,
        board_settled=board.settled,
        accounts=board.open_positions,
    )


def held(lyra: Subject, owner: Address) -> dict[str, int]:
    """What a wallet holds, by symbol."""
    tokens = {"sUSD": "QuoteAsset", "sETH": "BaseAsset"}
    return {s: lyra.chains.lyra[c].call("balanceOf", owner) for s, c in tokens.items()}


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


def test_settling_does_board_and_positions_and_skips_what_others_did(lyra: Subject) -> None:
    keeper = lyra.actor("paul")
    lyra.node.warp(14 * DAY_S)
    state = lyra.read()
    action = settlement(state, "1")
    sends = lyra.encode(action, keeper)
    assert [s.fn for s in sends] == ["settleExpiredBoard", "settleOptions"]
    lyra.chains.lyra["OptionMarket"].send("settleExpiredBoard", 1)
    first = int(action.accounts[0].rpartition(":")[2])
    lyra.chains.lyra["ShortCollateral"].send("settleOptions", [first])
    (rest,) = lyra.encode(action, keeper)
    assert rest.fn == "settleOptions"
    assert first not in rest.args[0]  # type: ignore[operator]
    lyra.send((rest,), keeper)
    assert lyra.read().boards == ()


def test_anybody_adds_collateral_with_an_exact_approval(lyra: Subject) -> None:
    payer = lyra.actor("anna")
    lyra.chains.lyra.fund(payer, quote=Wad(5_000 * ONE), base=Wad(3 * ONE))
    for token in ("QuoteAsset", "BaseAsset"):
        lyra.chains.lyra[token].send("approve", lyra.venue.address("OptionMarket"), 7, sender=payer)
    stored = structs(lyra)
    for account in lyra.read().accounts:
        if not account.margin_asset:
            with pytest.raises(UnencodableActionError, match="not an open short"):
                lyra.encode(move(replace(account, balances=(NO_CASH,)), 1), payer)
            continue
        amount = ONE // 3
        before = held(lyra, payer)
        sends = lyra.encode(move(account, amount), payer)
        assert [s.fn for s in sends] == ["approve", "addCollateral"]
        assert sends[0].args == (lyra.venue.address("OptionMarket"), amount)
        lyra.send(sends, payer)
        assert structs(lyra)[account.id][4] == stored[account.id][4] + amount
        assert held(lyra, payer)[account.margin_asset] == before[account.margin_asset] - amount
        other = replace(move(account, amount), asset="sUSD" if account.margin_asset == "sETH" else "sETH")
        with pytest.raises(UnencodableActionError, match="as collateral"):
            lyra.encode(other, payer)


def test_a_sufficient_allowance_is_left_alone(lyra: Subject) -> None:
    desk = lyra.actor("desk")
    account = next(a for a in lyra.read().accounts if a.owner == desk and a.margin_asset == "sUSD")
    assert [s.fn for s in lyra.encode(move(account, 100 * ONE), desk)] == ["addCollateral"]


def test_owners_take_out_down_to_the_minimum_and_not_below(lyra: Subject) -> None:
    desk = lyra.actor("desk")
    for account in lyra.read().accounts:
        if account.owner != desk or account.withdrawable is None:
            continue
        price = lyra.chains.lyra.spot() if account.margin_underlying else ONE
        free = account.withdrawable * ONE // price * 999 // 1_000
        before, stored = held(lyra, desk), structs(lyra)
        lyra.send(lyra.encode(move(account, free, "withdraw"), desk), desk)
        assert structs(lyra)[account.id][4] == stored[account.id][4] - free
        assert held(lyra, desk)[account.balances[0].asset] == before[account.balances[0].asset] + free
        too_much = lyra.encode(move(account, account.balances[0].amount // 2, "withdraw"), desk)
        (refused,) = lyra.simulate(too_much, desk)
        assert not refused.ok
        assert not refused.benign
        assert "minimum" in str(refused.error)
        with pytest.raises(UnencodableActionError, match="less than is asked"):
            lyra.encode(move(account, account.balances[0].amount, "withdraw"), desk)
        with pytest.raises(UnencodableActionError, match="only"):
            lyra.encode(move(account, 1, "withdraw"), lyra.actor("anna"))


def test_refresh_updates_stale_boards_even_beside_an_expired_one(lyra: Subject) -> None:
    action = Refresh(subject="lyra:10", reason=REASON, protocol="lyra", chain_id=10)
    cache, keeper = lyra.chains.lyra["OptionGreekCache"], lyra.actor("paul")
    assert lyra.encode(action, keeper) == ()
    lyra.chains.lyra.set_spot(Wad(1_800 * ONE))
    both = lyra.encode(action, keeper)
    assert [s.args for s in both] == [(1,), (2,)]
    lyra.send(both, keeper)
    assert not cache.call("isBoardCacheStale", 1)
    lyra.node.warp(15 * DAY_S)
    assert [s.args for s in lyra.encode(action, keeper)] == [(2,)]
    lyra.send(lyra.encode(action, keeper), keeper)
    assert not cache.call("isBoardCacheStale", 2)


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
