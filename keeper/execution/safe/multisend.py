"""Several calls as one: what MultiSendCallOnly unpacks, and where it is. Pure.

Each call is packed without padding:

    operation (1 byte, 0) . to (20) . value (32) . length of data (32) . data

Source: safe-global/safe-smart-account, `MultiSendCallOnly.sol`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils.address import to_checksum_address

from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wei

CALL_ONLY: Final[Mapping[str, tuple[Address, ...]]] = {
    "1.3.0": (
        Address("0x40A2aCCbd92BCA938b02010E17A5b8929b49130D"),
        Address("0xA1dabEF33b3B82c7814B6D82A79e50F4AC44102B"),
    ),
    "1.4.1": (Address("0x9641d764fc13c8B624c04430C7356C1C7C8102e2"),),
    "1.5.0": (Address("0xA83c336B20401Af773B6219BA5027174338D1836"),),
}
"""Where each version's is, on every chain: the addresses follow from its bytecode and the CREATE2 factory.
Source: safe-global/safe-deployments; a test derives them from the bytecode."""

SUPPORTED: Final = tuple(CALL_ONLY)
"""Versions whose transactions are built here: the domain and fields are those of `transaction`."""

_OTHER_FACTORY: Final = frozenset(
    {
        Address("0x69f4D1788e39c87893C980c06EdF4b7f686e2938"),
        Address("0xfb1bffC9d739B8D520DaF37dF666da4C687191EA"),
    }
)
"""Singletons of 1.3.0, and its L2 variant, that came by the second of two factories."""

_MULTI_SEND: Final = "8d80ff0a"
"""multiSend(bytes)"""

_WORD: Final = 32
_HEAD: Final = 1 + 20 + 2 * _WORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One call of several."""

    to: Address
    data: str
    """Calldata, 0x-prefixed hexadecimal."""

    value: Wei = NO_WEI


def candidates(version: str, singleton: Address | None) -> tuple[Address, ...]:
    """Return where the contract may be, the likeliest first. Raises `KeyError` for an unknown version.

    Of 1.3.0 there are two: wallets take the one that came by the same factory as the chain's singletons.
    """
    known = CALL_ONLY[version]
    return known[::-1] if singleton in _OTHER_FACTORY else known


def packed(parts: Sequence[Part]) -> bytes:
    """Return calls as MultiSendCallOnly takes them. Raises `OverflowError` for a value beyond its word."""
    return b"".join(_packed(part) for part in parts)


def unpacked(raw: bytes) -> tuple[Part, ...]:
    """Return the calls of packed bytes. Raises `ValueError` where they are none, or one is no plain call."""
    found: list[Part] = []
    at = 0
    while at < len(raw):
        head = raw[at : at + _HEAD]
        length = int.from_bytes(head[-_WORD:], "big")
        end = at + _HEAD + length
        if len(head) < _HEAD or head[0] != 0 or end > len(raw):
            raise ValueError(f"byte {at} does not begin a call")
        found.append(
            Part(
                to=Address(to_checksum_address(head[1:21])),
                value=Wei(int.from_bytes(head[21:-_WORD], "big")),
                data="0x" + raw[end - length : end].hex(),
            )
        )
        at = end
    return tuple(found)


def multi_send(parts: Sequence[Part]) -> str:
    """Return the call data of `multiSend` for calls, 0x-prefixed."""
    raw = packed(parts)
    length = len(raw).to_bytes(_WORD, "big")
    body = _WORD.to_bytes(_WORD, "big") + length + raw + bytes(-len(raw) % _WORD)
    return f"0x{_MULTI_SEND}{body.hex()}"


def _packed(part: Part) -> bytes:
    data = bytes.fromhex(part.data[2:])
    head = b"\x00" + bytes.fromhex(part.to[2:]) + int(part.value).to_bytes(_WORD, "big")
    return head + len(data).to_bytes(_WORD, "big") + data
