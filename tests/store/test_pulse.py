"""The heartbeat, as health reads it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keeper.model.snapshot import Gap
from keeper.store.place import Place
from keeper.store.pulse import Beat, ChainBeat, ProfileBeat
from keeper.store.store import Store

CHAIN = ChainBeat(
    chain_id=10,
    name="optimism",
    number=100,
    hash="0xa",
    pinned=98,
    first_seen_s=50.0,
    endpoints=({"host": "http://127.0.0.1", "ok": True},),
)
BEAT = Beat(
    cycle_id="c1",
    plan_id="p1",
    started_at_s=51.0,
    finished_at_s=52.0,
    chain_time_s=40,
    gaps=(Gap(what="quote", key="BTC", reason="stale", chain_id=10),),
    chains=(CHAIN,),
    profiles=(ProfileBeat(name="desk", health=1.5, step="none"),),
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store.open(place, "live") as store:
        yield store


def test_nothing_before_the_first_cycle(store: Store) -> None:
    assert store.pulse.last() is None


def test_a_beat_comes_back_whole(store: Store) -> None:
    store.pulse.beat(BEAT)
    assert store.pulse.last() == replace(BEAT, last_good_at_s=52.0)


def test_a_failed_cycle_keeps_what_is_known(store: Store) -> None:
    store.pulse.beat(BEAT)
    store.pulse.beat(
        Beat(
            cycle_id="c2",
            plan_id=None,
            started_at_s=60.0,
            finished_at_s=61.0,
            chain_time_s=0,
            failure="DataError: two nodes disagree",
        )
    )
    last = store.pulse.last()
    assert last is not None
    assert (last.cycle_id, last.failure, last.last_good_at_s) == ("c2", "DataError: two nodes disagree", 52.0)
    assert (last.chains, last.profiles) == (BEAT.chains, BEAT.profiles)


def test_a_frozen_head_keeps_the_time_it_was_first_seen(store: Store) -> None:
    store.pulse.beat(BEAT)
    store.pulse.beat(replace(BEAT, chains=(replace(CHAIN, first_seen_s=500.0),)))
    assert store.pulse.last().chains[0].first_seen_s == 50.0  # type: ignore[union-attr]
    store.pulse.beat(replace(BEAT, chains=(replace(CHAIN, hash="0xb", number=101, first_seen_s=600.0),)))
    assert store.pulse.last().chains[0].first_seen_s == 600.0  # type: ignore[union-attr]


def test_profiles_and_chains_that_are_no_longer_configured_disappear(store: Store) -> None:
    store.pulse.beat(replace(BEAT, chains=(CHAIN, replace(CHAIN, chain_id=42161))))
    store.pulse.beat(BEAT)
    assert [c.chain_id for c in store.pulse.last().chains] == [10]  # type: ignore[union-attr]
