"""A network that loses packets between the keeper and PostgreSQL: nothing hangs, and nothing is guessed."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from keeper.model.intent import TxState
from keeper.store import postgres as module
from keeper.store.errors import LeadershipLostError, StoreUnreachableError
from keeper.store.store import Store
from tests.store.test_intents import bring
from tests.store.test_leaders import DEADLINE_S, patient
from tests.store.test_postgres import COMMIT, sign, state
from tests.support.postgres import Server
from tests.support.tcp_proxy import TcpProxy, can_lose_packets

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not can_lose_packets(), reason="packets cannot be lost on purpose here"),
]

SOON = "&connect_timeout=4&tcp_user_timeout=700&keepalives_idle=1&keepalives_interval=1&keepalives_count=1"
"""The keeper waits five to ten seconds as a rule, by the same means."""


@pytest.fixture
def proxy(postgres: Server) -> Iterator[TcpProxy]:
    with TcpProxy(postgres.socket) as proxy:
        yield proxy


@pytest.fixture
def far(postgres: Server, proxy: TcpProxy) -> Iterator[Store]:
    """A store on the other side of the network, with an intent that can be signed."""
    with Store.open(postgres.through(proxy.port, postgres.new_schema()) + SOON, "live") as store:
        bring(store, "i1", TxState.SIMULATED)
        yield store


def test_who_asks_into_the_void_is_told(far: Store, proxy: TcpProxy) -> None:
    """First on a connection that stands, then because another one cannot be made."""
    with proxy.parted(), pytest.raises(StoreUnreachableError, match="out of reach"):
        sign(far)
    assert state(far) is TxState.SIMULATED
    sign(far)
    assert state(far) is TxState.SIGNED


@pytest.mark.parametrize(
    ("word", "answered"), [(COMMIT, False), (b"INSERT INTO transitions", True)], ids=["its answer", "itself"]
)
def test_a_commit_lost_in_the_void_is_settled_once_the_network_is_whole(
    far: Store, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch, word: bytes, answered: bool
) -> None:
    """Where its answer is lost only the silence shows it: there is nothing to acknowledge."""
    settle = far._database._settle  # type: ignore[attr-defined]
    healing = threading.Timer(0.3, proxy.heal)

    def noticed(*arguments: Any) -> None:
        healing.start()
        settle(*arguments)

    monkeypatch.setattr(far._database, "_settle", noticed)
    proxy.part_at(word, answered=answered)
    with pytest.raises(StoreUnreachableError) if answered else nullcontext():
        sign(far)
    healing.join()
    assert proxy.fired
    assert state(far) is (TxState.SIMULATED if answered else TxState.SIGNED)


def test_a_leader_cut_off_is_followed_and_writes_nothing_when_it_is_back(
    postgres: Server, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session, and its lock with it, live on at the server: nobody told it of the end."""
    url = postgres.new_schema()
    told = threading.Event()
    with Store.open(postgres.through(proxy.port, url) + SOON, "live", on_lost=told.set) as leader:
        bring(leader, "i1", TxState.SIMULATED)
        with proxy.parted():
            monkeypatch.setattr(module, "own_name", lambda: "another:1")
            with Store.open(url, "live", wait=patient, lease_s=2.5) as follower:
                sign(follower)
                proxy.heal()
                assert told.wait(DEADLINE_S)
                with pytest.raises(LeadershipLostError):
                    sign(leader)
                with pytest.raises(LeadershipLostError):
                    bring(leader, "i2", TxState.PLANNED)
                assert state(follower) is TxState.SIGNED
