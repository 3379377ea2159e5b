"""Wiring: what the settings become, what is asked for twice, and what a start refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.devnet.keystore import write_keystore
from keeper.execution.errors import KeystoreError
from keeper.model.reads import Address
from keeper.service.chains import blocks_of, venues_of
from keeper.service.errors import NotLiveError, PayerMismatchError, TakerMismatchError, UnknownBlockError
from keeper.service.wire import NOBODY, assemble, limits_of, rehearsing_sender
from keeper.store.errors import StoreBusyError, StoreModeError
from keeper.store.store import Store

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"
DESK = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")


def settings(folder: Path, *replacements: tuple[str, str]) -> Settings:
    text = EXAMPLE.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "keeper.toml"
    path.write_text(text)
    return load(path, {})


LIVE = ('mode = "dry-run"', 'mode = "live"')


def test_limits_become_wei(tmp_path: Path) -> None:
    limits = limits_of(settings(tmp_path))
    assert limits.min_native == 5 * 10**16
    assert limits.max_fee_per_gas == 100 * 10**9
    assert limits.max_gas_wei_per_day == 10**18


def test_every_venue_has_its_adapter(tmp_path: Path) -> None:
    assert [(venue.id, adapter.name) for venue, adapter in venues_of(settings(tmp_path))] == [
        ("curie:42161", "curie"),
        ("lyra:10", "lyra"),
    ]


def test_a_rehearsal_is_sent_by_who_would_trade(tmp_path: Path) -> None:
    assert rehearsing_sender(settings(tmp_path)) == DESK


def test_a_rehearsal_without_an_account_of_ours_is_sent_by_nobody(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    start, end = text.index("[[policy.hedge]]"), text.index("[policy.top_up]")
    watching = text[:start] + text[end:]
    watching = watching.replace('role = "own" ', 'role = "watch" ')
    path = tmp_path / "keeper.toml"
    path.write_text(watching)
    assert rehearsing_sender(load(path, {})) == NOBODY


def test_blocks_are_named_by_chain_name_or_id(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert blocks_of(found, ["optimism=12", "42161=34"]) == {10: 12, 42161: 34}
    for wrong in ("optimism", "optimism=", "optimism=-1", "polygon=3", "=3", "optimism=x"):
        with pytest.raises(UnknownBlockError, match="CHAIN=BLOCK with a chain of optimism, arbitrum"):
            blocks_of(found, [wrong])


def test_live_is_asked_for_twice(tmp_path: Path) -> None:
    with pytest.raises(NotLiveError), assemble(settings(tmp_path), live=True):
        pass
    assert not (tmp_path / "keeper.sqlite").exists()


def test_live_without_its_keystore_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError), assemble(settings(tmp_path, LIVE), live=True):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keeper.toml"]


def test_a_taker_that_does_not_sign_is_refused(tmp_path: Path) -> None:
    other = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
    found = settings(tmp_path, LIVE, (f'taker = "{DESK}"', f'taker = "{other}"'))
    write_keystore(tmp_path / "signer.json", tmp_path / "signer.password")
    with (
        pytest.raises(TakerMismatchError, match=f"{other}, the signer is {DESK}"),
        assemble(found, live=True),
    ):
        pass
    assert not (tmp_path / "keeper.sqlite").exists()


def test_a_payer_that_does_not_sign_is_refused(tmp_path: Path) -> None:
    other = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
    found = settings(tmp_path, LIVE, (f'payer = "{DESK}"', f'payer = "{other}"'))
    write_keystore(tmp_path / "signer.json", tmp_path / "signer.password")
    with pytest.raises(PayerMismatchError, match=f"{other}, the signer is"), assemble(found, live=True):
        pass
    assert not (tmp_path / "keeper.sqlite").exists()


def test_a_dry_run_reads_no_keystore(tmp_path: Path) -> None:
    """It gets as far as the store, which belongs to somebody else."""
    found = settings(tmp_path, LIVE)
    with Store.open(found.store.path, "dry-run"), pytest.raises(StoreBusyError), assemble(found, live=False):
        pass


def test_a_dry_run_does_not_use_a_live_store(tmp_path: Path) -> None:
    found = settings(tmp_path, LIVE)
    Store.open(found.store.path, "live").close()
    with pytest.raises(StoreModeError), assemble(found, live=False):
        pass


def alone(code: str, *arguments: str) -> str:
    """Run code in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_a_dry_run_does_not_load_what_signs() -> None:
    code = "import sys; import keeper.service.wire; print('eth_account' in sys.modules)"
    assert alone(code) == "False"


def test_loading_a_key_does_not_raise_the_recursion_limit(tmp_path: Path) -> None:
    """Else a deeply nested answer of a node would end the process instead of being an error."""
    address = write_keystore(tmp_path / "signer.json", tmp_path / "signer.password")
    code = (
        "import sys, pathlib; before = sys.getrecursionlimit(); folder = pathlib.Path(sys.argv[1]);"
        "from keeper.execution.signer import KeystoreSigner;"
        "signer = KeystoreSigner.load(folder / 'signer.json', folder / 'signer.password');"
        "print(signer.address, sys.getrecursionlimit() == before)"
    )
    assert alone(code, str(tmp_path)) == f"{address} True"
