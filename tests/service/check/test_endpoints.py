"""What an endpoint told, and the verdict on it: pure, so every line is known to the word."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.chain.event_limits import Results
from keeper.chain.limits import Need, Reach
from keeper.chain.multicall import MULTICALL3
from keeper.chain.probes import FEATURES, Probed, Seen
from keeper.chain.ws_probe import Listened
from keeper.config.tables import ChainTable
from keeper.service.check.endpoints import Chain, depth_needed, heard, judged, private
from keeper.service.check.verdicts import Checked, Section, Verdict

NOW_S = 1_700_000_000.0
HERE = Section("here")
NEED = Need(
    chain_id=10, multicall=MULTICALL3, call_gas=50_000_000, depth_blocks=24, log_blocks=10_000, logs_from=100
)
HEAD = Seen(number=1_000_000, hash="0x1", timestamp_s=int(NOW_S) - 2, at_s=NOW_S)
ENOUGH = Results(wanted=10_000, blocks=10_000, own=1_234, most=3_000)
GOOD = Probed(
    host="https://a.example",
    chain_id=10,
    client="geth/1.2",
    latency_ms=12.4,
    head=HEAD,
    block_time_s=2.0,
    ahead_s=0.2,
    depth=Reach(wanted=24, found=1_000_000),
    logs=Reach(wanted=10_000, found=999_901),
    results=ENOUGH,
    gas=Reach(wanted=50_000_000, found=50_000_000),
    entries=Reach(wanted=500, found=500),
    batch=Reach(wanted=32, found=32),
    offers=frozenset(FEATURES),
    requests=20,
)


def chain(**changes: Any) -> Chain:
    table = ChainTable.model_validate_json('{"chain_id": 10, "endpoints": ["http://a.example"]}')
    return Chain(name="optimism", table=table.model_copy(update=changes), tags=frozenset(), need=NEED)


def lines(probed: Probed, *peers: Probed, on: Chain | None = None) -> dict[str, Checked]:
    return {line.subject: line for line in judged(on or chain(), HERE, probed, peers)}


def other(**changes: Any) -> Probed:
    """The same endpoint, and something about it that is different."""
    return replace(GOOD, **changes)


def test_an_endpoint_without_fault() -> None:
    found = lines(GOOD)
    assert {line.verdict for line in found.values()} == {Verdict.OK}
    assert {name: line.found for name, line in found.items()} == {
        "answers": "geth/1.2, 12 ms",
        "head": "block 1,000,000, 2 s old",
        "clock": "this machine and the node agree",
        "state": "all 1,000,000 blocks",
        "events": "999,901 blocks, all there are",
        "event counts": "1,234 of ours in 10,000 blocks; 3,000 in the largest answer",
        "gas of a view": "50,000,000",
        "multicall": "500 views",
        "batches": "32 in one request",
        "methods": ", ".join(sorted(FEATURES)),
        "rate": "20 requests, none refused",
    }
    assert all(line.remedy == "" and line.section == "here" for line in found.values())


def test_one_that_does_not_answer_has_one_line() -> None:
    (line,) = lines(Probed(host="h", trouble="no answer within 5 s")).values()
    assert (line.subject, line.verdict, line.found) == ("answers", Verdict.FAIL, "no answer within 5 s")
    assert line.remedy == "correct the URL under [chains.optimism], or ask its operator"


def test_another_chain_has_one_line() -> None:
    (line,) = lines(other(chain_id=1)).values()
    assert (line.subject, line.verdict) == ("chain id", Verdict.FAIL)
    assert (line.found, line.expected) == ("serves chain id 1", "chain id 10")
    assert line.remedy == "correct chain_id or the endpoint under [chains.optimism]"


@pytest.mark.parametrize(
    ("behind", "verdict", "found"),
    [
        (0, Verdict.OK, "block 1,000,000, 2 s old, level with its peers"),
        (3, Verdict.OK, "block 999,997, 2 s old, 3 behind https://b.example"),
        (5, Verdict.OK, "block 999,995, 2 s old, 5 behind https://b.example"),
        (6, Verdict.FAIL, "block 999,994, 6 behind https://b.example"),
    ],
)
def test_a_head_against_its_peers(behind: int, verdict: Verdict, found: str) -> None:
    peer = other(host="https://b.example")
    line = lines(other(head=replace(HEAD, number=HEAD.number - behind)), peer)["head"]
    assert (line.verdict, line.found) == (verdict, found)


def test_blocks_that_came_between_two_looks_are_no_lag() -> None:
    later = replace(HEAD, number=HEAD.number + 10, at_s=NOW_S + 20.0)
    peer = other(host="https://b.example", head=later)
    assert lines(GOOD, peer)["head"].found.endswith("level with its peers")


def test_a_peer_that_is_down_or_on_another_chain_is_no_measure() -> None:
    far = replace(HEAD, number=9_999_999)
    peers = (Probed(host="x", trouble="down"), other(host="y", chain_id=1, head=far))
    assert lines(GOOD, *peers)["head"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("age_s", "verdict", "said"),
    [
        (120, Verdict.OK, "120 s old"),
        (121, Verdict.WARN, "121 s old"),
        (7200, Verdict.WARN, "2 h old"),
        (5 * 86_400, Verdict.WARN, "5 d old"),
        (-5, Verdict.OK, "5 s in this machine's future"),
        (-6, Verdict.WARN, "6 s in this machine's future"),
        (-3600, Verdict.WARN, "3,600 s in this machine's future"),
    ],
)
def test_a_head_by_this_machines_clock(age_s: int, verdict: Verdict, said: str) -> None:
    line = lines(other(head=replace(HEAD, timestamp_s=int(NOW_S) - age_s)))["head"]
    assert (line.verdict, line.found) == (verdict, f"block 1,000,000, {said}")


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "found"),
    [
        (5.0, Verdict.OK, "this machine and the node agree"),
        (-5.0, Verdict.OK, "this machine and the node agree"),
        (5.6, Verdict.WARN, "this machine is 6 s ahead of the node"),
        (-60.0, Verdict.WARN, "this machine is 60 s behind the node"),
        (61.0, Verdict.FAIL, "this machine is 61 s ahead of the node"),
        (-3600.0, Verdict.FAIL, "this machine is 3,600 s behind the node"),
        (None, Verdict.SKIPPED, "the node sends no HTTP date"),
    ],
)
def test_the_clock(ahead_s: float | None, verdict: Verdict, found: str) -> None:
    line = lines(other(ahead_s=ahead_s))["clock"]
    assert (line.verdict, line.found) == (verdict, found)


def test_too_little_state() -> None:
    line = lines(other(depth=Reach(wanted=24, found=5, refused="missing trie node")))["state"]
    assert (line.verdict, line.found) == (Verdict.FAIL, "5 blocks, then: missing trie node")
    assert line.expected == "24 blocks below the head"
    assert "lower confirmations or final_after_blocks under [chains.optimism]" in line.remedy


def test_enough_state_and_no_archive() -> None:
    line = lines(other(depth=Reach(wanted=24, found=128, refused="pruned")))["state"]
    assert line.verdict is Verdict.OK
    assert line.found == "128 blocks; profile --at and explanations of reverts reach no further"


def test_a_young_chain_has_all_its_state() -> None:
    young = other(head=replace(HEAD, number=7), depth=Reach(wanted=7, found=7))
    assert lines(young)["state"].found == "all 7 blocks"


@pytest.mark.parametrize(
    ("logs", "verdict", "found", "remedy"),
    [
        (Reach(wanted=10_000, found=0, refused="no"), Verdict.FAIL, "not a single block: no", "eth_getLogs"),
        (
            Reach(wanted=10_000, found=1875, refused="range"),
            Verdict.WARN,
            "1,875 blocks, then: range",
            "set log_blocks = 1875 under [chains.optimism]",
        ),
        (Reach(wanted=10_000, found=80_000, refused="range"), Verdict.OK, "80,000 blocks", ""),
    ],
)
def test_events(logs: Reach, verdict: Verdict, found: str, remedy: str) -> None:
    line = lines(other(logs=logs))["events"]
    assert (line.verdict, line.found) == (verdict, found)
    assert remedy in line.remedy
    assert line.expected == "10,000 blocks in one request, from block 100 on"


@pytest.mark.parametrize(
    ("changes", "verdict", "found", "remedy"),
    [
        (
            {"refused": "too many"},
            Verdict.OK,
            "1,234 of ours in 10,000 blocks; 3,000 in the largest answer, then: too many",
            "",
        ),
        (
            {"refused": "too many", "most": 2_000},
            Verdict.WARN,
            "1,234 of ours in 10,000 blocks; 2,000 in the largest answer, then: too many",
            "set log_blocks = 5000 under [chains.optimism], or nothing: what is refused is halved",
        ),
        (
            {"blocks": 625, "own": 990, "most": 990, "refused_own": "max 1000", "refused": "max 1000"},
            Verdict.WARN,
            "990 of ours in 625 blocks, then: max 1000",
            "set log_blocks = 625 under [chains.optimism]: larger answers are refused, then halved",
        ),
        (
            {"blocks": 0, "own": 0, "most": 0, "refused_own": "max 0"},
            Verdict.FAIL,
            "not those of one block: max 0",
            "another endpoint",
        ),
        (
            {"own": 1000, "missing": 234},
            Verdict.FAIL,
            "1,000 of ours in 10,000 blocks, 234 more in the halves of them: it leaves some out without a w",
            "another endpoint, or log_blocks = 2500 under [chains.optimism]: accounts are missed",
        ),
    ],
)
def test_event_counts(changes: dict[str, Any], verdict: Verdict, found: str, remedy: str) -> None:
    line = lines(other(results=replace(ENOUGH, **changes)))["event counts"]
    assert line.verdict is verdict
    assert line.found.startswith(found)
    assert line.remedy.startswith(remedy)
    assert bool(line.remedy) == (verdict is not Verdict.OK)


def test_event_counts_where_there_are_no_events() -> None:
    none = Reach(wanted=10_000, found=0, refused="no")
    line = lines(other(logs=none, results=None))["event counts"]
    assert (line.verdict, line.found) == (Verdict.SKIPPED, "no events")
    on = replace(chain(), need=replace(NEED, logs_from=None))
    assert lines(other(logs=None, results=None), on=on)["event counts"].found == "no venue on this chain"


@pytest.mark.parametrize(
    ("gas", "verdict", "remedy"),
    [
        (Reach(wanted=50_000_000, found=900_000, refused="x"), Verdict.FAIL, "gives views more gas"),
        (
            Reach(wanted=50_000_000, found=24_998_123),
            Verdict.WARN,
            "set call_gas = 24_000_000 under [chains.o",
        ),
        (Reach(wanted=50_000_000, found=49_978_000), Verdict.OK, ""),
    ],
)
def test_gas(gas: Reach, verdict: Verdict, remedy: str) -> None:
    line = lines(other(gas=gas))["gas of a view"]
    assert line.verdict is verdict
    assert remedy in line.remedy


@pytest.mark.parametrize(("found", "verdict"), [(0, Verdict.FAIL), (125, Verdict.WARN), (500, Verdict.OK)])
def test_multicalls(found: int, verdict: Verdict) -> None:
    entries = Reach(wanted=500, found=found, refused="" if found == 500 else "too large")
    assert lines(other(entries=entries))["multicall"].verdict is verdict


def test_batches_are_told_and_never_wrong() -> None:
    line = lines(other(batch=Reach(wanted=32, found=1, refused="disabled")))["batches"]
    assert (line.verdict, line.found) == (Verdict.OK, "none: disabled")


@pytest.mark.parametrize("name", FEATURES)
def test_what_is_lacking_is_told_with_what_is_done_instead(name: str) -> None:
    lacking = other(offers=frozenset(FEATURES) - {name}, lacks=frozenset({name}))
    line = lines(lacking)["methods"]
    assert (line.verdict, line.found) == (Verdict.WARN, f"no {name}")
    assert line.remedy.startswith(f"without {name}: ")


@pytest.mark.parametrize(
    ("tags", "fallback", "verdict"),
    [
        (frozenset({"finalized"}), False, Verdict.FAIL),
        (frozenset({"finalized"}), True, Verdict.WARN),
        (frozenset({"safe"}), False, Verdict.WARN),
        (frozenset(), False, Verdict.WARN),
    ],
)
def test_a_block_tag_that_the_configuration_goes_by(
    tags: frozenset[str], fallback: bool, verdict: Verdict
) -> None:
    lacking = other(offers=frozenset(FEATURES) - {"finalized block"}, lacks=frozenset({"finalized block"}))
    on = replace(chain(finality_fallback=fallback), tags=tags)
    line = lines(lacking, on=on)["methods"]
    assert line.verdict is verdict
    assert ("pin_at and finality" in line.remedy) == (verdict is Verdict.FAIL)


def test_patience() -> None:
    line = lines(other(limited=3, requests=40))["rate"]
    assert (line.verdict, line.found) == (Verdict.WARN, "asked for patience 3x in 40 requests")


@pytest.mark.parametrize(("limited", "why"), [(0, "no time left to ask"), (2, "it asked for patience")])
def test_what_was_not_asked_is_skipped_and_says_why(limited: int, why: str) -> None:
    cut = other(
        depth=None,
        logs=None,
        results=None,
        gas=None,
        entries=None,
        batch=None,
        offers=frozenset(),
        limited=limited,
    )
    found = lines(cut)
    names = ("state", "events", "event counts", "gas of a view", "multicall", "batches", "methods")
    assert {(found[n].verdict, found[n].found) for n in names} == {(Verdict.SKIPPED, why)}
    assert all(found[n].ok for n in names)


@pytest.mark.parametrize(
    ("confirmations", "final_after", "depth"), [(0, 12, 12), (10, 0, 22), (64, 100, 164), (0, 0, 12)]
)
def test_the_depth_that_our_reads_need(confirmations: int, final_after: int, depth: int) -> None:
    assert depth_needed(chain(confirmations=confirmations, final_after_blocks=final_after).table) == depth


@pytest.mark.parametrize(
    ("changes", "verdict", "found"),
    [
        ({"subscribed": True, "head_after_s": 1.23}, Verdict.OK, "subscribed; a block came after 1.2 s"),
        ({"subscribed": True, "waited_s": 8.0}, Verdict.OK, "subscribed; no block came within 8 s"),
        ({"chain_id": 1}, Verdict.FAIL, "serves chain id 1"),
        ({"trouble": "HTTP 401"}, Verdict.FAIL, "HTTP 401"),
    ],
)
def test_heads_by_websocket(changes: dict[str, Any], verdict: Verdict, found: str) -> None:
    listened = replace(Listened(host="wss://a.example", chain_id=10), **changes)
    line = heard(chain(), HERE, listened)
    assert (line.verdict, line.found) == (verdict, found)
    assert bool(line.remedy) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("chain_id", "trouble", "verdict"),
    [(10, "", Verdict.OK), (None, "", Verdict.OK), (1, "", Verdict.FAIL), (None, "down", Verdict.FAIL)],
)
def test_the_private_endpoint(chain_id: int | None, trouble: str, verdict: Verdict) -> None:
    assert private(chain(), HERE, chain_id, trouble).verdict is verdict
