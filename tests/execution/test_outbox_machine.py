"""The outbox under random schedules of decisions, faults, reorgs and crashes.

A policy decides whatever has no effect on the chain yet, as the real one would. Whatever happens:

* each decision has at most one effect on the chain, and in the end exactly one;
* of each intent at most one version lands;
* a nonce is never used twice for different calls unless the first can no longer land, and none is left out;
* nothing costs more than its budget, and no version above the fee cap but a cancellation;
* a transaction that is not urgent has its nonce taken over, or lands after all, and never both;
* what landed within an hour or a day never exceeds the caps on gas and on moved value, urgent work and other
  work each for itself;
* the journal tells every move once, in order, and verifies.
"""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keeper.execution.crash import BOUNDARIES
from keeper.execution.limits import DAY_S, HOUR_S, Limits
from keeper.model.intent import OPEN, TxState
from keeper.model.plan import TxAction
from keeper.model.units import ONE, Wad, Wei
from keeper.store.rows import ENDED, StoredIntent
from tests.execution.bell import BELL, call_of, decision, hedging
from tests.execution.rig import FINAL_AFTER, LIMITS, Killed, Rig, killed_at, never
from tests.execution.simulated_chain import GWEI, STRANGER, Clock, SimulatedChain

STEPS: Final = int(os.environ.get("KEEPER_OUTBOX_STEPS", "2000"))
"""In all: runs of fifty steps each."""

STEPS_A_RUN: Final = 50
MACHINE: Final[Limits] = replace(
    LIMITS,
    urgent_kinds=frozenset({"move_collateral"}),
    max_gas_wei_per_hour=Wei(3 * 10**16),
    max_gas_wei_per_day=Wei(10**17),
    max_moved_usd_per_tx=Wad(10_000),
    max_moved_usd_per_hour=Wad(250),
    max_moved_usd_per_day=Wad(10_000),
)
"""A bell is worth a dollar, and decision n moves 10**-18 times n of them: two in an hour."""

SLACK_S: Final = 60
"""Within a step the clock goes on; what lands in it is noted at its end."""

TOTAL: Final[dict[str, int]] = {
    "steps": 0,
    "intents": 0,
    "faults": 0,
    "crashes": 0,
    "taken over": 0,
    "landed after all": 0,
    "held by a cap": 0,
    "duplicates": 0,
    "lost": 0,
}


MOST: Final = 16
"""Decisions of one run."""

FIRST: Final = 101
"""Number of the first decision. Even ones are rescues, odd ones are hedges, which are not urgent."""


def action_of(number: int, chain_id: int) -> TxAction:
    if number % 2 == 0:
        return decision(number, chain_id)
    hedge = hedging(number, chain_id, counts_on=())
    return replace(hedge, subject=f"desk/{number}", limit_price=ONE)


class OutboxMachine(RuleBasedStateMachine):
    """One keeper on one chain that both misbehave."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.chain = SimulatedChain()
        self.clock = Clock()
        self.rig = Rig(self.folder, self.chain, clock=self.clock, limits=MACHINE)
        self.wanted: list[int] = []
        self.crashes = 0
        self.highest = 0
        self.landed_at_s: dict[str, float] = {}
        """Wall clock at the end of the step in which each transaction landed, or landed again."""

    @initialize(automine=st.booleans())
    def begin(self, automine: bool) -> None:
        self.chain.automine = automine

    # The keeper

    @rule(new=st.integers(0, 2))
    def cycle(self, new: int) -> None:
        self._want(new)
        self._run()

    @precondition(lambda self: len(self.wanted) <= MOST - 3)
    @rule(late=st.booleans(), boundary=st.sampled_from(BOUNDARIES), killed=st.booleans())
    def a_rescue_behind_a_hedge(self, late: bool, boundary: str, killed: bool) -> None:
        """The hedge is sent and not mined; where `late`, it is what the miner has all the same."""
        self.chain.automine = False
        self._want(len(self.wanted) % 2)
        self._want(1)
        self._run()
        self._want(1)
        if killed:
            self.rig.crash_at = killed_at(boundary)
        self._run()
        self.rig.crash_at = never
        if late:
            self.an_older_version_is_what_the_miner_has(0)
        self.chain.mine()

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

    @rule(which=st.integers(0, 5))
    def an_older_version_is_what_the_miner_has(self, which: int) -> None:
        """Another mempool has not heard of the replacement, and its bytes land first."""
        given_up = {
            version.tx_hash
            for stored in self.rig.store.intents.within([TxState.DROPPED])
            for version in self.rig.store.intents.attempts(stored.intent.id)
        }
        older = [
            (tx, tx_hash)
            for tx, tx_hash in self.chain.sent_before()
            # What was given up and lands all the same is a tripwire with tests of its own.
            if tx_hash not in given_up
        ]
        if older:
            tx, tx_hash = older[which % len(older)]
            self.chain.pool[int(tx["nonce"])] = tx, tx_hash
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
            if stored.nonce is None:
                continue
            versions = self.rig.store.intents.attempts(stored.intent.id)
            assert sum(version.tx_hash in mined for version in versions) <= 1
            assert len({version.nonce for version in versions}) <= 1
            if stored.displaces is not None:
                rivals = self.rig.store.intents.attempts(stored.displaces)
                assert sum(v.tx_hash in mined for v in (*versions, *rivals)) <= 1
            for version in versions:
                assert version.worst_fee <= stored.intent.max_fee
                assert version.cancels or version.fee_per_gas <= LIMITS.max_fee_per_gas

    @invariant()
    def one_transaction_at_a_time(self) -> None:
        under_way = [
            s for s in self.rig.store.intents.within(OPEN) if s.kind != "lane" and not s.displaced_by
        ]
        # A reorg can reopen one while the next is on its way.
        assert len({s.nonce for s in under_way}) == len(under_way)

    @invariant()
    def the_caps_hold_for_what_landed(self) -> None:
        """By the chain's own account: what it paid and moved, in windows of the wall clock."""
        now_s = self.clock.now_s
        mined = {m.tx_hash: m for block in self.chain.blocks for m in block.mined}
        self.landed_at_s = {h: self.landed_at_s.get(h, now_s) for h in mined}
        spent: Counter[tuple[bool, float]] = Counter()
        moved: Counter[tuple[bool, float]] = Counter()
        for stored, tx_hash in self._versions():
            if tx_hash not in mined or stored.kind == "lane":
                continue
            landed = mined[tx_hash]
            for span_s in (HOUR_S, DAY_S):
                if self.landed_at_s[tx_hash] >= now_s - span_s + SLACK_S:
                    gas_used = int(landed.tx["gas"]) * 4 // 5
                    spent[stored.urgent, span_s] += gas_used * landed.gas_price
                    if landed.status == 1 and landed.tx["to"] == BELL:
                        moved[stored.urgent, span_s] += int(landed.tx["data"][-64:], 16)
        for urgent in (False, True):
            assert spent[urgent, HOUR_S] <= MACHINE.max_gas_wei_per_hour
            assert spent[urgent, DAY_S] <= MACHINE.max_gas_wei_per_day
            assert moved[urgent, HOUR_S] <= MACHINE.max_moved_usd_per_hour
            assert moved[urgent, DAY_S] <= MACHINE.max_moved_usd_per_day

    def _versions(self) -> list[tuple[StoredIntent, str]]:
        intents = self.rig.store.intents
        signed = [stored for stored in intents.within(list(TxState)) if stored.nonce is not None]
        return [(s, version.tx_hash) for s in signed for version in intents.attempts(s.intent.id)]

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
            self.the_caps_hold_for_what_landed()
            self.clock.now_s += 2 * HOUR_S
            if self._quiet():
                break
        done = self.chain.effects(BELL)
        intents = self.rig.store.intents.within(list(TxState))
        TOTAL["intents"] += len(intents)
        TOTAL["taken over"] += sum(s.displaces is not None for s in intents)
        TOTAL["landed after all"] += sum("before it could be displaced" in s.reason for s in intents)
        TOTAL["held by a cap"] += sum(s.reason.startswith("limits.max_") for s in intents)
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
        following = FIRST + len(self.wanted)
        self.wanted += range(following, min(following + new, FIRST + MOST))

    def _run(self) -> None:
        done = self.chain.effects(BELL)
        try:
            chain_id = self.chain.chain_id
            missing = [n for n in self.wanted if not done.get(call_of(n, chain_id))]
            self.rig.carry_out(*(action_of(n, chain_id) for n in missing))
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
