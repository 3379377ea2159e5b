"""What a lane needs of a signer, whatever holds the key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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
