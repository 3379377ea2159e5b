"""A local node over JSON-RPC: requests, batches, unlocked transactions, and its clock."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import urllib3
from eth_utils.address import to_checksum_address

from keeper.devnet.errors import NodeError, RevertError
from keeper.model.reads import Address

GAS: Final = 15_000_000
"""Given to every transaction, so that none is estimated; the protocol's limit for one is 2**24."""

CALL_GAS: Final = 1_000_000_000
"""Given to every call: without it the node takes the block gas limit."""

_RETRY_NOTHING: Final = urllib3.Retry(total=0, redirect=0)

Reason = Callable[[str | None], str]
"""Reads revert data: hex of the data to words."""


class Node:
    """One node. Not safe for use by several threads at once."""

    def __init__(self, url: str, *, timeout_s: float = 120.0) -> None:
        self.url = url
        self._http = urllib3.PoolManager(maxsize=2, timeout=timeout_s, retries=_RETRY_NOTHING)
        self._accounts: tuple[Address, ...] | None = None

    def rpc(self, method: str, *params: object) -> Any:
        """Send one request. Raises `NodeError`, or urllib3's `HTTPError` when the node cannot be reached."""
        answer = self._post({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        return _result(method, answer)

    def batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Send several requests at once; the answers are in their order. Raises as `rpc`."""
        if not requests:
            return []
        body = [
            {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
            for i, (method, params) in enumerate(requests)
        ]
        answers = {answer["id"]: answer for answer in self._post(body)}
        return [_result(method, answers[i]) for i, (method, _) in enumerate(requests)]

    def send(
        self,
        sender: str,
        to: str | None,
        data: str,
        *,
        value: int = 0,
        gas: int = GAS,
        reason: Reason = str,
        what: str = "transaction",
    ) -> dict[str, Any]:
        """Send from an unlocked account and return the receipt, once it is mined.

        Raises `RevertError` with the contract's own reason: the node mines a reverting transaction when it
        is told how much gas to use, so the call is made once more on the block before to learn why.
        """
        transaction = {"from": sender, "data": data, "value": hex(value), "gas": hex(gas)}
        if to is not None:
            transaction["to"] = to
        receipt: dict[str, Any] = self.rpc("eth_sendTransactionSync", transaction)
        if receipt["status"] != "0x1":
            try:
                self.rpc("eth_call", transaction, hex(int(receipt["blockNumber"], 16) - 1))
            except NodeError as error:
                raise RevertError(what, reason(error.data)) from error
            raise RevertError(what, "the call succeeds on the block before: its state or gas was another")
        return receipt

    def call(self, to: str, data: str, *, sender: str | None = None, reason: Reason = str, what: str) -> str:
        """Return the hex answer of a view at the head. Raises `RevertError`."""
        request = {"to": to, "data": data, "gas": hex(CALL_GAS)}
        if sender is not None:
            request["from"] = sender
        try:
            answer: str = self.rpc("eth_call", request, "latest")
        except NodeError as error:
            raise RevertError(what, reason(error.data)) from error
        return answer

    @property
    def accounts(self) -> tuple[Address, ...]:
        """The unlocked accounts, checksummed, in the node's order."""
        if self._accounts is None:
            self._accounts = tuple(Address(to_checksum_address(a)) for a in self.rpc("eth_accounts"))
        return self._accounts

    def now_s(self) -> int:
        """Return the time of the head, Unix seconds."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def head(self) -> int:
        """Return the number of the head."""
        return int(self.rpc("eth_blockNumber"), 16)

    def set_next_time(self, time_s: int) -> None:
        """Let the next block carry `time_s`, which must lie after the head's."""
        self.rpc("evm_setNextBlockTimestamp", time_s)

    def warp_to(self, time_s: int) -> None:
        """Mine one block at `time_s`."""
        self.set_next_time(time_s)
        self.rpc("evm_mine")

    def warp(self, seconds: int) -> None:
        """Mine one block `seconds` after the head."""
        self.warp_to(self.now_s() + seconds)

    def snapshot(self) -> str:
        """Keep the present state, and return its name for `revert`."""
        name: str = self.rpc("evm_snapshot")
        return name

    def revert(self, name: str) -> None:
        """Go back to a kept state; the name can be used once.

        The node forgets to put back the fee of the next block, which would make states differ by what was
        done in between.
        """
        if not self.rpc("evm_revert", name):
            raise NodeError("evm_revert", code=0, message=f"no snapshot {name}", data=None)
        head = self.rpc("eth_getBlockByNumber", "latest", False)
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(_next_base_fee(head)))

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    def _post(self, body: object) -> Any:
        headers = {"content-type": "application/json"}
        answer = self._http.request("POST", self.url, body=json.dumps(body).encode(), headers=headers)
        return json.loads(answer.data)


def _next_base_fee(head: dict[str, str]) -> int:
    """Return the fee per gas of the block after `head`, in wei. Source: EIP-1559."""
    fee, used = int(head["baseFeePerGas"], 16), int(head["gasUsed"], 16)
    target = int(head["gasLimit"], 16) // 2
    if used > target:
        return fee + max(fee * (used - target) // target // 8, 1)
    return fee - fee * (target - used) // target // 8


def _result(method: str, answer: dict[str, Any]) -> Any:
    if error := answer.get("error"):
        data = error.get("data")
        raise NodeError(
            method,
            code=error.get("code", 0),
            message=error.get("message", ""),
            data=data if isinstance(data, str) else None,
        )
    return answer["result"]
