"""A key from an encrypted keystore file, opened with a password from another file."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from coincurve import PrivateKey
from eth_utils.crypto import keccak

from keeper.execution.errors import KeystoreError
from keeper.execution.signer.interface import Signed
from keeper.execution.signer.transaction import Signature, assembled, signing_hash
from keeper.model.reads import Address

if TYPE_CHECKING:
    from eth_account import Account
    from eth_account.signers.local import LocalAccount


CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Environment variable in which systemd names the folder of a service's credentials."""


class KeystoreSigner:
    """A key from an encrypted keystore file (web3 secret storage), opened with a password file.

    eth-account opens the file. It does not sign: it would prepare the key anew for each transaction.
    """

    __slots__ = ("_address", "_key")

    def __init__(self, account: "LocalAccount") -> None:
        self._address = Address(account.address)
        self._key = PrivateKey(bytes(account.key))

    @classmethod
    def load(cls, keystore: Path, password_file: Path) -> Self:
        """Decrypt the key; it stays in this process's memory.

        Raises `KeystoreError` when a file is missing, the password file can be read by others or belongs
        to somebody else, the keystore is none, or the password is wrong.
        """
        password = _password(password_file)
        try:
            sealed = json.loads(keystore.read_text(encoding="utf-8"))
        except OSError as error:
            raise KeystoreError(keystore, f"the keystore cannot be read: {error.strerror}") from None
        except ValueError:
            raise KeystoreError(keystore, "is not a keystore file (encrypted JSON)") from None
        if not isinstance(sealed, dict) or not ("crypto" in sealed or "Crypto" in sealed):
            raise KeystoreError(keystore, "is not a keystore file (it has no `crypto` section)")
        try:
            account = _opened(sealed, password)
        except ValueError:
            # The cause is not chained: its text is the library's, and may hold what it was given.
            text = f"cannot be decrypted: wrong password in {password_file}, or a damaged file"
            raise KeystoreError(keystore, text) from None
        except (KeyError, TypeError, NotImplementedError):
            raise KeystoreError(keystore, "is not a keystore file of version 3") from None
        return cls(account)

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        return self._address

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Sign a complete transaction."""
        raw = assembled(tx, self._signature(signing_hash(tx)))
        return Signed(raw=raw, tx_hash="0x" + keccak(raw).hex())

    def sign_hash(self, digest: bytes) -> bytes:
        """Return the signature of an EIP-712 hash, 65 bytes; see `HashSigner`."""
        return self._signature(digest).packed()

    def _signature(self, digest: bytes) -> Signature:
        signed = self._key.sign_recoverable(digest, hasher=None)
        r, s = (int.from_bytes(half, "big") for half in (signed[:32], signed[32:64]))
        return Signature(parity=signed[64], r=r, s=s)

    def __repr__(self) -> str:
        return f"KeystoreSigner({self.address})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a signer is not copied or pickled: that would copy its key")


def key_library() -> "type[Account]":
    """Return `eth_account.Account`, loaded only by who needs a key, and without its side effect."""
    limit = sys.getrecursionlimit()
    from eth_account import Account

    # A dependency of it raises the limit a hundredfold when it is imported. A deeply nested answer of a node
    # would then overflow the C stack of the JSON parser and kill the process, where it is an error now.
    sys.setrecursionlimit(limit)
    return Account


def _opened(sealed: dict[str, Any], password: str) -> "LocalAccount":
    library = key_library()
    account: LocalAccount = library.from_key(library.decrypt(sealed, password))
    return account


def _password(path: Path) -> str:
    """Read a secret that nobody but its owner may read. A final newline is not part of it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        raise KeystoreError(path, f"the password file cannot be read: {error.strerror}") from None
    _require_private(path, status)
    try:
        return content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise KeystoreError(path, "the password file is not UTF-8 text") from None


def _require_private(path: Path, status: os.stat_result) -> None:
    """Raise `KeystoreError` unless only its owner may read the file, or systemd gave it to this service.

    systemd leaves a credential with root and lets the service's user read it by an access list, which shows
    as a read bit of the group. Source: systemd.exec(5), "Credentials".
    """
    credential = _is_credential(path)
    forbidden, owners = (0o037, {0, os.geteuid()}) if credential else (0o077, {os.geteuid()})
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        expected = "0400 or 0440, as systemd makes it" if credential else "0600: run chmod 600"
        raise KeystoreError(path, f"the password file has mode {mode:04o}, expected {expected}")
    if status.st_uid not in owners:
        raise KeystoreError(
            path, f"the password file belongs to user {status.st_uid}, expected {os.geteuid()}"
        )


def _is_credential(path: Path) -> bool:
    folder = os.environ.get(CREDENTIALS)
    return bool(folder) and path.resolve().is_relative_to(Path(folder or "/").resolve())
