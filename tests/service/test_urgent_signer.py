"""A signer of its own for urgent work: from the file to its lanes, its wallet and its coin in health."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Final

import pytest
from eth_account import Account

from keeper.config.errors import SettingsError
from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.execution.errors import SignerMismatchError
from keeper.model.units import ONE, Wad, Wei
from keeper.service.errors import TakerMismatchError
from keeper.service.health import Status, judge, read_health
from keeper.service.keys import load_urgent_signer
from keeper.service.wire import assemble, limits_of
from tests.service.test_health import BEAT, LOOK, NOW_S, chain
from tests.service.test_wire import DESK, LIVE, settings
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

KEY: Final = "0x" + "75" * 32
ADDRESS: Final = Account.from_key(KEY).address
URGENT: Final = (
    "[limits]",
    '[signer.urgent]\nkeystore = "urgent.json"\npassword_file = "urgent.password"\n\n[limits]',
)


def write_key(folder: Path, key: str = KEY) -> None:
    (folder / "urgent.json").write_text(
        json.dumps(Account.encrypt(bytes.fromhex(key[2:]), "a password", kdf="pbkdf2", iterations=2))
    )
    password = folder / "urgent.password"
    password.touch(mode=0o600)
    password.write_text("a password")


def test_without_the_table_one_signer_does_all(tmp_path: Path) -> None:
    assert load_urgent_signer(settings(tmp_path)) is None


def test_the_table_names_another_key(tmp_path: Path) -> None:
    write_key(tmp_path)
    signer = load_urgent_signer(settings(tmp_path, URGENT))
    assert signer is not None
    assert signer.address == ADDRESS


def test_the_table_has_the_keys_of_the_other(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"needs password_file"):
        settings(tmp_path, ("[limits]", '[signer.urgent]\nkeystore = "urgent.json"\n[limits]'))
    with pytest.raises(SettingsError, match=r"signer\.urgent\.urgent"):
        settings(tmp_path, ("[limits]", "[signer.urgent.urgent]\n[limits]"))


def test_limits_on_moved_value_are_exact(tmp_path: Path) -> None:
    limits = limits_of(settings(tmp_path, ("max_moved_usd_per_tx = 500_000.0", "max_moved_usd_per_tx = 0.5")))
    assert limits.max_moved_usd_per_tx == Wad(5 * 10**17)
    assert limits.max_moved_usd_per_day == 5_000_000 * ONE
    assert limits.urgent_kinds == {"move_collateral", "liquidate"}
    with pytest.raises(SettingsError, match="max_moved_usd_per_tx <= max_moved_usd_per_hour"):
        settings(tmp_path, ("max_moved_usd_per_tx = 500_000.0", "max_moved_usd_per_tx = 2e6"))


def test_a_taker_that_neither_signs_is_refused(tmp_path: Path) -> None:
    from keeper.devnet.keystore import write_keystore

    write_key(tmp_path)
    write_keystore(tmp_path / "signer.json", tmp_path / "signer.password")
    other = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
    found = settings(tmp_path, LIVE, URGENT, (f'taker = "{DESK}"', f'taker = "{other}"'))
    with pytest.raises(TakerMismatchError, match=f"{DESK} or {ADDRESS}"), assemble(found, live=True):
        pass


@pytest.fixture
def example(tmp_path: Path) -> Settings:
    return settings(tmp_path)


@pytest.mark.parametrize(("native", "reasons"), [(0, 1), (10**18, 0), (None, 0)])
def test_its_native_coin_is_watched(example: Settings, native: int | None, reasons: int) -> None:
    low = dataclasses.replace(
        chain(10), native=Wei(ONE), urgent_native=None if native is None else Wei(native)
    )
    beat = dataclasses.replace(BEAT, chains=(low, chain(42161)))
    found = judge(example, dataclasses.replace(LOOK, beat=beat), NOW_S)
    assert found.chains[0].urgent_native_wei == native
    assert sum("the urgent signer holds" in reason for reason in found.reasons) == reasons


@pytest.mark.devnet
def test_a_live_keeper_reads_its_wallet_and_reports_its_coin(chains: Chains, tmp_path: Path) -> None:
    write_key(tmp_path)
    found = load(keeper_config(chains, tmp_path, URGENT))
    chains.node("optimism").rpc("anvil_setBalance", ADDRESS, hex(10**18))
    chains.node("arbitrum").rpc("anvil_setBalance", ADDRESS, hex(0))
    with assemble(found, live=True) as keeper:
        keeper.daemon.run_once()
        assert keeper.recorder.last is not None
        owners = {(w.chain_id, w.owner) for w in keeper.recorder.last.snapshot.wallets}
        assert {chain_id for chain_id, owner in owners if owner == ADDRESS} == {10, 42161}
    health = read_health(found, time.time())
    assert {c.name: c.urgent_native_wei for c in health.chains} == {"optimism": 10**18, "arbitrum": 0}
    assert health.status is Status.DEGRADED
    assert any("the urgent signer holds 0 ETH on chain arbitrum" in reason for reason in health.reasons)


@pytest.mark.devnet
def test_the_same_key_twice_is_refused(chains: Chains, tmp_path: Path) -> None:
    keystore, password = chains.deployment.keystore, chains.deployment.password_file
    table = f'[signer.urgent]\nkeystore = "{keystore}"\npassword_file = "{password}"\n'
    found = load(keeper_config(chains, tmp_path, ("[limits]", f"{table}\n[limits]")))
    with pytest.raises(SignerMismatchError, match="signs urgent work too"), assemble(found, live=True):
        pass
