"""Signatures of an EIP-712 hash: those of another library, by who can make them; who cannot is none."""

from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.endpoint import Endpoint
from keeper.execution.signer import HashSigner, KeystoreSigner
from keeper.execution.signer.remote import RemoteSigner
from keeper.execution.signer.transaction import CURVE_ORDER, Signature, hash_signed_by
from tests.execution.signer.samples import ADDRESS, KEY

TYPED: dict[str, Any] = {
    "types": {
        "EIP712Domain": [{"name": "chainId", "type": "uint256"}],
        "It": [{"name": "nonce", "type": "uint256"}],
    },
    "primaryType": "It",
    "domain": {"chainId": 10},
    "message": {"nonce": 7},
}
MESSAGE: SignableMessage = encode_typed_data(full_message=TYPED)
DIGEST = bytes(_hash_eip191_message(MESSAGE))
THEIRS = bytes(Account.sign_message(MESSAGE, KEY).signature)

digests = st.binary(min_size=32, max_size=32)


def keystore() -> KeystoreSigner:
    return KeystoreSigner(Account.from_key(KEY))


def recovered(digest: bytes, signature: bytes) -> str:
    """Return whose signature it is, as the contract's `ecrecover` finds it."""
    v, r, s = signature[64], *(int.from_bytes(half, "big") for half in (signature[:32], signature[32:64]))
    assert v in (27, 28)
    assert s <= CURVE_ORDER // 2
    return str(Account._recover_hash(digest, vrs=(v, r, s)))


def test_a_keystore_signs_as_the_library_does() -> None:
    assert keystore().sign_hash(DIGEST) == THEIRS


@given(digests)
def test_a_keystores_signature_is_recovered_to_its_address(digest: bytes) -> None:
    assert recovered(digest, keystore().sign_hash(digest)) == ADDRESS


@given(digests, st.integers(0, 1), st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_a_signature_that_is_nobodys_has_no_signer(digest: bytes, parity: int, r: int, s: int) -> None:
    found = hash_signed_by(digest, Signature(parity=parity, r=r, s=s))
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        assert found is None
    assert found != ADDRESS


def test_a_remote_signer_is_not_asked_for_a_hash() -> None:
    endpoint = Endpoint("http://127.0.0.1:9", timeout_s=1.0)
    remote: object = RemoteSigner(endpoint, ADDRESS, "eth_signTransaction")
    assert not isinstance(remote, HashSigner)
    endpoint.close()
    local: object = keystore()
    assert isinstance(local, HashSigner)
