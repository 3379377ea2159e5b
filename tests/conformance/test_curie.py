"""Curie: our reading against the contract's own figures, our actions against what they do to accounts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from keeper.devnet.artifacts import load
from keeper.devnet.contract import MAX, Contract, deploy
from keeper.devnet.curie import USDC
from keeper.market.depth import depth
from keeper.model.book import Account
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, Reason
from keeper.model.reads import Address
from keeper.model.snapshot import VenueState
from keeper.model.units import ONE, ZERO, Wad, mul, to_raw
from keeper.protocols.errors import UnencodableActionError
from tests.conformance.conftest import Subject

pytestmark = pytest.mark.devnet

REASON = Reason(text="test")
VAULT_UNIT = 10**12
"""The vault counts in millionths of a dollar, our figures in 10**-18."""

NEVER_S = 2**31


def cut(value: int) -> int:
    """Round down to what the vault can express, as the contract does, below zero too."""
    return value // VAULT_UNIT * VAULT_UNIT


def accounts(state: VenueState) -> dict[Address, Account]:
    return {a.owner: a for a in state.accounts}


def marks(state: VenueState) -> dict[str, Wad]:
    return {q.subject: q.price for q in state.quotes if q.kind == "mark"}


def cash(account: Account) -> int:
    return account.balances[0].amount


def unrealised(curie: Subject, owner: Address) -> int:
    answer = curie.chains.curie["AccountBalance"].call("getPnlAndPendingFee", owner)
    return int(answer[1])


def instrument(curie: Subject, symbol: str) -> str:
    return f"{curie.venue.id}:{curie.chains.address('arbitrum', f'v{symbol}')}"


def size_of(curie: Subject, owner: Address, symbol: str) -> int:
    answer = curie.chains.curie["AccountBalance"].call(
        "getTotalPositionSize", owner, curie.chains.curie.base(symbol)
    )
    return int(answer)


def value_of(curie: Subject, owner: Address) -> int:
    return int(curie.chains.curie["ClearingHouse"].call("getAccountValue", owner))


def liquidation(account: Account, *, size: int | None = None, market: str | None = None) -> Liquidate:
    bounty = account.bounty
    position = account.positions[0]
    return Liquidate(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        instrument=market or (bounty.instrument if bounty else position.instrument),
        max_size=Wad(size if size is not None else bounty.size if bounty else position.size),
        takes_over=True,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )


def hedge(curie: Subject, owner: Address, symbol: str, size: int, limit: int) -> Hedge:
    return Hedge(
        subject="desk/ETH",
        reason=REASON,
        protocol="curie",
        chain_id=curie.venue.chain_id,
        account=f"{curie.venue.id}:{owner}",
        owner=owner,
        instrument=instrument(curie, symbol),
        size=Wad(size),
        limit_price=Wad(limit),
        deadline_s=NEVER_S,
    )


def move(
    curie: Subject, owner: Address, amount: int, direction: Literal["add", "withdraw"] = "add"
) -> MoveCollateral:
    return MoveCollateral(
        subject=owner,
        reason=REASON,
        protocol="curie",
        chain_id=curie.venue.chain_id,
        account=f"{curie.venue.id}:{owner}",
        owner=owner,
        asset="USDC",
        amount=Wad(amount),
        direction=direction,
    )


def markets_in_motion(curie: Subject, wallets: tuple[Address, ...] | None = None) -> Iterator[VenueState]:
    """The venue as it is set up, an hour later, after the drop, and deep enough for accounts below zero."""
    yield curie.read(wallets=wallets)
    curie.chains.warp(3_600)
    yield curie.read(wallets=wallets)
    curie.chains.move()
    yield curie.read(wallets=wallets)
    curie.chains.move({"ETH": Wad(1_500 * ONE), "BTC": Wad(33_000 * ONE)})
    yield curie.read(wallets=wallets)


def test_the_parts_add_up_to_the_account_value_to_the_wei(curie: Subject) -> None:
    """Value = deposits + owed profit + maker fees - funding + unrealised profit, down to 10**-6 USD."""
    below_zero = 0
    for state in markets_in_motion(curie):
        price = marks(state)
        assert len(state.accounts) >= 11
        for account in state.accounts:
            owner = account.owner
            assert account.venue.equity == value_of(curie, owner)
            assert account.venue.equity == cut(cash(account) + unrealised(curie, owner)), account.id
            worth = [mul(p.size, Wad(price[p.instrument] - (p.entry or ZERO))) for p in account.positions]
            # Each entry price is cut at 10**-18: a wei per unit held, and one for each product.
            rounding = sum(abs(p.size) // ONE + 2 for p in account.positions)
            assert abs(sum(worth) - unrealised(curie, owner)) <= rounding, account.id
            below_zero += account.venue.equity < 0
    assert below_zero > 0


def test_cash_is_deposits_and_everything_accrued(curie: Subject) -> None:
    for state in markets_in_motion(curie):
        for account in state.accounts:
            vault, balance = curie.chains.curie["Vault"], curie.chains.curie["AccountBalance"]
            owed, _, fee = balance.call("getPnlAndPendingFee", account.owner)
            due = curie.chains.curie["Exchange"].call("getAllPendingFundingPayment", account.owner)
            assert account.funding_due == due
            assert cash(account) == vault.call("getBalance", account.owner) * VAULT_UNIT + owed + fee - due


def test_requirements_and_free_collateral_follow_the_venues_rule_to_the_wei(curie: Subject) -> None:
    everybody = tuple(Address(key) for key in curie.discover().keys)
    for state in markets_in_motion(curie, everybody):
        price = marks(state)
        (terms,) = state.terms
        ratio = dict(terms.values)
        assert ratio == {
            "im_ratio": ONE // 10,
            "mm_ratio": ONE * 625 // 10_000,
            "liquidation_penalty": ONE // 40,
        }
        balance = curie.chains.curie["AccountBalance"]
        for account in state.accounts:
            exposure = sum(abs(mul(p.size, price[p.instrument])) for p in account.positions)
            assert account.venue.maintenance == mul(Wad(exposure), ratio["mm_ratio"])
            assert account.venue.maintenance == balance.call(
                "getMarginRequirementForLiquidation", account.owner
            )
            value = cash(account) + unrealised(curie, account.owner)
            free = min(cash(account), value) - account.venue.initial
            assert account.withdrawable == cut(max(0, min(free, cash(account))))


def test_positions_are_the_contracts_with_their_sign(curie: Subject) -> None:
    state = curie.read()
    for owner, account in accounts(state).items():
        sizes = {p.instrument: p.size for p in account.positions}
        for symbol in ("ETH", "BTC"):
            assert sizes.get(instrument(curie, symbol), 0) == size_of(curie, owner, symbol)
    desk = accounts(state)[curie.actor("desk")]
    assert [p.size for p in desk.positions] == [7 * ONE]
    jack = accounts(state)[curie.actor("jack")]
    assert [p.size for p in jack.positions] == [-25 * ONE]
    for account in (desk, jack):
        for position in account.positions:
            assert position.entry == pytest.approx(marks(state)[position.instrument], rel=0.02)
    paul = accounts(state)[curie.actor("paul")]
    assert paul.has_orders
    assert not desk.has_orders


def test_prices_and_pools_are_the_contracts(curie: Subject) -> None:
    for state in markets_in_motion(curie):
        quotes = {(q.subject, q.kind): q.price for q in state.quotes}
        pools = {p.instrument: p for p in state.pools}
        for symbol in ("ETH", "BTC"):
            name = instrument(curie, symbol)
            assert quotes[name, "mark"] == curie.chains.world.mark(symbol)
            assert quotes[symbol, "index"] == curie.chains.world.index(symbol)
            contract, pool = curie.chains.curie[f"{symbol}Pool"], pools[name]
            assert (pool.sqrt_price_x96, pool.tick) == contract.call("slot0")[:2]
            assert pool.liquidity == contract.call("liquidity")
            assert (pool.tick_spacing, pool.max_tick_move) == (60, 1_000)
            assert pool.fee == ONE // 1_000
            assert [t for t, _ in pool.nets] == sorted(t for t, _ in pool.nets)
            for tick, net in pool.nets:
                assert contract.call("ticks", tick)[1] == net != 0


def test_ticks_within_reach_are_seen_where_makers_set_them(curie: Subject) -> None:
    maker, pool = curie.actor("anna"), curie.chains.curie["ETHPool"]
    before = {p.instrument: p for p in curie.read().pools}[instrument(curie, "ETH")]
    assert before.nets == ()
    curie.chains.curie.deposit(maker, 50_000)
    curie.chains.curie.add_liquidity(
        maker, "ETH", low=1_950, high=2_060, base=Wad(10 * ONE), quote=Wad(20_000 * ONE)
    )
    seen = {p.instrument: p for p in curie.read().pools}[instrument(curie, "ETH")]
    (low, added), (high, taken) = seen.nets
    assert low < seen.tick < high
    assert added == -taken == seen.liquidity - before.liquidity == pool.call("ticks", low)[1]


def test_funding_is_what_accrues_over_a_day(curie: Subject) -> None:
    """From one settlement to the next a trader owes  rate * size * index average * time / day, exactly."""
    for symbol, owner in (("ETH", curie.actor("iris")), ("BTC", curie.actor("mona"))):
        curie.chains.curie.trade(owner, symbol, Wad(ONE // 100))
        start_s = curie.node.now_s()
        for wait_s in (7, 600, 5_000):
            curie.node.warp_to(start_s + wait_s)
            state = curie.read()
            rate = {f.instrument: f.rate_per_day for f in state.funding}[instrument(curie, symbol)]
            average = curie.chains.curie[f"v{symbol}"].call("getIndexPrice", 900)
            (position,) = (
                p for p in accounts(state)[owner].positions if p.instrument == instrument(curie, symbol)
            )
            due = curie.chains.curie["Exchange"].call(
                "getPendingFundingPayment", owner, curie.chains.curie.base(symbol)
            )
            expected = rate * position.size * average * wait_s / (ONE * ONE * 86_400)
            assert due == pytest.approx(expected, rel=1e-9)
            assert abs(due) > 10**12


def test_funding_is_capped_as_the_venue_caps_it(curie: Subject) -> None:
    curie.chains.curie["ClearingHouseConfig"].send("setMaxFundingRate", 1_000)  # 0.1 % a day
    curie.chains.curie.set_oracle("ETH", Wad(1_900 * ONE))
    curie.node.warp(900)
    rates = {f.instrument: f.rate_per_day for f in curie.read().funding}
    assert rates[instrument(curie, "ETH")] == ONE // 1_000
    curie.chains.curie.set_oracle("ETH", Wad(2_150 * ONE))
    curie.node.warp(900)
    rates = {f.instrument: f.rate_per_day for f in curie.read().funding}
    assert rates[instrument(curie, "ETH")] == -ONE // 1_000


def test_liquidatable_is_the_contracts_own_word_and_the_bounty_what_it_pays(curie: Subject) -> None:
    keeper = curie.actor("anna")
    curie.chains.curie.deposit(keeper, 1_000_000)
    seen = 0
    for state in markets_in_motion(curie):
        for account in state.accounts:
            if not account.positions or account.owner == keeper:
                continue
            sends = curie.encode(liquidation(account), keeper)
            ok = all(s.ok for s in curie.simulate(sends, keeper))
            assert account.liquidatable == ok, account.id
            assert account.liquidatable == (account.venue.equity < account.venue.maintenance)
            if account.bounty is None:
                continue
            seen += 1
            bounty, kept = account.bounty, curie.node.snapshot()
            (symbol,) = (s for s in ("ETH", "BTC") if instrument(curie, s) == bounty.instrument)
            before, had = value_of(curie, keeper), size_of(curie, account.owner, symbol)
            receipts = curie.send(sends, keeper)
            assert size_of(curie, keeper, symbol) == pytest.approx(bounty.size, rel=1e-3)
            assert had - size_of(curie, account.owner, symbol) == size_of(curie, keeper, symbol)
            gain = value_of(curie, keeper) - before
            # The mark is an average: it moves in the second between reading and transaction.
            assert gain == pytest.approx(bounty.reward_usd, rel=2e-3)
            assert int(receipts[-1]["gasUsed"], 16) < bounty.gas
            curie.node.revert(kept)
    assert seen >= 4


def test_who_has_no_margin_of_his_own_still_sees_who_may_be_liquidated(curie: Subject) -> None:
    curie.chains.move()
    whole = {a.id for a in curie.read().accounts if a.liquidatable}
    assert whole == {f"{curie.venue.id}:{curie.actor(n)}" for n in ("kurt", "lena")}
    for wallets in ((), (curie.actor("bert"),), (curie.actor("kurt"),)):
        state = curie.read(wallets=wallets)
        assert {a.id for a in state.accounts if a.liquidatable} == whole
        assert state.gaps == ()


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


@pytest.mark.parametrize("stop", ["paused", "closed", "house"])
def test_what_the_venue_has_stopped_is_neither_liquidatable_nor_mispriced(curie: Subject, stop: str) -> None:
    curie.chains.move()
    base = curie.chains.curie["vETH"]
    if stop == "house":
        curie.chains.curie["ClearingHouse"].send("pause")
    else:
        base.send("pause")
    if stop == "closed":
        base.send("close(uint256)", 1_777 * ONE)
    state = curie.read()
    assert state.gaps == ()
    assert not [a for a in state.accounts if a.liquidatable]
    mark = marks(state)[instrument(curie, "ETH")]
    if stop == "closed":
        assert mark == 1_777 * ONE
    elif stop == "paused":
        assert mark == base.call("getPausedIndexPrice")
    for account in state.accounts:
        worth = sum(
            mul(p.size, Wad(marks(state)[p.instrument] - (p.entry or ZERO))) for p in account.positions
        )
        assert account.venue.equity == pytest.approx(cash(account) + worth, abs=VAULT_UNIT + 10**4)
    traded = {p.instrument for p in state.pools}
    assert (instrument(curie, "ETH") in traded) == (stop == "house")


def test_a_market_that_is_not_configured_makes_its_traders_unknown(curie: Subject) -> None:
    only_eth = tuple((k, v) for k, v in curie.venue.underlyings if v == "ETH")
    narrow = replace(curie, venue=replace(curie.venue, underlyings=only_eth))
    state = narrow.read()
    missing = {a.id for a in curie.read().accounts} - {a.id for a in state.accounts}
    assert missing == {g.key for g in state.gaps}
    in_btc = {curie.actor(n) for n in ("iris", "mona", "nils", "olga")}
    assert in_btc <= {Address(g.key.rpartition(":")[2]) for g in state.gaps}
    assert all("underlyings" in g.reason for g in state.gaps)


def test_addresses_may_be_configured_in_any_case(curie: Subject) -> None:
    lower = tuple((k.lower(), v) for k, v in curie.venue.underlyings)
    other = replace(curie, venue=replace(curie.venue, underlyings=lower))
    assert other.read() == curie.read()


def _weth(curie: Subject) -> Contract:
    """List a second collateral: valued at 95 % of the ETH feed."""
    chain = curie.chains.curie
    weth = deploy(curie.node, load("openzeppelin", "ERC20PresetMinterPauser"), "Wrapped Ether", "WETH")
    config = {
        "priceFeed": chain["ETHFeed"].address,
        "collateralRatio": 950_000,
        "discountRatio": 50_000,
        "depositCap": 10**24,
    }
    chain["CollateralManager"].send("addCollateral", weth.address, config)
    return weth


def test_collateral_in_kind_is_shown_with_its_risk_factor(curie: Subject) -> None:
    weth, owner, vault = _weth(curie), curie.actor("mona"), curie.venue.address("Vault")
    weth.send("mint", owner, 3 * ONE)
    weth.send("approve", vault, MAX, sender=owner)
    value = value_of(curie, owner)
    curie.chains.curie["Vault"].send("deposit", weth.address, 2 * ONE, sender=owner)
    (gap,) = curie.read().gaps
    assert gap.key.endswith(owner)
    assert "collateral" in gap.reason

    named = (*curie.venue.underlyings, (weth.address, "ETH"))
    wide = replace(curie, venue=replace(curie.venue, underlyings=tuple(sorted(named))))
    state = wide.read()
    assert state.gaps == ()
    assert len(state.instruments) == 2, "a token without a pool is no market"
    mona = accounts(state)[owner]
    assert [(b.asset, b.amount, b.underlying) for b in mona.balances[1:]] == [("WETH", 2 * ONE, "ETH")]
    assert mona.venue.equity - value == pytest.approx(2 * 2_000 * ONE * 95 // 100, rel=1e-3)


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
    curie.send(curie.encode(hedge(curie, desk, symbol, everything, price * 98 // 100), desk), desk)
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
    action = hedge(curie, desk, "ETH", -ONE, 1_000 * ONE)
    sends = curie.encode(action, other)
    assert [s.fn for s in sends] == ["openPositionFor"]
    (refused,) = curie.simulate(sends, other)
    assert not refused.ok
    assert "approved" in str(refused.error)
    curie.chains.curie["DelegateApproval"].send("approve", other, 1, sender=desk)
    curie.send(sends, other)
    assert size_of(curie, desk, "ETH") == 6 * ONE


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


def test_wallets_show_dollars_with_their_own_places(curie: Subject) -> None:
    token, vault = curie.chains.curie["SettlementToken"], curie.venue.address("Vault")
    token.send("approve", vault, 1_234_567, sender=curie.actor("gina"))
    wallets = {w.owner: w for w in curie.read().wallets}
    assert sorted(wallets) == sorted(curie.wallets)
    desk, gina = (wallets[w] for w in curie.wallets)
    assert [(b.asset, b.amount, b.underlying) for b in desk.balances] == [("USDC", 100_000 * ONE, None)]
    assert [(a.asset, a.spender, a.amount) for a in gina.allowances] == [
        ("USDC", vault, Wad(1_234_567 * VAULT_UNIT))
    ]
    assert token.call("balanceOf", curie.actor("desk")) == 100_000 * USDC


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


def test_everybody_who_ever_dealt_is_found(curie: Subject) -> None:
    known = set(curie.discover().keys)
    dealt = ("maker", "arbitrageur", "desk", "iris", "jack", "kurt", "lena", "mona", "nils", "olga", "paul")
    assert known == {curie.actor(n) for n in dealt}
    state = curie.read()
    assert {a.key for a in state.accounts} == known | {curie.actor("gina")}, "and our own wallets"
