"""A glimpse tells what the store tells, whatever it holds; where it cannot, it says nothing."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.model.intent import TxState
from keeper.model.snapshot import Gap
from keeper.model.units import Wei
from keeper.service.health import look_into
from keeper.store.errors import StoreMissingError
from keeper.store.glimpse import glimpse
from keeper.store.store import Store
from keeper.store.told import Beat, ChainBeat, ProfileBeat
from tests.store.test_intents import bring

times_s = st.floats(0.0, 4e9, allow_nan=False)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
gaps = st.builds(Gap, what=texts, key=texts, reason=texts, chain_id=st.none() | st.integers(1, 10**6))
wei = st.none() | st.integers(0, 10**30).map(Wei)
chains = st.builds(
    ChainBeat,
    chain_id=st.integers(1, 2**53),
    name=texts,
    number=st.integers(0, 2**53),
    hash=texts,
    pinned=st.integers(0, 2**53),
    first_seen_s=times_s,
    endpoints=st.lists(st.fixed_dictionaries({"host": texts}), max_size=3).map(tuple),
    native=wei,
    urgent_native=wei,
)
beats = st.builds(
    Beat,
    cycle_id=texts,
    plan_id=st.none() | texts,
    started_at_s=times_s,
    finished_at_s=times_s,
    chain_time_s=st.integers(0, 2**40),
    failure=texts,
    gaps=st.lists(gaps, max_size=3).map(tuple),
    chains=st.lists(chains, max_size=3, unique_by=lambda c: c.chain_id).map(tuple),
    profiles=st.lists(
        st.builds(ProfileBeat, name=texts, health=st.none() | times_s, step=texts),
        max_size=3,
        unique_by=lambda p: p.name,
    ).map(tuple),
)


@given(beat=st.none() | beats, mode=st.sampled_from(("dry-run", "live")), halts=st.lists(texts, max_size=2))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_glimpse_is_what_the_store_tells(
    tmp_path: Path, beat: Beat | None, mode: str, halts: list[str]
) -> None:
    path = tmp_path / "keeper.sqlite"
    for left in tmp_path.iterdir():
        left.unlink()
    with Store.open(path, "live" if mode == "live" else "dry-run") as store:
        if beat is not None:
            store.pulse.beat(beat)
        for reason in halts:
            store.halt(reason, by="somebody")
        assert glimpse(path) == look_into(store)
        store.resume(by="somebody")
    with Store.attach(path) as store:
        assert glimpse(path) == look_into(store)


def test_intents_are_counted_and_the_oldest_open_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    clock_s = iter(range(1_000, 2_000))
    with Store.open(path, "live", clock=lambda: float(next(clock_s))) as store:
        for i, state in enumerate(TxState):
            assert glimpse(path) == look_into(store)
            bring(store, f"i{i}", state)
        seen = glimpse(path)
        assert seen == look_into(store)
    assert seen is not None
    assert set(seen.outbox.values()) == {1}
    assert seen.oldest_open_s is not None


def test_where_there_is_nothing_to_see(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        glimpse(tmp_path / "none")
    assert glimpse("postgresql://keeper@db.example/keeper") is None
    (tmp_path / "other").write_text("no database")
    assert glimpse(tmp_path / "other") is None
    with contextlib.closing(sqlite3.connect(tmp_path / "empty")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert glimpse(tmp_path / "empty") is None


@pytest.mark.parametrize("version", ["v0001", "v9999"])
def test_another_schema_is_left_to_the_store(tmp_path: Path, version: str) -> None:
    path = tmp_path / "keeper.sqlite"
    Store.open(path, "dry-run").close()
    assert glimpse(path) is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
    assert glimpse(path) is None


def test_a_store_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    Store.open(path, "dry-run").close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert glimpse(path) is not None
        writer.execute("ROLLBACK")
