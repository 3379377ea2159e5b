"""Nothing is sent on a chain that makes no blocks."""

from keeper.chain.standstill import Standstill
from keeper.model.intent import Simulation
from keeper.model.snapshot import BlockRef

FINE = Simulation(ok=True, gas=21_000, error=None, block_number=1)
BAD = Simulation(ok=False, gas=None, error="NO", block_number=1)


def block(name: str) -> BlockRef:
    return BlockRef(chain_id=10, number=1, hash=name, parent_hash="0x", timestamp_s=0)


def test_a_head_is_old_from_when_it_was_first_seen() -> None:
    now_s = 1000.0
    chain = Standstill(120.0, clock=lambda: now_s)
    assert chain.hold((FINE,)) == (FINE,), "not looked at yet"
    chain.note(block("a"))
    now_s += 120.0
    chain.note(block("a"))
    assert chain.hold((FINE, BAD)) == (FINE, BAD)
    now_s += 1.0
    held, bad = chain.hold((FINE, BAD))
    assert (held.ok, held.gas, held.block_number) == (False, None, 1)
    assert held.error == "the chain has shown no new block for 121 s, limit is 120 s"
    assert bad == BAD
    chain.note(block("b"))
    assert chain.hold((FINE,)) == (FINE,)
