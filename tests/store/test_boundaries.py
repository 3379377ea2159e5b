"""Store and journal fail at every state boundary: nothing leaves unwritten, nothing is lost or doubled."""

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from keeper.model.errors import TransientError
from keeper.model.intent import TxState
from keeper.store.databases import database_at
from keeper.store.place import Place
from tests.execution.bell import BELL
from tests.execution.rig import FINAL_AFTER, Rig
from tests.execution.simulated_chain import SimulatedChain
from tests.support import tally
from tests.support.postgres import Server

pytestmark = pytest.mark.faults

STATES = [state for state in TxState if state is not TxState.DROPPED]
ENDS = {TxState.FINALIZED, TxState.DROPPED}
BUSY_S = 0.05


class Faulty:
    """A keeper whose store or journal fails when it reaches a boundary, until it is mended."""

    def __init__(self, rig: Rig, chain: SimulatedChain, request: pytest.FixtureRequest) -> None:
        self.rig = rig
        self.chain = chain
        self.struck = False
        self._request = request
        self._fault = ExitStack()

    def strike_at(self, boundary: str, fault: Callable[["Faulty"], None], *, skip: int) -> None:
        left = skip

        def reached(name: str) -> None:
            nonlocal left
            if name != boundary or self.struck:
                return
            if left:
                left -= 1
                return
            self.struck = True
            fault(self)

        self.rig.crash_at = reached

    def mend(self) -> None:
        self._fault.close()

    def lock(self) -> None:
        """Somebody else writes, and does not end."""
        tally.fault("store locked")
        other = database_at(self.rig.place)
        self._fault.callback(other.close)
        self._fault.enter_context(other.writing(anybody=True))

    def fill(self) -> None:
        """No file takes another byte: of a store in files, or of the journal."""
        tally.fault("disk full")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        self._fault.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))

    def cut(self) -> None:
        """The server ends every session."""
        tally.fault("database connection cut")
        assert isinstance(self.rig.place, str)
        server: Server = self._request.getfixturevalue("postgres")
        assert server.end_sessions(self.rig.place) > 0

    def carry_on(self, numbers: list[int]) -> int:
        """Decide until everything has its effect and is final. Returns how many cycles failed."""
        failed = 0
        for _ in range(8):
            try:
                self.rig.needed(numbers)
            except TransientError:
                failed += 1
                self.mend()
            self.chain.mine(FINAL_AFTER)
            if self.struck and not self.rig.store.intents.within(set(TxState) - ENDS):
                break
        self.mend()
        self.rig.cycle()  # records what the last one could not
        assert not self.rig.store.intents.within(set(TxState) - ENDS)
        return failed


@pytest.fixture
def faulty(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Faulty]:
    chain = SimulatedChain()
    faulty = Faulty(Rig(tmp_path, chain, place=place, busy_s=BUSY_S), chain, request)
    yield faulty
    faulty.mend()
    faulty.rig.crash_at = lambda _: None
    faulty.rig.stop()


def struck_once(faulty: Faulty, boundary: str, fault: Callable[[Faulty], None]) -> None:
    """Let a fault strike when a boundary is reached for the second time; everything must come right after."""
    faulty.strike_at(boundary, fault, skip=1)
    failed = faulty.carry_on([1, 2])
    assert faulty.struck, f"{boundary} was not reached"
    assert failed == 1
    effects = dict(enumerate(faulty.chain.effects(BELL).values()))
    assert len(effects) == 2
    faulty.rig.audit(effects=effects).require()


@pytest.mark.parametrize("state", STATES)
def test_a_store_that_is_locked(faulty: Faulty, state: TxState) -> None:
    struck_once(faulty, f"{state}.before", Faulty.lock)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_store_without_space(faulty: Faulty, state: TxState) -> None:
    struck_once(faulty, f"{state}.before", Faulty.fill)


@pytest.mark.parametrize("state", STATES)
def test_a_journal_without_space_for_what_the_store_has(faulty: Faulty, state: TxState) -> None:
    struck_once(faulty, f"{state}.after", Faulty.fill)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_session_that_is_cut(faulty: Faulty, state: TxState) -> None:
    struck_once(faulty, f"{state}.written", Faulty.cut)
