"""Every block that a reorg takes is found once; on a chain that only grows nothing is even asked."""

from dataclasses import dataclass, field
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.model.record import Orphaned
from keeper.model.snapshot import BlockRef
from keeper.snapshot.orphans import Trail

WINDOW: Final = 6
"""Blocks below the head from which on they are final; no reorg is deeper."""


@dataclass
class Chain:
    """Block hashes by number, and the means to take some away."""

    hashes: list[str] = field(default_factory=lambda: ["0/0"])
    forks: int = 0
    asked: int = 0

    def grow(self, blocks: int) -> None:
        for _ in range(blocks):
            self.hashes.append(f"{len(self.hashes)}/{self.forks}")

    def reorg(self, depth: int, again: int) -> None:
        """Take the last blocks, and make `again` others."""
        del self.hashes[max(1, len(self.hashes) - depth) :]
        self.forks += 1
        self.grow(again)

    def block(self, number: int) -> BlockRef:
        parent = self.hashes[number - 1] if number else "-"
        return BlockRef(
            chain_id=1, number=number, hash=self.hashes[number], parent_hash=parent, timestamp_s=number
        )

    def look(self, trail: Trail, cycle: int, below: int = 0, failing: bool = False) -> list[Orphaned]:
        head = len(self.hashes) - 1
        at = self.block(max(0, head - below))
        look = trail.look(f"c{cycle}", cycle, at, head - WINDOW)
        try:
            number = next(look)
            while True:
                self.asked += 1
                if failing:
                    look.close()
                    return []
                number = look.send(self.hashes[number] if number <= head else None)
        except StopIteration as done:
            found: list[Orphaned] = done.value
            return found


steps = st.one_of(
    st.tuples(st.just("grow"), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("reorg"), st.integers(1, WINDOW - 1), st.integers(1, WINDOW)),
    st.tuples(st.just("look"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("fail"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
)


@settings(max_examples=200)
@given(st.lists(steps, min_size=4, max_size=60))
def test_each_orphan_is_found_once_and_nothing_else(walk: list[tuple[str, int, int]]) -> None:
    chain, trail = Chain(), Trail()
    chain.grow(2 * WINDOW)
    rested: dict[str, BlockRef] = {}
    found: list[str] = []
    highest = len(chain.hashes) - 1

    def look(below: int, failing: bool) -> None:
        cycle = len(rested)
        orphans = chain.look(trail, cycle, below, failing)
        rested[f"c{cycle}"] = chain.block(max(0, len(chain.hashes) - 1 - below))
        for orphan in orphans:
            block = rested[orphan.cycle_id]
            assert (orphan.number, orphan.hash) == (block.number, block.hash)
            assert orphan.replaced_by == chain.hashes[block.number] != block.hash
            found.append(orphan.cycle_id)

    for step, size, again in walk:
        if step == "grow":
            chain.grow(size)
        elif step == "reorg" and len(chain.hashes) - size > highest - WINDOW + 1:
            chain.reorg(size, again)
        elif step in ("look", "fail"):
            look(size, step == "fail")
        elif step == "restart":
            trail = Trail()
            for cycle_id in rested.keys() - set(found):
                trail.restore(cycle_id, int(cycle_id[1:]), rested[cycle_id])
        highest = max(highest, len(chain.hashes) - 1)
    chain.grow(2)
    look(0, failing=False)
    gone = [c for c, block in rested.items() if chain.hashes[block.number : block.number + 1] != [block.hash]]
    reached = [c for c in gone if rested[c].number < len(chain.hashes)]
    assert sorted(set(found)) == sorted(found), "none is found twice"
    assert set(reached) <= set(found)


def test_a_chain_that_grows_block_by_block_is_never_asked() -> None:
    chain, trail = Chain(), Trail()
    for cycle in range(100):
        assert chain.look(trail, cycle) == []
        assert chain.look(trail, cycle) == [], "the same block twice"
        chain.grow(1)
    assert chain.asked == 0
    assert len(trail.pinned) <= WINDOW + 1


def test_a_chain_that_is_looked_at_now_and_then_is_asked_once_a_look() -> None:
    chain, trail = Chain(), Trail()
    for cycle in range(50):
        chain.grow(3)
        assert chain.look(trail, cycle) == []
    assert chain.asked == 49


def test_a_reorg_is_asked_about_down_to_where_the_chains_part() -> None:
    chain, trail = Chain(), Trail()
    for cycle in range(WINDOW):
        chain.grow(1)
        chain.look(trail, cycle)
    chain.reorg(3, 4)
    found = chain.look(trail, WINDOW)
    assert [orphan.number for orphan in found] == [4, 5, 6]
    assert [orphan.replaced_by for orphan in found] == ["4/1", "5/1", "6/1"]
    assert chain.asked == 3, "two orphans and the block below; the parent of the new one shows the third"


def test_cycles_that_share_a_block_are_orphaned_together() -> None:
    chain, trail = Chain(), Trail()
    chain.grow(3)
    chain.look(trail, 1)
    chain.look(trail, 2)
    chain.reorg(1, 1)
    assert [orphan.cycle_id for orphan in chain.look(trail, 3)] == ["c1", "c2"]


def test_a_node_that_is_behind_orphans_nothing() -> None:
    chain, trail = Chain(), Trail()
    chain.grow(5)
    chain.look(trail, 1)
    ahead, chain.hashes = chain.hashes, chain.hashes[:-2]
    assert chain.look(trail, 2) == []
    chain.hashes = ahead
    assert chain.look(trail, 3) == []


def test_a_chain_that_came_back_shorter_is_judged_when_it_has_grown() -> None:
    chain, trail = Chain(), Trail()
    chain.grow(5)
    chain.look(trail, 1)
    chain.reorg(3, 1)
    assert chain.look(trail, 2) == []
    chain.grow(3)
    assert [orphan.cycle_id for orphan in chain.look(trail, 3)] == ["c1"]


def test_two_nodes_on_two_forks_are_told_apart() -> None:
    """What was read of the shorter fork, which a second node showed for a moment, is orphaned."""
    chain, trail = Chain(), Trail()
    chain.grow(5)
    chain.look(trail, 1)
    longer = list(chain.hashes)
    chain.reorg(4, 2)
    assert chain.look(trail, 2) == []
    chain.hashes = [*longer, "6/0"]
    assert [orphan.cycle_id for orphan in chain.look(trail, 3)] == ["c2"]


def test_a_look_that_fails_half_way_is_made_up_for() -> None:
    chain, trail = Chain(), Trail()
    for cycle in range(3):
        chain.grow(2)
        chain.look(trail, cycle)
    chain.reorg(3, 5)
    look = trail.look("c3", 3, chain.block(len(chain.hashes) - 1), 0)
    assert next(look) == 6
    assert look.send(chain.hashes[6]) == 4
    look.close()
    chain.grow(2)
    assert [orphan.cycle_id for orphan in chain.look(trail, 4)] == ["c1", "c2"]


def test_after_a_restart_all_is_asked_once() -> None:
    chain, trail = Chain(), Trail()
    for number in range(1, 5):
        chain.grow(1)
        trail.restore(f"c{number}", number, chain.block(number))
    chain.grow(2)
    assert chain.look(trail, 9) == []
    assert chain.asked == 4
    chain.grow(1)
    assert chain.look(trail, 10) == []
    assert chain.asked == 4


def test_the_message_names_both_blocks() -> None:
    orphan = Orphaned(cycle_id="c", chain_time_s=1, chain_id=10, number=7, hash="0xaa", replaced_by="0xbb")
    assert "block 7 (0xaa...) of chain 10" in orphan.message
    assert "0xbb... has its place" in orphan.message
