"""Addresses as people write them.

Not with eth_utils: its import takes longer than everything that `keeper health` does.
"""

import re
from typing import Final

from Crypto.Hash import keccak

from keeper.model.reads import Address

ADDRESS: Final = re.compile("0x[0-9a-fA-F]{40}")
"""In any case of its letters."""


def checksummed(text: str) -> Address:
    """Return an address with the capitals of its checksum, whatever the case of its letters is.

    A letter is a capital where the digit of keccak-256 of the lower-case text at its place is above 7.
    Raises `ValueError` for what is no address. Source: EIP-55.
    """
    if not ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is no address: expected 0x and 40 hexadecimal digits")
    digits = text[2:].lower()
    digest = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    return Address("0x" + "".join(d.upper() if h > "7" else d for d, h in zip(digits, digest, strict=False)))
