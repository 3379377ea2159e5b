"""A signer in another process, asked by JSON-RPC.

web3signer answers `eth_signTransaction` with the raw bytes, clef `account_signTransaction` with an object
that holds them.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeRefused, NodeUnreachable
from keeper.execution.signer.errors import SignerRefused, SignerUnfit, SignerUnreachable
from keeper.execution.signer.interface import Signed
from keeper.execution.signer.transaction import require_asked
from keeper.model.reads import Address

Method = Literal["eth_signTransaction", "account_signTransaction"]

_ACCOUNTS: Final[Mapping[Method, str]] = {
    "eth_signTransaction": "eth_accounts",
    "account_signTransaction": "account_list",
}


class RemoteSigner:
    """Has transactions signed by another process, and believes nothing that it gives back."""

    def __init__(self, endpoint: Endpoint, address: Address, method: Method) -> None:
        self._endpoint = endpoint
        self._address = address
        self._method = method

    @classmethod
    def load(cls, url: str, address: Address, *, method: Method, timeout_s: float) -> Self:
        """Ask the signer whether it signs for `address`.

        Raises `SignerUnfit` when it does not, `SignerUnreachable`, `SignerRefused`, `EndpointUnfit`.
        """
        signer = cls(Endpoint(url, timeout_s=timeout_s), address, method)
        listed = signer._ask(_ACCOUNTS[method], [])
        held = [str(account).lower() for account in listed] if isinstance(listed, list) else []
        if address.lower() not in held:
            problem = f"it lists {len(held)} accounts, {address} is not among them"
            raise SignerUnfit(signer._endpoint.host, problem)
        return signer

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        return self._address

    def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Have a complete transaction signed, and check that it is this one.

        Raises `SignerUnreachable`, `SignerRefused`, `SignedOtherwise`.
        """
        asked = {name: hex(value) if isinstance(value, int) else value for name, value in tx.items()}
        answer = self._ask(self._method, [{"from": self._address, **asked}])
        text = answer.get("raw") if isinstance(answer, dict) else answer
        try:
            raw = bytes.fromhex(str(text).removeprefix("0x"))
        except ValueError:
            raise SignerUnreachable(self._endpoint.host, "its answer is not hexadecimal") from None
        return require_asked(self._endpoint.host, tx, raw, self._address)

    def __repr__(self) -> str:
        return f"RemoteSigner({self._address} at {self._endpoint.host})"

    def _ask(self, method: str, params: list[Any]) -> Any:
        try:
            return self._endpoint.ask(method, params)
        except NodeUnreachable as trouble:
            raise SignerUnreachable(self._endpoint.host, "; ".join(trouble.reasons)) from None
        except NodeRefused as refusal:
            raise SignerRefused(self._endpoint.host, f"{refusal.text} ({refusal.code})") from None
