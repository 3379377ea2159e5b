"""What one endpoint can do, found by asking it: how far back, how wide, how much at once.

Sizes are searched for by halving what is refused and growing what is answered, so that a few dozen small
requests tell all. An endpoint that asks for patience is given it, and is asked more slowly from then on; what
the time does not allow stays unasked, and is said to be.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from statistics import median
from typing import Any, Final

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable, RateLimited
from keeper.chain.multicall import GAUGE, GAUGE_CODE, GET_CHAIN_ID, Entry, frame, unframe
from keeper.chain.refusals import reverted
from keeper.model.errors import DataError
from keeper.model.reads import Address

BUDGET_S: Final = 30.0
"""For all questions to one endpoint."""

_REQUEST_S: Final = 8.0
_PATIENCE_S: Final = 3.0
"""Longest rest for an endpoint that asks for patience."""

_SLOWLY_S: Final = 0.25
_TRIES: Final = 3
_BATCHES: Final = (32, 8, 2)
_ENTRIES: Final = 500
_LATENCIES: Final = 5
_BLOCKS_TIMED: Final = 16
_REFINED: Final = 4
"""Steps between what was answered and what was refused."""

_NO_EVENT: Final = "0x" + 32 * "00"
"""A topic that nothing has: the range is measured, not what lies in it."""

GAS_LEFT: Final = GAUGE_CODE
"""As the code of a new contract: answers how much gas the call was given, on a node without overrides too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the keeper's own reads ask of an endpoint."""

    chain_id: int
    multicall: Address
    call_gas: int
    depth_blocks: int
    """How far below the block that `pin_at` names state is read."""

    log_blocks: int
    """Widest range of one request for events."""

    logs_from: int | None
    """First block whose events are read; None where no venue's are."""

    logs_at: tuple[Address, ...] = ()
    pin_at: str = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How much of something an endpoint answers."""

    wanted: int
    found: int
    """The most that was answered; 0 for nothing."""

    refused: str = ""
    """The node's words about the least that it refused; empty where it refused nothing."""


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
    endpoint = Endpoint(url, timeout_s=min(timeout_s, _REQUEST_S))
    asking = _Asking(endpoint, clock() + budget_s, clock, sleep)
    try:
        return _probed(asking, need, wall)
    except (NodeUnreachable, NodeRefused, _OutOfTime, *_MALFORMED) as problem:
        return Probed(
            host=endpoint.host,
            trouble=_words(problem),
            limited=asking.limited,
            requests=endpoint.requests,
        )
    finally:
        endpoint.close()


def tells_chain_id(url: str, *, timeout_s: float) -> tuple[str, int | None, str]:
    """Return host, chain id and trouble of an endpoint that may take nothing but transactions.

    One that answers, but names no chain, gives None and no trouble.
    """
    endpoint = Endpoint(url, timeout_s=min(timeout_s, _REQUEST_S))
    try:
        return endpoint.host, int(endpoint.ask("eth_chainId", []), 16), ""
    except (NodeRefused, *_MALFORMED):
        return endpoint.host, None, ""
    except NodeUnreachable as problem:
        return endpoint.host, None, _words(problem)
    finally:
        endpoint.close()


class _OutOfTime(Exception):  # noqa: N818 - caught here, and nobody's error
    """The budget is used up."""


_MALFORMED: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclass(slots=True)
class _Asking:
    """One endpoint, asked politely and for a limited time."""

    endpoint: Endpoint
    until_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    limited: int = 0
    silent: int = 0
    """Questions in a row that had no answer at all."""

    took_s: list[float] = field(default_factory=list)

    def ask(self, method: str, params: list[Any]) -> Any:
        """Return a result, with patience where it is asked for.

        Raises `NodeRefused`, `NodeUnreachable`, `RateLimited` after the last try, and `_OutOfTime`.
        """
        return self._patiently(lambda left_s: self.endpoint.ask(method, params, timeout_s=left_s))

    def ask_together(self, method: str, count: int) -> Any:
        """Return the results of as many questions in one request. Raises as `ask`."""
        return self._patiently(
            lambda left_s: self.endpoint.ask_together(method, [[]] * count, timeout_s=min(left_s, _REQUEST_S))
        )

    def _patiently(self, question: Callable[[float], Any]) -> Any:
        for attempt in range(_TRIES):
            if self.limited:
                self.sleep(_SLOWLY_S)
            left_s = self.until_s - self.clock()
            if left_s <= 0:
                raise _OutOfTime
            started_s = self.clock()
            try:
                answer = question(left_s)
            except RateLimited as asked:
                self.limited += 1
                if attempt == _TRIES - 1:
                    raise
                self.sleep(min(_PATIENCE_S, asked.retry_after_s or 1.0))
                continue
            self.took_s.append(self.clock() - started_s)
            return answer
        raise AssertionError("the last try returns or raises")

    def refusal(self, question: Callable[[], Any]) -> str:
        """Return why a question is not answered; empty where it is.

        Raises `RateLimited`, which says nothing of the question, `_OutOfTime`, and `NodeUnreachable` the
        third time in a row: the node is gone.
        """
        try:
            question()
        except RateLimited:
            raise
        except NodeUnreachable as problem:
            self.silent += 1
            if self.silent == _TRIES:
                raise
            return _words(problem)
        except (DataError, *_MALFORMED) as problem:
            self.silent = 0
            return _words(problem)
        self.silent = 0
        return ""


def _probed(asking: _Asking, need: Need, wall: Callable[[], float]) -> Probed:
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
            ("depth", lambda: _depth(asking, need, head)),
            ("logs", lambda: _logs(asking, need, head)),
            ("gas", lambda: _gas(asking, need)),
            ("entries", lambda: _entries(asking, need)),
            ("batch", lambda: _batch(asking)),
            ("features", lambda: _features(asking, need, head)),
        )
        for name, step in steps:
            try:
                found |= {name: step()} if name != "features" else step()
            except _OutOfTime:
                break  # what is missing in the answer was not asked
            except RateLimited:
                continue
    return Probed(
        **found,
        latency_ms=1e3 * median(asking.took_s[:_LATENCIES]),
        limited=asking.limited,
        requests=endpoint.requests,
    )


def _client(asking: _Asking) -> str:
    """Return what the node calls itself; empty where it keeps that to itself."""
    try:
        return str(asking.ask("web3_clientVersion", []))
    except NodeRefused:
        return ""


def _head(asking: _Asking, wall: Callable[[], float]) -> Seen:
    raw = asking.ask("eth_getBlockByNumber", ["latest", False])
    return Seen(
        number=int(raw["number"], 16),
        hash=str(raw["hash"]),
        timestamp_s=int(raw["timestamp"], 16),
        at_s=wall(),
    )


def _block_time_s(asking: _Asking, head: Seen) -> float | None:
    """Return the mean time between the last blocks, None on a chain that has hardly any."""
    back = min(_BLOCKS_TIMED, head.number - 1)
    if back < 1:
        return None
    try:
        raw = asking.ask("eth_getBlockByNumber", [hex(head.number - back), False])
        return (head.timestamp_s - int(raw["timestamp"], 16)) / back
    except (NodeRefused, NodeUnreachable, *_MALFORMED):
        return None


def _depth(asking: _Asking, need: Need, head: Seen) -> Reach:
    """Search how many blocks below the head the node still has the state of."""

    def refusal(depth: int) -> str:
        tag = hex(head.number - depth)
        refused = asking.refusal(lambda: int(asking.ask("eth_getBalance", [need.multicall, tag]), 16))
        call = {"to": need.multicall, "data": "0x" + GET_CHAIN_ID.hex()}
        return refused or asking.refusal(lambda: asking.ask("eth_call", [call, tag]))

    wanted = min(_lag(asking, need, head) + need.depth_blocks, head.number)
    return _search(wanted, head.number, refusal, growing=8)


def _lag(asking: _Asking, need: Need, head: Seen) -> int:
    """Return how far the block that is pinned lags the head; 0 too where the node does not know it."""
    if need.pin_at == "latest":
        return 0
    try:
        tagged = asking.ask("eth_getBlockByNumber", [need.pin_at, False])
        return max(0, head.number - int(tagged["number"], 16))
    except (NodeRefused, *_MALFORMED):
        return 0


def _logs(asking: _Asking, need: Need, head: Seen) -> Reach | None:
    """Search how many blocks one request for events may span."""
    if need.logs_from is None:
        return None
    whole = max(1, head.number - need.logs_from + 1)

    def refusal(span: int) -> str:
        question = {
            "address": list(need.logs_at),
            "topics": [_NO_EVENT],
            "fromBlock": hex(head.number - span + 1),
            "toBlock": hex(head.number),
        }
        return asking.refusal(lambda: len(asking.ask("eth_getLogs", [question])))

    return _search(min(need.log_blocks, whole), whole, refusal, growing=8)


def _gas(asking: _Asking, need: Need) -> Reach:
    """Search how much gas a view is given: a node may refuse more, or silently give less."""
    given: list[int] = []

    def refusal(gas: int) -> str:
        def ask() -> None:
            given.append(int(asking.ask("eth_call", [{"data": GAS_LEFT, "gas": hex(gas)}, "latest"]), 16))

        return asking.refusal(ask)

    found = _search(need.call_gas, need.call_gas, refusal)
    # A little goes before the code can look: intrinsic gas, and what the code costs.
    granted = found.found if given and given[-1] > 0.9 * found.found else (given or [0])[-1]
    return Reach(wanted=found.wanted, found=granted, refused=found.refused)


def _entries(asking: _Asking, need: Need) -> Reach:
    """Search how many views fit into one multicall."""

    def refusal(count: int) -> str:
        entries = [Entry(need.multicall, GET_CHAIN_ID)] * count
        question = {"to": need.multicall, "data": frame(entries), "gas": hex(need.call_gas)}

        def ask() -> None:
            answer = asking.ask("eth_call", [question, "latest"])
            if not all(r.success for r in unframe(bytes.fromhex(answer[2:]), count)):
                raise ValueError("some of them failed")

        return asking.refusal(ask)

    return _search(_ENTRIES, _ENTRIES, refusal)


def _batch(asking: _Asking) -> Reach:
    """Search how many questions one request may hold. Ours hold one; other programs' may need it."""
    refused = ""
    for count in _BATCHES:
        refused = asking.refusal(partial(asking.ask_together, "eth_chainId", count))
        if not refused:
            return Reach(wanted=_BATCHES[0], found=count)
    return Reach(wanted=_BATCHES[0], found=1, refused=refused)


def _features(asking: _Asking, need: Need, head: Seen) -> dict[str, frozenset[str]]:
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


def _search(wanted: int, most: int, refusal: Callable[[int], str], *, growing: int = 2) -> Reach:
    """Return the most that is answered: halved from `wanted` where that is refused, else grown to `most`."""
    refused = refusal(wanted)
    if not refused:
        found = wanted
        while found < most:
            size = min(most, growing * max(1, found))
            if refused := refusal(size):
                return Reach(wanted=wanted, found=found, refused=refused)
            found = size
        return Reach(wanted=wanted, found=found)
    above = wanted
    while above > 1:
        size = above // 2
        again = refusal(size)
        if not again:
            return Reach(wanted=wanted, found=_between(size, above, refusal), refused=refused)
        refused, above = again, size
    return Reach(wanted=wanted, found=0, refused=refused)


def _between(answered: int, refused: int, refusal: Callable[[int], str]) -> int:
    for _ in range(_REFINED):
        middle = (answered + refused) // 2
        if middle == answered:
            break
        if refusal(middle):
            refused = middle
        else:
            answered = middle
    return answered


def _ahead_s(date: str, now_s: float) -> float | None:
    """Return the machine's clock less a node's, which tells whole seconds; None where it tells nothing."""
    try:
        told: datetime = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return now_s - told.timestamp() - 0.5


def _words(problem: BaseException) -> str:
    if isinstance(problem, NodeRefused):
        return problem.text if not reverted(problem) else f"reverted: {problem.text}"
    if isinstance(problem, NodeUnreachable):
        return "; ".join(problem.reasons)
    if isinstance(problem, _OutOfTime):
        return "answers too slowly"
    return str(problem) if isinstance(problem, DataError) else "answers what no node would"
