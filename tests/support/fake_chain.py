"""A chain that answers from a table, and drives an adapter's reads without a node."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from keeper.model.reads import Call, Failed, Logs, Read, Reads

T = TypeVar("T")

Answers: TypeAlias = Mapping[Hashable, object]
"""By `(address, function, arguments)` or `(address, events)`; by the whole read where that is not enough, for
a sender or changes before the call."""


def answer(read: Read, answers: Answers) -> object:
    """Return the answer to a read. One that was not foreseen is a KeyError, not a zero."""
    if read in answers:
        return answers[read]
    if isinstance(read, Call):
        return answers[read.to, read.fn, read.args]
    if isinstance(read, Logs):
        return answers[read.to, read.events]
    raise KeyError(read)


def drive(reads: Reads[T], answers: Answers) -> T:
    """Run `reads` to its end."""
    result, _ = rounds(reads, answers)
    return result


def rounds(reads: Reads[T], answers: Answers) -> tuple[T, int]:
    """Run `reads` to its end, and count its rounds."""
    count = 0
    try:
        asked = next(reads)
        while True:
            count += 1
            asked = reads.send([answer(read, answers) for read in asked])
    except StopIteration as done:
        result: T = done.value
        return result, count


def failing(answers: Answers, *names: Hashable, benign: bool = False) -> Answers:
    """Return the table with some answers missing: nobody answered, or (benign) the contract reverted."""
    missing = [n for n in names if n not in answers]
    assert not missing, f"the table has no answer under {missing}"
    return {**answers, **{n: Failed(str(n), "withheld", benign) for n in names}}


@dataclass(slots=True)
class Recorder:
    """Keeps what a chain answered, to be asked again without it."""

    answers: dict[Hashable, object] = field(default_factory=dict)

    def keep(self, reads: Iterable[Read], answers: Iterable[object]) -> None:
        """Add one round."""
        self.answers.update(zip(reads, answers, strict=True))
