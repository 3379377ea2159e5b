"""Bytes of transactions against eth-account's, and what is not believed of somebody else's."""

from collections.abc import Mapping
from typing import Any

import pytest
import rlp
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from keeper.execution.signer.errors import SignedOtherwise
from keeper.execution.signer.transaction import (
    CURVE_ORDER,
    Signature,
    assembled,
    require_asked,
    signed_by,
    signing_hash,
)
from keeper.model.errors import TripwireError
from tests.execution.signer.samples import ADDRESS, KEY, LEGACY, MODERN, OTHER_KEY, transactions

BOTH = pytest.mark.parametrize("tx", [MODERN, LEGACY], ids=["modern", "legacy"])


def made_of(tx: Mapping[str, Any], key: str = KEY) -> Any:
    # As bytes, an address needs no checksum.
    return Account.from_key(key).sign_transaction({**tx, "to": bytes.fromhex(tx["to"][2:])})


def signed(tx: Mapping[str, Any], key: str = KEY) -> bytes:
    return bytes(made_of(tx, key).raw_transaction)


def signature_of(tx: Mapping[str, Any], key: str = KEY) -> Signature:
    made = made_of(tx, key)
    parity = made.v if "maxFeePerGas" in tx else (made.v - 35) % 2
    return Signature(parity=parity, r=made.r, s=made.s)


@given(transactions)
def test_the_bytes_are_those_of_another_implementation(tx: dict[str, Any]) -> None:
    raw = signed(tx)
    assert assembled(tx, signature_of(tx)) == raw
    assert signed_by(tx, signature_of(tx)) == ADDRESS
    found = require_asked("here", tx, raw, ADDRESS)
    assert found.raw == raw
    assert found.tx_hash == "0x" + bytes(made_of(tx).hash).hex()


@given(transactions, transactions)
def test_any_other_transaction_is_told_by_its_fields(asked: dict[str, Any], given_: dict[str, Any]) -> None:
    if asked == given_:
        return
    with pytest.raises(SignedOtherwise) as info:
        require_asked("here", asked, signed(given_), ADDRESS)
    differing = {name for name in asked.keys() | given_.keys() if asked.get(name) != given_.get(name)}
    if asked.keys() == given_.keys():
        assert {text.split(" is ")[0] for text in info.value.differences} == differing


@BOTH
@pytest.mark.parametrize("name", ["chainId", "nonce", "to", "value", "data", "gas"])
def test_one_changed_field_is_named(tx: dict[str, Any], name: str) -> None:
    changed = "0x" + "bb" * 20 if name == "to" else "0xff" if name == "data" else tx[name] + 1
    with pytest.raises(SignedOtherwise) as info:
        require_asked("here", tx, signed({**tx, name: changed}), ADDRESS)
    (told,) = info.value.differences
    assert told.startswith(f"{name} is ")
    assert isinstance(info.value, TripwireError)


@BOTH
def test_another_key_is_named(tx: dict[str, Any]) -> None:
    with pytest.raises(
        SignedOtherwise, match=f"signed by {Account.from_key(OTHER_KEY).address}, asked {ADDRESS}"
    ):
        require_asked("here", tx, signed(tx, OTHER_KEY), ADDRESS)


@BOTH
def test_the_upper_half_is_refused(tx: dict[str, Any]) -> None:
    low = signature_of(tx)
    high = Signature(parity=1 - low.parity, r=low.r, s=CURVE_ORDER - low.s)
    assert signed_by(tx, high) == ADDRESS
    with pytest.raises(SignedOtherwise, match="not the canonical one"):
        require_asked("here", tx, assembled(tx, high), ADDRESS)


def test_an_access_list_that_nobody_asked_for() -> None:
    raw = signed({**MODERN, "accessList": [{"address": "0x" + "cc" * 20, "storageKeys": []}]})
    with pytest.raises(SignedOtherwise, match="accessList is 1 entries, asked for none"):
        require_asked("here", MODERN, raw, ADDRESS)


def test_a_legacy_transaction_without_replay_protection() -> None:
    plain = {name: value for name, value in LEGACY.items() if name != "chainId"}
    with pytest.raises(SignedOtherwise, match="chainId is"):
        require_asked("here", LEGACY, signed(plain), ADDRESS)


@BOTH
def test_trailing_bytes_and_cut_bytes(tx: dict[str, Any]) -> None:
    raw = signed(tx)
    for bad in (raw + b"\x00", raw[:-1], raw[1:], b"", b"\x02", b"\x01" + raw[1:], b"\xc0"):
        with pytest.raises(SignedOtherwise):
            require_asked("here", tx, bad, ADDRESS)


@given(st.binary(max_size=200))
def test_garbage_is_never_taken(raw: bytes) -> None:
    for tx in (MODERN, LEGACY):
        with pytest.raises(SignedOtherwise):
            require_asked("here", tx, raw, ADDRESS)


@given(st.lists(st.binary(max_size=40) | st.lists(st.binary(max_size=3), max_size=2), max_size=13))
def test_wellformed_garbage_is_never_taken(items: list[Any]) -> None:
    for tx, kind in ((MODERN, b"\x02"), (LEGACY, b"")):
        with pytest.raises(SignedOtherwise):
            require_asked("here", tx, kind + rlp.encode(items), ADDRESS)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (CURVE_ORDER, 1), (1, CURVE_ORDER), (5, 1)])
def test_what_is_no_signature_is_nobodys(r: int, s: int) -> None:
    assert signed_by(MODERN, Signature(parity=0, r=r, s=s)) is None
    assert signed_by(MODERN, Signature(parity=2, r=1, s=1)) is None


def test_the_hash_is_the_published_one() -> None:
    """The example of EIP-155: nonce 9, 20 gwei, 21,000 gas, 1 ether to 0x3535..., chain 1."""
    tx = {
        "nonce": 9,
        "gasPrice": 20 * 10**9,
        "gas": 21_000,
        "to": "0x" + "35" * 20,
        "value": 10**18,
        "data": "0x",
        "chainId": 1,
    }
    assert signing_hash(tx).hex() == "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
