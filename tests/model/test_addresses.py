"""Checksums of addresses: the examples of the standard, and another library's answers."""

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from keeper.model.addresses import checksummed

PUBLISHED = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
"""Source: EIP-55, test cases."""


@pytest.mark.parametrize("address", PUBLISHED)
def test_the_published_addresses(address: str) -> None:
    assert checksummed(address) == address
    assert checksummed(address.lower()) == address
    assert checksummed("0x" + address[2:].upper()) == address


@given(st.binary(min_size=20, max_size=20))
def test_every_address_as_another_library_writes_it(raw: bytes) -> None:
    expected: str = to_checksum_address(raw)
    assert checksummed("0x" + raw.hex()) == expected


@pytest.mark.parametrize(
    "text", ["", "0x", PUBLISHED[0][:-1], PUBLISHED[0] + "0", PUBLISHED[0][2:], "0x" + "g" * 40]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="no address: expected 0x and 40"):
        checksummed(text)
