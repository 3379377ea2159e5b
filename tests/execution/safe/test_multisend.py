"""Calls packed into one, and where the contract is that unpacks them."""

from typing import Final

import pytest
from eth_abi.abi import decode
from eth_abi.packed import encode_packed
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.execution.safe.multisend import (
    CALL_ONLY,
    SUPPORTED,
    Part,
    candidates,
    multi_send,
    packed,
    unpacked,
)
from keeper.model.reads import Address
from keeper.model.units import Wei
from tests.execution.safe.test_transaction import addresses, words
from tests.support.safe import FACTORIES, PACKAGES, init_code

parts = st.builds(
    Part, to=addresses, value=words.map(Wei), data=st.binary(max_size=99).map(lambda raw: "0x" + raw.hex())
)
batches = st.lists(parts, max_size=5)
_SELECTOR: Final = keccak(text="multiSend(bytes)")[:4]


@given(batches)
def test_calls_are_packed_as_another_encoder_packs_them(batch: list[Part]) -> None:
    theirs = b"".join(
        encode_packed(
            ["uint8", "address", "uint256", "uint256", "bytes"],
            [0, part.to, int(part.value), len(bytes.fromhex(part.data[2:])), bytes.fromhex(part.data[2:])],
        )
        for part in batch
    )
    assert packed(batch) == theirs
    data = bytes.fromhex(multi_send(batch)[2:])
    assert data[:4] == _SELECTOR
    assert decode(["bytes"], data[4:], strict=True) == (theirs,)


@given(batches)
def test_what_was_packed_is_unpacked(batch: list[Part]) -> None:
    assert unpacked(packed(batch)) == tuple(batch)


@given(st.lists(parts, min_size=1, max_size=3), st.data())
def test_a_batch_that_is_cut_is_not_read_as_another(batch: list[Part], data: st.DataObject) -> None:
    raw = packed(batch)
    ends = {len(packed(batch[:n])) for n in range(len(batch))}
    cut = data.draw(st.integers(0, len(raw) - 1).filter(lambda at: at not in ends))
    with pytest.raises(ValueError, match="does not begin a call"):
        unpacked(raw[:cut])


def test_a_delegatecall_is_never_read_as_a_call() -> None:
    raw = packed([Part(to=Address("0x" + "11" * 20), data="0x")])
    with pytest.raises(ValueError, match="does not begin a call"):
        unpacked(b"\x01" + raw[1:])


@pytest.mark.devnet
def test_of_two_contracts_the_one_of_the_singletons_factory_is_asked_for_first() -> None:
    canonical, other = CALL_ONLY["1.3.0"]
    assert candidates("1.3.0", None) == (canonical, other)
    assert candidates("1.3.0", Address("0xd9Db270c1B5E3Bd161E8c8503c55cEABeE709552")) == (canonical, other)
    for singleton in ("GnosisSafe", "GnosisSafeL2"):
        assert candidates("1.3.0", created("1.3.0", singleton, FACTORIES[1])) == (other, canonical)


@pytest.mark.devnet
@pytest.mark.parametrize("version", SUPPORTED)
def test_the_addresses_follow_from_the_bytecode(version: str) -> None:
    """Nobody's word is taken for them: creation code, factory and salt 0 determine where a contract is."""
    made = {created(version, "MultiSendCallOnly", factory) for factory in FACTORIES}
    assert set(CALL_ONLY[version]) <= made
    assert len(CALL_ONLY[version]) == (2 if version == "1.3.0" else 1)


def created(version: str, contract: str, factory: Address) -> Address:
    prefix = b"\xff" + bytes.fromhex(factory[2:]) + bytes(32)
    return Address(to_checksum_address(keccak(prefix + keccak(init_code(version, contract)))[12:]))


@pytest.mark.devnet
def test_every_version_has_its_package() -> None:
    assert tuple(PACKAGES) == SUPPORTED
    for version in SUPPORTED:
        assert len(init_code(version, "MultiSendCallOnly")) > 100
