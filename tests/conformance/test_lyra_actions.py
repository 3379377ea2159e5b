"""Lyra: our actions against what they do on the chain."""

from dataclasses import replace

import pytest

from keeper.model.plan import Refresh
from keeper.model.units import ONE, Wad
from keeper.protocols.errors import UnencodableActionError
from tests.conformance.lyra_figures import DAY_S, NO_CASH, REASON, held, move, settlement, structs
from tests.conformance.subject import Subject

pytestmark = pytest.mark.devnet


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
