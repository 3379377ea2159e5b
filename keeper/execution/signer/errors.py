"""Why a signer gives no signature, or none that may be used. No message holds a secret.

* TransientError
  * SignerUnreachable  no usable answer now
* DataError
  * SignerRefused      it will not sign this
* ConfigError
  * SignerUnfit        it cannot sign for the configured address at all
* TripwireError
  * SignedOtherwise    it signed something that was not asked for
"""

from keeper.model.errors import ConfigError, DataError, TransientError, TripwireError


class SignerUnreachable(TransientError):  # noqa: N818 - named for what is the matter
    """The signer gave no usable answer."""

    signer: str
    """Scheme and host, or the name of the service."""

    def __init__(self, signer: str, problem: str) -> None:
        super().__init__(f"signer {signer}: {problem}; nothing was signed")
        self.signer = signer


class SignerRefused(DataError):  # noqa: N818
    """The signer answered that it does not sign this."""

    signer: str

    def __init__(self, signer: str, problem: str) -> None:
        super().__init__(f"signer {signer} refused: {problem}")
        self.signer = signer


class SignerUnfit(ConfigError):  # noqa: N818
    """The signer is not one for the configured address."""

    signer: str

    def __init__(self, signer: str, problem: str) -> None:
        super().__init__(f"signer {signer}: {problem}")
        self.signer = signer


class SignedOtherwise(TripwireError):  # noqa: N818
    """The signer gave back something else than what it was asked to sign."""

    signer: str
    differences: tuple[str, ...]
    """One per field: what was asked, what came back."""

    def __init__(self, signer: str, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"signer {signer} signed something else than it was asked to: {'; '.join(differences)}. "
            "Nothing of it was stored or sent; find out who controls that signer"
        )
        self.signer = signer
        self.differences = differences
