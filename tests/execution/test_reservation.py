"""Room for a whole action or none: caps hold over every interleaving, and nothing counts twice."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keeper.execution.errors import MovedValueError, TokensShortError, WalletUnreadError
from keeper.execution.limits import DAY_S, HOUR_S, Limits
from keeper.execution.reservation import Reservations
from keeper.model.intent import Simulation, TxState
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import ONE, Wad
from keeper.store.rows import Attempt, StoredIntent
from keeper.store.store import Store
from tests.execution.bell import seen
from tests.execution.rig import LIMITS
from tests.store.test_intents import attempt, planned

SIGNER: Final = Address("0x51000000000000000000000000000000000000AA")
LANE: Final = (10, SIGNER)
CAPS: Final[Limits] = replace(
    LIMITS,
    max_moved_usd_per_tx=Wad(10),
    max_moved_usd_per_hour=Wad(25),
    max_moved_usd_per_day=Wad(60),
)
SIMULATED: Final = asdict(Simulation(ok=True, gas=1, error=None))
BLOCK: Final = BlockRef(chain_id=10, number=5, hash="0x5", parent_hash="0x4", timestamp_s=0)


def snapshot(held: int = 10**36) -> Snapshot:
    return seen([BLOCK], held=Wad(held))


def moving(identity: str, usd: int, *, urgent: bool = False, outgoing: int = 0) -> StoredIntent:
    return replace(
        planned(identity, action=identity, subject=identity),
        urgent=urgent,
        moved_usd=Wad(usd),
        asset="BELL",
        outgoing=Wad(outgoing),
    )


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(tmp_path / "keeper.sqlite", "live", clock=clock) as store:
        yield store


@pytest.fixture
def reservations(store: Store, clock: Clock) -> Reservations:
    return Reservations(store.spending, CAPS, clock)


def sign(store: Store, stored: StoredIntent) -> None:
    identity = stored.intent.id
    store.intents.plan([stored])
    store.intents.move(identity, TxState.SIMULATED, simulation=SIMULATED)
    store.intents.sign(identity, LANE, 0, lambda nonce: attempt(identity, nonce))
    store.intents.move(identity, TxState.SENT)


def test_one_action_alone_has_a_cap(reservations: Reservations) -> None:
    with reservations.holding([moving("a", 10)], snapshot()):
        pass
    with (
        pytest.raises(MovedValueError, match=r"limits\.max_moved_usd_per_tx") as refused,
        reservations.holding([moving("a", 4), moving("b", 7)], snapshot()),
    ):
        pass
    assert (refused.value.wanted, refused.value.used, refused.value.allowed) == (11, 0, 10)


def test_what_is_reserved_is_free_again_when_it_was_not_signed(reservations: Reservations) -> None:
    for _ in range(5):
        with ExitStack() as held:
            for name in ("a", "b"):
                held.enter_context(reservations.holding([moving(name, 10)], snapshot()))
            with pytest.raises(MovedValueError, match="per_hour") as refused:
                held.enter_context(reservations.holding([moving("c", 6)], snapshot()))
            assert (refused.value.wanted, refused.value.used) == (6, 20)
            held.enter_context(reservations.holding([moving("c", 5)], snapshot()))


def test_what_is_signed_while_it_is_reserved_counts_once(store: Store, reservations: Reservations) -> None:
    one = moving("a", 10)
    with reservations.holding([one], snapshot()):
        sign(store, one)
        with (
            reservations.holding([moving("b", 10)], snapshot()),
            reservations.holding([moving("c", 5)], snapshot()),
        ):
            pass
    with (
        reservations.holding([moving("b", 10)], snapshot()),
        reservations.holding([moving("c", 5)], snapshot()),
    ):
        pass
    with reservations.holding([moving("b", 10)], snapshot()), pytest.raises(MovedValueError):
        reservations.holding([moving("c", 6)], snapshot()).__enter__()


def test_a_rescue_is_not_refused_because_housekeeping_used_the_hour_up(
    store: Store, reservations: Reservations
) -> None:
    for name in ("a", "b"):
        sign(store, moving(name, 10))
    with pytest.raises(MovedValueError, match="work that is not urgent 0"):
        reservations.holding([moving("c", 6)], snapshot()).__enter__()
    with reservations.holding([moving("c", 10, urgent=True)], snapshot()):
        pass


def test_tokens_are_held_against_what_the_wallet_had_and_what_left_it_since(
    store: Store, reservations: Reservations
) -> None:
    with reservations.holding([moving("a", 1, outgoing=100)], snapshot(100)):
        pass
    with pytest.raises(TokensShortError) as short:
        reservations.holding(
            [moving("a", 1, outgoing=60), moving("b", 1, outgoing=41)], snapshot(100)
        ).__enter__()
    assert (short.value.wanted, short.value.held, short.value.gone) == (101, 100, 0)
    sign(store, moving("gone", 1, outgoing=60))
    with pytest.raises(TokensShortError) as short:
        reservations.holding([moving("a", 1, outgoing=41)], snapshot(100)).__enter__()
    assert short.value.gone == 60
    # Once it landed in a block that the snapshot has seen, the wallet it shows is the one after it.
    store.intents.move("gone", TxState.CONFIRMED, success=True, block_number=BLOCK.number)
    with reservations.holding([moving("a", 1, outgoing=100)], snapshot(100)):
        pass


def test_a_wallet_that_was_not_read_pays_nothing(reservations: Reservations) -> None:
    unread = replace(snapshot(), wallets=())
    with pytest.raises(WalletUnreadError, match="was not read"):
        reservations.holding([moving("a", 1, outgoing=1)], unread).__enter__()
    with reservations.holding([moving("a", 1)], unread):
        pass


def test_chains_that_ask_at_once_do_not_exceed_the_cap_together(reservations: Reservations) -> None:
    """Eight chains ask for 10 each, and hold what they get until all have asked: two fit."""
    asked = threading.Barrier(8, timeout=30.0)
    got: list[bool] = []

    def ask(i: int) -> None:
        try:
            with reservations.holding([moving(f"i{i}", 10)], snapshot()):
                got.append(True)
                asked.wait()
        except MovedValueError:
            got.append(False)
            asked.wait()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 6 + [True] * 2


class CapsMachine(RuleBasedStateMachine):
    """Actions that reserve, sign, land, revert, are reorganized, become final or are dropped, in any order.

    What landed is kept apart from the store: when, how much, in which class.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.clock = Clock()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.store = self.stack.enter_context(Store.open(folder / "keeper.sqlite", "live", clock=self.clock))
        self.reservations = Reservations(self.store.spending, CAPS, self.clock)
        self.held: dict[str, tuple[StoredIntent, ExitStack]] = {}
        self.waiting: list[ExitStack] = []
        """Of actions that are signed and still being carried out."""

        self.open: list[StoredIntent] = []
        self.confirmed: list[StoredIntent] = []
        self.moved: dict[str, tuple[float, bool, int]] = {}
        self.count = 0

    @rule(usd=st.integers(0, 12), urgent=st.booleans())
    def reserve(self, usd: int, urgent: bool) -> None:
        self.count += 1
        step = moving(f"i{self.count}", usd, urgent=urgent)
        held = ExitStack()
        try:
            held.enter_context(self.reservations.holding([step], snapshot()))
        except MovedValueError:
            return
        self.held[step.intent.id] = step, held

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9), released=st.booleans())
    def sign(self, which: int, released: bool) -> None:
        identity = sorted(self.held)[which % len(self.held)]
        step, held = self.held[identity]
        sign(self.store, step)
        self.open.append(step)
        del self.held[identity]
        if released:
            held.close()
        else:
            self.waiting.append(held)

    @precondition(lambda self: self.waiting)
    @rule()
    def go_on(self) -> None:
        self.waiting.pop().close()

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9))
    def give_up(self, which: int) -> None:
        self._release(sorted(self.held)[which % len(self.held)])

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), success=st.booleans())
    def land(self, which: int, success: bool) -> None:
        step = self.open.pop(which % len(self.open))
        if success:
            self.moved[step.intent.id] = self.clock.now_s, step.urgent, step.moved_usd
        self.store.intents.move(step.intent.id, TxState.CONFIRMED, success=success, block_number=9)
        self.confirmed.append(step)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def replace(self, which: int) -> None:
        step = self.open[which % len(self.open)]
        versions = self.store.intents.attempts(step.intent.id)
        dearer: Attempt = replace(
            versions[-1], number=len(versions), tx_hash=f"0x{step.intent.id}{len(versions)}", signed_at_s=0.0
        )
        self.store.intents.sign_again(step.intent.id, dearer, "dearer")
        self.store.intents.move(step.intent.id, TxState.SENT)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def drop(self, which: int) -> None:
        self.store.intents.move(self.open.pop(which % len(self.open)).intent.id, TxState.DROPPED)

    @precondition(lambda self: self.confirmed)
    @rule(which=st.integers(0, 9))
    def reorg(self, which: int) -> None:
        step = self.confirmed.pop(which % len(self.confirmed))
        self.moved.pop(step.intent.id, None)
        self.store.intents.move(step.intent.id, TxState.SENT, success=None, block_number=None)
        self.open.append(step)

    @precondition(lambda self: self.confirmed)
    @rule(which=st.integers(0, 9))
    def finalize(self, which: int) -> None:
        step = self.confirmed.pop(which % len(self.confirmed))
        self.store.intents.move(step.intent.id, TxState.FINALIZED)

    @rule(seconds=st.sampled_from([1, 1800, HOUR_S + 1, DAY_S + 1]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now_s += seconds

    @rule()
    def restart(self) -> None:
        """What was reserved is lost with the process; what was signed is not."""
        self._release_all()
        self.reservations = Reservations(self.store.spending, CAPS, self.clock)

    def _release(self, identity: str) -> None:
        self.held.pop(identity)[1].close()

    @invariant()
    def the_caps_hold(self) -> None:
        for urgent in (False, True):
            of_class = [(at_s, usd) for at_s, u, usd in self.moved.values() if u == urgent]
            assert all(usd <= CAPS.max_moved_usd_per_tx for _, usd in of_class)
            for span_s, cap in (
                (HOUR_S, CAPS.max_moved_usd_per_hour),
                (DAY_S, CAPS.max_moved_usd_per_day),
            ):
                for end_s, _ in of_class:
                    assert sum(usd for at_s, usd in of_class if end_s - span_s <= at_s <= end_s) <= cap

    def _release_all(self) -> None:
        while self.waiting:
            self.go_on()
        for identity in list(self.held):
            self._release(identity)

    def teardown(self) -> None:
        self._release_all()
        self.stack.close()


CapsMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class TestCaps(CapsMachine.TestCase):  # type: ignore[misc, valid-type]
    """Runs the machine."""


def test_the_message_has_the_numbers(reservations: Reservations) -> None:
    big = replace(CAPS, max_moved_usd_per_tx=Wad(500 * ONE))
    asking = Reservations(reservations._spending, big, Clock())
    with pytest.raises(MovedValueError) as refused:
        asking.holding([moving("a", 750 * ONE, urgent=True)], snapshot()).__enter__()
    assert str(refused.value) == (
        "limits.max_moved_usd_per_tx allows urgent work 500.00 USD: this moves 750.00"
    )
