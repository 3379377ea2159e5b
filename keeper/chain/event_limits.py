"""The limits of one endpoint on events: how many blocks a request may span, how many events an answer holds.

Each raises as those of `limits` do. What the keeper needs is measured with its own questions, near the head.
How much more would be answered is asked without a filter, in steps that grow only while answers stay small.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from keeper.chain.limits import Need, Reach, search
from keeper.chain.patience import Asking

_NO_EVENT: Final = "0x" + 32 * "00"
"""A topic that nothing has: the range is measured, not what lies in it."""

_SETTLED: Final = 16
"""Blocks below the head that are left out where events are counted: a reorg would change them."""

_ROOM: Final = 2
"""A limit on events should be so many times what one of the keeper's own requests brings."""

_LEAST_EVENTS: Final = 1_000
_MOST_EVENTS: Final = 10_000
"""Bounds on how many events are asked for: each is about half a kilobyte."""

_QUESTIONS: Final = 6
_GROWING: Final = 8
_LONG_S: Final = 2.0
"""An answer that took so long is not followed by a larger question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """How many events an endpoint gives in one answer, and how many the keeper's own requests bring."""

    wanted: int
    """Blocks in one of the keeper's own requests."""

    blocks: int
    """The most of them whose events were answered; 0 for none."""

    own: int
    """Events of all venues in these blocks."""

    most: int
    """Events in the largest answer to a question without a filter; or `own`, where that is more."""

    refused_own: str = ""
    """The node's words about the least of the keeper's own requests that it refused; empty where none."""

    refused: str = ""
    """The same of the least question without a filter, after `most` events were answered."""

    missing: int = 0
    """Events in two halves of `blocks` that were not in the answer for the whole: it was cut off unsaid."""

    @property
    def tight(self) -> bool:
        """Whether times as busy as twice the present ones would meet the limit."""
        return bool(self.refused) and self.most < _ROOM * self.own


def blocks(asking: Asking, need: Need, head: int) -> Reach | None:
    """Search how many blocks one request for events may span. None where no venue's are read."""
    if need.logs_from is None:
        return None
    whole = max(1, head - need.logs_from + 1)

    def refusal(span: int) -> str:
        nothing = {"address": list(need.logs_at), "topics": [_NO_EVENT]}
        return asking.refusal(lambda: _count(asking, nothing, head - span + 1, head))

    return search(min(need.log_blocks, whole), whole, refusal, growing=8)


def results(asking: Asking, need: Need, head: int, reach: Reach | None) -> Results | None:
    """Search how many events one answer holds. `reach` is what `blocks` found.

    None where there is nothing to ask: no venue, or no block's events are told.
    """
    if need.logs_from is None or reach is None or reach.found == 0:
        return None
    last = max(need.logs_from, head - _SETTLED)
    wanted = min(need.log_blocks, reach.found, last - need.logs_from + 1)
    own = {"address": list(need.logs_at), "topics": [list(need.events)] if need.events else []}
    counts: dict[int, int] = {0: 0}

    def refusal(span: int) -> str:
        def ask() -> None:
            counts[span] = _count(asking, own, last - span + 1, last)

        return asking.refusal(ask)

    found = search(wanted, wanted, refusal)
    count = counts[found.found]
    missing = _missing(asking, own, last - found.found + 1, last, count)
    most, refused = _unfiltered(asking, last, min(reach.found, last + 1), enough=_ROOM * count)
    return Results(
        wanted=wanted,
        blocks=found.found,
        own=count,
        most=max(most, count),
        refused_own=found.refused,
        refused=refused,
        missing=missing,
    )


def _missing(asking: Asking, own: dict[str, Any], first: int, last: int, count: int) -> int:
    """Return how many events two halves of a range have that the answer for the whole did not."""
    if count < 2 or first >= last:
        return 0
    middle = (first + last) // 2
    halves: list[int] = []

    def ask() -> None:
        halves.append(_count(asking, own, first, middle) + _count(asking, own, middle + 1, last))

    return 0 if asking.refusal(ask) else max(0, halves[0] - count)


def _unfiltered(asking: Asking, last: int, widest: int, *, enough: int) -> tuple[int, str]:
    """Return the most events that a question without a filter brought, and why the next was refused."""
    wanted = min(_MOST_EVENTS, max(_LEAST_EVENTS, enough))
    most, span, counts = 0, 1, [0]

    def ask() -> None:
        counts.append(_count(asking, {}, last - span + 1, last))

    for _ in range(_QUESTIONS):
        started_s = asking.clock()
        if refused := asking.refusal(ask):
            return most, refused
        most = max(most, counts[-1])
        if most >= wanted or span == widest or asking.clock() - started_s > _LONG_S:
            break
        growing = min(_GROWING, math.ceil(wanted / most)) if most else _GROWING
        span = min(widest, span * growing)
    return most, ""


def _count(asking: Asking, filters: dict[str, Any], first: int, last: int) -> int:
    """Return how many events a range of blocks has. Raises `TypeError` for what is no list of them."""
    answer = asking.ask_sized("eth_getLogs", [_span(filters, first, last)], [_span(filters, last, last)])
    if not isinstance(answer, list):
        raise TypeError("no list of events")
    return len(answer)


def _span(filters: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    return {**filters, "fromBlock": hex(first), "toBlock": hex(last)}
