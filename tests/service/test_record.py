"""The heartbeat after a good cycle: the heads are asked for unless the cycle itself has just pinned them."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from keeper.journal.journal import Journal
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.service.cycle import Cycle
from keeper.service.record import ASKED_EVERY_S, QUICK_S, CycleRecorder
from keeper.store.store import Store
from keeper.store.told import ChainBeat
from tests.service.sample import SNAPSHOT
from tests.service.test_cycle import DECIDED

CHAINS = {block.chain_id: f"chain-{block.chain_id}" for block in SNAPSHOT.blocks}


def at(number: int) -> Snapshot:
    blocks = tuple(dataclasses.replace(b, number=number, hash=f"0x{number:064x}") for b in SNAPSHOT.blocks)
    return dataclasses.replace(SNAPSHOT, blocks=blocks)


@dataclass
class Bench:
    """A recorder on a store of its own, whose chains are at `head`."""

    store: Store
    journal: Journal
    head: int = 100
    now_s: float = 1_000.0
    asked: int = 0
    down: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.recorder = CycleRecorder(
            self.store,
            self.journal,
            chains=CHAINS,
            hosts=dict.fromkeys(CHAINS, ("http://node",)),
            heads=self.heads,
            clock=lambda: self.now_s,
        )

    def heads(self) -> Mapping[int, BlockRef]:
        self.asked += 1
        return {b.chain_id: b for b in at(self.head).blocks if b.chain_id not in self.down}

    def cycle(self, *, pinned: int, took_s: float = 0.1, lost: int | None = None) -> dict[int, ChainBeat]:
        snapshot = at(pinned)
        snapshot = dataclasses.replace(
            snapshot, blocks=tuple(b for b in snapshot.blocks if b.chain_id != lost)
        )
        done = Cycle(id="c", snapshot=snapshot, decided=DECIDED, outcomes=())
        self.now_s += took_s
        self.recorder.good(done, self.now_s - took_s)
        beat = self.store.pulse.last()
        assert beat is not None
        return {chain.chain_id: chain for chain in beat.chains}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with (
        Store.open(tmp_path / "keeper.sqlite", "dry-run") as store,
        Journal.open(tmp_path / "journal.jsonl") as journal,
    ):
        yield Bench(store, journal)


def seen(beats: Mapping[int, ChainBeat]) -> set[tuple[int, int]]:
    return {(chain.number, chain.pinned) for chain in beats.values()}


def test_what_quick_cycles_pin_is_the_head_where_it_was_before(bench: Bench) -> None:
    assert seen(bench.cycle(pinned=100)) == {(100, 100)}
    assert bench.asked == 1
    bench.head = 105
    beats = bench.cycle(pinned=102)
    assert seen(beats) == {(102, 102)}
    assert {chain.hash for chain in beats.values()} == {f"0x{102:064x}"}
    assert bench.asked == 1


def test_a_chain_that_is_pinned_below_its_head_is_asked_every_time(bench: Bench) -> None:
    for head in (100, 101, 102):
        bench.head = head
        assert seen(bench.cycle(pinned=head - 3)) == {(head, head - 3)}
    assert bench.asked == 3


def test_after_a_long_cycle_the_heads_are_asked_for(bench: Bench) -> None:
    bench.cycle(pinned=100)
    bench.head = 107
    assert seen(bench.cycle(pinned=101, took_s=QUICK_S + 0.5)) == {(107, 101)}
    assert seen(bench.cycle(pinned=107)) == {(107, 107)}
    assert bench.asked == 3


def test_now_and_then_they_are_asked_for_anyway(bench: Bench) -> None:
    bench.cycle(pinned=100)
    bench.now_s += ASKED_EVERY_S
    bench.head = 104
    assert seen(bench.cycle(pinned=101)) == {(104, 101)}
    assert bench.asked == 2


def test_a_clock_that_was_set_back_hides_no_head(bench: Bench) -> None:
    bench.cycle(pinned=100)
    bench.now_s -= 3_600.0
    bench.head = 104
    assert seen(bench.cycle(pinned=101)) == {(104, 101)}


def test_a_chain_that_comes_back_is_asked_for(bench: Bench) -> None:
    gone = min(CHAINS)
    bench.down.add(gone)
    assert gone not in bench.cycle(pinned=100, lost=gone)
    bench.down.clear()
    bench.head = 103
    assert seen(bench.cycle(pinned=101)) == {(103, 101)}


def test_a_head_that_is_not_told_is_at_least_the_pinned_block(bench: Bench) -> None:
    bench.down = set(CHAINS)
    for pinned in (100, 101):
        assert seen(bench.cycle(pinned=pinned)) == {(pinned, pinned)}
    assert bench.asked == 2
