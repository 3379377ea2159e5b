"""AWS KMS with a key on secp256k1: it signs digests, and the key never leaves it.

KMS answers with a DER signature whose `s` may lie in either half and without the recovery id. Both are
settled here: the lower half as EIP-2 demands, the id by comparing addresses.
Source: AWS KMS API reference, GetPublicKey and Sign; RFC 5480 and RFC 3279 for the encodings.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from keeper.execution.signer.errors import SignedOtherwise, SignerRefused, SignerUnfit, SignerUnreachable
from keeper.execution.signer.interface import Signed
from keeper.execution.signer.transaction import (
    CURVE_ORDER,
    Signature,
    address_of,
    assembled,
    hash_signed_by,
    require_asked,
    signing_hash,
)
from keeper.model.reads import Address

NAME: Final = "AWS KMS"

_KEY_SPEC: Final = "ECC_SECG_P256K1"
_KEY_PREFIX: Final = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
"""Before the 65 bytes of an uncompressed point: id-ecPublicKey on secp256k1."""

_KEY_LENGTH: Final = len(_KEY_PREFIX) + 65
_PASSING: Final = frozenset(
    {"DependencyTimeoutException", "KMSInternalException", "ThrottlingException", "RequestLimitExceeded",
     "ServiceUnavailable", "InternalFailure", "KeyUnavailableException"}
)  # fmt: skip
"""Refusals that say nothing about the request."""

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02


class KmsSigner:
    """Signs with a key that stays in AWS KMS."""

    def __init__(self, client: Any, key_id: str, address: Address) -> None:
        self._client = client
        self._key_id = key_id
        self._address = address

    @classmethod
    def load(cls, key_id: str, address: Address, *, region: str, endpoint: str, timeout_s: float) -> Self:
        """Read the public key, and check that it is the one of `address`.

        Credentials are found as every AWS program finds them (environment, profile, role). Empty `region`
        and `endpoint` are left to the same sources. Raises `SignerUnfit`, `SignerUnreachable`,
        `SignerRefused`.
        """
        signer = cls(_client(region, endpoint, timeout_s), key_id, address)
        answer = signer._ask("get_public_key", KeyId=key_id)
        if (spec := answer.get("KeySpec")) != _KEY_SPEC:
            raise SignerUnfit(NAME, f"the key is of kind {spec}, expected {_KEY_SPEC}")
        encoded = bytes(answer["PublicKey"])
        if len(encoded) != _KEY_LENGTH or not encoded.startswith(_KEY_PREFIX):
            raise SignerUnfit(NAME, "the public key is not a point on secp256k1")
        if (found := address_of(encoded[len(_KEY_PREFIX) :])) != address:
            raise SignerUnfit(NAME, f"the key is the one of {found}, expected {address}")
        return signer

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        return self._address

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Have the digest of a complete transaction signed.

        Raises `SignerUnreachable`, `SignerRefused`; `SignedOtherwise` when it is not this key's signature.
        """
        return require_asked(
            NAME, tx, assembled(tx, self._signature(signing_hash(tx), "transaction")), self._address
        )

    def sign_hash(self, digest: bytes) -> bytes:
        """Return the signature of an EIP-712 hash, 65 bytes; see `HashSigner`. Raises as `sign` does."""
        return self._signature(digest, "hash").packed()

    def _signature(self, digest: bytes, what: str) -> Signature:
        try:
            answer = self._ask(
                "sign",
                KeyId=self._key_id,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except SignerUnfit as lost:
            # It could sign at the start: a role that is renewed may come back.
            raise SignerUnreachable(NAME, str(lost)) from None
        r, s = _integers(bytes(answer["Signature"]))
        s = min(s, CURVE_ORDER - s)
        for parity in (0, 1):
            signature = Signature(parity=parity, r=r, s=s)
            if hash_signed_by(digest, signature) == self._address:
                return signature
        raise SignedOtherwise(NAME, (f"the signature is not one of {self._address} for this {what}",))

    def __repr__(self) -> str:
        return f"KmsSigner({self._address})"

    def _ask(self, operation: str, **request: Any) -> dict[str, Any]:
        from botocore import exceptions as aws

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except aws.ClientError as error:
            # The service's own words may name accounts and roles; its code says enough.
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in _PASSING:
                raise SignerUnreachable(NAME, f"{operation}: {code}") from None
            raise SignerRefused(NAME, f"{operation}: {code}") from None
        except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
            raise SignerUnfit(NAME, f"no usable credentials ({type(error).__name__})") from None
        except (aws.BotoCoreError, aws.HTTPClientError) as error:
            raise SignerUnreachable(NAME, f"{operation}: {type(error).__name__}") from None
        return answer


def _client(region: str, endpoint: str, timeout_s: float) -> Any:
    try:
        import boto3
        from botocore import exceptions as aws
        from botocore.config import Config
    except ImportError:
        raise SignerUnfit(NAME, "boto3 is not installed: pip install 'keeper[kms]'") from None
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        # A session of its own: the library keeps the credentials of its shared one.
        session = boto3.session.Session()
        return session.client("kms", region_name=region or None, endpoint_url=endpoint or None, config=config)
    except (aws.BotoCoreError, ValueError) as error:
        raise SignerUnfit(NAME, f"no client can be made ({type(error).__name__}): see region") from None


def _integers(der: bytes) -> tuple[int, int]:
    """Return r and s of a DER signature. Raises `SignedOtherwise` for anything else."""
    values: list[int] = []
    whole = len(der) >= 2 and der[0] == _SEQUENCE and der[1] == len(der) - 2
    rest = der[2:] if whole else b""
    while len(rest) >= 2 and rest[0] == _INTEGER and len(rest) >= 2 + rest[1]:
        values.append(int.from_bytes(rest[2 : 2 + rest[1]], "big"))
        rest = rest[2 + rest[1] :]
    if rest or len(values) != 2:
        raise SignedOtherwise(NAME, ("its answer is not a DER signature",))
    return values[0], values[1]
