"""Keys: what opens them, what is refused, and that no secret shows anywhere."""

import copy
import json
import pickle
import sys
import traceback
from pathlib import Path

import pytest
from eth_account import Account

from keeper.execution.errors import KeystoreError
from keeper.execution.signer import KeystoreSigner
from keeper.model.errors import ConfigError

KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
PASSWORD = "correct horse battery staple"
SEALED = Account.encrypt(bytes.fromhex(KEY[2:]), PASSWORD, kdf="pbkdf2", iterations=2)
TX = {
    "type": 2,
    "chainId": 10,
    "nonce": 7,
    "to": "0x00000000000000000000000000000000000000AA",
    "value": 1,
    "data": "0x0102",
    "gas": 21_000,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 10**9,
}


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "signer.json"
    path.write_text(json.dumps(SEALED))
    return path


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "signer.password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def test_it_signs_for_its_address(keystore: Path, password_file: Path) -> None:
    signer = KeystoreSigner.load(keystore, password_file)
    assert signer.address == Account.from_key(KEY).address
    signed = signer.sign(TX)
    assert Account.recover_transaction(signed.raw) == signer.address
    assert signed.tx_hash == "0x" + bytes(Account.from_key(KEY).sign_transaction(TX).hash).hex()


def test_signing_the_same_twice_gives_the_same_bytes(keystore: Path, password_file: Path) -> None:
    signer = KeystoreSigner.load(keystore, password_file)
    assert signer.sign(TX) == signer.sign(TX)


def test_a_legacy_transaction(keystore: Path, password_file: Path) -> None:
    legacy = {k: v for k, v in TX.items() if not k.startswith("max") and k != "type"} | {"gasPrice": 10**9}
    signer = KeystoreSigner.load(keystore, password_file)
    assert Account.recover_transaction(signer.sign(legacy).raw) == signer.address


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o777])
def test_a_password_that_others_may_read_is_refused(keystore: Path, password_file: Path, mode: int) -> None:
    password_file.chmod(mode)
    with pytest.raises(KeystoreError, match=f"has mode {mode:04o}, expected 0600: run chmod 600"):
        KeystoreSigner.load(keystore, password_file)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_password_that_only_its_owner_may_read_is_taken(
    keystore: Path, password_file: Path, mode: int
) -> None:
    password_file.chmod(mode)
    KeystoreSigner.load(keystore, password_file)


def test_a_password_file_of_somebody_else_is_refused(
    keystore: Path, password_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeper.execution.signer.keystore.os.geteuid", lambda: 12_345)
    with pytest.raises(KeystoreError, match=r"belongs to user \d+, expected 12345"):
        KeystoreSigner.load(keystore, password_file)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", "not json", '{"crypto": {}}', '{"crypto": 5}'])
def test_what_is_no_keystore(keystore: Path, password_file: Path, content: str) -> None:
    keystore.write_text(content)
    with pytest.raises(KeystoreError, match=r"keystore file|cannot be decrypted") as info:
        KeystoreSigner.load(keystore, password_file)
    assert "\n" not in str(info.value)


def test_missing_files(keystore: Path, password_file: Path, tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="the keystore cannot be read: No such file"):
        KeystoreSigner.load(tmp_path / "none", password_file)
    with pytest.raises(KeystoreError, match="the password file cannot be read: No such file"):
        KeystoreSigner.load(keystore, tmp_path / "none")


def test_a_wrong_password_is_one_line_without_the_password(keystore: Path, password_file: Path) -> None:
    password_file.write_text("wrong " + PASSWORD)
    with pytest.raises(KeystoreError, match="cannot be decrypted: wrong password") as info:
        KeystoreSigner.load(keystore, password_file)
    assert isinstance(info.value, ConfigError)
    told = "".join(traceback.format_exception(info.value))
    assert PASSWORD not in told
    assert "\n" not in str(info.value)


def test_the_key_shows_in_no_text_and_no_copy(keystore: Path, password_file: Path) -> None:
    signer = KeystoreSigner.load(keystore, password_file)
    secret = KEY[2:]
    for text in (repr(signer), str(signer), f"{signer}", repr([signer]), repr(signer.sign(TX))):
        assert secret not in text
    assert repr(signer) == f"KeystoreSigner({signer.address})"
    assert not hasattr(signer, "__dict__")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="would copy its key"):
            attempt(signer)


def test_loading_a_key_leaves_the_recursion_limit(keystore: Path, password_file: Path) -> None:
    before = sys.getrecursionlimit()
    KeystoreSigner.load(keystore, password_file)
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600])
def test_a_systemd_credential_is_taken_with_its_mode(
    keystore: Path, password_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    password_file.chmod(mode)
    assert KeystoreSigner.load(keystore, password_file).address == Account.from_key(KEY).address


@pytest.mark.parametrize("mode", [0o444, 0o404, 0o460, 0o450])
def test_a_credential_that_everybody_may_read_is_refused(
    keystore: Path, password_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    password_file.chmod(mode)
    with pytest.raises(KeystoreError, match=f"has mode {mode:04o}, expected 0400 or 0440"):
        KeystoreSigner.load(keystore, password_file)


def test_a_file_beside_the_credentials_is_none(
    keystore: Path, password_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    password_file.chmod(0o440)
    for path in (password_file, folder / ".." / password_file.name):
        with pytest.raises(KeystoreError, match="has mode 0440, expected 0600"):
            KeystoreSigner.load(keystore, path)
    (folder / "linked").symlink_to(password_file)
    with pytest.raises(KeystoreError, match="has mode 0440, expected 0600"):
        KeystoreSigner.load(keystore, folder / "linked")
