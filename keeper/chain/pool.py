"""The endpoints of one chain, asked in order of preference, with fail-over.

The endpoint in use is kept until it fails. A failing one rests, longer each time; one that asks for
patience rests as long as it says, within reason. Before an endpoint is used for the first time, and after
every switch to it, it must name the chain id we expect. One that lags its peers, or stands still while they
go on, is set aside until it has caught up.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import AbiMismatch, NodeRefused, NodeUnreachable, RateLimited, WrongChain
from keeper.chain.scalars import STORED_BITS, blob, count, quantity
from keeper.chain.together import together

_FIRST_REST_S: Final = 0.5
_LONGEST_REST_S: Final = 30.0
_LONGEST_PATIENCE_S: Final = 300.0
"""An endpoint that asks for more is asked again all the same: some count in milliseconds."""

MAX_LAG_BLOCKS: Final = 5
MAX_HEAD_AGE_S: Final = 120.0
_CENSUS_S: Final = 3.0
"""For an endpoint to tell its head when all are asked for it: a slow one must not hold up a cycle."""


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

    head: int = -1
    """Number of the latest block it told of."""

    head_since_s: float = 0.0
    """When it first told of that block, on the monotonic clock."""

    lags: bool = False
    """It rests because of its head."""


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
        max_lag_blocks: int = MAX_LAG_BLOCKS,
        max_head_age_s: float = MAX_HEAD_AGE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare the pool; nobody is asked.

        An endpoint more than `max_lag_blocks` behind the best of its peers is not read from, nor one that has
        told of no new block for `max_head_age_s` while a peer is ahead of it. `clock` is monotonic.
        """
        self._name = name
        self._chain_id = chain_id
        self._seats = [Seat(e) for e in endpoints]
        self._current: Seat | None = None
        self.switches = 0
        """How often another endpoint took over: two equal counts, one endpoint in between."""

        self.answered: set[int] = set()
        """Positions of the endpoints that gave a result; whoever wants to know empties it before."""

        self._timeout_s = timeout_s
        self._max_lag_blocks = max_lag_blocks
        self._max_head_age_s = max_head_age_s
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
        self,
        method: str,
        params: Params,
        *,
        elsewhere: Callable[[NodeRefused], bool] = lambda _: False,
        sized: bool = False,
    ) -> Any:
        """Return the result of one request from the first endpoint that gives one.

        An endpoint's own error is final, unless `elsewhere` says that another endpoint may know better. Where
        less may be asked, `sized`, it also is final that an endpoint asks for patience by a code that stands
        for limits of size too: that raises `RateLimited`, and no endpoint rests.

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
                    if sized and isinstance(problem, RateLimited) and not problem.certain:
                        raise
                    self._rest(seat, problem)
            if refused is not None:
                raise refused
            self._wait_or_give_up(deadline_s)

    def number(self, method: str, params: Params, *, bits: int = STORED_BITS) -> int:
        """Return the result of one request that is a hexadecimal number of at most so many bits.

        Raises as `request`, and `AbiMismatch` for a result that is none.
        """
        raw = self.request(method, params)
        try:
            return quantity(raw, bits=bits)
        except ValueError:
            raise self.malformed(method) from None

    def bytes_of(self, method: str, params: Params) -> bytes:
        """Return the result of one request that is hexadecimal. Raises as `number`."""
        raw = self.request(method, params)
        try:
            return blob(raw)
        except ValueError:
            raise self.malformed(method) from None

    def malformed(self, method: str) -> AbiMismatch:
        """Rest the endpoint in use, whose answer no node would give, and return what is to be raised."""
        host = self.current
        self.set_current_aside(f"answers {method} with what no node would")
        return AbiMismatch(method, f"{host} gave a malformed answer")

    def set_laggards_aside(self) -> None:
        """Where there are several endpoints, compare their heads: rest those that lag, take back the others.

        A head that somebody told of counts also when he is gone: who has not reached it stands still.
        """
        if len(self._seats) < 2:
            return
        now_s = self._clock()
        seats = [s for s in self._seats if s.rests_until_s <= now_s or s.lags]
        for i, found in together([partial(self._head_of, seat) for seat in seats]):
            if isinstance(found, int):
                self._note_head(seats[i], found)
            else:
                self._rest(seats[i], found)
        best = max(s.head for s in self._seats)
        for seat in (s for s in seats if s.lags or s.rests_until_s <= now_s):
            behind, age_s = best - seat.head, self._clock() - seat.head_since_s
            if behind > self._max_lag_blocks:
                self._set_aside(seat, f"{behind} blocks behind its peers")
            elif behind > 0 and age_s > self._max_head_age_s:
                self._set_aside(seat, f"no new block for {age_s:.0f} s, {behind} behind its peers")
            elif seat.lags:
                seat.lags, seat.failures, seat.rests_until_s = False, 0, 0.0

    def set_current_aside(self, reason: str) -> None:
        """Rest the endpoint in use because its answers cannot be right."""
        if self._current is not None:
            self._rest(self._current, NodeUnreachable(self._current.endpoint.host, (reason,)))

    def broadcast(self, raw: str) -> tuple[NodeRefused, ...]:
        """Hand a signed transaction to every endpoint that does not rest, at once.

        Returns nothing as soon as one takes it, else what those that answered said against it, by preference.
        Raises `NodeUnreachable` when nobody answers.
        """
        deadline_s = self._clock() + self._timeout_s
        while True:
            order, now_s = self._order(), self._clock()
            seats = [s for s in order if s.rests_until_s <= now_s] or order
            refusals: dict[int, NodeRefused] = {}
            for i, problem in together([partial(self._hand_over, seat, raw) for seat in seats]):
                if problem is None:
                    return ()
                if isinstance(problem, NodeRefused):
                    refusals[i] = problem
                else:
                    self._rest(seats[i], problem)
            if refusals:
                return tuple(refusals[i] for i in sorted(refusals))
            self._wait_or_give_up(deadline_s)

    def close(self) -> None:
        """Close all connections."""
        for seat in self._seats:
            seat.endpoint.close()

    def _order(self) -> list[Seat]:
        now_s = self._clock()
        seats = sorted(self._seats, key=lambda s: s is not self._current)  # stable: by preference
        ready = [s for s in seats if s.rests_until_s <= now_s]
        # When none of those answers, whoever merely failed is asked all the same.
        failed = [s for s in seats if s.rests_until_s > now_s and not s.asked_for_patience and not s.lags]
        return ready + failed

    def _ask(self, seat: Seat, method: str, params: Params) -> Any:
        if seat is not self._current:
            self._verify(seat)
        answer = seat.endpoint.ask(method, params(seat) if callable(params) else params)
        seat.failures = 0
        self.answered.add(self._seats.index(seat))
        if seat is not self._current:
            self._current = seat
            self.switches += 1
        return answer

    def _head_of(self, seat: Seat) -> int | NodeUnreachable | WrongChain:
        """Ask for a head without changing anything that other threads see."""
        try:
            if seat is not self._current:
                self._verify(seat, timeout_s=_CENSUS_S)
            return count(seat.endpoint.ask("eth_blockNumber", [], timeout_s=_CENSUS_S))
        except (NodeUnreachable, WrongChain) as problem:
            return problem
        except (NodeRefused, ValueError):
            return NodeUnreachable(seat.endpoint.host, ("does not tell its head",))

    def _note_head(self, seat: Seat, head: int) -> None:
        if head != seat.head:
            seat.head, seat.head_since_s = head, self._clock()

    def _set_aside(self, seat: Seat, why: str) -> None:
        self._rest(seat, NodeUnreachable(seat.endpoint.host, (why,)))
        seat.lags = True

    def _hand_over(self, seat: Seat, raw: str) -> NodeRefused | NodeUnreachable | None:
        """Give one endpoint a transaction; None when it takes it.

        Its chain id need not be known: the transaction is signed for ours.
        """
        try:
            seat.endpoint.ask("eth_sendRawTransaction", [raw])
        except (NodeRefused, NodeUnreachable) as problem:
            return problem
        return None

    def _verify(self, seat: Seat, *, timeout_s: float | None = None) -> None:
        try:
            found = quantity(seat.endpoint.ask("eth_chainId", [], timeout_s=timeout_s))
        except (NodeRefused, ValueError):
            raise NodeUnreachable(seat.endpoint.host, ("does not tell its chain id",)) from None
        if found != self._chain_id:
            wrong = WrongChain(self._name, seat.endpoint.host, expected=self._chain_id, found=found)
            seat.wrong = None if seat.proven else wrong
            raise wrong
        seat.proven, seat.wrong = True, None

    def _rest(self, seat: Seat, problem: NodeUnreachable | WrongChain) -> None:
        seat.failures += 1
        seat.lags = False
        rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2 ** min(seat.failures - 1, 10))
        seat.asked_for_patience = isinstance(problem, RateLimited)
        if isinstance(problem, RateLimited):
            seat.why = problem.reasons[0]
            rest_s = max(rest_s, min(_LONGEST_PATIENCE_S, problem.retry_after_s or 0.0))
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
