"""A signer that takes its time keeps nobody from the store, and no nonce is used twice for it."""

from dataclasses import asdict

from keeper.model.intent import TxState
from keeper.store.place import Place
from keeper.store.rows import Attempt
from keeper.store.store import Store
from tests.store.test_intents import LANE, SIMULATION, attempt, planned


def simulated(store: Store, *identities: str) -> None:
    for identity in identities:
        store.intents.plan([planned(identity, action=identity)])
        store.intents.move(identity, TxState.SIMULATED, simulation=asdict(SIMULATION))


def test_a_person_can_halt_while_it_signs(place: Place) -> None:
    with Store.open(place, "live", busy_s=0.1) as store:
        simulated(store, "i1")

        def make(nonce: int) -> Attempt:
            with Store.attach(place) as other:
                other.halt("enough", by="a person")
            return attempt("i1", nonce)

        _, made = store.intents.sign("i1", LANE, 0, make)
        assert made.nonce == 0
        halt = store.halted()
    assert halt is not None
    assert halt.by == "a person"


def test_a_nonce_taken_meanwhile_is_not_taken_again(place: Place) -> None:
    with Store.open(place, "live") as store:
        simulated(store, "i1", "i2")
        tried: list[int] = []

        def make(nonce: int) -> Attempt:
            if not tried:
                store.intents.sign("i2", LANE, 0, lambda n: attempt("i2", n))
            tried.append(nonce)
            return attempt("i1", nonce)

        _, made = store.intents.sign("i1", LANE, 0, make)
        assert (tried, made.nonce) == ([0, 1], 1)
        assert [version.nonce for version in store.intents.attempts("i1")] == [1]
        assert store.intents.next_nonce(LANE) == 2
