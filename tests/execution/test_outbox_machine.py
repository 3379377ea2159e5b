"""The outbox under random schedules of decisions, faults, reorgs and crashes.

A policy decides whatever has no effect on the chain yet, as the real one would. Whatever happens:

* each decision has at most one effect on the chain, and in the end exactly one;
* of each intent at most one version lands;
* a nonce is never used twice for different calls unless the first can no longer land, and none is left out;
* nothing costs more than its budget, and no version above the fee cap but a cancellation;
* the journal tells every move once, in order, and verifies.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keeper.execution.crash import BOUNDARIES
from keeper.model.intent import OPEN, TxState
from keeper.store.rows import ENDED
from tests.execution.bell import BELL, call_of
from tests.execution.rig import FINAL_AFTER, LIMITS, Killed, Rig, killed_at, never
from tests.execution.simulated_chain import GWEI, STRANGER, Clock, SimulatedChain

STEPS: Final = int(os.environ.get("KEEPER_OUTBOX_STEPS", "2000"))
"""In all: runs of fifty steps each."""

STEPS_A_RUN: Final = 50
TOTAL: Final[dict[str, int]] = {
    "steps": 0,
    "intents": 0,
    "faults": 0,
    "crashes": 0,
    "duplicates": 0,
    "lost": 0,
}


class OutboxMachine(RuleBasedStateMachine):
    """One keeper on one chain that both misbehave."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.chain = SimulatedChain()
        self.clock = Clock()
        self.rig = Rig(self.folder, self.chain, clock=self.clock)
        self.wanted: list[int] = []
        self.crashes = 0
        self.highest = 0

    @initialize(automine=st.booleans())
    def begin(self, automine: bool) -> None:
        self.chain.automine = automine

    # The keeper

    @rule(new=st.integers(0, 2))
    def cycle(self, new: int) -> None:
        self._want(new)
        self._run()

    @rule(boundary=st.sampled_from(BOUNDARIES), times=st.integers(1, 2))
    def cycle_that_is_killed(self, boundary: str, times: int) -> None:
        self._want(times)
        self.rig.crash_at = killed_at(boundary, times)
        self._run()
        self.rig.crash_at = never

    @rule(boundary=st.sampled_from(BOUNDARIES))
    def start_that_is_killed(self, boundary: str) -> None:
        self.rig.stop()
        self.rig.crash_at = killed_at(boundary)
        self._start()

    @rule()
    def restart(self) -> None:
        self.rig.stop()
        self._start()

    @rule()
    def halt(self) -> None:
        sent = len(self.chain.broadcasts)
        self.rig.store.halt("a person said so", by="operator")
        self.rig.restart()
        assert len(self.chain.broadcasts) == sent
        self.rig.store.resume(by="operator")

    # The chain and its node

    @rule(count=st.integers(1, 5))
    def mine(self, count: int) -> None:
        self.chain.mine(count)

    @rule(gwei=st.sampled_from([1, 3, 20, 60, 250]))
    def base_fee(self, gwei: int) -> None:
        self.chain.base_fee_wei = gwei * GWEI

    @rule(automine=st.booleans())
    def automine(self, automine: bool) -> None:
        self.chain.automine = automine

    @rule(reverting=st.booleans(), refusing=st.booleans())
    def contract(self, reverting: bool, refusing: bool) -> None:
        self.chain.reverting, self.chain.refusing = reverting, refusing

    @rule(
        fault=st.sampled_from(
            ["unreachable", "lost_broadcasts", "silent_broadcasts", "refused_broadcasts", "late_receipts"]
        ),
        times=st.integers(1, 2),
    )
    def fault(self, fault: str, times: int) -> None:
        setattr(self.chain.faults, fault, times)

    @rule()
    def forget_the_pool(self) -> None:
        self.chain.drop_pool()
        TOTAL["faults"] += 1

    @precondition(lambda self: self._strangers_waiting() < self.rig.pace.max_fill)
    @rule(mined=st.booleans())
    def another_wallet(self, mined: bool) -> None:
        self.chain.foreign(mined=mined)
        TOTAL["faults"] += 1

    @rule(depth=st.integers(1, FINAL_AFTER - 1), keep=st.booleans())
    def reorg(self, depth: int, keep: bool) -> None:
        taken = self.chain.blocks[1:][-depth:]
        # Two in a row must not reach below what was final; and what another wallet sent stays sent. Both are
        # tripwires with tests of their own.
        too_deep = len(self.chain.blocks) - len(taken) < self.highest - FINAL_AFTER + 1
        if too_deep or any(mined.tx["to"] == STRANGER for block in taken for mined in block.mined):
            return
        self.chain.reorg(len(taken), keep=keep)
        TOTAL["faults"] += 1

    @rule(balance=st.sampled_from([10**20, 10**20, 10**15]))
    def purse(self, balance: int) -> None:
        self.chain.balance_wei = balance

    @rule(seconds=st.sampled_from([10, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now_s += seconds

    # What must hold

    @invariant()
    def at_most_one_effect(self) -> None:
        TOTAL["steps"] += 1
        self.highest = max(self.highest, len(self.chain.blocks))
        doubled = [count for count in self.chain.effects(BELL).values() if count > 1]
        TOTAL["duplicates"] += len(doubled)
        assert not doubled

    @invariant()
    def at_most_one_version_landed(self) -> None:
        mined = set(self.chain.mined_hashes())
        for stored in self.rig.store.intents.within(list(TxState)):
            versions = self.rig.store.intents.attempts(stored.intent.id)
            assert sum(version.tx_hash in mined for version in versions) <= 1
            assert len({version.nonce for version in versions}) <= 1
            for version in versions:
                assert version.worst_fee <= stored.intent.max_fee
                assert version.cancels or version.fee_per_gas <= LIMITS.max_fee_per_gas

    @invariant()
    def one_transaction_at_a_time(self) -> None:
        under_way = [s for s in self.rig.store.intents.within(OPEN) if s.kind != "lane"]
        # A reorg can reopen one while the next is on its way.
        assert len({s.nonce for s in under_way}) == len(under_way)

    def teardown(self) -> None:
        try:
            self._calm_down()
        finally:
            self.rig.stop()
            shutil.rmtree(self.folder)

    def _calm_down(self) -> None:
        """Once everything behaves, every decision gets its one effect, and the journal is whole."""
        self.chain.base_fee_wei, self.chain.balance_wei = GWEI, 10**20
        self.chain.reverting = self.chain.refusing = False
        self.chain.automine = False
        self.chain.faults.__init__()  # type: ignore[misc]
        self.clock.now_s += 100_000
        for _ in range(40 + 4 * len(self.wanted)):
            self._run()
            self.chain.mine(LIMITS.valid_blocks // 4)
            if self._quiet():
                break
        done = self.chain.effects(BELL)
        intents = self.rig.store.intents.within(list(TxState))
        TOTAL["intents"] += len(intents)
        TOTAL["faults"] += self.chain.injected
        TOTAL["crashes"] += self.crashes
        TOTAL["lost"] += len(self.wanted) - len(done)
        assert len(done) == len(self.wanted), "a decision was lost"
        assert set(done.values()) <= {1}
        assert {stored.state for stored in intents} <= ENDED, "an intent has no outcome"
        nonces = [int(m.tx["nonce"]) for block in self.chain.blocks for m in block.mined]
        assert nonces == list(range(len(nonces)))
        strangers = sum(m.tx["to"] == STRANGER for block in self.chain.blocks for m in block.mined)
        effects = {n: done.get(call_of(n, self.chain.chain_id), 0) for n in self.wanted}
        self.rig.audit(foreign=strangers, effects=effects).require()

    def _quiet(self) -> bool:
        states = self.rig.store.intents.counts()
        return len(self.chain.effects(BELL)) == len(self.wanted) and not any(states[s] for s in OPEN)

    def _strangers_waiting(self) -> int:
        return sum(tx["to"] == STRANGER for tx, _ in self.chain.pool.values())

    def _want(self, new: int) -> None:
        self.wanted += range(len(self.wanted) + 1, len(self.wanted) + 1 + new)

    def _run(self) -> None:
        done = self.chain.effects(BELL)
        try:
            self.rig.needed(self.wanted) if len(done) < len(self.wanted) else self.rig.cycle()
        except Killed:
            self.crashes += 1
            self.rig.stop()
            self._start()

    def _start(self) -> None:
        try:
            self.rig.start()
        except Killed:
            self.crashes += 1
            self.rig.stop()
            self.rig.crash_at = never
            self.rig.start()
        self.rig.crash_at = never


OutboxMachine.TestCase.settings = settings(
    max_examples=max(1, STEPS // STEPS_A_RUN),
    stateful_step_count=STEPS_A_RUN,
    deadline=None,
    derandomize=STEPS <= 2000,  # the default run is the same every time; longer ones look further
    suppress_health_check=list(HealthCheck),
)


class TestOutbox(OutboxMachine.TestCase):  # type: ignore[misc, valid-type]
    """Runs the machine, then prints what it went through."""

    @classmethod
    def tearDownClass(cls) -> None:
        print(f"\noutbox under random faults: {TOTAL}")
        assert TOTAL["duplicates"] == TOTAL["lost"] == 0
