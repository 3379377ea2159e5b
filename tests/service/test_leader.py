"""Waiting for the turn, and what `keeper run` makes of a lead that is lost or cannot be had."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.journal.errors import JournalBusyError
from keeper.journal.journal import Journal
from keeper.model.errors import DataError, KeeperError, TransientError
from keeper.model.snapshot import BlockRef
from keeper.service import leader as module
from keeper.service import serve as serving
from keeper.service.daemon import Stop
from keeper.service.health import LeaderHealth, Status, judge
from keeper.service.leader import Turn, opened_in_turn
from keeper.store.errors import LeadershipLostError, StoreBusyError, StoreUnreachableError
from keeper.store.leaders import Leader, Standby
from keeper.store.place import Place
from keeper.store.store import Store
from tests.service.sample import SNAPSHOT
from tests.service.test_health import LOOK, NOW_S

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
HEADS = {block.chain_id: block for block in SNAPSHOT.blocks}


def no_heads() -> Mapping[int, BlockRef]:
    return {}


def busy(place: Place) -> StoreBusyError:
    return StoreBusyError(place, "host:1")


def test_a_turn_tells_the_store_and_knows_the_heads(tmp_path: Path) -> None:
    place = tmp_path / "keeper.sqlite"
    Store.open(place, "live").close()
    with Turn(place, Stop(), lambda: HEADS, try_s=0.001) as turn:
        assert turn(busy(place))
        turn.end()
        assert turn.heads == HEADS
    with Store.attach(place) as store:
        assert len(store.leaders.standbys()) == 1


def test_a_slow_node_does_not_delay_the_turn(tmp_path: Path) -> None:
    place = tmp_path / "keeper.sqlite"
    asked, answer = threading.Event(), threading.Event()

    def slow() -> Mapping[int, BlockRef]:
        asked.set()
        answer.wait()
        return HEADS

    with Turn(place, Stop(), slow, try_s=0.001, clock=clock(1000.0)) as turn:
        for _ in range(5):
            assert turn(busy(place))
        assert asked.wait(30.0)
        assert turn.heads == {}
        answer.set()
        turn.end()
        assert turn.heads == HEADS


def clock(step_s: float) -> Callable[[], float]:
    """A clock that is a step further at each look."""
    now_s = 0.0

    def tell() -> float:
        nonlocal now_s
        now_s += step_s
        return now_s

    return tell


def test_an_end_that_is_asked_for_ends_the_wait(tmp_path: Path) -> None:
    stop = Stop()
    place = tmp_path / "keeper.sqlite"
    with Store.open(place, "live"), Turn(place, stop, no_heads, try_s=3600.0) as turn:
        threading.Timer(0.01, stop.stop).start()
        with pytest.raises(StoreBusyError):
            Store.open(place, "live", wait=turn)


def test_a_journal_that_is_let_go_of_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = Journal.open(path)
    with pytest.raises(JournalBusyError):
        opened_in_turn(lambda: Journal.open(path), Stop(), waits=False)
    tries = 0

    def make() -> Journal:
        nonlocal tries
        tries += 1
        if tries == 3:
            before.close()
        return Journal.open(path)

    opened_in_turn(make, Stop(), waits=True).close()
    assert tries == 3


def test_one_that_stays_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_S", 0.05)
    path = tmp_path / "journal.jsonl"
    with Journal.open(path), pytest.raises(JournalBusyError):
        opened_in_turn(lambda: Journal.open(path), Stop(), waits=True)


class Rounds:
    """What each round of `serve` meets, in the place of a daemon."""

    def __init__(self, *rounds: Callable[[Stop], None]) -> None:
        self.left = list(rounds)
        self.standby: list[bool] = []

    @contextmanager
    def assemble(self, settings: Settings, *, live: bool, stop: Stop, standby: bool) -> Iterator[Any]:
        self.standby.append(standby)
        meet = self.left.pop(0)

        def require_leading() -> None:
            raise LeadershipLostError("here", "host:2")

        yield SimpleNamespace(
            daemon=SimpleNamespace(run=lambda: meet(stop)),
            store=SimpleNamespace(require_leading=require_leading),
        )


def raising(error: KeeperError) -> Callable[[Stop], None]:
    def meet(stop: Stop) -> None:
        raise error

    return meet


def ends(stop: Stop) -> None:
    stop.stop()


def served(rounds: Rounds, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "assemble", rounds.assemble)
    monkeypatch.setattr(serving, "AGAIN_S", 0.0)
    serving.serve(settings, live=True)


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    return configured(tmp_path, standby=False)


@pytest.fixture
def shared(tmp_path: Path) -> Settings:
    return configured(tmp_path, standby=True)


def configured(folder: Path, *, standby: bool) -> Settings:
    path = folder / "keeper.toml"
    text = EXAMPLE.read_text()
    assert "standby = false" in text
    path.write_text(text.replace("standby = false", f"standby = {str(standby).lower()}"))
    return load(path, {})


LOST = LeadershipLostError("here", "host:2")


def test_one_that_may_stand_by_does_so_again(shared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    out = StoreUnreachableError("postgresql://h/d", "gone")
    rounds = Rounds(*map(raising, ERRORS), Stop.step_down, raising(out), ends)
    served(rounds, shared, monkeypatch)
    assert rounds.left == []
    assert rounds.standby == [True] * 7


ERRORS = [
    LOST,
    StoreBusyError("here", "host:1"),
    JournalBusyError(Path("journal.jsonl")),
    TransientError("node away"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_one_that_may_not_ends_with_the_reason(
    alone: Settings, monkeypatch: pytest.MonkeyPatch, error: KeeperError
) -> None:
    rounds = Rounds(raising(error), ends)
    with pytest.raises(type(error)):
        served(rounds, alone, monkeypatch)
    assert rounds.standby == [False]


def test_one_that_may_not_is_told_by_its_lock(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LeadershipLostError):
        served(Rounds(Stop.step_down), alone, monkeypatch)


def test_other_errors_end_it_in_any_case(shared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError):
        served(Rounds(raising(DataError("damaged")), ends), shared, monkeypatch)


@pytest.mark.parametrize("error", ERRORS)
def test_one_that_is_told_to_end_ends_well_whatever_it_waited_for(
    shared: Settings, monkeypatch: pytest.MonkeyPatch, error: KeeperError
) -> None:
    def told(stop: Stop) -> None:
        stop.stop()
        raise error

    rounds = Rounds(told)
    served(rounds, shared, monkeypatch)
    assert rounds.left == []


def test_an_end_outranks_a_lost_lead() -> None:
    for first, second in ((Stop.stop, Stop.step_down), (Stop.step_down, Stop.stop)):
        stop = Stop()
        first(stop)
        second(stop)
        assert stop.stopping
        assert not stop.deposed


def test_health_says_who_leads_and_who_waits(alone: Settings, shared: Settings) -> None:
    leader = Leader(term=3, name="desk:7", since_s=NOW_S - 90.0, until_s=None)
    standbys = (
        Standby(name="desk:8", seen_s=NOW_S - 5.0),
        Standby(name="desk:9", seen_s=NOW_S - 60.0),
    )
    found = judge(shared, replace(LOOK, leader=leader, standbys=standbys), NOW_S)
    assert found.status is Status.OK
    assert found.leader == LeaderHealth(name="desk:7", term=3, age_s=90.0, leading=True, standbys=("desk:8",))
    ended = replace(LOOK, leader=replace(leader, until_s=NOW_S - 4.0))
    found = judge(shared, ended, NOW_S)
    assert found.reasons == ("nobody leads: desk:7 ended 4 s ago, and none took over",)
    assert found.status is Status.DEGRADED
    assert judge(alone, ended, NOW_S).status is Status.OK, "who is alone may end"
    assert judge(alone, replace(LOOK, leader=None), NOW_S).leader is None
