"""Chains of one plan do not wait for each other, except a hedge for what it counts on."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from keeper.execution.executor import Executor
from keeper.execution.side_by_side import Results, side_by_side
from keeper.journal.journal import Journal, read
from keeper.journal.verify import verify
from keeper.model.intent import Outcome
from keeper.model.plan import Plan, TxAction, action_id
from keeper.model.record import RecordKind
from keeper.store.errors import StoreLockedError
from keeper.store.store import Store
from tests.execution.bell import BELL, TWO_STEPS, UNWILLING, Bell, bell_venue, decision, hedging, seen
from tests.execution.rig import FINAL_AFTER, LIMITS, PACE
from tests.execution.simulated_chain import SIGNER, Clock, PlainSigner, SimulatedChain

LONG_S: Final = 30.0
"""A deadline that only a test which fails reaches."""


class Chains:
    """Two chains, and one keeper for both."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.chains = {
            chain_id: SimulatedChain(chain_id=chain_id, name=str(chain_id)) for chain_id in (10, 20)
        }
        self.folder = folder
        self.store = stack.enter_context(Store.open(folder / "keeper.sqlite", "live"))
        self.journal = stack.enter_context(Journal.open(folder / "journal.jsonl"))
        clock = Clock()
        self.executor = Executor(
            clients=self.chains,
            venues=[(bell_venue(chain_id), Bell()) for chain_id in self.chains],
            store=self.store,
            journal=self.journal,
            sender=SIGNER,
            signer=PlainSigner(),
            limits=LIMITS,
            live=True,
            final_after_blocks=dict.fromkeys(self.chains, FINAL_AFTER),
            pace=PACE,
            clock=clock,
            sleep=clock.sleep,
        )
        self.executor.reconcile()

    def carry_out(self, *actions: TxAction) -> tuple[Outcome, ...]:
        snapshot = seen([chain.pin() for chain in self.chains.values()])
        plan = Plan(snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=actions)
        return self.executor.execute(plan, "cycle-1", snapshot)

    def hold_back(self, chain_id: int, until: threading.Event) -> None:
        """Let the node of a chain take what is broadcast only once something has happened."""
        chain = self.chains[chain_id]
        broadcast = chain.broadcast

        def later(raw: str) -> str:
            assert until.wait(LONG_S), "the other chain waited for this one"
            return broadcast(raw)

        chain.broadcast = later  # type: ignore[method-assign]

    def tell(self, chain_id: int, done: threading.Event) -> None:
        """Say when the node of a chain has taken something."""
        chain = self.chains[chain_id]
        broadcast = chain.broadcast

        def telling(raw: str) -> str:
            taken = broadcast(raw)
            done.set()
            return taken

        chain.broadcast = telling  # type: ignore[method-assign]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Chains]:
    with ExitStack() as stack:
        yield Chains(tmp_path, stack)


@pytest.mark.parametrize("slow", [10, 20])
def test_a_slow_chain_does_not_hold_up_the_other(both: Chains, slow: int) -> None:
    fast, taken = 30 - slow, threading.Event()
    both.hold_back(slow, taken)
    both.tell(fast, taken)
    outcomes = both.carry_out(decision(1, slow), decision(2, fast))
    assert [o.success for o in outcomes] == [True, True]
    assert [o.chain_id for o in outcomes] == [slow, fast], "in the order of the plan"


def test_a_hedge_waits_for_a_liquidation_on_another_chain(both: Chains) -> None:
    first = decision(1, 20)
    hedge = hedging(2, 10, counts_on=(action_id(first),))
    before: list[int] = []
    broadcast = both.chains[10].broadcast

    def noting(raw: str) -> str:
        before.append(sum(both.chains[20].effects(BELL).values()))
        return broadcast(raw)

    both.chains[10].broadcast = noting  # type: ignore[method-assign]
    outcomes = both.carry_out(hedge, first)
    assert [o.success for o in outcomes] == [True, True]
    assert before == [1], "the liquidation had landed"


def test_a_hedge_is_held_when_that_fails(both: Chains) -> None:
    first = decision(UNWILLING, 20)
    refused, hedge = both.carry_out(first, hedging(2, 10, counts_on=(action_id(first),)))
    assert refused.success is None
    assert "did not go through" in hedge.reason
    assert both.chains[10].broadcasts == []


def test_a_hedge_that_counts_on_what_is_not_planned_is_held_at_once(both: Chains) -> None:
    (hedge,) = both.carry_out(hedging(2, 10, counts_on=("f" * 32,)))
    assert "did not go through" in hedge.reason


def test_a_chain_that_ends_in_an_error_leaves_nobody_waiting(
    both: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = decision(1, 20)
    plan = both.store.intents.plan

    def failing(planned):  # type: ignore[no-untyped-def]
        if planned[0].intent.chain_id == 20:
            raise StoreLockedError(both.store.place, 5.0)
        return plan(planned)

    monkeypatch.setattr(both.store.intents, "plan", failing)
    with pytest.raises(StoreLockedError):
        both.carry_out(first, hedging(2, 10, counts_on=(action_id(first),)), decision(3, 10))
    assert sum(both.chains[10].effects(BELL).values()) == 1, "the other chain went on"


def test_the_journal_tells_the_moves_of_both_in_the_order_of_the_store(both: Chains) -> None:
    for first in range(1, 13, 4):
        both.carry_out(
            *(decision(first + i, chain_id) for i in range(4) for chain_id in (10, 20)),
            decision(TWO_STEPS + first, 10),
        )
    path = both.folder / "journal.jsonl"
    assert verify(path).ok
    told = [r.body["transition"] for r in read(path) if r.kind is RecordKind.TRANSITION]
    assert told == [t.id for t in both.store.intents.transitions()]
    for chain in both.chains.values():
        assert set(chain.effects(BELL).values()) == {1}


def test_the_most_urgent_goes_first_and_is_told_where_the_plan_has_it(both: Chains) -> None:
    hedge, rescue = hedging(1, 10, counts_on=()), decision(2, 10)
    outcomes = both.carry_out(hedge, rescue)
    assert [int(tx["data"][-64:], 16) for tx in both.chains[10].broadcasts] == [2, 1]
    assert [o.action_id for o in outcomes] == [action_id(hedge), action_id(rescue)]


def test_all_jobs_end_before_the_first_error_is_raised() -> None:
    done: list[int] = []

    def job(number: int) -> int:
        done.append(number)
        if number % 2:
            raise ValueError(str(number))
        return number

    with pytest.raises(ValueError, match="1"):
        side_by_side({n: lambda n=n: job(n) for n in (3, 2, 1)})  # type: ignore[misc]
    assert sorted(done) == [1, 2, 3]
    assert side_by_side({4: lambda: job(4), 2: lambda: job(2)}) == {4: 4, 2: 2}
    assert side_by_side({}) == {}


def test_results_are_waited_for() -> None:
    results = Results(["a", "b"])
    asked = threading.Event()
    found: list[bool] = []

    def ask() -> None:
        asked.set()
        found.append(results.all_through(["a", "b"]))

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(LONG_S)
    results.tell("a", True)
    results.tell("b", True)
    results.tell("b", False)
    thread.join(LONG_S)
    assert found == [True]
    assert not Results(["a"]).all_through(["elsewhere"])
