"""Broadcasts that fail, lie and vanish, through the whole keeper: each decision takes effect once."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from keeper.model.intent import OPEN, TxState
from tests.faults.whole import SEND, Whole
from tests.support.rpc_proxy import Exchange, Fault, Reply, answered, dropped, refused, swallowed

pytestmark = [pytest.mark.devnet, pytest.mark.faults]


def landed_and_refused(exchange: Exchange) -> Reply:
    """Take the transaction, and say that it failed."""
    exchange.forward()
    return exchange.reply(error={"code": -32000, "message": "internal error"})


TOPPED_UP: Final = 3
"""The desk's put that stands just above its liquidation after the move."""

BROADCASTS: dict[str, Callable[[], Fault]] = {
    "errors but landed": lambda: landed_and_refused,
    "lands, and the connection breaks": swallowed,
    "never arrives": dropped,
    "refused": lambda: refused(-32603, "internal error 0x5f"),
    "taken, and never mined": lambda: answered("0x" + "00" * 32),
}


@pytest.mark.parametrize("fault", BROADCASTS)
def test_broadcasts_that_fail_and_a_restart(whole: Whole, fault: str) -> None:
    rules = [proxy.fault(BROADCASTS[fault](), SEND, times=3) for proxy in whole.firsts]
    for _ in range(3):
        whole.cycle()  # each a start of its own
    assert all(rule.struck for rule in rules)
    whole.finish()
    whole.require_once_each()


def test_ten_cycles_over_the_same_accounts_send_each_decision_once(whole: Whole) -> None:
    whole.set_automine(False)
    with whole.keeper() as keeper:
        for _ in range(10):
            whole.run(keeper)
        under_way = keeper.store.intents.within(OPEN)
        calls = Counter((stored.intent.to, stored.intent.data) for stored in under_way)
        signed = [a for stored in under_way for a in keeper.store.intents.attempts(stored.intent.id)]
    assert under_way
    assert set(calls.values()) == {1}
    assert whole.sent() == len(signed) == len(under_way)
    told = ("already on its way", "the lane is taken", "a liquidation whose inventory it counts on")
    assert all(outcome.reason.startswith(told) for outcome in whole.last)
    whole.finish()
    whole.require_once_each()


def test_a_pool_that_is_emptied_again_and_again(whole: Whole) -> None:
    whole.set_automine(False)
    with whole.keeper() as keeper:
        for _ in range(3):
            whole.run(keeper)
            whole.drop_pools()
    whole.finish()
    whole.require_once_each()


def test_another_wallet_takes_the_nonces(whole: Whole) -> None:
    whole.set_automine(False)
    whole.cycle()
    whole.drop_pools()
    for name in whole.proxies:
        whole.another_wallet(name)
    whole.mine()
    with whole.keeper() as keeper:
        whole.run(keeper)
        dropped = keeper.store.intents.within([TxState.DROPPED])
    assert sum("was used by another transaction" in stored.reason for stored in dropped) == len(whole.proxies)
    whole.finish()
    whole.require_once_each()


def test_what_is_on_its_way_is_counted_once_by_the_profile(whole: Whole) -> None:
    """Decided, sent, mined: the desk's wallet and account together hold the same at every step."""
    with whole.keeper() as keeper:
        before = held(whole)
        whole.set_automine(False)
        whole.run(keeper)
        (sent,) = [s for s in keeper.store.intents.within(OPEN) if s.kind == "move_collateral"]
        assert held(whole) == before
        for _ in range(3):
            whole.run(keeper)
        topped_up = [s for s in keeper.store.intents.within(list(TxState)) if s.kind == "move_collateral"]
        assert {s.intent.id for s in topped_up if s.state is not TxState.DROPPED} == {sent.intent.id}
        assert held(whole) == before
        whole.mine()
        whole.run(keeper)
        wallet, collateral = held(whole)
    assert wallet < before[0]
    assert wallet + collateral == sum(before)
    whole.finish()
    whole.require_once_each()


def held(whole: Whole) -> tuple[int, int]:
    """sUSD of the desk in its wallet, and as collateral of the put that is topped up."""
    lyra, desk = whole.chains.lyra, whole.chains.actor("desk")
    (position,) = lyra["OptionToken"].call("getOptionPositions", [TOPPED_UP])
    return lyra["QuoteAsset"].call("balanceOf", desk), position[4]
