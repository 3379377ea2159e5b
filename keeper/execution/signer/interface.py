"""What a lane needs of a signer, and what a Safe's proposal needs, whatever holds the key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from keeper.model.reads import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Bytes that anybody may broadcast."""

    raw: bytes
    tx_hash: str
    """0x-prefixed."""


class Signer(Protocol):
    """Signs transactions for one address."""

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        ...

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Sign a complete transaction: chain id, nonce, gas and fees included.

        Raises `SignerUnreachable` and `SignerRefused` when nothing was signed, and `SignedOtherwise`.
        """
        ...


@runtime_checkable
class HashSigner(Protocol):
    """Signs 32 bytes that are a hash. A signer that hashes by itself is none."""

    @property
    def address(self) -> Address:
        """Whose signatures these are."""
        ...

    def sign_hash(self, digest: bytes) -> bytes:
        """Return the signature of an EIP-712 hash: r, s and v (27 or 28), 65 bytes, s in the lower half.

        Only for what was hashed here and begins with 0x19: the hash of a transaction would be signed as well.
        Raises `SignerUnreachable` and `SignerRefused` when nothing was signed, and `SignedOtherwise`.
        """
        ...
