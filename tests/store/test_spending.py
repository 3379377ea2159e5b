"""What the caps count: each transaction once, at its dearest until it is final, for as long as it counts."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keeper.model.intent import TxState
from keeper.model.units import Wad, Wei
from keeper.store.place import Place
from keeper.store.spending import Spending
from keeper.store.store import Store
from tests.store.test_intents import LANE, SENDER, SIMULATION, attempt, bring, planned


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store.open(place, "live", clock=lambda: 1000.0) as store:
        yield store


def test_what_is_not_final_costs_its_dearest_and_what_is_its_fee(store: Store) -> None:
    bring(store, "i1", TxState.CONFIRMED)
    bring(store, "i2", TxState.SENT)
    store.intents.sign_again("i2", attempt("i2", 1, number=1, fee=150), "dearer")
    landed_cost, open_cost = (float("inf"), 60_000 * 100), (float("inf"), 60_000 * 150)
    assert costs(store, 1000.5) == [landed_cost, open_cost]
    assert costs(store, 1000.5, besides="i2") == [landed_cost]
    store.intents.move("i2", TxState.SENT)
    store.intents.move("i2", TxState.CONFIRMED, fee=10**30)
    assert costs(store, 1000.5) == [landed_cost, (float("inf"), 10**30)]
    store.intents.move("i2", TxState.FINALIZED)
    store.intents.move("i1", TxState.FINALIZED)
    assert costs(store, 1000.0) == [(1000.0, 0), (1000.0, 10**30)]
    assert costs(store, 1000.5) == []
    assert store.spending.spent((11, SENDER), 0.0) == ()


def costs(store: Store, since_s: float, *, besides: str = "") -> list[tuple[float, int]]:
    spent = store.spending.spent(LANE, since_s, besides=besides)
    return [(s.at_s, s.cost) for s in sorted(spent, key=lambda s: s.nonce)]


def test_a_receipt_counts_from_when_it_was_noted_until_a_reorg_takes_it(place: Place) -> None:
    now_s = 1000.0
    with Store.open(place, "live", clock=lambda: now_s) as store:
        bring(store, "i1", TxState.SENT)
        now_s = 5000.0
        store.intents.move("i1", TxState.CONFIRMED)
        assert costs(store, 9999.0) == [(float("inf"), 60_000 * 100)]
        now_s = 6000.0
        store.intents.move("i1", TxState.SENT)
        assert costs(store, 9999.0) == [(float("inf"), 60_000 * 100)]
        store.intents.move("i1", TxState.CONFIRMED)
        now_s = 9000.0
        store.intents.move("i1", TxState.FINALIZED, fee=None)
        assert costs(store, 5999.0) == [(6000.0, 0)]


def test_moved_value_counts_until_it_is_final_that_nothing_moved(store: Store) -> None:
    worth = {"moved_usd": Wad(7), "asset": "USD", "outgoing": Wad(3)}
    for i, state in enumerate((TxState.SIMULATED, TxState.SENT, TxState.CONFIRMED)):
        store.intents.plan([replace(planned(f"i{i}", action=f"a{i}"), **worth)])  # type: ignore[arg-type]
        store.intents.move(f"i{i}", TxState.SIMULATED, simulation=asdict(SIMULATION))
        if state is TxState.SIMULATED:
            continue
        store.intents.sign(f"i{i}", LANE, 0, lambda nonce, i=i: attempt(f"i{i}", nonce))  # type: ignore[misc]
        store.intents.move(f"i{i}", TxState.SENT)
        if state is TxState.CONFIRMED:
            store.intents.move(f"i{i}", state, success=False, block_number=9)
    assert sorted((m.intent_id, m.usd) for m in store.spending.moved(0.0)) == [("i1", 7), ("i2", 7)]
    assert store.spending.outgoing(LANE, "USD", after_block=8) == 3
    store.intents.move("i2", TxState.FINALIZED)
    assert [m.intent_id for m in store.spending.moved(0.0)] == ["i1"]
    store.intents.move("i1", TxState.CONFIRMED, success=True, block_number=9)
    assert [(m.at_s, m.usd) for m in store.spending.moved(1000.5)] == [(float("inf"), 7)]
    store.intents.move("i1", TxState.FINALIZED)
    assert [(m.at_s, m.usd) for m in store.spending.moved(1000.0)] == [(1000.0, 7)]
    assert store.spending.moved(1000.5) == ()
    assert store.spending.outgoing(LANE, "USD", after_block=8) == 3
    assert store.spending.outgoing(LANE, "USD", after_block=9) == 0
    assert store.spending.outgoing(LANE, "ETH", after_block=0) == 0


class WhatIsKept(RuleBasedStateMachine):
    """What was read before must never tell otherwise than the rows, whatever moves, and whatever the clock.

    The oracle has read nothing before.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory(prefix="spending-")
        self.now_s = 10_000.0
        path = Path(self.folder.name) / "keeper.sqlite"
        self.store = Store.open(path, "live", clock=lambda: self.now_s)
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def those(self, *states: TxState) -> list[str]:
        return [stored.intent.id for stored in self.store.intents.within(states)]

    @rule(usd=st.integers(0, 3), fee=st.integers(1, 300))
    def send(self, usd: int, fee: int) -> None:
        identity = f"i{self.count}"
        self.count += 1
        self.store.intents.plan([replace(planned(identity, action=identity), moved_usd=Wad(usd))])
        self.store.intents.move(identity, TxState.SIMULATED, simulation=asdict(SIMULATION))
        self.store.intents.sign(identity, LANE, 0, lambda nonce: attempt(identity, nonce, fee=fee))
        self.store.intents.move(identity, TxState.SENT)

    @precondition(lambda self: self.those(TxState.SENT))
    @rule(data=st.data(), dearer=st.integers(1, 300))
    def replace(self, data: st.DataObject, dearer: int) -> None:
        stored = self.store.intents.get(data.draw(st.sampled_from(self.those(TxState.SENT))))
        assert stored is not None
        assert stored.nonce is not None
        identity = stored.intent.id
        number = len(self.store.intents.attempts(identity))
        again = attempt(identity, stored.nonce, number=number, fee=300 + dearer)
        self.store.intents.sign_again(identity, again, "dearer")
        self.store.intents.move(identity, TxState.SENT)

    @precondition(lambda self: self.those(TxState.SENT))
    @rule(data=st.data(), success=st.booleans(), fee=st.integers(0, 10**9))
    def confirm(self, data: st.DataObject, success: bool, fee: int) -> None:
        identity = data.draw(st.sampled_from(self.those(TxState.SENT)))
        self.store.intents.move(identity, TxState.CONFIRMED, success=success, fee=Wei(fee))

    @precondition(lambda self: self.those(TxState.SENT))
    @rule(data=st.data(), fee=st.none() | st.integers(0, 10**9))
    def drop(self, data: st.DataObject, fee: int | None) -> None:
        """With a fee it was cancelled, without one another used its nonce."""
        identity = data.draw(st.sampled_from(self.those(TxState.SENT)))
        self.store.intents.move(identity, TxState.DROPPED, fee=None if fee is None else Wei(fee))

    @precondition(lambda self: self.those(TxState.CONFIRMED))
    @rule(data=st.data(), reorg=st.booleans())
    def end(self, data: st.DataObject, reorg: bool) -> None:
        identity = data.draw(st.sampled_from(self.those(TxState.CONFIRMED)))
        if reorg:
            self.store.intents.move(identity, TxState.SENT, fee=None, success=None)
        else:
            self.store.intents.move(identity, TxState.FINALIZED)

    @rule(seconds=st.sampled_from([-90_000.0, -3_601.0, -1.0, 1.0, 1_800.0, 3_600.0, 20_000.0, 90_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def ask_for_an_hour(self) -> None:
        self._agree(3_600.0)

    @invariant()
    def tells_what_the_rows_tell(self) -> None:
        self._agree(86_400.0)

    def _agree(self, span_s: float) -> None:
        fresh = Spending(self.store._database)
        since_s = self.now_s - span_s
        assert set(self.store.spending.spent(LANE, since_s)) == set(fresh.spent(LANE, since_s))
        assert set(self.store.spending.moved(since_s)) == set(fresh.moved(since_s))


TestWhatIsKept = WhatIsKept.TestCase
TestWhatIsKept.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
