"""An endpoint that asks for patience is given it, and no endpoint is given more than its time."""

import pytest

from keeper.chain.limits import Reach
from tests.chain.conftest import CHAIN_ID
from tests.chain.probed import Time, asked
from tests.support.rpc_proxy import Exchange, Reply, RpcProxy, dropped, limited, refused

pytestmark = pytest.mark.faults


def test_a_node_that_goes_away_in_the_middle_is_not_called_limited(site: RpcProxy) -> None:
    site.fault(dropped(), skip=12)
    found = asked(site)
    assert "connection broke" in found.trouble
    assert found.depth is None


def test_patience_is_given_where_it_is_asked_for(site: RpcProxy) -> None:
    time = Time()
    site.fault(limited(2), "eth_getLogs", times=1)
    found = asked(site, time=time)
    assert found.limited == 1
    assert found.logs == Reach(wanted=64, found=found.head.number if found.head else 0)
    # The rest that was asked for, and a short one before each question after it.
    assert 2.0 < time.slept_s < 10.0


def test_a_node_that_only_asks_for_patience_ends_in_time(site: RpcProxy) -> None:
    time = Time()
    site.fault(refused(-32005, "rate limit exceeded"), skip=5)
    found = asked(site, time=time, budget_s=12.0)
    assert found.limited > 3
    assert time.now_s < 12.0 + 4.0
    assert (found.chain_id, found.batch) == (CHAIN_ID, None)
    assert found.logs is None


def test_slow_answers_end_in_time(site: RpcProxy) -> None:
    time = Time()

    def slow(exchange: Exchange) -> Reply:
        time.now_s += 5.0
        return exchange.forward()

    site.fault(slow)
    found = asked(site, time=time)
    assert time.now_s <= 40.0
    assert found.chain_id == CHAIN_ID
    assert found.offers == frozenset()
    assert found.requests < 8
