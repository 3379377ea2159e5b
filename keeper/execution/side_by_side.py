"""The chains of a plan side by side: none waits for another, but for what it counts on there."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Results:
    """Which actions of a plan have gone through. Several chains tell and ask."""

    def __init__(self, expected: Iterable[str]) -> None:
        """Expect the result of these action ids."""
        self._told = {identity: threading.Event() for identity in expected}
        self._through: set[str] = set()

    def tell(self, identity: str, through: bool) -> None:
        """Say whether an action went through. Said twice, once is enough."""
        if through:
            self._through.add(identity)
        self._told[identity].set()

    def all_through(self, identities: Iterable[str]) -> bool:
        """Wait until each of these actions has its result; return whether all went through.

        An action that is not in the plan did not.
        """
        wanted = tuple(identities)
        for identity in wanted:
            if identity in self._told:
                self._told[identity].wait()
        return self._through.issuperset(wanted)


def side_by_side(jobs: Mapping[int, Callable[[], T]]) -> dict[int, T]:
    """Run one job per chain id, each in its own thread, and return their results.

    All are run to their end; then the first error, in order of chain ids, is raised.
    """
    if len(jobs) < 2:
        return {chain_id: job() for chain_id, job in jobs.items()}
    with ThreadPoolExecutor(max_workers=len(jobs), thread_name_prefix="chain") as threads:
        running = {chain_id: threads.submit(jobs[chain_id]) for chain_id in sorted(jobs)}
    return {chain_id: ran.result() for chain_id, ran in running.items()}
