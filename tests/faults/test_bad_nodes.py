"""Nodes that go wrong in the middle of the work: with a sound one beside them nothing is left undone.

The first endpoint of each chain misbehaves from the start of the live cycle on, the second one does not.
"""

import json
from collections.abc import Callable
from typing import Final

import pytest

from keeper.devnet.deployment import ARBITRUM, OPTIMISM
from keeper.model.intent import OPEN
from tests.faults.whole import Whole
from tests.support.rpc_proxy import (
    Exchange,
    Fault,
    Reply,
    RpcProxy,
    delayed,
    dropped,
    garbage,
    limited,
)

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

LAG: Final = 20
"""Blocks."""

MakeWhole = Callable[..., Whole]


def lagging(blocks: int) -> Fault:
    """Tell and read a head that lies so many blocks back."""

    def fault(exchange: Exchange) -> Reply:
        head = int(json.loads(exchange.pass_on("eth_blockNumber", [], 0).body)["result"], 16)
        late = hex(max(0, head - blocks))
        if exchange.method == "eth_blockNumber":
            return exchange.reply(result=late)
        if exchange.method == "eth_getBlockByNumber" and exchange.params[0] == "latest":
            return exchange.pass_on(exchange.method, [late, *exchange.params[1:]], exchange.id)
        return exchange.forward()

    return fault


FAULTS: dict[str, Callable[[RpcProxy, str], object]] = {
    "gone in mid-cycle": lambda p, _: p.fault(dropped(), skip=15),
    "garbage": lambda p, _: p.fault(garbage()),
    "slow by 30 s": lambda p, _: p.fault(delayed(30.0)),
    "HTTP 429": lambda p, _: p.fault(limited(), skip=5),
    "lagging": lambda p, _: p.fault(lagging(LAG)),
    "frozen": lambda p, _: p.freeze_head(),
    "another chain": lambda p, other: p.stand_before(other),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_with_a_sound_node_beside_it_the_work_is_done(make_whole: MakeWhole, fault: str) -> None:
    whole = make_whole(endpoints=2, timeout_s=2.0)
    others = {name: whole.chains.url(OPTIMISM if name == ARBITRUM else ARBITRUM) for name in whole.proxies}
    with whole.keeper() as keeper:
        for name, (first, _) in whole.proxies.items():
            FAULTS[fault](first, others[name])
        whole.mine(LAG)
        for _ in range(5):
            if not whole.run(keeper) and not keeper.store.intents.within(OPEN):
                break
    whole.require_once_each()
    whole.finish()
    whole.require_once_each()


def test_a_lie_about_one_value_sends_nothing_on_that_chain(make_whole: MakeWhole) -> None:
    whole = make_whole(endpoints=2, quorum=2)
    liar, _ = whole.proxies[ARBITRUM]
    debt = whole.chains.curie["AccountBalance"].call("getTotalDebtValue", whole.chains.actor("iris"))
    true, lie = (f"{value:064x}".encode() for value in (debt, debt // 2))

    def lying(exchange: Exchange) -> Reply:
        return Reply(exchange.forward().body.replace(true, lie))

    liar.fault(lying, "eth_call")
    with whole.keeper() as keeper:
        for _ in range(3):
            whole.run(keeper)
    assert {tx.chain_id for tx in whole.landed()} == {10}
    assert keeper.recorder.last is not None
    (gap,) = [gap for gap in keeper.recorder.last.snapshot.gaps if gap.what == "chain"]
    assert "disagree about" in gap.reason
    whole.finish()
    whole.require_once_each()
