"""The keeper's signer on the local chains: an encrypted keystore, and the file with its password."""

import json
import os
import secrets
from pathlib import Path
from typing import Final

from keeper.devnet.scenario import ACTORS
from keeper.execution.signer import key_library
from keeper.model.reads import Address

_MNEMONIC: Final = "test test test test test test test test test test test junk"
"""The node's public development phrase: everybody has these keys, so they hold nothing of value."""

_ROUNDS: Final = 1_000
"""Of key stretching. Few, because the key is public anyway and the file is opened at every start."""


def write_keystore(keystore: Path, password_file: Path) -> Address:
    """Write the desk's key, encrypted, and a fresh password that only its owner can read.

    Returns the address of the key.
    """
    library = key_library()
    password = secrets.token_urlsafe(24)
    library.enable_unaudited_hdwallet_features()
    path = f"m/44'/60'/0'/0/{ACTORS.index('desk')}"
    account = library.from_mnemonic(_MNEMONIC, account_path=path)
    _write_private(keystore, json.dumps(account.encrypt(password, kdf="pbkdf2", iterations=_ROUNDS)))
    _write_private(password_file, password + "\n")
    return Address(account.address)


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any moment, whatever was there before."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
