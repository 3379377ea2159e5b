"""What one endpoint can do, found by asking it.

An endpoint that asks for patience is given it, and is asked more slowly from then on; what the time does not
allow stays unasked, and is said to be.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Any, Final

from keeper.chain import event_limits, limits
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable, RateLimited
from keeper.chain.event_limits import Results
from keeper.chain.limits import Need, Reach
from keeper.chain.multicall import GAUGE, GAUGE_CODE, GET_CHAIN_ID
from keeper.chain.patience import MALFORMED, REQUEST_S, Asking, OutOfTime, words

BUDGET_S: Final = 30.0
"""For all questions to one endpoint."""

_LATENCIES: Final = 5
_BLOCKS_TIMED: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A head, and when it was told."""

    number: int
    hash: str
    timestamp_s: int
    at_s: float
    """Of the machine's wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What an endpoint told. A size is None where time did not allow to ask."""

    host: str
    trouble: str = ""
    """Why it cannot be used at all; empty where it can."""

    chain_id: int | None = None
    client: str = ""
    latency_ms: float | None = None
    head: Seen | None = None
    block_time_s: float | None = None
    ahead_s: float | None = None
    """This machine's clock less the node's, by the HTTP header; None without one."""

    depth: Reach | None = None
    """Blocks below the head whose state it has."""

    logs: Reach | None = None
    """Blocks in one request for events."""

    results: Results | None = None
    """Events in one answer."""

    gas: Reach | None = None
    """Gas that a view is given."""

    entries: Reach | None = None
    """Views in one multicall."""

    batch: Reach | None = None
    """Questions in one request."""

    offers: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    limited: int = 0
    """How often it asked for patience."""

    requests: int = 0


FEATURES: Final = (
    "eth_simulateV1",
    "eth_feeHistory",
    "safe block",
    "finalized block",
    "calls by block hash",
    "state overrides",
)


def probe(
    url: str,
    need: Need,
    *,
    timeout_s: float,
    budget_s: float = BUDGET_S,
    wall: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Probed:
    """Ask one endpoint for all of it. Raises nothing: trouble is part of the answer.

    `wall` is the machine's wall clock, `clock` a monotonic one.
    """
    endpoint = Endpoint(url, timeout_s=min(timeout_s, REQUEST_S))
    asking = Asking(endpoint, clock() + budget_s, clock, sleep)
    try:
        return _probed(asking, need, wall)
    except (NodeUnreachable, NodeRefused, OutOfTime, *MALFORMED) as problem:
        return Probed(
            host=endpoint.host,
            trouble=words(problem),
            limited=asking.limited,
            requests=endpoint.requests,
        )
    finally:
        endpoint.close()


def tells_chain_id(url: str, *, timeout_s: float) -> tuple[str, int | None, str]:
    """Return host, chain id and trouble of an endpoint that may take nothing but transactions.

    One that answers, but names no chain, gives None and no trouble.
    """
    endpoint = Endpoint(url, timeout_s=min(timeout_s, REQUEST_S))
    try:
        return endpoint.host, int(endpoint.ask("eth_chainId", []), 16), ""
    except (NodeRefused, *MALFORMED):
        return endpoint.host, None, ""
    except NodeUnreachable as problem:
        return endpoint.host, None, words(problem)
    finally:
        endpoint.close()


def _probed(asking: Asking, need: Need, wall: Callable[[], float]) -> Probed:
    endpoint = asking.endpoint
    chain_id = int(asking.ask("eth_chainId", []), 16)
    ahead_s = _ahead_s(endpoint.date, wall())
    client = _client(asking)
    head = _head(asking, wall)
    found: dict[str, Any] = {
        "host": endpoint.host, "chain_id": chain_id, "client": client, "head": head, "ahead_s": ahead_s
    }  # fmt: skip
    if chain_id == need.chain_id:
        steps: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("block_time_s", lambda: _block_time_s(asking, head)),
            ("depth", lambda: limits.depth(asking, need, head.number)),
            ("logs", lambda: event_limits.blocks(asking, need, head.number)),
            ("gas", lambda: limits.gas(asking, need)),
            ("entries", lambda: limits.entries(asking, need)),
            ("batch", lambda: limits.batch(asking)),
            ("features", lambda: _features(asking, need, head)),
            ("results", lambda: event_limits.results(asking, need, head.number, found.get("logs"))),
        )
        for name, step in steps:
            try:
                found |= {name: step()} if name != "features" else step()
            except OutOfTime:
                break  # what is missing in the answer was not asked
            except RateLimited:
                continue
    return Probed(
        **found,
        latency_ms=1e3 * median(asking.took_s[:_LATENCIES]),
        limited=asking.limited,
        requests=endpoint.requests,
    )


def _client(asking: Asking) -> str:
    """Return what the node calls itself; empty where it keeps that to itself."""
    try:
        return str(asking.ask("web3_clientVersion", []))
    except NodeRefused:
        return ""


def _head(asking: Asking, wall: Callable[[], float]) -> Seen:
    raw = asking.ask("eth_getBlockByNumber", ["latest", False])
    return Seen(
        number=int(raw["number"], 16),
        hash=str(raw["hash"]),
        timestamp_s=int(raw["timestamp"], 16),
        at_s=wall(),
    )


def _block_time_s(asking: Asking, head: Seen) -> float | None:
    """Return the mean time between the last blocks, None on a chain that has hardly any."""
    back = min(_BLOCKS_TIMED, head.number - 1)
    if back < 1:
        return None
    try:
        raw = asking.ask("eth_getBlockByNumber", [hex(head.number - back), False])
        return (head.timestamp_s - int(raw["timestamp"], 16)) / back
    except (NodeRefused, NodeUnreachable, *MALFORMED):
        return None


def _features(asking: Asking, need: Need, head: Seen) -> dict[str, frozenset[str]]:
    view = {"to": need.multicall, "data": "0x" + GET_CHAIN_ID.hex()}
    gauge = {GAUGE: {"code": GAUGE_CODE}}
    by_hash = {"blockHash": head.hash, "requireCanonical": True}
    simulated = {"blockStateCalls": [{"calls": [view]}]}
    asked: dict[str, Callable[[], Any]] = {
        "eth_simulateV1": lambda: asking.ask("eth_simulateV1", [simulated, "latest"])[0]["calls"],
        "eth_feeHistory": lambda: asking.ask("eth_feeHistory", ["0x2", "latest", [50]])["baseFeePerGas"],
        "safe block": lambda: asking.ask("eth_getBlockByNumber", ["safe", False])["number"],
        "finalized block": lambda: asking.ask("eth_getBlockByNumber", ["finalized", False])["number"],
        "calls by block hash": lambda: int(asking.ask("eth_call", [view, by_hash]), 16),
        "state overrides": lambda: int(
            asking.ask("eth_call", [{"to": GAUGE, "data": "0x"}, "latest", gauge]), 16
        ),
    }
    lacks = frozenset(name for name in FEATURES if asking.refusal(asked[name]))
    return {"offers": frozenset(FEATURES) - lacks, "lacks": lacks}


def _ahead_s(date: str, now_s: float) -> float | None:
    """Return the machine's clock less a node's, which tells whole seconds; None where it tells nothing."""
    try:
        told: datetime = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return now_s - told.timestamp() - 0.5
