"""The limits of one endpoint: how far back, and how much at once. Those on events are in `event_limits`.

Sizes are searched for by halving what is refused and growing what is answered, so that a few dozen small
requests tell all. Each search raises `RateLimited`, `OutOfTime`, and `NodeUnreachable` where the node is
gone; `head` is the number of its latest block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from keeper.chain.errors import NodeRefused
from keeper.chain.multicall import GAUGE_CODE, GET_CHAIN_ID, Entry, frame, unframe
from keeper.chain.patience import MALFORMED, Asking
from keeper.model.reads import Address

_BATCHES: Final = (32, 8, 2)
_ENTRIES: Final = 500
_REFINED: Final = 4
"""Steps between what was answered and what was refused."""

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
    """Contracts whose events are read."""

    events: tuple[str, ...] = ()
    """Selectors of these events, 0x-prefixed."""

    pin_at: str = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How much of something an endpoint answers."""

    wanted: int
    found: int
    """The most that was answered; 0 for nothing."""

    refused: str = ""
    """The node's words about the least that it refused; empty where it refused nothing."""


def depth(asking: Asking, need: Need, head: int) -> Reach:
    """Search how many blocks below the head the node still has the state of."""

    def refusal(blocks: int) -> str:
        tag = hex(head - blocks)
        refused = asking.refusal(lambda: int(asking.ask("eth_getBalance", [need.multicall, tag]), 16))
        call = {"to": need.multicall, "data": "0x" + GET_CHAIN_ID.hex()}
        return refused or asking.refusal(lambda: asking.ask("eth_call", [call, tag]))

    wanted = min(_lag(asking, need, head) + need.depth_blocks, head)
    return search(wanted, head, refusal, growing=8)


def _lag(asking: Asking, need: Need, head: int) -> int:
    """Return how far the block that is pinned lags the head; 0 too where the node does not know it."""
    if need.pin_at == "latest":
        return 0
    try:
        tagged = asking.ask("eth_getBlockByNumber", [need.pin_at, False])
        return max(0, head - int(tagged["number"], 16))
    except (NodeRefused, *MALFORMED):
        return 0


def gas(asking: Asking, need: Need) -> Reach:
    """Search how much gas a view is given: a node may refuse more, or silently give less."""
    given: list[int] = []

    def refusal(limit: int) -> str:
        def ask() -> None:
            given.append(int(asking.ask("eth_call", [{"data": GAS_LEFT, "gas": hex(limit)}, "latest"]), 16))

        return asking.refusal(ask)

    found = search(need.call_gas, need.call_gas, refusal)
    # A little goes before the code can look: intrinsic gas, and what the code costs.
    granted = found.found if given and given[-1] > 0.9 * found.found else (given or [0])[-1]
    return Reach(wanted=found.wanted, found=granted, refused=found.refused)


def entries(asking: Asking, need: Need) -> Reach:
    """Search how many views fit into one multicall."""

    def refusal(count: int) -> str:
        views = [Entry(need.multicall, GET_CHAIN_ID)] * count
        question = {"to": need.multicall, "data": frame(views), "gas": hex(need.call_gas)}

        def ask() -> None:
            answer = asking.ask("eth_call", [question, "latest"])
            if not all(r.success for r in unframe(bytes.fromhex(answer[2:]), count)):
                raise ValueError("some of them failed")

        return asking.refusal(ask)

    return search(_ENTRIES, _ENTRIES, refusal)


def batch(asking: Asking) -> Reach:
    """Search how many questions one request may hold. Ours hold one; other programs' may need it."""
    refused = ""
    for count in _BATCHES:
        refused = asking.refusal(partial(asking.ask_together, "eth_chainId", count))
        if not refused:
            return Reach(wanted=_BATCHES[0], found=count)
    return Reach(wanted=_BATCHES[0], found=1, refused=refused)


def search(wanted: int, most: int, refusal: Callable[[int], str], *, growing: int = 2) -> Reach:
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
