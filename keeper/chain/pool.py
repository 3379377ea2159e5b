"""The endpoints of one chain, asked in order of preference, with fail-over.

The endpoint in use is kept until it fails. A failing one rests, longer each time; one that asks for
patience rests as long as it says. Before an endpoint is used for the first time, and after every switch to
it, it must name the chain id we expect. One that lags its peers is set aside.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable, RateLimited, WrongChain

_FIRST_REST_S: Final = 0.5
_LONGEST_REST_S: Final = 30.0
MAX_LAG_BLOCKS: Final = 5
"""An endpoint further behind the best of its peers is not read from."""


@dataclass(slots=True)
class Seat:
    """An endpoint and what we know of it."""

    endpoint: Endpoint
    failures: int = 0
    """In a row."""

    rests_until_s: float = 0.0
    """On the monotonic clock."""

    asked_for_patience: bool = False
    why: str = ""
    """What it did last that was wrong."""

    wrong: WrongChain | None = None
    """Set while it serves another chain and has never served ours: the configuration is wrong."""

    proven: bool = False
    """It has served our chain."""

    pins_by_hash: bool | None = None
    """Whether it takes a block hash where a block is named; None until tried."""

    overrides: bool | None = None
    """Whether it takes state overrides; None until tried."""


Params: TypeAlias = list[Any] | Callable[[Seat], list[Any]]
"""Parameters of a request, or how to make them for the endpoint that is asked."""


class NodePool:
    """All endpoints of one chain. One caller at a time."""

    def __init__(
        self,
        name: str,
        chain_id: int,
        endpoints: Sequence[Endpoint],
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._chain_id = chain_id
        self._seats = [Seat(e) for e in endpoints]
        self._current: Seat | None = None
        self.switches = 0
        """How often another endpoint took over: two equal counts, one endpoint in between."""

        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep

    @property
    def requests(self) -> int:
        """POSTs made so far, over all endpoints."""
        return sum(s.endpoint.requests for s in self._seats)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Scheme and host of every endpoint, in order of preference."""
        return tuple(s.endpoint.host for s in self._seats)

    @property
    def current(self) -> str | None:
        """Host of the endpoint in use."""
        return self._current.endpoint.host if self._current else None

    def connect(self) -> None:
        """Ask every endpoint for its chain id.

        Raises `WrongChain` when one of them serves another chain, `NodeUnreachable` when none answers.
        """
        reasons: list[str] = []
        for seat in self._seats:
            try:
                self._verify(seat)
            except NodeUnreachable as problem:
                self._rest(seat, problem)
                reasons.append(_reason(seat))
            else:
                self._current = self._current or seat
        if self._current is None:
            raise NodeUnreachable(self._name, reasons)

    def request(
        self, method: str, params: Params, *, elsewhere: Callable[[NodeRefused], bool] = lambda _: False
    ) -> Any:
        """Return the result of one request from the first endpoint that gives one.

        An endpoint's own error is final, unless `elsewhere` says that another endpoint may know better.
        Raises `NodeRefused`, `NodeUnreachable` when no endpoint answers within the timeout, and `WrongChain`
        when all of them serve another chain and have never served ours.
        """
        deadline_s = self._clock() + self._timeout_s
        while True:
            refused: NodeRefused | None = None
            for seat in self._order():
                try:
                    return self._ask(seat, method, params)
                except NodeRefused as refusal:
                    if not elsewhere(refusal):
                        raise
                    refused = refusal
                except (NodeUnreachable, WrongChain) as problem:
                    self._rest(seat, problem)
            if refused is not None:
                raise refused
            self._wait_or_give_up(deadline_s)

    def set_laggards_aside(self) -> None:
        """Where there are several endpoints, compare their heads and rest those that lag."""
        if len(self._seats) < 2:
            return
        heads: list[tuple[Seat, int]] = []
        for seat in self._order():
            try:
                heads.append((seat, int(self._ask_verified(seat, "eth_blockNumber", []), 16)))
            except (NodeUnreachable, WrongChain) as problem:
                self._rest(seat, problem)
            except (NodeRefused, TypeError, ValueError):
                self._rest(seat, NodeUnreachable(seat.endpoint.host, ("does not tell its head",)))
        best = max((head for _, head in heads), default=0)
        for seat, head in heads:
            if best - head > MAX_LAG_BLOCKS:
                lag = f"{best - head} blocks behind its peers"
                self._rest(seat, NodeUnreachable(seat.endpoint.host, (lag,)))

    def set_current_aside(self, reason: str) -> None:
        """Rest the endpoint in use because its answers cannot be right."""
        if self._current is not None:
            self._rest(self._current, NodeUnreachable(self._current.endpoint.host, (reason,)))

    def close(self) -> None:
        """Close all connections."""
        for seat in self._seats:
            seat.endpoint.close()

    def _order(self) -> list[Seat]:
        now_s = self._clock()
        seats = sorted(self._seats, key=lambda s: s is not self._current)  # stable: by preference
        ready = [s for s in seats if s.rests_until_s <= now_s]
        # When none of those answers, whoever merely failed or lagged is asked all the same.
        return ready + [s for s in seats if s.rests_until_s > now_s and not s.asked_for_patience]

    def _ask(self, seat: Seat, method: str, params: Params) -> Any:
        if seat is not self._current:
            self._verify(seat)
        answer = seat.endpoint.ask(method, params(seat) if callable(params) else params)
        seat.failures = 0
        if seat is not self._current:
            self._current = seat
            self.switches += 1
        return answer

    def _ask_verified(self, seat: Seat, method: str, params: list[Any]) -> Any:
        if seat is not self._current:
            self._verify(seat)
        return seat.endpoint.ask(method, params)

    def _verify(self, seat: Seat) -> None:
        try:
            found = int(seat.endpoint.ask("eth_chainId", []), 16)
        except (NodeRefused, TypeError, ValueError):
            raise NodeUnreachable(seat.endpoint.host, ("does not tell its chain id",)) from None
        if found != self._chain_id:
            wrong = WrongChain(self._name, seat.endpoint.host, expected=self._chain_id, found=found)
            seat.wrong = None if seat.proven else wrong
            raise wrong
        seat.proven, seat.wrong = True, None

    def _rest(self, seat: Seat, problem: NodeUnreachable | WrongChain) -> None:
        seat.failures += 1
        rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2 ** min(seat.failures - 1, 10))
        seat.asked_for_patience = isinstance(problem, RateLimited)
        if isinstance(problem, RateLimited):
            seat.why = problem.reasons[0]
            rest_s = max(rest_s, problem.retry_after_s or 0.0)
        elif isinstance(problem, WrongChain):
            seat.why = f"serves chain id {problem.found}, expected {problem.expected}"
        else:
            seat.why = problem.reasons[0]
        seat.rests_until_s = self._clock() + rest_s
        if seat is self._current:
            self._current = None

    def _wait_or_give_up(self, deadline_s: float) -> None:
        wrong = [s.wrong for s in self._seats if s.wrong is not None]
        if wrong and len(wrong) == len(self._seats):
            raise wrong[0]
        patient = [s.rests_until_s for s in self._seats if s.asked_for_patience]
        if not patient or min(patient) > deadline_s:
            raise NodeUnreachable(self._name, [_reason(s) for s in self._seats])
        self._sleep(max(0.0, min(patient) - self._clock()))


def _reason(seat: Seat) -> str:
    return f"{seat.endpoint.host} {seat.why}"
