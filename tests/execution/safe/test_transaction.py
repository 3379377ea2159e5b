"""The hash that owners sign, against eth_account's encoder of typed data and against a published example."""

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.execution.safe.transaction import Operation, SafeTx, address_of_word, hashes, typed_data
from keeper.model.reads import Address
from keeper.model.units import Wei

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: Address(to_checksum_address(raw)))
words = st.integers(0, 2**256 - 1)
safe_txs = st.builds(
    SafeTx,
    to=addresses,
    value=words.map(Wei),
    data=st.binary(max_size=200).map(lambda raw: "0x" + raw.hex()),
    operation=st.sampled_from(Operation),
    safe_tx_gas=words,
    base_gas=words,
    gas_price=words,
    gas_token=addresses,
    refund_receiver=addresses,
    nonce=words,
)


def by_library(typed: dict[str, Any]) -> tuple[str, str, str]:
    message = encode_typed_data(full_message=typed)
    signed = keccak(b"\x19" + message.version + message.header + message.body)
    return tuple("0x" + part.hex() for part in (signed, message.header, message.body))  # type: ignore[return-value]


@given(safe_txs, addresses, words)
def test_the_hashes_are_those_of_another_encoder(tx: SafeTx, safe: Address, chain_id: int) -> None:
    ours = hashes(tx, safe=safe, chain_id=chain_id)
    theirs = by_library(typed_data(tx, safe=safe, chain_id=chain_id))
    assert (ours.safe_tx, ours.domain, ours.message) == theirs


@given(safe_txs, safe_txs, addresses, addresses, st.integers(1, 9), st.integers(1, 9))
def test_two_hashes_are_the_same_only_for_the_same(
    tx: SafeTx, other: SafeTx, safe: Address, other_safe: Address, chain: int, other_chain: int
) -> None:
    here = hashes(tx, safe=safe, chain_id=chain).safe_tx
    there = hashes(other, safe=other_safe, chain_id=other_chain).safe_tx
    assert (here == there) == ((tx, safe, chain) == (other, other_safe, other_chain))


def test_the_type_hashes_are_the_contracts_own() -> None:
    """Source: safe-smart-account 1.4.1, `Safe.sol`, DOMAIN_SEPARATOR_TYPEHASH and SAFE_TX_TYPEHASH."""
    domain = "EIP712Domain(uint256 chainId,address verifyingContract)"
    message = (
        "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,"
        "uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
    )
    assert keccak(text=domain).hex() == "47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218"
    assert keccak(text=message).hex() == "bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8"
    typed = typed_data(SafeTx(to=Address("0x" + "11" * 20), data="0x", nonce=0), safe=SAFE, chain_id=1)
    for name, text in (("EIP712Domain", domain), ("SafeTx", message)):
        fields = ",".join(f"{field['type']} {field['name']}" for field in typed["types"][name])
        assert f"{name}({fields})" == text


SAFE = Address("0x" + "22" * 20)


@pytest.mark.parametrize("change", [{"value": -1}, {"value": 2**256}, {"nonce": -1}, {"nonce": 2**256}])
def test_a_number_beyond_its_word_has_no_hash(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"to": SAFE, "data": "0x", "nonce": 0} | change
    with pytest.raises(OverflowError):
        hashes(SafeTx(**fields), safe=SAFE, chain_id=1)


def test_data_that_is_not_hexadecimal_has_no_hash() -> None:
    with pytest.raises(ValueError, match="non-hexadecimal"):
        hashes(SafeTx(to=SAFE, data="0xzz", nonce=0), safe=SAFE, chain_id=1)


def test_an_address_in_a_storage_word() -> None:
    assert address_of_word(bytes(32)) is None
    assert address_of_word(bytes(12) + b"\x22" * 20) == SAFE
    with pytest.raises(ValueError, match="32 bytes"):
        address_of_word(b"\x22" * 20)
