"""A Safe's transaction and the hash that its owners sign. Pure.

Source: EIP-712; safe-global/safe-smart-account 1.3.0, 1.4.1 and 1.5.0, `getTransactionHash`, whose domain
since 1.3.0 has a chain id and a contract, and neither name nor version.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wei

NOBODY: Final = Address("0x" + "0" * 40)
"""As gas token: the native coin. As receiver of a refund: whoever executes. There is no refund here."""

_DOMAIN: Final = (("chainId", "uint256"), ("verifyingContract", "address"))
_FIELDS: Final = (
    ("to", "address"),
    ("value", "uint256"),
    ("data", "bytes"),
    ("operation", "uint8"),
    ("safeTxGas", "uint256"),
    ("baseGas", "uint256"),
    ("gasPrice", "uint256"),
    ("gasToken", "address"),
    ("refundReceiver", "address"),
    ("nonce", "uint256"),
)
_WORD: Final = 32


class Operation(IntEnum):
    """How a Safe makes its call."""

    CALL = 0
    DELEGATECALL = 1
    """The called code runs as the Safe: only ever MultiSendCallOnly here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeTx:
    """What owners sign. Gas fields are 0: whoever executes pays, and a failed call reverts as a whole."""

    to: Address
    value: Wei = NO_WEI
    data: str
    """Calldata, 0x-prefixed hexadecimal."""

    operation: Operation = Operation.CALL
    safe_tx_gas: int = 0
    base_gas: int = 0
    gas_price: int = 0
    gas_token: Address = NOBODY
    refund_receiver: Address = NOBODY
    nonce: int
    """The Safe's own count of executed transactions; not that of an account."""

    @property
    def fields(self) -> tuple[Any, ...]:
        """Its fields in the order of the contract's struct; `data` as bytes."""
        return (
            self.to,
            int(self.value),
            bytes.fromhex(self.data[2:]),
            int(self.operation),
            self.safe_tx_gas,
            self.base_gas,
            self.gas_price,
            self.gas_token,
            self.refund_receiver,
            self.nonce,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """What wallets show of a transaction, each 0x-prefixed and 32 bytes long."""

    safe_tx: str
    """keccak(0x1901, domain, message): what is signed."""

    domain: str
    """Of chain id and Safe."""

    message: str
    """Of the transaction. Devices that cannot show the fields show domain and message instead."""


def hashes(tx: SafeTx, *, safe: Address, chain_id: int) -> Hashes:
    """Return the EIP-712 hashes of a transaction.

        keccak(0x19 0x01 . hashStruct(domain) . hashStruct(tx)),   hashStruct(s) = keccak(typeHash . fields)

    with `data` hashed and every other field a word. Raises `OverflowError` for a number that is not in its
    word, `ValueError` for an address or data that is not hexadecimal.
    """
    domain = _struct("EIP712Domain", _DOMAIN, (chain_id, safe))
    message = _struct("SafeTx", _FIELDS, tx.fields)
    signed = keccak(b"\x19\x01" + domain + message)
    return Hashes(safe_tx="0x" + signed.hex(), domain="0x" + domain.hex(), message="0x" + message.hex())


def typed_data(tx: SafeTx, *, safe: Address, chain_id: int) -> dict[str, Any]:
    """Return the transaction as EIP-712 typed data, as wallets and libraries take it. Numbers are decimal."""
    message = dict(zip((name for name, _ in _FIELDS), tx.fields, strict=True))
    shown = {name: str(value) if isinstance(value, int) else value for name, value in message.items()}
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in _DOMAIN],
            "SafeTx": [{"name": name, "type": kind} for name, kind in _FIELDS],
        },
        "primaryType": "SafeTx",
        "domain": {"chainId": chain_id, "verifyingContract": safe},
        "message": {**shown, "data": tx.data, "operation": int(tx.operation)},
    }


def address_of_word(word: bytes) -> Address | None:
    """Return the address in a storage word; None for zero. Raises `ValueError` for another length."""
    if len(word) != _WORD:
        raise ValueError(f"a storage word has {_WORD} bytes, this has {len(word)}")
    return Address(to_checksum_address(word[-20:])) if any(word) else None


def _struct(name: str, fields: tuple[tuple[str, str], ...], values: tuple[Any, ...]) -> bytes:
    kind = f"{name}({','.join(f'{of_type} {field}' for field, of_type in fields)})"
    return keccak(keccak(text=kind) + b"".join(_word(value) for value in values))


def _word(value: Any) -> bytes:
    if isinstance(value, bytes):
        return keccak(value)
    number = int(value, 16) if isinstance(value, str) else int(value)
    return number.to_bytes(_WORD, "big")
