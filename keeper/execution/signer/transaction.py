"""The bytes of a transaction: what is signed, what is broadcast, and what somebody else's bytes say.

Two kinds: EIP-1559 (type 2, empty access list), and legacy with replay protection.
Source: EIP-1559, EIP-155, EIP-2 (s in the lower half).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import rlp
from coincurve import PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.execution.signer.errors import SignedOtherwise
from keeper.execution.signer.interface import Signed
from keeper.model.reads import Address

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1. Source: SEC 2, section 2.4.1."""

_MODERN: Final = (
    "chainId",
    "nonce",
    "maxPriorityFeePerGas",
    "maxFeePerGas",
    "gas",
    "to",
    "value",
    "data",
    "accessList",
)
_LEGACY: Final = ("nonce", "gasPrice", "gas", "to", "value", "data")
_TYPE_2: Final = 2
_PROTECTED_V: Final = 35
_RECOVERY: Final = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An ECDSA signature on secp256k1."""

    parity: int
    """0 or 1: of the y coordinate of the curve point behind `r`."""

    r: int
    s: int
    """In the lower half of the curve's order."""

    def packed(self) -> bytes:
        """Return r, s and v, 65 bytes, as contracts recover it: v is 27 or 28."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([_RECOVERY + self.parity])


def unsigned(tx: Mapping[str, Any]) -> bytes:
    """Return the bytes whose hash is signed."""
    items = _items(tx)
    if _modern(tx):
        return bytes([_TYPE_2]) + bytes(rlp.encode(items))
    return bytes(rlp.encode([*items, _number(tx["chainId"]), b"", b""]))


def signing_hash(tx: Mapping[str, Any]) -> bytes:
    """Return the 32 bytes that are signed."""
    return keccak(unsigned(tx))


def assembled(tx: Mapping[str, Any], signature: Signature) -> bytes:
    """Return the bytes that are broadcast."""
    tail = [_number(signature.r), _number(signature.s)]
    if _modern(tx):
        return bytes([_TYPE_2]) + bytes(rlp.encode([*_items(tx), _number(signature.parity), *tail]))
    v = _PROTECTED_V + 2 * int(tx["chainId"]) + signature.parity
    return bytes(rlp.encode([*_items(tx), _number(v), *tail]))


def require_asked(signer: str, tx: Mapping[str, Any], raw: bytes, address: Address) -> Signed:
    """Return the bytes as signed, if they are what was asked for and `address` signed them.

    Raises `SignedOtherwise`, which names every field that differs.
    """
    wanted, (found, signature) = _fields(tx), _decoded(signer, raw)
    differences = [
        f"{name} is {found.get(name, 'missing')}, asked {wanted.get(name, 'for none')}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    if not differences:
        if (by := signed_by(tx, signature)) != address:
            differences.append(f"signed by {by or 'nobody'}, asked {address}")
        elif assembled(tx, signature) != raw or signature.s > CURVE_ORDER // 2:
            differences.append("its encoding or signature is not the canonical one")
    if differences:
        raise SignedOtherwise(signer, tuple(differences))
    return Signed(raw=raw, tx_hash="0x" + keccak(raw).hex())


def signed_by(tx: Mapping[str, Any], signature: Signature) -> Address | None:
    """Return whose signature of `tx` this is; None when it is nobody's."""
    return hash_signed_by(signing_hash(tx), signature)


def hash_signed_by(digest: bytes, signature: Signature) -> Address | None:
    """Return whose signature of 32 bytes this is; None when it is nobody's."""
    inside = 0 < signature.r < CURVE_ORDER and 0 < signature.s < CURVE_ORDER
    if not inside or signature.parity not in (0, 1):
        return None
    compact = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.parity])
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError:
        return None
    return address_of(key.format(compressed=False))


def address_of(public_key: bytes) -> Address:
    """Return the address of an uncompressed public key, 65 bytes."""
    return Address(to_checksum_address(keccak(public_key[1:])[-20:]))


def _modern(tx: Mapping[str, Any]) -> bool:
    return "maxFeePerGas" in tx


def _fields(tx: Mapping[str, Any]) -> dict[str, object]:
    """Return what is compared: numbers, and hexadecimal text in lower case."""
    names = ("chainId", *_LEGACY) if not _modern(tx) else _MODERN[:-1]
    fields: dict[str, object] = {"type": _TYPE_2 if _modern(tx) else 0}
    for name in names:
        value = tx[name]
        fields[name] = value.lower() if isinstance(value, str) else int(value)
    return fields


def _items(tx: Mapping[str, Any]) -> list[Any]:
    fields = {**_fields(tx), "accessList": []}
    return [_item(fields[name]) for name in (_MODERN if _modern(tx) else _LEGACY)]


def _item(value: Any) -> Any:
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    return value if isinstance(value, list) else _number(value)


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _decoded(signer: str, raw: bytes) -> tuple[dict[str, object], Signature]:
    """Return the fields and the signature of signed bytes. Raises `SignedOtherwise` for another kind."""
    try:
        modern = raw[:1] == bytes([_TYPE_2])
        items = rlp.decode(raw[1:] if modern else raw, strict=True)
        names = (*_MODERN, "v", "r", "s") if modern else (*_LEGACY, "v", "r", "s")
        read = dict(zip(names, items, strict=True))
        v, r, s = (int.from_bytes(read.pop(name), "big") for name in ("v", "r", "s"))
        fields: dict[str, object] = {"type": _TYPE_2 if modern else 0}
        if not modern:
            fields["chainId"], v = divmod(v - _PROTECTED_V, 2)
        elif access := read.pop("accessList"):
            fields["accessList"] = f"{len(access)} entries"
        for name, value in read.items():
            text = name in ("to", "data")
            fields[name] = "0x" + value.hex() if text else int.from_bytes(value, "big")
    except (rlp.exceptions.RLPException, ValueError, TypeError, AttributeError):
        raise SignedOtherwise(signer, ("its answer is not a signed transaction",)) from None
    return fields, Signature(parity=v, r=r, s=s)
