"""How much gas views take: learned from what is left after them, used to cut reads into chunks.

A sub-call that runs out of gas looks like one that failed or, where a contract swallows the failure of
a call of its own, like one that succeeded. The gauge, a few bytes of code put into the read by a state
override, answers how much gas it was given. Each call keeps back 1/64 of the gas at hand, so a sub-call that
starves d levels deep leaves at most 1 - (63/64)**d of it. While more than an eighth of the limit is
left after the last one, none can have starved up to eight levels deep.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeAlias

from keeper.chain.multicall import GAUGE, Entry, Result
from keeper.model.reads import Call

_FIRST_GUESS: Final = 100_000
_GUESS_PER_BYTE: Final = 500
"""A list argument makes a view dearer: about 15,000 gas for each of its 32-byte items."""

_LEAST_LIMIT: Final = 500_000
"""Below it hardly a view fits: a node that says it gives less is not believed."""

_MOST_ENTRIES: Final = 3_000
_MOST_REMEMBERED: Final = 20_000
_GAUGE_ENTRY: Final = Entry(GAUGE, b"")

Key: TypeAlias = tuple[str, bytes]
"""Contract address and calldata."""

Kind: TypeAlias = tuple[str, str, tuple[str, ...]]
"""Contract, function, and the functions simulated before it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a list of reads."""

    index: int
    call: Call
    entry: Entry
    isolated: bool = False
    """Wrapped by `isolation`."""

    @property
    def kind(self) -> Kind:
        """What calls that take about the same gas have in common."""
        return self.call.contract, self.call.fn, tuple(s.fn for s in self.call.before)

    @property
    def key(self) -> Key:
        """What identifies the call on its chain."""
        return self.entry.to, self.entry.data


@dataclass(slots=True)
class GasBook:
    """What earlier reads taught about the views of one chain."""

    asked: int
    """Gas that one multicall is to have."""

    limit: int = 0
    """What it has: less where the node in use silently gives less."""

    measured: dict[Kind, int] = field(default_factory=dict)
    """Mean per call by kind, from the last multicall that held it."""

    quiet: set[Key] = field(default_factory=set)
    """Calls that revert without a reason also when they are alone."""

    hungry: set[Key] = field(default_factory=set)
    """Calls that eat whatever gas they are given, and would starve others."""

    def __post_init__(self) -> None:
        self.limit = self.asked

    def chunks(self, members: Sequence[Asked]) -> Iterator[list[Asked]]:
        """Cut into pieces expected to leave a third of the gas, the same kinds side by side."""
        budget = self.limit * 2 // 3
        chunk: list[Asked] = []
        expected = 0
        for one in sorted(members, key=lambda a: (a.kind, a.index)):
            if one.key in self.hungry:
                yield [one]
                continue
            guess = self.measured.get(one.kind) or _FIRST_GUESS + _GUESS_PER_BYTE * len(one.entry.data)
            if chunk and (expected + guess > budget or len(chunk) >= _MOST_ENTRIES):
                yield chunk
                chunk, expected = [], 0
            chunk.append(one)
            expected += guess
        if chunk:
            yield chunk

    def note(self, memory: set[Key], asked: Asked) -> None:
        """Remember a call in `quiet` or `hungry`, within bounds."""
        if len(memory) >= _MOST_REMEMBERED:
            memory.clear()
        memory.add(asked.key)

    def learn(self, runs: Sequence[Sequence[Asked]], levels: Sequence[int]) -> None:
        """Take the gas of each run from the readings before and after it, and the node's own cap.

        The cap is taken anew each time: another node may be in use, and one reading may be wrong.
        """
        given = levels[0] * 64 // 63
        self.limit = self.asked if given >= self.asked * 4 // 5 else max(given, _LEAST_LIMIT)
        for run, before, after in zip(runs, levels, levels[1:], strict=False):
            self.measured[run[0].kind] = max(1, (before - after) * 64 // 63 // len(run))


@dataclass(frozen=True, slots=True)
class Gauged:
    """A chunk with gauges before, between and after its kinds."""

    runs: tuple[tuple[Asked, ...], ...]

    @classmethod
    def of(cls, chunk: Sequence[Asked]) -> "Gauged":
        """Lay out a chunk whose kinds lie side by side."""
        return cls(tuple(tuple(run) for _, run in groupby(chunk, key=lambda a: a.kind)))

    @property
    def entries(self) -> list[Entry]:
        """The calls and gauges in order."""
        laid: list[Entry] = [_GAUGE_ENTRY]
        for run in self.runs:
            laid += [*(a.entry for a in run), _GAUGE_ENTRY]
        return laid

    def split(self, results: Sequence[Result]) -> tuple[list[Result], list[int] | None]:
        """Return the calls' results and the gauges' readings; no readings where one gave none."""
        answers: list[Result] = []
        gauges = [results[0]]
        position = 1
        for run in self.runs:
            answers += results[position : position + len(run)]
            gauges.append(results[position + len(run)])
            position += len(run) + 1
        if all(g.success and len(g.data) == 32 for g in gauges):
            return answers, [int.from_bytes(g.data, "big") for g in gauges]
        return answers, None


def starved(readings: Sequence[int] | None) -> bool:
    """Whether a call of the chunk may have run out of gas, by the gauges; also when one gave no reading."""
    return readings is None or readings[-1] < readings[0] // 8


def suspicious(book: GasBook, chunk: Sequence[Asked], answers: Sequence[Result]) -> bool:
    """Whether a call may have run out of gas, where there are no gauges: an empty revert not seen before."""
    return any(
        not r.success and not r.data and a.key not in book.quiet for a, r in zip(chunk, answers, strict=True)
    )
