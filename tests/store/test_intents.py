"""The outbox's rows: only moves of the table, each whole or not at all."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from keeper.model.intent import MOVES, Simulation, TxIntent, TxState
from keeper.model.promise import Checked, Proof, Rest
from keeper.model.reads import Address
from keeper.model.units import Wei
from keeper.store.errors import IllegalMoveError
from keeper.store.place import Place
from keeper.store.rows import Attempt, Move, StoredIntent
from keeper.store.store import Store

SENDER = Address("0x51000000000000000000000000000000000000AA")
LANE = (10, SENDER)
SIMULATION = Simulation(ok=True, gas=60_000, error=None, block_number=5)


def planned(identity: str = "i1", *, action: str = "a1", subject: str = "s1") -> StoredIntent:
    intent = TxIntent(
        id=identity,
        action_id=action,
        cycle_id="c1",
        chain_id=10,
        sender=SENDER,
        to=Address("0xbE11000000000000000000000000000000000001"),
        data="0x01",
        value=Wei(10**30),
        gas=60_000,
        max_fee=Wei(10**25),
        valid_until_block=50,
    )
    return StoredIntent(intent=intent, episode=0, sequence=0, kind="hedge", subject=subject)


def attempt(identity: str, nonce: int, *, number: int = 0, fee: int = 100) -> Attempt:
    return Attempt(
        intent_id=identity,
        number=number,
        nonce=nonce,
        cancels=False,
        tx_hash=f"0x{identity}{number}",
        raw=b"\x02\xff",
        gas=60_000,
        fee_per_gas=Wei(fee),
        priority_per_gas=Wei(1),
        signed_at_block=5,
    )


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store.open(place, "live", clock=lambda: 1000.0) as store:
        yield store


def bring(store: Store, identity: str, state: TxState) -> None:
    """Plan an intent and take it to a state by legal moves."""
    intents = store.intents
    intents.plan([planned(identity)])
    if state is TxState.PLANNED:
        return
    if state is TxState.DROPPED:
        intents.move(identity, TxState.DROPPED)
        return
    intents.move(identity, TxState.SIMULATED, simulation=asdict(SIMULATION))
    if state is TxState.SIMULATED:
        return
    intents.sign(identity, LANE, 0, lambda nonce: attempt(identity, nonce))
    for step in (TxState.SENT, TxState.CONFIRMED, TxState.FINALIZED):
        if intents.get(identity).state is state:  # type: ignore[union-attr]
            return
        intents.move(identity, step)


@pytest.mark.parametrize("before", list(TxState))
def test_every_pair_of_states(store: Store, before: TxState) -> None:
    for i, after in enumerate(TxState):
        identity = f"i{i}"
        bring(store, identity, before)
        history = store.intents.transitions(intent_id=identity)
        if after in MOVES[before]:
            moved = store.intents.move(identity, after, reason="why")
            assert (moved.before, moved.after, moved.reason) == (before, after, "why")
            assert store.intents.get(identity).state is after  # type: ignore[union-attr]
        else:
            with pytest.raises(IllegalMoveError, match=f"is {before.value} and cannot become {after.value}"):
                store.intents.move(identity, after, reason="why")
            assert store.intents.get(identity).state is before  # type: ignore[union-attr]
            assert store.intents.transitions(intent_id=identity) == history


def test_an_unknown_intent_does_not_move(store: Store) -> None:
    with pytest.raises(IllegalMoveError, match="is unknown"):
        store.intents.move("nobody", TxState.SIMULATED)


def test_what_is_written_comes_back(store: Store) -> None:
    bring(store, "i1", TxState.SIGNED)
    stored = store.intents.get("i1")
    assert stored is not None
    assert stored.intent == planned().intent
    assert stored.simulation == SIMULATION
    assert (stored.nonce, stored.tx_hash) == (0, "0xi10")
    assert store.intents.attempts("i1") == (replace(attempt("i1", 0), signed_at_s=1000.0),)
    assert store.intents.get("other") is None


def test_intents_of_one_action_are_planned_all_or_none(store: Store) -> None:
    bring(store, "i2", TxState.PLANNED)
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.intents.plan([planned("i1"), planned("i2")])
    assert store.intents.get("i1") is None
    assert len(store.intents.transitions()) == 1


def test_nonces_follow_each_other_and_the_chain(store: Store) -> None:
    for i, (at_least, expected) in enumerate([(0, 0), (0, 1), (7, 7), (3, 8)]):
        identity = f"i{i}"
        bring(store, identity, TxState.SIMULATED)
        _, made = store.intents.sign(identity, LANE, at_least, lambda nonce, i=identity: attempt(i, nonce))  # type: ignore[misc]
        assert made.nonce == expected
    assert store.intents.next_nonce(LANE) == 9
    assert store.intents.next_nonce((10, Address("0xother"))) == 0
    assert store.intents.next_nonce((11, SENDER)) == 0


def test_a_dropped_intents_nonce_is_the_chains_to_count(store: Store) -> None:
    bring(store, "i1", TxState.SENT)
    store.intents.move("i1", TxState.DROPPED, reason="used by another", block_number=9)
    assert store.intents.next_nonce(LANE) == 0
    bring(store, "i2", TxState.SIMULATED)
    _, made = store.intents.sign("i2", LANE, 1, lambda nonce: attempt("i2", nonce))
    assert made.nonce == 1


def test_a_signer_that_fails_takes_no_nonce(store: Store) -> None:
    bring(store, "i1", TxState.SIMULATED)

    def broken(nonce: int) -> Attempt:
        raise RuntimeError("the signer is gone")

    with pytest.raises(RuntimeError):
        store.intents.sign("i1", LANE, 0, broken)
    assert store.intents.get("i1").state is TxState.SIMULATED  # type: ignore[union-attr]
    assert store.intents.next_nonce(LANE) == 0
    assert store.intents.attempts("i1") == ()


def test_a_crash_before_the_commit_leaves_nothing(place: Place) -> None:
    class Crash(BaseException):
        pass

    crash_on = ""

    def crash_at(boundary: str) -> None:
        if boundary == crash_on:
            raise Crash

    with Store.open(place, "live", crash_at=crash_at) as store:
        bring(store, "i1", TxState.SIMULATED)
        crash_on = "signed.written"
        with pytest.raises(Crash):
            store.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))
        assert store.intents.get("i1").state is TxState.SIMULATED  # type: ignore[union-attr]
        assert store.intents.attempts("i1") == ()
        crash_on = "signed.after"
        with pytest.raises(Crash):
            store.intents.sign("i1", LANE, 0, lambda nonce: attempt("i1", nonce))
        assert store.intents.get("i1").state is TxState.SIGNED  # type: ignore[union-attr]


def test_a_nonce_that_is_taken_over_has_one_intent_that_may_keep_it(store: Store) -> None:
    bring(store, "i1", TxState.SENT)
    bring(store, "i2", TxState.SIMULATED)
    with pytest.raises(IllegalMoveError):
        store.intents.take_over("i2", "i3", attempt("i2", 0), "who is i3?")
    store.intents.take_over("i2", "i1", attempt("i2", 0, fee=120), "it waits no longer")
    first, second = store.intents.get("i1"), store.intents.get("i2")
    assert first is not None
    assert second is not None
    assert (first.state, first.displaced_by) == (TxState.SENT, "i2")
    assert (second.state, second.displaces, second.nonce) == (TxState.SIGNED, "i1", 0)
    assert store.intents.next_nonce(LANE) == 1
    store.intents.move("i2", TxState.SENT)
    done = store.intents.move_together(
        [
            Move(intent_id="i2", to=TxState.DROPPED, reason="too late"),
            Move(intent_id="i1", to=TxState.CONFIRMED, changes=(("displaced_by", None),)),
        ]
    )
    assert [(t.intent_id, t.after) for t in done] == [("i2", TxState.DROPPED), ("i1", TxState.CONFIRMED)]
    assert store.intents.get("i1").displaced_by is None  # type: ignore[union-attr]
    with pytest.raises(IllegalMoveError):
        store.intents.move_together(
            [Move(intent_id="i1", to=TxState.FINALIZED), Move(intent_id="i2", to=TxState.SENT)]
        )
    assert store.intents.get("i1").state is TxState.CONFIRMED  # type: ignore[union-attr]


def test_what_stands_in_the_way_is_found_by_action_and_by_topic(store: Store) -> None:
    bring(store, "i1", TxState.SENT)
    assert store.intents.open_like("a1", ("other", "other")) is not None
    assert store.intents.open_like("a2", ("hedge", "s1")) is not None
    assert store.intents.open_like("a2", ("hedge", "s2")) is None
    assert store.intents.open_like("a2", ("liquidate", "s1")) is None
    store.intents.move("i1", TxState.CONFIRMED)
    assert store.intents.open_like("a1", ("hedge", "s1")) is None
    assert store.intents.ended("a1") == 1


def test_an_episode_counts_what_has_ended(store: Store) -> None:
    states = [TxState.PLANNED, TxState.SENT, TxState.CONFIRMED, TxState.FINALIZED, TxState.DROPPED]
    for i, state in enumerate(states):
        bring(store, f"i{i}", state)
    assert store.intents.ended("a1") == 3
    assert store.intents.ended("a2") == 0


def test_counts_have_every_state(store: Store) -> None:
    assert store.intents.counts() == dict.fromkeys(TxState, 0)
    for i, state in enumerate(TxState):
        bring(store, f"i{i}", state)
    assert store.intents.counts() == dict.fromkeys(TxState, 1)


def test_lanes_with_something_under_way(store: Store) -> None:
    assert store.intents.lanes() == ()
    bring(store, "i1", TxState.SENT)
    assert store.intents.lanes() == (LANE,)
    store.intents.move("i1", TxState.CONFIRMED)
    assert store.intents.lanes() == ()


def test_the_history_is_numbered_without_holes(store: Store) -> None:
    bring(store, "i1", TxState.FINALIZED)
    history = store.intents.transitions()
    assert [t.id for t in history] == [1, 2, 3, 4, 5, 6]
    assert [t.after for t in history] == [
        TxState.PLANNED,
        TxState.SIMULATED,
        TxState.SIGNED,
        TxState.SENT,
        TxState.CONFIRMED,
        TxState.FINALIZED,
    ]
    assert store.intents.transitions(after=4) == history[4:]
    assert store.intents.transitions(intent_id="other") == ()


def test_the_newest_proof_of_a_subject_is_kept_or_rests(store: Store) -> None:
    """Whatever strangers wrote into a reason, beside other subjects and what says nothing about it."""
    kept = Proof(checked=Checked.FIGURES, lines=())
    broken = replace(kept, broken='"broken": "" \\" \0', rest=Rest(times=3, until_s=99))
    unsaid = replace(kept, checked=Checked.NOT, broken='said "broken": "" and "rest": {"times": 7}')
    told: list[Proof | None] = [kept, broken, unsaid, None, kept, unsaid, None, broken, broken, unsaid]
    topic = ("hedge", "s1")
    expected: Proof | None = None
    for i, proof in enumerate(told):
        assert store.intents.last_proof(topic) == expected
        store.intents.plan([planned(f"i{i}"), planned(f"o{i}", subject="s2")])
        seen = asdict(replace(SIMULATION, error='"rest": {', promise=proof))
        store.intents.move(f"i{i}", TxState.DROPPED, reason="why", simulation=seen)
        expected = proof if proof in (kept, broken) else expected
    assert store.intents.last_proof(topic) == expected == broken
    assert store.intents.last_proof(("hedge", "s2")) is None
    assert store.intents.last_proof(("settle", "s1")) is None
