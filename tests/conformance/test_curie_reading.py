"""Curie: our reading against the contract's own figures."""

from dataclasses import replace

import pytest

from keeper.devnet.artifacts import load
from keeper.devnet.contract import MAX, Contract, deploy
from keeper.devnet.curie import USDC
from keeper.devnet.scenario import PERPS
from keeper.model.reads import Address
from keeper.model.units import ONE, ZERO, Wad, mul
from tests.conformance.curie_figures import (
    VAULT_UNIT,
    accounts,
    cash,
    cut,
    instrument,
    liquidation,
    markets_in_motion,
    marks,
    size_of,
    unrealised,
    value_of,
)
from tests.conformance.subject import Subject

pytestmark = pytest.mark.devnet


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
    desk, iris, jack = (accounts(state)[curie.actor(name)] for name in ("desk", "iris", "jack"))
    for name, account in (("desk", desk), ("iris", iris), ("jack", jack)):
        held = [line.centi * ONE // 100 for line in PERPS if line.owner == name]
        assert sorted(p.size for p in account.positions) == sorted(held)
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


def test_everybody_who_ever_dealt_is_found(curie: Subject) -> None:
    known = set(curie.discover().keys)
    dealt = ("maker", "arbitrageur", "desk", "iris", "jack", "kurt", "lena", "mona", "nils", "olga", "paul")
    assert known == {curie.actor(n) for n in dealt}
    state = curie.read()
    assert {a.key for a in state.accounts} == known | {curie.actor("gina")}, "and our own wallets"
