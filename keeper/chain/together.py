"""Several jobs at once, their results as they come."""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def together(jobs: Sequence[Callable[[], T]]) -> Iterator[tuple[int, T]]:
    """Run jobs that raise nothing, each in a thread; yield the position and the result of each as it ends.

    Who stops listening leaves the others to end unheard: they do not keep the process from ending either.
    """
    done: SimpleQueue[tuple[int, T]] = SimpleQueue()

    def run(position: int, job: Callable[[], T]) -> None:
        done.put((position, job()))

    for position, job in enumerate(jobs):
        threading.Thread(target=run, args=(position, job), daemon=True).start()
    for _ in jobs:
        yield done.get()
