"""What actions promise is what they move on the real contracts, and what comes out otherwise is not sent."""

from dataclasses import replace

import pytest

from keeper.chain.client import ChainClient
from keeper.chain.simulation import Rehearsal
from keeper.execution.promise import prove
from keeper.model.book import Account
from keeper.model.plan import ActionKind
from keeper.model.promise import Checked
from keeper.model.units import ONE, ZERO, Wad
from tests.conformance.curie_figures import accounts, hedge, liquidation, move
from tests.conformance.lyra_figures import held, settlement
from tests.conformance.lyra_figures import liquidation as closing
from tests.conformance.lyra_figures import move as collateral
from tests.conformance.promising import EXACT, LIMITS, hold, take_fee
from tests.conformance.subject import Subject
from tests.conformance.test_actions import examples, prepare
from tests.support.rpc_proxy import RpcProxy, refused

pytestmark = pytest.mark.devnet

NO_METHOD = refused(-32601, "the method eth_simulateV1 does not exist/is not available")
NO_OVERRIDES = refused(-32602, "too many arguments, want at most 2")


def ready(subject: Subject) -> None:
    """Bring the market to where every kind of action has an example."""
    prepare(subject)
    price = 1_800
    while subject.adapter.name == "curie" and not any(
        a.has_orders and a.liquidatable for a in subject.read().accounts
    ):
        price -= 100
        subject.chains.move({"ETH": Wad(price * ONE)})


def test_every_claimed_kind_keeps_its_promise_to_the_last_unit(moved: Subject) -> None:
    ready(moved)
    kinds: set[ActionKind] = set()
    for action, sender in examples(moved):
        # A take-over is paid at a mark that moves with every second.
        limits = replace(EXACT, promise_tolerance_bps=10) if action.kind is ActionKind.LIQUIDATE else EXACT
        found = hold(moved, action, sender, limits=limits)
        assert [s.error for s in found.simulations] == [None] * len(found.simulations), action.kind
        assert found.proof.checked is Checked.WHOLE
        assert found.proof.lines
        assert any(line.found for line in found.proof.lines) or action.kind is ActionKind.REFRESH
        moved.send(moved.encode(action, sender), sender)
        kinds.add(action.kind)
    assert kinds == moved.adapter.actions


def test_what_lands_is_what_was_simulated(moved: Subject) -> None:
    """The same figures, read at the blocks around the transactions, change as promised and as simulated."""
    ready(moved)
    for action, sender in examples(moved):
        promise = moved.run(moved.adapter.promise(moved.venue, action, sender))
        simulated = hold(moved, action, sender)
        before = moved.client.answer(promise.reads, moved.client.head())
        moved.send(moved.encode(action, sender), sender)
        after = moved.client.answer(promise.reads, moved.client.head())
        sides = (dict(zip(promise.reads, answers, strict=True)) for answers in (before, after))
        landed = prove(
            promise, Rehearsal(simulations=(), before=next(sides), after=next(sides), transfers=()), 500
        )
        for here, there in zip(landed.lines, simulated.proof.lines, strict=True):
            assert here.found is not None
            if there.least == there.most:
                assert here.found == there.found, here.name
            else:  # prices, funding and time value go on between the blocks
                assert here.found == pytest.approx(there.found, rel=5e-3), here.name


@pytest.mark.parametrize("lacks_overrides", [False, True])
def test_a_node_that_simulates_no_blocks_still_shows_figures(moved: Subject, lacks_overrides: bool) -> None:
    """State overrides answer the same figures; without them nothing can be said, and a demand refuses."""
    ready(moved)
    with RpcProxy(moved.node.url) as proxy:
        proxy.fault(NO_METHOD, "eth_simulateV1")
        if lacks_overrides:
            proxy.fault(NO_OVERRIDES, "eth_call", when=lambda params: len(params) > 2)
        client = ChainClient(
            name="proxied", chain_id=moved.venue.chain_id, endpoints=[proxy.url], call_gas=200_000_000
        )
        try:
            for action, sender in examples(moved):
                free = replace(LIMITS, require_promise=False)
                found = hold(moved, action, sender, limits=free, client=client)
                if lacks_overrides:
                    assert found.proof.checked is Checked.NOT
                    assert all(line.found is None for line in found.proof.lines)
                    assert found.simulations[0].ok
                    refused_ = hold(moved, action, sender, client=client)
                    assert not refused_.last.ok
                    assert "limits.require_promise = false" in str(refused_.last.error)
                else:
                    assert found.last.ok, found.last.error
                    assert found.proof.checked is Checked.FIGURES
                    whole = hold(moved, action, sender)
                    assert found.proof.lines == tuple(replace(x, wallet=None) for x in whole.proof.lines)
                moved.send(moved.encode(action, sender), sender)
        finally:
            client.close()


def test_a_reward_is_promised_in_the_token_of_the_collateral(lyra: Subject) -> None:
    keeper, spot = lyra.actor("paul"), lyra.chains.lyra.spot()
    targets: list[Account] = []
    while not targets:
        spot = Wad(spot * 105 // 100)
        lyra.chains.lyra.set_spot(spot)
        targets = [a for a in lyra.read().accounts if a.liquidatable and a.margin_underlying is not None]
    assert targets[0].bounty is not None
    action = replace(closing(targets[0]), reward_usd=targets[0].bounty.reward_usd)
    found = hold(lyra, action, keeper, limits=EXACT)
    assert found.last.ok, found.last.error
    assert found.found("sETH in the wallet") > 0
    assert found.found("sUSD in the wallet") == 0
    before = held(lyra, keeper)["sETH"]
    lyra.send(lyra.encode(action, keeper), keeper)
    # A second of time value later.
    assert held(lyra, keeper)["sETH"] - before == pytest.approx(found.found("sETH in the wallet"), rel=1e-6)


def test_what_a_settled_board_pays_is_known_to_the_last_unit(lyra: Subject) -> None:
    """Also of base-collateralised calls, and also when somebody else has settled a part of it."""
    keeper, desk = lyra.actor("paul"), lyra.actor("desk")
    lyra.node.warp(14 * 86_400)
    action = settlement(lyra.read(), "1")
    lyra.chains.lyra["OptionMarket"].send("settleExpiredBoard", 1)
    for sender in (keeper, desk):
        found = hold(lyra, action, sender, limits=EXACT)
        assert found.last.ok, found.last.error
        assert all(line.least == line.most == line.found for line in found.proof.lines)
        assert found.found("sETH") == 5 * ONE
    first = int(action.accounts[0].rpartition(":")[2])
    lyra.chains.lyra["ShortCollateral"].send("settleOptions", [first])
    rest = hold(lyra, action, keeper, limits=EXACT)
    assert rest.last.ok, rest.last.error
    assert rest.found("states") == found.found("states") - 3
    lyra.send(lyra.encode(action, keeper), keeper)
    assert hold(lyra, action, keeper, sends=()).simulations == ()


# What comes out otherwise


def test_a_price_that_moved_since_the_plan(lyra: Subject) -> None:
    """A little is tolerated, more is refused with the numbers, and the next plan rests on the new price."""
    keeper = lyra.actor("paul")
    lyra.chains.move()
    target = next(a for a in lyra.read().accounts if a.liquidatable)
    assert target.bounty is not None
    promised = replace(closing(target), reward_usd=target.bounty.reward_usd)
    spot = lyra.chains.lyra.spot()
    lyra.chains.lyra.set_spot(Wad(spot * 998 // 1000))
    slightly = hold(lyra, promised, keeper)
    assert slightly.last.ok, slightly.last.error
    assert slightly.found("sUSD") < promised.reward_usd
    lyra.chains.lyra.set_spot(Wad(spot * 96 // 100))
    refused_ = hold(lyra, promised, keeper)
    assert not refused_.last.ok
    assert not refused_.last.benign
    assert "sUSD in the wallet" in str(refused_.last.error)
    assert "was promised, tolerance" in str(refused_.last.error)
    (reward,) = (line for line in refused_.proof.lines if not line.kept)
    assert reward.least == promised.reward_usd
    assert reward.tolerance == promised.reward_usd * 500 // 10_000
    assert reward.found is not None
    assert 0 < reward.found < reward.least - reward.tolerance
    again = next(a for a in lyra.read().accounts if a.id == target.id)
    assert again.bounty is not None
    assert hold(lyra, replace(promised, reward_usd=again.bounty.reward_usd), keeper, limits=EXACT).last.ok


def test_another_liquidator_was_first(moved: Subject) -> None:
    """There is nothing left to hold to a promise: the venue's own refusal says that nothing needs doing."""
    keeper, other = moved.actor("paul"), moved.actor("desk")
    target = next(a for a in moved.read().accounts if a.liquidatable and not a.has_orders)
    action = liquidation(target) if moved.adapter.name == "curie" else closing(target)
    moved.send(moved.encode(action, other), other)
    late = hold(moved, action, keeper)
    assert not late.last.ok
    assert late.last.benign
    assert late.last.promise is None


def test_another_liquidator_left_a_part(curie: Subject) -> None:
    """Less than was promised would be taken over, for less: refused with both numbers."""
    keeper, other = curie.actor("paul"), curie.actor("desk")
    curie.chains.move()
    lena = accounts(curie.read())[curie.actor("lena")]
    assert lena.bounty is not None
    assert lena.bounty.size == lena.positions[0].size
    promised = replace(liquidation(lena), reward_usd=lena.bounty.reward_usd)
    assert hold(curie, promised, keeper).last.ok
    first = replace(promised, max_size=Wad(promised.max_size // 10))
    curie.send(curie.encode(first, other), other)
    assert accounts(curie.read())[lena.owner].liquidatable
    late = hold(curie, promised, keeper)
    assert not late.last.ok
    assert "taken over changes by" in str(late.last.error)
    assert late.found("taken over") < promised.max_size
    assert late.found("together") == 0


def test_slippage_that_others_used_up(curie: Subject) -> None:
    desk, size = curie.actor("desk"), 5 * ONE
    limit = curie.chains.world.mark("ETH") * 10_030 // 10_000
    action = hedge(curie, desk, "ETH", size, limit)
    before = hold(curie, action, desk)
    assert before.last.ok, before.last.error
    assert -size * limit // ONE <= before.found("paid") < 0
    curie.chains.curie.deposit(curie.actor("anna"), 1_000_000)
    curie.chains.curie.trade(curie.actor("anna"), "ETH", Wad(150 * ONE))
    after = hold(curie, action, desk)
    assert not after.last.ok
    assert "beyond the bound" in str(after.last.error)


def test_a_trade_of_the_wrong_sign_or_at_a_worse_price_than_the_plan_allows(curie: Subject) -> None:
    """Calldata that is not what the plan decided: its own bounds let it pass, the promise does not."""
    desk, size, wide = curie.actor("desk"), ONE, 3_000 * ONE
    decided = hedge(curie, desk, "ETH", size, wide)
    turned = curie.encode(hedge(curie, desk, "ETH", -size, ONE), desk)
    wrong = hold(curie, decided, desk, sends=turned, limits=replace(LIMITS, promise_tolerance_bps=9_999))
    assert not wrong.last.ok
    assert f"size of {desk} changes by -1 ETH, 0.999999999999999998 ETH to 1.000000000000000002 ETH" in str(
        wrong.last.error
    )
    dear = hold(curie, hedge(curie, desk, "ETH", size, 1_000 * ONE), desk, sends=curie.encode(decided, desk))
    assert not dear.last.ok
    assert "paid (-) or received (+)" in str(dear.last.error)


def test_a_token_that_keeps_a_part_of_what_it_moves(curie: Subject) -> None:
    desk = curie.actor("desk")
    action = move(curie, desk, 100 * ONE, "withdraw")
    assert hold(curie, action, desk).last.ok
    take_fee(curie.node, curie.venue.address("SettlementToken"), "transfer(address,uint256)", 99)
    short = hold(curie, action, desk)
    assert not short.last.ok
    assert f"USDC in the wallet of {desk} changes by 99 USDC, 100 USDC was promised" in str(short.last.error)
    assert short.found("wallet") == 99_000_000


def test_a_token_that_takes_more_than_it_moves(lyra: Subject) -> None:
    desk = lyra.actor("desk")
    own = next(a for a in lyra.read().accounts if a.owner == desk and a.margin_asset == "sUSD")
    action = collateral(own, 100 * ONE)
    assert hold(lyra, action, desk).last.ok
    take_fee(lyra.node, lyra.venue.address("QuoteAsset"), "transferFrom(address,address,uint256)", 101)
    more = hold(lyra, action, desk)
    assert not more.last.ok
    assert f"{101 * ONE} of token {lyra.venue.address('QuoteAsset')} leave {desk}" in str(more.last.error)
    assert f"{100 * ONE} were promised" in str(more.last.error)
    assert more.found("sUSD in the wallet") == -101 * ONE


def test_an_amount_other_than_decided(moved: Subject) -> None:
    """The call moves one unit more than the plan: refused, whatever the tolerance."""
    desk = moved.actor("desk")
    loose = replace(LIMITS, promise_tolerance_bps=9_999)
    own = next(a for a in moved.read().accounts if a.owner == desk and a.margin_asset == a.balances[0].asset)
    unit = 10**12 if moved.adapter.name == "curie" else 1
    for direction in ("add", "withdraw"):
        action = replace(collateral(own, 10 * ONE), direction=direction)
        other = moved.encode(replace(action, amount=Wad(10 * ONE + unit)), desk)
        assert not hold(moved, action, desk, sends=other, limits=loose).last.ok
        assert hold(moved, action, desk, limits=loose).last.ok


def test_a_reward_that_was_never_there(moved: Subject) -> None:
    """A plan that counts on twice the reward is not carried out."""
    keeper = moved.actor("paul")
    target = next(a for a in moved.read().accounts if a.liquidatable and not a.has_orders)
    assert target.bounty is not None
    action = liquidation(target) if moved.adapter.name == "curie" else closing(target)
    doubled = hold(moved, replace(action, reward_usd=Wad(2 * target.bounty.reward_usd)), keeper)
    assert not doubled.last.ok
    assert "was promised" in str(doubled.last.error)
    assert hold(moved, replace(action, reward_usd=ZERO), keeper).last.ok
