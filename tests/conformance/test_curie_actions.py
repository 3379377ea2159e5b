"""Curie: our actions against what they do on the chain."""

from dataclasses import replace

import pytest

from keeper.market.depth import depth
from keeper.model.units import ONE, Wad, to_raw
from keeper.protocols.errors import UnencodableActionError
from tests.conformance.curie_figures import accounts, hedge, instrument, liquidation, move, size_of
from tests.conformance.subject import Subject

pytestmark = pytest.mark.devnet


def test_no_more_is_taken_over_than_was_decided(curie: Subject) -> None:
    keeper = curie.actor("anna")
    curie.chains.curie.deposit(keeper, 1_000_000)
    curie.chains.move()
    kurt = accounts(curie.read())[curie.actor("kurt")]
    assert kurt.bounty is not None
    assert kurt.bounty.size < kurt.positions[0].size
    small = kurt.bounty.size // 7
    kept = curie.node.snapshot()
    curie.send(curie.encode(liquidation(kurt, size=small), keeper), keeper)
    assert size_of(curie, keeper, "ETH") == small
    curie.node.revert(kept)
    curie.send(curie.encode(liquidation(kurt, size=kurt.positions[0].size), keeper), keeper)
    assert size_of(curie, keeper, "ETH") == pytest.approx(kurt.bounty.size, rel=1e-3)


def test_orders_in_the_way_are_cancelled_first(curie: Subject) -> None:
    maker, keeper = curie.actor("anna"), curie.actor("paul")
    curie.chains.curie.deposit(maker, 5_000)
    curie.chains.curie.add_liquidity(
        maker, "ETH", low=1_600, high=2_400, base=Wad(12 * ONE), quote=Wad(24_000 * ONE)
    )
    curie.chains.curie.add_liquidity(
        maker, "BTC", low=38_000, high=42_000, base=Wad(ONE // 100), quote=Wad(400 * ONE)
    )
    price = 1_900
    while not (account := accounts(curie.read())[maker]).liquidatable:
        assert account.has_orders
        assert account.venue.equity >= account.venue.maintenance
        price -= 100
        curie.chains.move({"ETH": Wad(price * ONE)})
    assert account.has_orders
    assert account.bounty is not None
    sends = curie.encode(liquidation(account), keeper)
    assert [s.fn for s in sends] == ["cancelAllExcessOrders", "cancelAllExcessOrders", "liquidate"]
    had = size_of(curie, keeper, "ETH")
    curie.send(sends, keeper)
    assert size_of(curie, keeper, "ETH") - had == pytest.approx(account.bounty.size, rel=1e-3)
    assert not accounts(curie.read())[maker].has_orders


@pytest.mark.parametrize("symbol", ["ETH", "BTC"])
def test_a_hedge_trades_the_exact_size_whatever_stood_before(curie: Subject, symbol: str) -> None:
    desk, price = curie.actor("desk"), curie.chains.world.mark(symbol)
    unit = ONE if symbol == "ETH" else ONE // 20
    for size in (3 * unit, -unit // 3, -20 * unit, 20 * unit + 7, -(10**9) - 1):
        before = size_of(curie, desk, symbol)
        limit = price * (102 if size > 0 else 98) // 100
        sends = curie.encode(hedge(curie, desk, symbol, size, limit), desk)
        assert [s.fn for s in sends] == ["openPosition"]
        curie.send(sends, desk)
        # Whoever sells states what goes in, and the fee is taken on top: a wei may be lost to it.
        assert size_of(curie, desk, symbol) - before == pytest.approx(size, abs=2)
    everything = -size_of(curie, desk, symbol)
    limit = price * (102 if everything > 0 else 98) // 100
    curie.send(curie.encode(hedge(curie, desk, symbol, everything, limit), desk), desk)
    assert abs(size_of(curie, desk, symbol)) <= 2


@pytest.mark.parametrize("size", [5 * ONE, -5 * ONE])
def test_the_limit_price_bounds_the_average_with_the_fee(curie: Subject, size: int) -> None:
    desk = curie.actor("desk")
    wide = 3_000 * ONE if size > 0 else 1_000 * ONE
    kept = curie.node.snapshot()
    (receipt,) = curie.send(curie.encode(hedge(curie, desk, "ETH", size, wide), desk), desk)
    (event,) = curie.chains.curie["ClearingHouse"].events(receipt, "PositionChanged")
    paid = abs(event["exchangedPositionNotional"] - event["fee"])
    average = paid * ONE // abs(size)
    curie.node.revert(kept)
    for limit, fills in ((average * 10_001 // 10_000, size > 0), (average * 9_999 // 10_000, size < 0)):
        (simulated,) = curie.simulate(curie.encode(hedge(curie, desk, "ETH", size, limit), desk), desk)
        assert simulated.ok == fills
        if not fills:
            assert "beyond the bound" in str(simulated.error)
            assert not simulated.benign


def test_depth_foretells_what_a_trade_pays(curie: Subject) -> None:
    desk = curie.actor("desk")
    (shown,) = (depth(p) for p in curie.read().pools if p.instrument == instrument(curie, "ETH"))
    curie.chains.curie.deposit(desk, 1_000_000)
    for levels, side in ((shown.asks[:2], 1), (shown.bids[:2], -1)):
        size = sum(level.size for level in levels)
        expected = sum(level.size * level.price for level in levels) / size
        kept = curie.node.snapshot()
        wide = 3_000 * ONE if side > 0 else 1_000 * ONE
        (receipt,) = curie.send(curie.encode(hedge(curie, desk, "ETH", side * size, wide), desk), desk)
        (event,) = curie.chains.curie["ClearingHouse"].events(receipt, "PositionChanged")
        curie.node.revert(kept)
        before_fee = abs(event["exchangedPositionNotional"])
        assert before_fee / size == pytest.approx(expected / ONE, rel=1e-9)
        assert event["fee"] == pytest.approx(before_fee * shown.fee / ONE, rel=2e-3)


def test_another_trades_for_the_owner_only_with_his_approval(curie: Subject) -> None:
    desk, other = curie.actor("desk"), curie.actor("paul")
    before = size_of(curie, desk, "ETH")
    action = hedge(curie, desk, "ETH", -ONE, 1_000 * ONE)
    sends = curie.encode(action, other)
    assert [s.fn for s in sends] == ["openPositionFor"]
    (refused,) = curie.simulate(sends, other)
    assert not refused.ok
    assert "approved" in str(refused.error)
    curie.chains.curie["DelegateApproval"].send("approve", other, 1, sender=desk)
    curie.send(sends, other)
    assert size_of(curie, desk, "ETH") == before - ONE


def test_a_late_hedge_is_refused(curie: Subject) -> None:
    desk = curie.actor("desk")
    late = replace(hedge(curie, desk, "ETH", ONE, 3_000 * ONE), deadline_s=curie.node.now_s() - 1)
    (refused,) = curie.simulate(curie.encode(late, desk), desk)
    assert not refused.ok
    assert "deadline" in str(refused.error)


def test_deposits_are_exact_in_the_vaults_own_places(curie: Subject) -> None:
    desk, iris = curie.actor("desk"), curie.actor("iris")
    vault, token = curie.chains.curie["Vault"], curie.chains.curie["SettlementToken"]
    token.send("approve", vault.address, 5, sender=desk)
    amount = 123 * ONE + 456_789_987_654_321_000
    raw = 123_456_789
    for owner, call in ((desk, "deposit"), (iris, "depositFor")):
        before, wallet = vault.call("getBalance", owner), token.call("balanceOf", desk)
        sends = curie.encode(move(curie, owner, amount), desk)
        assert [s.fn for s in sends] == ["approve", call]
        assert sends[0].args == (vault.address, raw)
        curie.send(sends, desk)
        assert vault.call("getBalance", owner) - before == raw
        assert wallet - token.call("balanceOf", desk) == raw
        assert token.call("allowance", desk, vault.address) == 0
    token.send("approve", vault.address, raw, sender=desk)
    assert [s.fn for s in curie.encode(move(curie, desk, amount), desk)] == ["deposit"]


def test_withdrawals_reach_what_was_shown_as_free_and_no_more(curie: Subject) -> None:
    curie.chains.move()
    desk = curie.actor("desk")
    free = accounts(curie.read())[desk].withdrawable
    assert free is not None
    assert free > 10_000 * ONE
    token = curie.chains.curie["SettlementToken"]
    (refused,) = curie.simulate(curie.encode(move(curie, desk, free + ONE, "withdraw"), desk), desk)
    assert "not enough free collateral" in str(refused.error)
    before = token.call("balanceOf", desk)
    nearly = free * 9_999 // 10_000  # funding and mark move in the second until the transaction
    curie.send(curie.encode(move(curie, desk, nearly, "withdraw"), desk), desk)
    assert token.call("balanceOf", desk) - before == to_raw(Wad(nearly), 6)
    with pytest.raises(UnencodableActionError, match="only"):
        curie.encode(move(curie, desk, ONE, "withdraw"), curie.actor("iris"))


def test_reverts_are_explained_and_healthy_ones_are_benign(curie: Subject) -> None:
    state = curie.read()
    keeper = curie.actor("paul")
    for name in ("iris", "mona"):
        (simulated,) = curie.simulate(
            curie.encode(liquidation(accounts(state)[curie.actor(name)]), keeper), keeper
        )
        assert not simulated.ok
        assert simulated.benign, simulated.error
        assert "enough value" in str(simulated.error)
