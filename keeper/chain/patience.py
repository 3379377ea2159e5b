"""Questions to one endpoint for a limited time, with patience where it asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable, RateLimited
from keeper.chain.refusals import of_any_limit, reverted
from keeper.model.errors import DataError

REQUEST_S: Final = 8.0
"""Longest wait for one answer."""

_PATIENCE_S: Final = 3.0
"""Longest rest for an endpoint that asks for patience."""

_PAUSE_S: Final = 1.0
"""Where it does not say how long."""

_SLOWLY_S: Final = 0.25
_TRIES: Final = 3

MALFORMED: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What an answer raises that no node would give, where it is taken apart."""


class OutOfTime(Exception):  # noqa: N818 - caught where questions end, and nobody's error
    """The budget is used up."""


@dataclass(slots=True)
class Asking:
    """One endpoint, asked politely and for a limited time."""

    endpoint: Endpoint
    until_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    limited: int = 0
    silent: int = 0
    """Questions in a row that had no answer at all."""

    sized: bool = False
    """It refuses for their size what it seems to refuse for their rate."""

    took_s: list[float] = field(default_factory=list)

    def ask(self, method: str, params: list[Any]) -> Any:
        """Return a result, with patience where it is asked for.

        Raises `NodeRefused`, `NodeUnreachable`, `RateLimited` after the last try, and `OutOfTime`.
        """
        return self._patiently(lambda left_s: self.endpoint.ask(method, params, timeout_s=left_s))

    def ask_sized(self, method: str, params: list[Any], least: list[Any]) -> Any:
        """Return a result as `ask` does, of a question that may be refused for its size.

        Where it is not said whether the size is too great or the rate, `least` is asked at once: the same,
        for so little that only the rate can be. What is refused again after a pause, while `least` is
        answered, is too large. Raises as `ask`.
        """

        def question(left_s: float) -> Any:
            try:
                return self.endpoint.ask(method, params, timeout_s=left_s)
            except (RateLimited, NodeRefused) as problem:
                if not _unclear(problem):
                    raise
                said = words(problem)
            try:
                self.endpoint.ask(method, least, timeout_s=left_s)
            except NodeRefused as problem:
                if not _unclear(problem):
                    raise
                raise RateLimited(self.endpoint.host, f"rate limit ({said})", None) from None
            if self.limited or not self.sized:
                # Who limits the rate answers the larger question as well, after a pause.
                self.sleep(_PAUSE_S)
                try:
                    answer = self.endpoint.ask(method, params, timeout_s=left_s)
                except (RateLimited, NodeRefused) as problem:
                    if not _unclear(problem):
                        raise
                else:
                    self.limited += 1
                    return answer
            self.sized = True
            text = f"{said}, yet less is answered at once: it is the size"
            raise NodeRefused(self.endpoint.host, method, 0, text)

        return self._patiently(question)

    def ask_together(self, method: str, count: int) -> Any:
        """Return the results of as many questions in one request. Raises as `ask`."""
        return self._patiently(
            lambda left_s: self.endpoint.ask_together(method, [[]] * count, timeout_s=min(left_s, REQUEST_S))
        )

    def _patiently(self, question: Callable[[float], Any]) -> Any:
        for attempt in range(_TRIES):
            if self.limited:
                self.sleep(_SLOWLY_S)
            left_s = self.until_s - self.clock()
            if left_s <= 0:
                raise OutOfTime
            started_s = self.clock()
            try:
                answer = question(left_s)
            except RateLimited as asked:
                self.limited += 1
                if attempt == _TRIES - 1:
                    raise
                self.sleep(min(_PATIENCE_S, asked.retry_after_s or _PAUSE_S))
                continue
            self.took_s.append(self.clock() - started_s)
            return answer
        raise AssertionError("the last try returns or raises")

    def refusal(self, question: Callable[[], Any]) -> str:
        """Return why a question is not answered; empty where it is.

        Raises `RateLimited`, which says nothing of the question, `OutOfTime`, and `NodeUnreachable` the
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
            return words(problem)
        except (DataError, *MALFORMED) as problem:
            self.silent = 0
            return words(problem)
        self.silent = 0
        return ""


def _unclear(problem: RateLimited | NodeRefused) -> bool:
    """Whether a refusal may be for the rate as well as for the size."""
    return not problem.certain if isinstance(problem, RateLimited) else of_any_limit(problem)


def words(problem: BaseException) -> str:
    """Return what went wrong, for people: the node's own words where it said any. Never empty."""
    if isinstance(problem, NodeRefused):
        said = problem.text.strip() or f"error {problem.code} without words"
        return said if not reverted(problem) else f"reverted: {said}"
    if isinstance(problem, NodeUnreachable):
        return "; ".join(problem.reasons)
    if isinstance(problem, OutOfTime):
        return "answers too slowly"
    return str(problem) if isinstance(problem, DataError) else "answers what no node would"
