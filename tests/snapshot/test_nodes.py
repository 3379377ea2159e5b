"""Every way in which a node goes wrong, seen through a snapshot: nothing looks healthier than it is.

Each row is tried on the endpoint that is read first, with a sound one beside it and with none.
"""

from collections.abc import Callable

import pytest

from keeper.model.snapshot import Snapshot
from tests.snapshot.conftest import Watch
from tests.snapshot.test_observe import CURIE, accounts_of, never_healthier
from tests.support.rpc_proxy import (
    Exchange,
    Fault,
    Reply,
    RpcProxy,
    answered,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
)

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

LAG = 20
"""Blocks by which the chain moves on without the frozen node."""

Break = Callable[[RpcProxy, str], object]
"""Spoils a proxy; there is a node of another chain at the URL."""


def lying(truth: Snapshot) -> Fault:
    """Show one account's position at half its size."""
    size = max((p.size for a in truth.accounts if a.chain_id == CURIE for p in a.positions), key=abs)
    true, lie = (f"{value % 2**256:064x}".encode() for value in (size, size // 2))

    def fault(exchange: Exchange) -> Reply:
        return Reply(exchange.forward().body.replace(true, lie))

    return fault


FAULTS: dict[str, Break] = {
    "gone": lambda p, _: p.fault(dropped()),
    "garbage": lambda p, _: p.fault(garbage()),
    "garbage in JSON": lambda p, _: p.fault(answered({"0x": []})),
    "slow by 30 s": lambda p, _: p.fault(delayed(30.0)),
    "slow by 30 s in mid-cycle": lambda p, _: p.fault(delayed(30.0), "eth_call", skip=2),
    "HTTP 429": lambda p, _: p.fault(limited()),
    "HTTP 429 with a wait": lambda p, _: p.fault(limited(retry_after_s=3600), skip=4),
    "-32005": lambda p, _: p.fault(refused(-32005, "daily request count exceeded, request rate limited")),
    "another chain": lambda p, other: setattr(p, "upstream", other),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> Break:
    return FAULTS[request.param]


def observed(watch: Watch, *urls: str, first: Callable[[], object], **settings: int) -> Snapshot:
    """Observe twice with the same clients: the second time, `first` has happened in between."""
    client = watch.client(CURIE, *urls, timeout_s=3.0, **settings)
    clients = watch.clients() | {CURIE: client}
    observer = watch.observer(clients)
    assert observer.observe().gaps == ()
    first()
    return observer.observe()


def truth_of(watch: Watch) -> Snapshot:
    watch.chains.move()  # with accounts that can be liquidated
    truth = watch.observer().observe()
    assert any(a.liquidatable for a in truth.accounts)
    watch.found.clear()
    return truth


def test_with_a_sound_node_beside_it_nothing_is_lost(watch: Watch, fault: Break) -> None:
    truth = truth_of(watch)
    proxy = watch.proxies[CURIE]
    url = watch.chains.url("arbitrum")
    seen = observed(watch, proxy.url, url, first=lambda: fault(proxy, watch.chains.url("optimism")))
    assert seen.digest == truth.digest


def test_alone_it_makes_the_chain_a_gap(watch: Watch, fault: Break) -> None:
    truth = truth_of(watch)
    proxy = watch.proxies[CURIE]
    seen = observed(watch, proxy.url, first=lambda: fault(proxy, watch.chains.url("optimism")))
    never_healthier(seen, truth)
    assert accounts_of(seen, CURIE) == []
    assert proxy.url in next(g.reason for g in seen.gaps if g.what == "chain")


def test_a_frozen_node_gives_way_to_one_that_goes_on(watch: Watch) -> None:
    proxy = watch.proxies[CURIE]
    proxy.freeze_head()

    def go_on() -> None:
        watch.chains.move()
        watch.chains.node("arbitrum").rpc("anvil_mine", hex(LAG))

    seen = observed(watch, proxy.url, watch.chains.url("arbitrum"), first=go_on)
    assert seen.blocks[1].number == watch.chains.node("arbitrum").head()
    assert any(a.liquidatable for a in seen.accounts if a.chain_id == CURIE)


def test_a_frozen_node_is_not_read_when_the_other_is_gone(watch: Watch) -> None:
    proxy = watch.proxies[CURIE]
    proxy.freeze_head()
    with RpcProxy(watch.chains.url("arbitrum")) as other:
        client = watch.client(CURIE, proxy.url, other.url, timeout_s=3.0)
        observer = watch.observer(watch.clients() | {CURIE: client})
        watch.chains.move()
        watch.chains.node("arbitrum").rpc("anvil_mine", hex(LAG))
        truth = observer.observe()
        assert any(a.liquidatable for a in truth.accounts if a.chain_id == CURIE)
        other.fault(dropped())
        seen = observer.observe()
    never_healthier(seen, truth)
    assert accounts_of(seen, CURIE) == []
    (gap,) = [g for g in seen.gaps if g.what == "chain"]
    assert "blocks behind its peers" in gap.reason


@pytest.mark.parametrize("liar_first", [True, False])
def test_a_node_that_lies_about_one_value_is_caught_by_a_quorum(watch: Watch, liar_first: bool) -> None:
    truth = truth_of(watch)
    proxy = watch.proxies[CURIE]
    urls = [proxy.url, watch.chains.url("arbitrum")]
    seen = observed(
        watch,
        *(urls if liar_first else urls[::-1]),
        first=lambda: proxy.fault(lying(truth), "eth_call"),
        quorum=2,
    )
    never_healthier(seen, truth)
    assert accounts_of(seen, CURIE) == []
    (gap,) = [g for g in seen.gaps if g.what == "chain"]
    assert "disagree about" in gap.reason
    assert all(url in gap.reason for url in urls)


def test_alone_it_would_have_been_believed(watch: Watch) -> None:
    """The lie of the test above is one that only a second node can show."""
    truth = truth_of(watch)
    proxy = watch.proxies[CURIE]
    seen = observed(watch, proxy.url, first=lambda: proxy.fault(lying(truth), "eth_call"))
    assert accounts_of(seen, CURIE)
    with pytest.raises(AssertionError):
        never_healthier(seen, truth)


def test_a_quorum_sees_what_one_node_sees(watch: Watch) -> None:
    truth = truth_of(watch)
    urls = [watch.proxies[CURIE].url, watch.chains.url("arbitrum")]
    seen = observed(watch, *urls, first=lambda: None, quorum=2)
    assert seen.digest == truth.digest
