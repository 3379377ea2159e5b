"""Limits on events are found and told from each other, by a real node behind a proxy that has them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from keeper.chain.event_limits import Results
from keeper.chain.limits import Need, Reach
from keeper.chain.multicall import MULTICALL3
from keeper.chain.probes import Probed
from tests.chain.conftest import CHAIN_ID
from tests.chain.probed import NEED, Time, asked
from tests.support.rpc_proxy import Exchange, Fault, Reply, RpcProxy, answered, limited, refused

pytestmark = pytest.mark.faults

UNWORDED: Final = ["", "Limit exceeded", "error"]
"""What goes with -32005 and does not say which limit."""

SIZE: Final = "yet less is answered at once: it is the size"


def span(params: list[Any]) -> int:
    return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1


@pytest.mark.parametrize("limit", [1, 2, 20, 63])
def test_a_range_limit_is_found_below_what_was_wanted(site: RpcProxy, limit: int) -> None:
    fault = refused(-32005, f"query exceeds max block range {limit}")
    site.fault(fault, "eth_getLogs", when=lambda params: span(params) > limit)
    logs = asked(site).logs
    assert logs is not None
    assert logs.wanted == 64
    assert limit * 0.9 - 1 <= logs.found <= limit
    assert logs.refused == f"query exceeds max block range {limit}"


def test_a_range_limit_above_what_is_wanted_is_no_refusal_of_it(site: RpcProxy) -> None:
    site.fault(refused(-32000, "too wide"), "eth_getLogs", when=lambda params: span(params) > 80)
    assert asked(site).logs == Reach(wanted=64, found=64, refused="too wide")


@pytest.mark.parametrize("text", ["", "  "])
def test_a_refusal_without_words_is_one_all_the_same(site: RpcProxy, text: str) -> None:
    site.fault(refused(-32000, text), "eth_getLogs", when=lambda params: span(params) > 20)
    logs = asked(site).logs
    assert logs is not None
    assert (logs.found <= 20, logs.refused) == (True, "error -32000 without words")


def test_no_events_at_all(site: RpcProxy) -> None:
    site.fault(refused(-32601, "method not found"), "eth_getLogs")
    assert asked(site).logs == Reach(wanted=64, found=0, refused="method not found")


def test_no_venue_no_question_about_events(site: RpcProxy) -> None:
    need = Need(
        chain_id=CHAIN_ID, multicall=MULTICALL3, call_gas=10**7, depth_blocks=1, log_blocks=1, logs_from=None
    )
    assert asked(site, need).logs is None
    assert site.count("eth_getLogs") == 0


@pytest.mark.parametrize("text", UNWORDED)
@pytest.mark.parametrize("limit", [1, 20, 80])
def test_a_range_limit_without_words_is_told_from_a_rate_limit(site: RpcProxy, text: str, limit: int) -> None:
    site.fault(refused(-32005, text), "eth_getLogs", when=lambda params: span(params) > limit)
    found = asked(site)
    assert found.limited == 0
    assert found.logs is not None
    assert found.logs.refused.endswith(SIZE)
    assert min(64, limit) * 0.9 - 1 <= found.logs.found <= min(64, limit)


def test_on_an_endpoint_that_limits_both_each_is_found(site: RpcProxy) -> None:
    time = Time()
    site.fault(refused(-32005, ""), "eth_getLogs", when=lambda params: span(params) > 20)
    site.fault(limited(2), "eth_getBalance", times=1)
    found = asked(site, time=time)
    assert found.limited == 1
    assert found.logs is not None
    assert 17 <= found.logs.found <= 20
    assert found.logs.refused.endswith(SIZE)


@pytest.mark.parametrize("text", UNWORDED)
def test_a_rate_limit_without_words_is_waited_for(site: RpcProxy, text: str) -> None:
    time = Time()
    site.fault(refused(-32005, text), "eth_getLogs", times=3)
    found = asked(site, time=time)
    assert found.limited > 0
    assert time.slept_s >= 1.0
    assert found.logs is not None
    assert found.logs.found == (found.head.number if found.head else 0)


@pytest.mark.parametrize("text", UNWORDED)
def test_a_rate_just_above_the_limit_is_no_range_limit(site: RpcProxy, text: str) -> None:
    """Every other request comes too soon, unless there was a pause."""
    time = Time()
    last_s = [0.0]

    def soon(_: list[Any]) -> bool:
        before_s, last_s[0] = last_s[0], time.now_s
        if time.now_s > before_s:
            return False
        last_s[0] -= 1.0
        return True

    site.fault(refused(-32005, text), "eth_getLogs", when=soon)
    found = asked(site, time=time)
    assert found.limited > 0
    assert found.logs is not None
    assert found.logs.found == (found.head.number if found.head else 0)


@pytest.mark.parametrize("text", UNWORDED)
def test_who_refuses_everything_is_not_said_to_have_no_events(site: RpcProxy, text: str) -> None:
    site.fault(refused(-32005, text), "eth_getLogs")
    found = asked(site)
    assert (found.logs, found.results) == (None, None)
    assert found.limited >= 3
    assert found.entries == Reach(wanted=500, found=500), "and is asked for other things"


@pytest.mark.parametrize("text", UNWORDED)
def test_who_says_how_long_is_not_asked_at_once(site: RpcProxy, text: str) -> None:
    time = Time()

    def later(exchange: Exchange) -> Reply:
        body = exchange.reply(error={"code": -32005, "message": text}).body
        return Reply(body, headers=(("Retry-After", "2"),))

    site.fault(later, "eth_getLogs", times=1)
    found = asked(site, time=time)
    first, second = [span(params) for method, params in site.seen if method == "eth_getLogs"][:2]
    assert first == second, "nothing in between"
    assert (found.limited, time.slept_s >= 2.0) == (1, True)


# How many events


def eventful(*, own: int, others: int, fault: Callable[[int], Reply | None] = lambda _: None) -> Fault:
    """A chain whose blocks have so many events of ours and of others; `fault` is by an answer's count."""

    def answer(exchange: Exchange) -> Reply:
        (question,) = exchange.params
        topics = question.get("topics")
        per_block = own if topics != [NOTHING] else 0
        count = span(exchange.params) * (per_block if "address" in question else own + others)
        return fault(count) or exchange.reply(result=[{}] * count)

    return answer


NOTHING: Final = "0x" + 32 * "00"


def found_of(site: RpcProxy, need: Need = NEED) -> tuple[Probed, Results]:
    found = asked(site, need)
    assert found.results is not None
    return found, found.results


def above(limit: int, text: str = "query returned more than 10000 results") -> Callable[[int], Reply | None]:
    body = b'{"jsonrpc": "2.0", "id": 0, "error": {"code": -32005, "message": "%s"}}' % text.encode()
    return lambda count: Reply(body) if count > limit else None


def test_what_the_keepers_own_requests_bring_is_counted(site: RpcProxy) -> None:
    site.fault(eventful(own=3, others=17), "eth_getLogs")
    _, results = found_of(site)
    assert results == Results(wanted=64, blocks=64, own=192, most=results.most)
    assert 1_000 <= results.most < 2_000, "no more is asked for than that there is room"
    assert not results.tight


def test_a_limit_on_results_that_our_own_requests_meet(site: RpcProxy) -> None:
    site.fault(eventful(own=3, others=17, fault=above(100)), "eth_getLogs")
    found, results = found_of(site)
    assert found.logs is not None
    assert found.logs.found > 64, "the range is not what is limited"
    assert (results.wanted, results.own) == (64, 3 * results.blocks)
    assert 30 <= results.blocks <= 33
    assert results.refused_own == "query returned more than 10000 results"
    assert results.tight


@pytest.mark.parametrize("text", UNWORDED)
def test_a_limit_on_results_without_words(site: RpcProxy, text: str) -> None:
    site.fault(eventful(own=3, others=17, fault=above(100, text)), "eth_getLogs")
    found, results = found_of(site)
    assert found.limited == 0
    assert 30 <= results.blocks <= 33
    assert results.refused_own.endswith(SIZE)


@pytest.mark.parametrize(("limit", "tight"), [(200, True), (399, True), (3_000, False)])
def test_a_limit_above_what_our_own_requests_bring(site: RpcProxy, limit: int, tight: bool) -> None:
    site.fault(eventful(own=3, others=17, fault=above(limit)), "eth_getLogs")
    _, results = found_of(site)
    assert (results.blocks, results.own, results.refused_own) == (64, 192, "")
    assert results.tight == tight


def test_an_answer_that_is_cut_off_without_a_word_is_found_out(site: RpcProxy) -> None:
    def cut(exchange: Exchange) -> Reply:
        whole = eventful(own=3, others=17)(exchange)
        assert whole is not None
        count = whole.body.count(b"{}")
        return exchange.reply(result=[{}] * min(100, count))

    site.fault(cut, "eth_getLogs")
    _, results = found_of(site)
    assert (results.own, results.missing) == (100, 92)


def test_events_of_one_block_that_are_too_many(site: RpcProxy) -> None:
    site.fault(eventful(own=3, others=17, fault=above(2)), "eth_getLogs")
    _, results = found_of(site)
    assert (results.blocks, results.own, results.most) == (0, 0, 0)
    assert results.refused_own == results.refused == "query returned more than 10000 results"


def test_little_is_asked_of_a_busy_chain(site: RpcProxy) -> None:
    """A single block of it is enough to see that there is room."""
    site.fault(eventful(own=0, others=5_000), "eth_getLogs")
    _, results = found_of(site)
    assert results == Results(wanted=64, blocks=64, own=0, most=5_000)
    unfiltered = [params for method, params in site.seen if method == "eth_getLogs" and len(params[0]) == 2]
    assert [span(params) for params in unfiltered] == [1]


@pytest.mark.parametrize("answer", [None, {}, "", "0x", 7])
def test_what_is_no_list_is_no_events(site: RpcProxy, answer: Any) -> None:
    site.fault(answered(answer), "eth_getLogs")
    found = asked(site)
    assert found.logs is not None
    assert (found.logs.found, found.logs.refused) == (0, "answers what no node would")
    assert found.results is None


def test_the_events_that_are_counted_are_ours(site: RpcProxy) -> None:
    selector = "0x" + 32 * "ab"
    asked(site, replace(NEED, events=(selector,)))
    own = [params[0] for method, params in site.seen if method == "eth_getLogs"][-5:]
    assert any(q.get("topics") == [[selector]] and q["address"] == list(NEED.logs_at) for q in own)
