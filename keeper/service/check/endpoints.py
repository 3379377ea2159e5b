"""What an endpoint told, judged by what our own reads will ask of it. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keeper.chain.limits import Need
from keeper.chain.probes import Probed, Seen
from keeper.chain.ws_probe import Listened
from keeper.config.tables import ChainTable
from keeper.service.check.verdicts import Checked, Section

SKEW_S: Final = 5.0
WRONG_SKEW_S: Final = 60.0
"""A clock this far off breaks what is signed with it: TLS, requests to a KMS."""

_ROOM: Final = 2
"""How many times as busy as now a chain's venues may become."""

LEAST_GAS: Final = 1_000_000
LEAST_REORG_BLOCKS: Final = 12
_WITHOUT: Final = {
    "eth_simulateV1": "transactions that need another before them are simulated by a multicall",
    "eth_feeHistory": "the node's own gas price is taken",
    "safe block": 'pin_at and finality cannot be "safe"',
    "finalized block": 'finality is by "confirmations"',
    "calls by block hash": "every read is checked afterwards to have been made on the pinned block",
    "state overrides": "views that need a change before them are read one by one, or not at all",
}
"""What the keeper does where a node does not offer something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain's configuration, and what its reads need."""

    name: str
    table: ChainTable
    tags: frozenset[str]
    """Block tags that pinning and finality go by."""

    need: Need


def depth_needed(table: ChainTable) -> int:
    """Return how far below the head state is read: the pinned block, and reverts until they are final."""
    return table.confirmations + max(LEAST_REORG_BLOCKS, table.final_after_blocks)


def judged(chain: Chain, section: Section, probed: Probed, peers: Sequence[Probed]) -> Iterator[Checked]:
    """Yield the lines of one endpoint. `peers` are the chain's other endpoints."""
    key, expected = f"[chains.{chain.name}]", f"chain id {chain.need.chain_id}"
    if probed.trouble:
        remedy = f"correct the URL under {key}, or ask its operator"
        yield section.fail("answers", probed.trouble, f"{expected} from a node", remedy)
        return
    wrong = probed.chain_id != chain.need.chain_id
    if wrong:
        remedy = f"correct chain_id or the endpoint under {key}"
        yield section.fail("chain id", f"serves chain id {probed.chain_id}", expected, remedy)
        return
    took = "" if probed.latency_ms is None else f", {probed.latency_ms:,.0f} ms"
    yield section.ok("answers", f"{probed.client or 'a node that names no version'}{took}", expected)
    if probed.head is not None:
        yield _head(chain, section, probed, probed.head, peers)
    yield _clock(section, probed.ahead_s)
    yield _state(chain, section, probed)
    yield _events(chain, section, probed)
    yield _results(chain, section, probed)
    yield _gas(chain, section, probed)
    yield _views(section, probed)
    yield _batch(section, probed)
    yield _methods(chain, section, probed)
    yield _patience(section, probed)


def _head(chain: Chain, section: Section, probed: Probed, head: Seen, peers: Sequence[Probed]) -> Checked:
    table, age_s = chain.table, head.at_s - head.timestamp_s
    expected = f"at most {table.max_lag_blocks} blocks behind, {table.max_head_age_s} s old"
    behind, ahead_of = max(((_lag(probed, head, p), p.host) for p in peers if p.head), default=(0, ""))
    found = f"block {head.number:,}, {_age(age_s)}"
    if behind > table.max_lag_blocks:
        found = f"block {head.number:,}, {behind:,} behind {ahead_of}"
        return section.fail(
            "head", found, expected, "it is not read from until it catches up: ask its operator"
        )
    if peers and behind >= 0 and ahead_of:
        found += ", level with its peers" if behind == 0 else f", {behind} behind {ahead_of}"
    if age_s > table.max_head_age_s:
        remedy = "compare with an explorer: the node stands still, unless its chain has a clock of its own"
        return section.warn("head", found, expected, remedy)
    if age_s < -SKEW_S:
        remedy = "set this machine's clock (NTP), unless it is a local chain with a clock of its own"
        return section.warn("head", found, expected, remedy)
    return section.ok("head", found, expected)


def _lag(probed: Probed, head: Seen, peer: Probed) -> int:
    """Return how many blocks an endpoint is behind another, less what came between the two looks."""
    if peer.head is None or peer.chain_id != probed.chain_id:
        return 0
    later_s, block_s = max(0.0, peer.head.at_s - head.at_s), peer.block_time_s or probed.block_time_s
    between = math.ceil(later_s / block_s) if block_s else 0
    return max(0, peer.head.number - head.number - between)


def _age(age_s: float) -> str:
    if age_s < 0:
        return f"{-age_s:,.0f} s in this machine's future"
    if age_s < 2 * 3600:
        return f"{age_s:,.0f} s old"
    return f"{age_s / 3600:,.0f} h old" if age_s < 2 * 86_400 else f"{age_s / 86_400:,.0f} d old"


def _clock(section: Section, ahead_s: float | None) -> Checked:
    expected = f"within {SKEW_S:g} s of the node's HTTP date"
    if ahead_s is None:
        return section.skipped("clock", "the node sends no HTTP date", expected)
    way = "ahead of" if ahead_s > 0 else "behind"
    if abs(ahead_s) <= SKEW_S:
        return section.ok("clock", "this machine and the node agree", expected)
    found = f"this machine is {abs(ahead_s):,.0f} s {way} the node"
    remedy = "set this machine's clock (NTP); where other endpoints agree with it, this node's is wrong"
    grave = section.fail if abs(ahead_s) > WRONG_SKEW_S else section.warn
    return grave("clock", found, expected, remedy)


def _state(chain: Chain, section: Section, probed: Probed) -> Checked:
    depth, head = probed.depth, probed.head
    needed = chain.need.depth_blocks if depth is None else max(chain.need.depth_blocks, depth.wanted)
    expected = f"{needed:,} blocks below the head"
    if depth is None or head is None:
        return section.skipped("state", _unasked(probed), expected)
    if depth.found >= head.number:
        return section.ok("state", f"all {head.number:,} blocks", expected)
    if depth.found < depth.wanted:
        found = f"{depth.found:,} blocks, then: {depth.refused}"
        remedy = (
            f"use an endpoint that keeps more, or lower confirmations or final_after_blocks under "
            f"[chains.{chain.name}]"
        )
        return section.fail("state", found, expected, remedy)
    found = f"{depth.found:,} blocks; profile --at and explanations of reverts reach no further"
    return section.ok("state", found, expected)


def _events(chain: Chain, section: Section, probed: Probed) -> Checked:
    need, logs = chain.need, probed.logs
    if need.logs_from is None:
        return section.skipped("events", "no venue on this chain", "")
    expected = f"{need.log_blocks:,} blocks in one request, from block {need.logs_from:,} on"
    if logs is None:
        return section.skipped("events", _unasked(probed), expected)
    if logs.found == 0:
        remedy = "an endpoint with eth_getLogs: accounts are found by their events"
        return section.fail("events", f"not a single block: {logs.refused}", expected, remedy)
    if logs.found < logs.wanted:
        found = f"{logs.found:,} blocks, then: {logs.refused}"
        remedy = (
            f"set log_blocks = {logs.found} under [chains.{chain.name}]: wider ones are refused, then halved"
        )
        return section.warn("events", found, expected, remedy)
    return section.ok("events", f"{logs.found:,} blocks{'' if logs.refused else ', all there are'}", expected)


def _results(chain: Chain, section: Section, probed: Probed) -> Checked:
    results = probed.results
    if chain.need.logs_from is None:
        return section.skipped("event counts", "no venue on this chain", "")
    expected = f"all events of {chain.need.log_blocks:,} blocks in one answer, with room for twice as many"
    if results is None:
        nothing = probed.logs is not None and probed.logs.found == 0
        return section.skipped("event counts", "no events" if nothing else _unasked(probed), expected)
    key = f"under [chains.{chain.name}]"
    if results.blocks == 0:
        remedy = "another endpoint: accounts are found by their events"
        return section.fail(
            "event counts", f"not those of one block: {results.refused_own}", expected, remedy
        )
    found = f"{results.own:,} of ours in {results.blocks:,} blocks"
    if results.missing:
        found += f", {results.missing:,} more in the halves of them: it leaves some out without a word"
        remedy = f"another endpoint, or log_blocks = {max(1, results.blocks // 4)} {key}: accounts are missed"
        return section.fail("event counts", found, expected, remedy)
    if results.blocks < results.wanted:
        found += f", then: {results.refused_own}"
        remedy = f"set log_blocks = {results.blocks} {key}: larger answers are refused, then halved"
        return section.warn("event counts", found, expected, remedy)
    found += f"; {results.most:,} in the largest answer" + (
        f", then: {results.refused}" if results.refused else ""
    )
    if results.tight:
        remedy = (
            f"set log_blocks = {max(1, results.blocks // _ROOM)} {key}, or nothing: what is refused is halved"
        )
        return section.warn("event counts", found, expected, remedy)
    return section.ok("event counts", found, expected)


def _gas(chain: Chain, section: Section, probed: Probed) -> Checked:
    gas = probed.gas
    expected = f"call_gas = {chain.need.call_gas:,}"
    if gas is None:
        return section.skipped("gas of a view", _unasked(probed), expected)
    found = f"{gas.found:,}" + (f"; more: {gas.refused}" if gas.refused else "")
    fits = gas.found // 1_000_000 * 1_000_000
    if gas.found < LEAST_GAS:
        remedy = "an endpoint that gives views more gas: accounts are read many at once"
        return section.fail("gas of a view", found, expected, remedy)
    if gas.found < 0.9 * gas.wanted:
        remedy = f"set call_gas = {fits:_} under [chains.{chain.name}]: larger reads are made twice"
        return section.warn("gas of a view", found, expected, remedy)
    return section.ok("gas of a view", found, expected)


def _views(section: Section, probed: Probed) -> Checked:
    entries = probed.entries
    if entries is None:
        return section.skipped("multicall", _unasked(probed), "several hundred views in one request")
    expected = f"{entries.wanted} views in one request"
    if entries.found == 0:
        remedy = "correct `multicall` of the chain, or use another endpoint"
        return section.fail("multicall", entries.refused, expected, remedy)
    if entries.found < entries.wanted:
        remedy = "nothing: reads are split where they are refused; a larger limit makes them faster"
        return section.warn("multicall", f"{entries.found}, then: {entries.refused}", expected, remedy)
    return section.ok("multicall", f"{entries.found} views", expected)


def _batch(section: Section, probed: Probed) -> Checked:
    batch = probed.batch
    expected = "any number: the keeper sends one question a request"
    if batch is None:
        return section.skipped("batches", _unasked(probed), expected)
    found = f"{batch.found} in one request" if batch.found > 1 else f"none: {batch.refused}"
    return section.ok("batches", found, expected)


def _methods(chain: Chain, section: Section, probed: Probed) -> Checked:
    expected = ", ".join(sorted(probed.offers | probed.lacks))
    if not expected:
        return section.skipped("methods", _unasked(probed), "")
    if not probed.lacks:
        return section.ok("methods", expected, expected)
    lacks = sorted(probed.lacks)
    needed = [f"{tag} block" for tag in sorted(chain.tags) if f"{tag} block" in probed.lacks]
    if needed and not chain.table.finality_fallback:
        remedy = (
            f"set pin_at and finality under [chains.{chain.name}] to what the node knows, or use another node"
        )
        return section.fail("methods", f"no {', '.join(lacks)}", f"{', '.join(needed)}", remedy)
    remedy = "; ".join(f"without {name}: {_WITHOUT[name]}" for name in lacks)
    return section.warn("methods", f"no {', '.join(lacks)}", expected, remedy)


def _patience(section: Section, probed: Probed) -> Checked:
    expected = "no request refused for its rate"
    if probed.limited == 0:
        return section.ok("rate", f"{probed.requests} requests, none refused", expected)
    found = f"asked for patience {probed.limited}x in {probed.requests} requests"
    remedy = "a plan with a higher rate, or further endpoints: a cycle may need many requests at once"
    return section.warn("rate", found, expected, remedy)


def _unasked(probed: Probed) -> str:
    return "it asked for patience" if probed.limited else "no time left to ask"


def heard(chain: Chain, section: Section, listened: Listened) -> Checked:
    """Return the line of one WebSocket endpoint."""
    expected = f"new heads of chain id {chain.need.chain_id}"
    key = f"ws_endpoints under [chains.{chain.name}]"
    if listened.trouble:
        remedy = f"correct {key}; until then the chain is polled every poll_s"
        return section.fail("heads", listened.trouble, expected, remedy)
    if listened.chain_id != chain.need.chain_id:
        return section.fail("heads", f"serves chain id {listened.chain_id}", expected, f"correct {key}")
    if listened.head_after_s is None:
        return section.ok("heads", f"subscribed; no block came within {listened.waited_s:.0f} s", expected)
    return section.ok("heads", f"subscribed; a block came after {listened.head_after_s:.1f} s", expected)


def private(chain: Chain, section: Section, chain_id: int | None, trouble: str) -> Checked:
    """Return the line of the endpoint that takes transactions in private."""
    expected = f"chain id {chain.need.chain_id}, or none told"
    remedy = f"correct private_endpoint under [chains.{chain.name}]"
    if trouble:
        return section.fail("private endpoint", trouble, expected, remedy)
    if chain_id is None:
        return section.ok("private endpoint", "answers, and names no chain", expected)
    right = chain_id == chain.need.chain_id
    return section.holds(right, "private endpoint", f"serves chain id {chain_id}", expected, remedy)
