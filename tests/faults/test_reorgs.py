"""Reorgs of depth 1 to 5 under a transaction in every state, on a real node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from keeper.execution.errors import ChainBehindError
from keeper.execution.limits import Pace
from keeper.model.intent import OPEN, TxState
from keeper.model.plan import TxAction
from keeper.store.store import Store
from tests.execution.bell import decision
from tests.execution.local_chain import CHAIN_ID, LocalChain, local_chain
from tests.execution.rig import LIMITS, Killed, killed_at, never
from tests.support import tally
from tests.support.audit import audit, landed_on

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

FINAL_AFTER: Final = 6
STATES: Final = (TxState.SIGNED, TxState.SENT, TxState.CONFIRMED, TxState.FINALIZED)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with local_chain(tmp_path) as local:
        local.mine(FINAL_AFTER)
        local.final_after = FINAL_AFTER
        local.pace = Pace(receipt_wait_s=0.2, poll_s=0.005, foreign_wait_s=2.0)
        yield local


def bring_to(local: LocalChain, state: TxState) -> None:
    """Decide 1 and 2, and take the last of them exactly so far."""
    assert local.carry_out((decision(1, CHAIN_ID),), LIMITS)[0].success is True
    if state is TxState.SIGNED:
        local.crash_at = killed_at("sent.before")
        with pytest.raises(Killed):
            local.carry_out((decision(2, CHAIN_ID),), LIMITS)
        local.crash_at = never
    else:
        local.node.rpc("evm_setAutomine", state is not TxState.SENT)
        local.carry_out((decision(2, CHAIN_ID),), LIMITS)
    if state is TxState.FINALIZED:
        local.mine(FINAL_AFTER)
        local.carry_out((), LIMITS)
    assert stored_state(local) is state


def missing(local: LocalChain) -> tuple[TxAction, ...]:
    """Decide what has no effect on the chain."""
    return tuple(decision(n, CHAIN_ID) for n in (1, 2) if not local.effects(n))


def stored_state(local: LocalChain) -> TxState:
    with Store.attach(local.folder / "keeper.sqlite") as store:
        (stored,) = [s for s in store.intents.within(list(TxState)) if s.nonce == 1]
    return stored.state


def reorg(local: LocalChain, depth: int, *, keep: bool) -> None:
    """Take the last blocks; what they held goes back to the pool, or is forgotten."""
    local.node.rpc("anvil_reorg", depth, [])
    tally.count(tally.REORGS)
    if not keep:
        local.node.rpc("anvil_dropAllTransactions")
        tally.fault("dropped mempools")


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("state", STATES)
def test_a_reorg_at_every_state(local: LocalChain, state: TxState, depth: int) -> None:
    bring_to(local, state)
    sent = local.sent()
    reorg(local, depth, keep=depth % 2 == 0)
    if state is TxState.FINALIZED:
        assert local.sent() == sent, "it lay deeper than that"
    local.node.rpc("evm_setAutomine", True)
    for _ in range(FINAL_AFTER + 2):
        local.carry_out(lambda: missing(local), LIMITS)
        local.mine(1)
        if not missing(local) and stored_state(local) not in OPEN:
            break
    landed = landed_on(local.node, CHAIN_ID, local.signer)
    with Store.attach(local.folder / "keeper.sqlite") as store:
        assert not store.intents.within(OPEN)
        effects = {n: local.effects(n) for n in (1, 2)}
        audit(store, local.folder / "journal.jsonl", landed, effects=effects).require()


def test_a_reorg_of_what_was_final_halts(local: LocalChain) -> None:
    """The chain took back what its configuration calls final: a person must look."""
    local.final_after = 2
    assert local.carry_out((decision(1, CHAIN_ID),), LIMITS)[0].success is True
    local.mine(2)
    local.carry_out((), LIMITS)
    reorg(local, 5, keep=False)
    with pytest.raises(ChainBehindError):
        local.carry_out((decision(2, CHAIN_ID),), LIMITS)
    with Store.attach(local.folder / "keeper.sqlite") as store:
        assert store.halted() is not None
    assert (local.sent(), local.effects(2)) == (0, 0)
