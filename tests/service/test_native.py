"""The signer's native coin: from the chains into the heartbeat, from there into health, and nowhere else."""

import dataclasses
import time
from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.model.units import ONE, Wei
from keeper.service.health import Status, judge, read_health
from keeper.service.wire import assemble
from keeper.store.store import Store
from tests.service.test_health import BEAT, LOOK, NOW_S, chain
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
LEAST = 5 * 10**16
"""`min_native` of the example."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "keeper.toml"
    path.write_text(EXAMPLE.read_text())
    return load(path, {})


def judged(settings: Settings, native: int | None) -> tuple[Status, tuple[str, ...]]:
    low = dataclasses.replace(chain(10), native=None if native is None else Wei(native))
    beat = dataclasses.replace(BEAT, chains=(low, dataclasses.replace(chain(42161), native=Wei(ONE))))
    found = judge(settings, dataclasses.replace(LOOK, beat=beat), NOW_S)
    assert found.chains[0].native_wei == native
    return found.status, found.reasons


def test_too_little_is_a_reason(settings: Settings) -> None:
    status, (reason,) = judged(settings, LEAST - 1)
    assert status is Status.DEGRADED
    assert "on chain optimism (10), limits.min_native is 0.05" in reason


def test_nothing_left_is_not_unknown(settings: Settings) -> None:
    status, (reason,) = judged(settings, 0)
    assert (status, "holds 0 ETH" in reason) == (Status.DEGRADED, True)


@pytest.mark.parametrize("native", [LEAST, LEAST + 1, 10**24, None])
def test_enough_or_no_signer_is_none(settings: Settings, native: int | None) -> None:
    assert judged(settings, native) == (Status.OK, ())


def test_the_store_keeps_any_amount(tmp_path: Path) -> None:
    rich = dataclasses.replace(chain(10), native=Wei(10**30 + 1))
    with Store.open(tmp_path / "keeper.sqlite", "live") as store:
        store.pulse.beat(dataclasses.replace(BEAT, chains=(rich, chain(42161))))
        beat = store.pulse.last()
    assert beat is not None
    assert [c.native for c in beat.chains] == [10**30 + 1, None]


@pytest.mark.devnet
def test_a_signer_that_runs_dry_shows_in_health(chains: Chains, tmp_path: Path) -> None:
    path = keeper_config(chains, tmp_path)
    settings, desk = load(path), chains.actor("desk")
    dry = int(settings.limits.min_native * ONE) - 1
    chains.node("arbitrum").rpc("anvil_setBalance", desk, hex(dry))
    with assemble(settings, live=True) as keeper:
        keeper.daemon.run_once()
    found = read_health(settings, time.time())
    held = {c.name: c.native_wei for c in found.chains}
    assert held["arbitrum"] is not None
    assert held["arbitrum"] <= dry
    assert found.status is Status.DEGRADED
    (reason,) = [r for r in found.reasons if "min_native" in r]
    assert "arbitrum" in reason
