"""A hedge that counts on inventory goes out only when every liquidation it counts on went through."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keeper.model.intent import Outcome
from keeper.model.plan import Hedge, Plan, Reason, TxAction, action_id
from keeper.model.reads import Address, Reads, Send
from keeper.model.units import Wad
from keeper.model.venue import Venue
from keeper.protocols.tokens import ERC20
from tests.execution.bell import BELL, UNWILLING, Bell, decision, seen
from tests.execution.rig import Rig
from tests.execution.simulated_chain import SIGNER, SimulatedChain

HEDGE_RINGS = 7


class HedgingBell(Bell):
    """Rings number 7 for a hedge."""

    def encode(self, venue: Venue, action: TxAction, sender: Address) -> Reads[tuple[Send, ...]]:
        if not isinstance(action, Hedge):
            return (yield from super().encode(venue, action, sender))
        yield []
        return (Send(ERC20, venue.address("Bell"), "approve", (venue.address("Spender"), HEDGE_RINGS)),)


@pytest.fixture
def chain() -> SimulatedChain:
    return SimulatedChain()


@pytest.fixture
def rig(tmp_path: Path, chain: SimulatedChain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr("tests.execution.rig.Bell", HedgingBell)
    rig = Rig(tmp_path, chain)
    yield rig
    rig.stop()


def carried_out(rig: Rig, chain: SimulatedChain, *, before: int) -> tuple[Outcome, ...]:
    """Carry out decision `before`, then a hedge that counts on it."""
    first = decision(before, chain.chain_id)
    hedge = Hedge(
        subject="desk/ETH",
        reason=Reason(text="a test asks for it"),
        protocol="bell",
        chain_id=chain.chain_id,
        account=f"bell:{chain.chain_id}:1",
        owner=SIGNER,
        instrument=f"bell:{chain.chain_id}:1",
        size=Wad(-1),
        limit_price=Wad(1),
        deadline_s=1,
        counts_on=(action_id(first),),
    )
    snapshot = seen([chain.pin()])
    plan = Plan(snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=(first, hedge))
    return rig.executor.execute(plan, "cycle-1", snapshot)


def test_it_goes_out_after_what_it_counts_on(rig: Rig, chain: SimulatedChain) -> None:
    assert [outcome.success for outcome in carried_out(rig, chain, before=1)] == [True, True]
    assert sum(chain.effects(BELL).values()) == 2


def test_it_is_held_when_that_fails(rig: Rig, chain: SimulatedChain) -> None:
    _, hedge = carried_out(rig, chain, before=UNWILLING)
    assert hedge.success is None
    assert "did not go through" in hedge.reason
    assert chain.broadcasts == []


def test_it_is_held_while_that_is_not_mined(rig: Rig, chain: SimulatedChain) -> None:
    chain.automine = False
    first, hedge = carried_out(rig, chain, before=1)
    assert first.success is None
    assert hedge.tx_hash is None
    assert len(chain.broadcasts) == 1
