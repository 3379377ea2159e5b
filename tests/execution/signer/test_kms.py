"""AWS KMS by a stand-in on loopback that speaks its JSON API, with a real key on secp256k1."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account

from keeper.execution.signer import HashSigner
from keeper.execution.signer.errors import SignedOtherwise, SignerRefused, SignerUnfit, SignerUnreachable
from keeper.execution.signer.kms import KmsSigner
from keeper.execution.signer.transaction import CURVE_ORDER
from keeper.model.reads import Address
from tests.execution.signer.samples import ADDRESS, KEY, LEGACY, MODERN, OTHER_KEY, Reply, serving
from tests.execution.signer.test_hashes import DIGEST, THEIRS

pytest.importorskip("boto3")

pytestmark = pytest.mark.faults

KEY_ID = "alias/keeper"
ACCESS_SECRET = "wJalrXUtnFEMIexamplesecretkey0123456789"
SPKI = "3056301006072a8648ce3d020106052b8104000a034200"


class StandIn:
    """GetPublicKey and Sign, as the API reference describes them."""

    def __init__(self) -> None:
        self.key = PrivateKey.from_hex(KEY[2:])
        self.spec = "ECC_SECG_P256K1"
        self.high_s = False
        self.signs_with = self.key
        self.failure: tuple[int, str] | None = None
        self.signature: bytes | None = None
        self.public_key: bytes | None = None
        self.slow_s = 0.0
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, headers: Mapping[str, str], body: dict[str, Any]) -> Reply:
        time.sleep(self.slow_s)
        assert "AWS4-HMAC-SHA256" in headers["Authorization"]
        operation = headers["X-Amz-Target"].removeprefix("TrentService.")
        self.requests.append((operation, body))
        if self.failure is not None:
            status, code = self.failure
            secret_words = "arn:aws:iam::123456789012:role/secret-role is not authorized"
            return status, json.dumps({"__type": code, "message": secret_words}).encode()
        return 200, json.dumps(self._answer(operation, body)).encode()

    def _answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert body["KeyId"] == KEY_ID
        if operation == "GetPublicKey":
            encoded = bytes.fromhex(SPKI) + self.key.public_key.format(compressed=False)
            encoded = encoded if self.public_key is None else self.public_key
            return {
                "KeyId": KEY_ID,
                "KeySpec": self.spec,
                "KeyUsage": "SIGN_VERIFY",
                "PublicKey": base64.b64encode(encoded).decode(),
                "SigningAlgorithms": ["ECDSA_SHA_256"],
            }
        assert (body["MessageType"], body["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
        digest = base64.b64decode(body["Message"])
        assert len(digest) == 32
        signature = self.signature or self._signed(digest)
        return {
            "KeyId": KEY_ID,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": "ECDSA_SHA_256",
        }

    def _signed(self, digest: bytes) -> bytes:
        compact = self.signs_with.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:64], "big")
        return der(r, CURVE_ORDER - s if self.high_s else s)


def der(*values: int) -> bytes:
    body = b"".join(
        bytes([2, len(content)]) + content
        for content in (value.to_bytes(value.bit_length() // 8 + 1, "big") for value in values)
    )
    return bytes([0x30, len(body)]) + body


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = str(tmp_path_factory.mktemp("aws") / "none")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": ACCESS_SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def loaded(stand_in: StandIn, address: Address = ADDRESS, timeout_s: float = 2.0) -> Iterator[KmsSigner]:
    with serving(stand_in) as url:
        yield KmsSigner.load(KEY_ID, address, region="eu-west-1", endpoint=url, timeout_s=timeout_s)


@pytest.mark.parametrize("tx", [MODERN, LEGACY], ids=["modern", "legacy"])
@pytest.mark.parametrize("high_s", [False, True])
def test_it_signs_in_the_lower_half_whatever_comes_back(tx: dict[str, Any], high_s: bool) -> None:
    stand_in = StandIn()
    stand_in.high_s = high_s
    with loaded(stand_in) as signer:
        for nonce in range(8):  # both recovery ids come up
            numbered = {**tx, "nonce": nonce}
            made = Account.from_key(KEY).sign_transaction(numbered)
            assert signer.sign(numbered).raw == bytes(made.raw_transaction)
            assert signer.sign(numbered).tx_hash == "0x" + bytes(made.hash).hex()
    assert signer.address == ADDRESS
    assert repr(signer) == f"KmsSigner({ADDRESS})"


def test_only_the_digest_is_sent() -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        signer.sign(MODERN)
    assert [operation for operation, _ in stand_in.requests] == ["GetPublicKey", "Sign"]
    assert stand_in.requests[1][1].keys() == {"KeyId", "Message", "MessageType", "SigningAlgorithm"}


def test_the_key_of_another_address_is_unfit() -> None:
    other = Address(Account.from_key(OTHER_KEY).address)
    with (
        pytest.raises(SignerUnfit, match=f"the one of {ADDRESS}, expected {other}"),
        loaded(StandIn(), other),
    ):
        pass


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048", "SYMMETRIC_DEFAULT"])
def test_a_key_on_another_curve_is_unfit(spec: str) -> None:
    stand_in = StandIn()
    stand_in.spec = spec
    with pytest.raises(SignerUnfit, match=f"of kind {spec}, expected ECC_SECG_P256K1"), loaded(stand_in):
        pass


@pytest.mark.parametrize("encoded", [b"", b"\x30", bytes(88), bytes.fromhex(SPKI)])
def test_a_public_key_that_is_none_is_unfit(encoded: bytes) -> None:
    stand_in = StandIn()
    stand_in.public_key = encoded
    with pytest.raises(SignerUnfit, match="not a point on secp256k1"), loaded(stand_in):
        pass


def test_the_signature_of_another_key_is_a_tripwire() -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.signs_with = PrivateKey.from_hex(OTHER_KEY[2:])
        with pytest.raises(SignedOtherwise, match=f"not one of {ADDRESS}"):
            signer.sign(MODERN)


@pytest.mark.parametrize(
    "signature",
    [b"\x00", b"\x30\x00", der(1), der(1, 2, 3), der(1, 2) + b"\x00", der(1, 2)[:-1], der(0, 5), der(5, 0)],
)
def test_a_signature_that_is_none_is_a_tripwire(signature: bytes) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.signature = signature
        with pytest.raises(SignedOtherwise):
            signer.sign(MODERN)


@pytest.mark.parametrize("code", ["AccessDeniedException", "NotFoundException", "DisabledException"])
def test_a_refusal_names_its_code_and_not_the_services_words(code: str) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.failure = 400, code
        with pytest.raises(SignerRefused, match=f"refused: sign: {code}$") as info:
            signer.sign(MODERN)
    assert info.value.__cause__ is None
    assert "secret-role" not in str(info.value)


@pytest.mark.parametrize(("status", "code"), [(400, "ThrottlingException"), (500, "KMSInternalException")])
def test_a_passing_failure_is_transient(status: int, code: str) -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.failure = status, code
        with pytest.raises(SignerUnreachable, match=code):
            signer.sign(MODERN)


def test_a_slow_service_is_given_up() -> None:
    stand_in = StandIn()
    with loaded(stand_in, timeout_s=0.2) as signer:
        stand_in.slow_s = 0.5
        with pytest.raises(SignerUnreachable, match="ReadTimeoutError"):
            signer.sign(MODERN)


def test_nobody_there() -> None:
    with serving(StandIn()) as url:
        pass
    with pytest.raises(SignerUnreachable, match="EndpointConnectionError"):
        KmsSigner.load(KEY_ID, ADDRESS, region="eu-west-1", endpoint=url, timeout_s=0.5)


def test_no_credentials_and_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(StandIn()) as url:
        with pytest.raises(SignerUnfit, match="NoRegionError"):
            KmsSigner.load(KEY_ID, ADDRESS, region="", endpoint=url, timeout_s=1.0)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(SignerUnfit, match="no usable credentials"):
            KmsSigner.load(KEY_ID, ADDRESS, region="eu-west-1", endpoint=url, timeout_s=1.0)


def test_credentials_that_are_lost_on_the_way_are_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    def none_left(**_: object) -> None:
        raise NoCredentialsError

    with loaded(StandIn()) as signer:
        monkeypatch.setattr(signer._client, "sign", none_left)
        with pytest.raises(SignerUnreachable, match="no usable credentials"):
            signer.sign(MODERN)


@pytest.mark.parametrize("high_s", [False, True])
def test_a_hash_is_signed_as_it_is_given(high_s: bool) -> None:
    stand_in = StandIn()
    stand_in.high_s = high_s
    with loaded(stand_in) as signer:
        assert isinstance(signer, HashSigner)
        assert signer.sign_hash(DIGEST) == THEIRS
    _, asked = stand_in.requests[-1]
    assert base64.b64decode(asked["Message"]) == DIGEST


def test_a_hash_signed_with_another_key_is_a_tripwire() -> None:
    stand_in = StandIn()
    with loaded(stand_in) as signer:
        stand_in.signs_with = PrivateKey.from_hex(OTHER_KEY[2:])
        with pytest.raises(SignedOtherwise, match=f"not one of {ADDRESS} for this hash"):
            signer.sign_hash(DIGEST)
