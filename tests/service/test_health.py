"""Health from the store alone: every way to be ill has its reason and its exit code."""

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.model.intent import TxState
from keeper.model.snapshot import Gap
from keeper.service.health import Look, Status, judge, read_health
from keeper.store.errors import StoreNewerError
from keeper.store.pulse import Beat, ChainBeat, ProfileBeat
from keeper.store.store import Halt, Store

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
NOW_S = 1_800_000_000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "keeper.toml"
    path.write_text(EXAMPLE.read_text())
    return load(path, {})


def chain(chain_id: int, *, seen_s: float = NOW_S - 5, number: int = 100, pinned: int = 98) -> ChainBeat:
    return ChainBeat(
        chain_id=chain_id,
        name="x",
        number=number,
        hash=f"0x{number:064x}",
        pinned=pinned,
        first_seen_s=seen_s,
        endpoints=({"host": "http://node"},),
    )


BEAT = Beat(
    cycle_id="c-1",
    plan_id="p",
    started_at_s=NOW_S - 11,
    finished_at_s=NOW_S - 10,
    chain_time_s=1_700_000_000,
    chains=(chain(10), chain(42161)),
    profiles=(ProfileBeat(name="desk", health=1.3, step="warn"),),
    last_good_at_s=NOW_S - 10,
)
LOOK = Look(mode="live", beat=BEAT, halt=None, outbox=dict.fromkeys(TxState, 0), oldest_open_s=None)


def judged(settings: Settings, **changes: Any) -> tuple[Status, str]:
    found = judge(settings, dataclasses.replace(LOOK, **changes), NOW_S)
    return found.status, "; ".join(found.reasons)


def beat(**changes: Any) -> Beat:
    return dataclasses.replace(BEAT, **changes)


def test_all_well(settings: Settings) -> None:
    found = judge(settings, LOOK, NOW_S)
    assert (found.status, found.reasons, found.status.exit_code) == (Status.OK, (), 0)
    assert found.last_cycle_age_s == 10.0
    assert [(c.name, c.head, c.head_age_s, c.lag_blocks) for c in found.chains] == [
        ("optimism", 100, 5.0, 2),
        ("arbitrum", 100, 5.0, 2),
    ]


def test_an_old_cycle(settings: Settings) -> None:
    limit_s = settings.cycle.max_age_s
    assert judged(settings, beat=beat(last_good_at_s=NOW_S - limit_s))[0] is Status.OK
    status, reasons = judged(settings, beat=beat(last_good_at_s=NOW_S - limit_s - 1))
    assert status is Status.DEGRADED
    assert f"{limit_s + 1} s ago, limit is {limit_s} s" in reasons


def test_a_cycle_from_the_future(settings: Settings) -> None:
    """A clock that was set back would have a keeper that has ended look young for as long."""
    limit_s = settings.cycle.max_age_s
    assert judged(settings, beat=beat(last_good_at_s=NOW_S + limit_s))[0] is Status.OK
    status, reasons = judged(settings, beat=beat(last_good_at_s=NOW_S + 3600))
    assert status is Status.DEGRADED
    assert "3600 s ahead of this clock" in reasons


def test_a_failed_cycle_names_its_error(settings: Settings) -> None:
    status, reasons = judged(settings, beat=beat(failure="NodeUnreachable: optimism: connection refused"))
    assert status is Status.DEGRADED
    assert "connection refused" in reasons


def test_no_cycle_yet(settings: Settings) -> None:
    assert judged(settings, beat=None)[0] is Status.DEGRADED
    assert judged(settings, beat=beat(last_good_at_s=None))[0] is Status.DEGRADED


def test_a_frozen_chain(settings: Settings) -> None:
    frozen = (chain(10, seen_s=NOW_S - 121), chain(42161))
    status, reasons = judged(settings, beat=beat(chains=frozen))
    assert status is Status.DEGRADED
    assert "chain optimism (10) has shown no new block for 121 s, limit is 120 s" in reasons


def test_a_chain_that_was_never_read(settings: Settings) -> None:
    status, reasons = judged(settings, beat=beat(chains=(chain(10),)))
    assert status is Status.DEGRADED
    assert "arbitrum (42161) has never been read" in reasons


def test_a_gap(settings: Settings) -> None:
    gap = Gap(what="account", key="curie:42161:0xabc", reason="no answer", chain_id=42161)
    status, reasons = judged(settings, beat=beat(gaps=(gap,)))
    assert status is Status.DEGRADED
    assert "gap: account curie:42161:0xabc: no answer" in reasons


def test_a_transaction_that_waits_too_long(settings: Settings) -> None:
    assert judged(settings, oldest_open_s=NOW_S - 30)[0] is Status.OK
    assert judged(settings, oldest_open_s=NOW_S - 301)[0] is Status.DEGRADED


def test_a_halt_outranks_everything(settings: Settings) -> None:
    halt = Halt(reason="looks odd", by="anna", at_s=NOW_S - 60)
    found = judge(settings, dataclasses.replace(LOOK, halt=halt, beat=beat(failure="x")), NOW_S)
    assert (found.status, found.status.exit_code, found.halted_by) == (Status.HALTED, 3, "anna")
    assert found.reasons[0].startswith("halted by anna: looks odd")
    assert len(found.reasons) == 2


def test_no_store(settings: Settings) -> None:
    found = read_health(settings, NOW_S)
    assert found.status is Status.DEGRADED
    assert "no store" in found.reasons[0]


def test_a_store_that_is_no_database(settings: Settings) -> None:
    settings.store.path.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    assert read_health(settings, NOW_S).status is Status.DEGRADED


def test_a_store_that_is_just_being_made(settings: Settings) -> None:
    settings.store.path.touch()
    found = read_health(settings, NOW_S)
    assert found.status is Status.DEGRADED
    assert "schema none" in found.reasons[0]


def test_a_store_of_a_later_version_cannot_be_judged(settings: Settings) -> None:
    Store.open(settings.store.path, "dry-run").close()
    with sqlite3.connect(settings.store.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
    connection.close()
    with pytest.raises(StoreNewerError):
        read_health(settings, NOW_S)


def test_what_the_daemon_wrote_is_what_health_reads(settings: Settings) -> None:
    with Store.open(settings.store.path, "live", clock=lambda: NOW_S - 10) as store:
        store.pulse.beat(BEAT)
        assert read_health(settings, NOW_S).status is Status.OK
        store.halt("test", "anna")
        found = read_health(settings, NOW_S)
        assert (found.status, found.mode, found.halted_since_s) == (Status.HALTED, "live", NOW_S - 10)
        store.resume("anna")
        assert read_health(settings, NOW_S).status is Status.OK


def test_health_can_be_read_while_the_store_is_written(settings: Settings) -> None:
    with Store.open(settings.store.path, "dry-run") as store:
        store.pulse.beat(BEAT)
        writer = sqlite3.connect(settings.store.path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        try:
            assert read_health(settings, NOW_S).last_cycle_id == "c-1"
        finally:
            writer.close()
