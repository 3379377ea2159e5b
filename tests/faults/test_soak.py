"""The whole keeper in a storm: prices, faults, kills and restarts at random, and then the account of it all.

Nothing twice, nothing lost, no gap in the nonces, no cap exceeded, a journal that verifies, and every plan
the same when it is decided again. `KEEPER_SOAK_ROUNDS` and `KEEPER_SEED` make it longer and different.
"""

import os
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from keeper.devnet.lifecycle import temporary
from keeper.execution.executor import Executor
from keeper.journal.journal import read
from keeper.model.intent import TxState
from keeper.model.record import RecordKind
from keeper.store.store import Store
from tests.faults.storm import Storm
from tests.faults.whole import CHAINS, PACE, Whole
from tests.support.chains import Chains
from tests.support.ws_proxy import WsProxy

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

ROUNDS: Final = int(os.environ.get("KEEPER_SOAK_ROUNDS", "3"))
"""Lives of the keeper's process; it is killed at the end of most of them."""

SEED: Final = int(os.environ.get("KEEPER_SEED", "1"))
STRIKES: Final = (8, 20)
"""What happens in one life."""

CONFIG: Final = (
    ("interval_s = 30", "interval_s = 1"),
    ("final_after_blocks = 3", "final_after_blocks = 8"),
)
PATIENCE_S: Final = 2.0
A_CYCLE_S: Final = 120.0
"""A cycle in a storm on a slow machine; only a keeper that hangs takes longer."""


def test_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        world, deployment = stack.enter_context(temporary(tmp_path / "devnet"))
        chains = Chains(deployment=deployment, world=world)
        sockets = {name: stack.enter_context(WsProxy(chains.url(name))) for name in CHAINS}
        chains.move()
        urls = {name: socket.url for name, socket in sockets.items()}
        whole = Whole(chains, tmp_path, stack, *CONFIG, endpoints=2, timeout_s=2.0, sockets=urls)
        storm = Storm(whole, sockets, SEED)
        stack.callback(storm.close)
        for life in range(ROUNDS):
            live(storm, first=life == 0)
        monkeypatch.setattr("keeper.service.wire.Executor", partial(Executor, pace=PACE))
        landed = {tx.tx_hash.lower() for tx in whole.landed()}
        whole.calm_down()
        whole.foreign = sum(tx_hash.lower() in landed for _, tx_hash in storm.strangers)
        done = whole.finish(halted=True)
        assert done.landed
        require_caps(whole)


def live(storm: Storm, *, first: bool) -> None:
    """One life of the keeper, from its start to its end, with what happens to it."""
    storm.start()
    settled = first or storm.random.random() < 0.7
    if settled:
        await_plan(storm)
    for _ in range(storm.random.randint(*STRIKES)):
        storm.strike()
        storm.require_running()
        time.sleep(storm.random.uniform(0.0, 0.15))
        if settled and storm.random.random() < 0.2:
            await_plan(storm)
    if settled and storm.random.random() < 0.25:
        storm.stop()
    else:
        storm.kill()


def await_plan(storm: Storm) -> None:
    """Let blocks come until the keeper has decided once more; after a while, without faults."""
    seen, since_s = plans(storm), time.monotonic()
    while plans(storm) == seen:
        storm.require_running()
        waited_s = time.monotonic() - since_s
        assert waited_s < A_CYCLE_S, storm.log()
        if waited_s > PATIENCE_S:
            storm.whole.calm_down()
        storm.mine()
        time.sleep(0.1)


def plans(storm: Storm) -> int:
    """How many plans the journal has."""
    journal = storm.whole.settings.journal.path
    return sum(r.kind is RecordKind.PLAN for r in read(journal)) if journal.exists() else 0


def require_caps(whole: Whole) -> None:
    """What landed cost less than an hour may, and no version more than its budget."""
    limits = whole.settings.limits
    with Store.attach(whole.settings.store.path) as store:
        for stored in store.intents.within(list(TxState)):
            for version in store.intents.attempts(stored.intent.id):
                assert version.worst_fee <= stored.intent.max_fee
    allowed = limits.max_gas_wei_per_hour + limits.emergency_max_gas_wei_per_day
    for chain_id in CHAINS.values():
        assert sum(tx.fee for tx in whole.landed() if tx.chain_id == chain_id) <= allowed
