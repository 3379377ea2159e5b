"""Real Safe contracts on a local chain: at their usual addresses, by the factories that put them there.

    safes = Safes(node, "1.4.1")
    safe = safes.create(owners, threshold=2)
    safes.execute(safe, tx, signatures)

Only tests execute anything: the product has no way to.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.devnet.artifacts import Artifact
from keeper.devnet.contract import Contract
from keeper.devnet.node import Node
from keeper.devnet.packages import folder_of
from keeper.execution.safe.transaction import SafeTx
from keeper.model.reads import Address

PACKAGES: Final[Mapping[str, str]] = {
    "1.3.0": "@gnosis.pm/safe-contracts",
    "1.4.1": "@safe-global/safe-contracts",
    "1.5.0": "@safe-global/safe-smart-account",
}
FACTORIES: Final = (
    Address("0x4e59b44847b379578588920cA78FbF26c0B4956C"),
    Address("0x914d7Fec6aaC8cd542e72Bca78B30650d45643d7"),
)
"""They run the same code. A node has the first from its start."""

_FOLDERS: Final[Mapping[str, str]] = {
    "MultiSendCallOnly": "libraries/MultiSendCallOnly.sol",
    "SafeProxyFactory": "proxies/SafeProxyFactory.sol",
    "GnosisSafeProxyFactory": "proxies/GnosisSafeProxyFactory.sol",
}
_OLD: Final = "1.3.0"
_SALT: Final = bytes(32)


@cache
def artifact(version: str, contract: str) -> Artifact:
    folder = _FOLDERS.get(contract, f"{contract}.sol")
    path = folder_of(PACKAGES[version]) / "build/artifacts/contracts" / folder / f"{contract}.json"
    found = json.loads(path.read_text())
    assert not found["linkReferences"]
    return Artifact(
        name=contract, abi=tuple(found["abi"]), bytecode=found["bytecode"].removeprefix("0x"), links=()
    )


def init_code(version: str, contract: str) -> bytes:
    return bytes.fromhex(artifact(version, contract).bytecode)


def signed_packed(digest: str, keys: Mapping[Address, bytes]) -> bytes:
    """Return the owners' signatures as the contract wants them: sorted by address."""
    from eth_keys.datatypes import PrivateKey

    found = b""
    for owner in sorted(keys, key=lambda address: int(address, 16)):
        signature = PrivateKey(keys[owner]).sign_msg_hash(bytes.fromhex(digest[2:]))
        found += signature.to_bytes()[:64] + bytes([27 + signature.v])
    return found


class Safes:
    """One version's contracts on one chain."""

    def __init__(self, node: Node, version: str, *, factory: Address | None = None) -> None:
        """Deploy singleton, proxy factory and MultiSendCallOnly by `factory`, where wallets expect them."""
        self.node = node
        self.version = version
        self.factory = factory or FACTORIES[version != _OLD]
        node.rpc("anvil_setCode", self.factory, node.rpc("eth_getCode", FACTORIES[0], "latest"))
        prefix = "Gnosis" if version == _OLD else ""
        self.singleton = self._deployed(f"{prefix}Safe")
        self.proxies = self._deployed(f"{prefix}SafeProxyFactory")
        self.multi_send = self._deployed("MultiSendCallOnly")

    def create(self, owners: Sequence[Address], threshold: int, *, salt: int = 0) -> Contract:
        """Create a Safe and return it; its ABI is the whole one."""
        nobody = "0x" + "0" * 40
        setup = self.singleton.data("setup", list(owners), threshold, nobody, b"", nobody, nobody, 0, nobody)
        receipt = self.proxies.send(
            "createProxyWithNonce", self.singleton.address, bytes.fromhex(setup[2:]), salt
        )
        (event,) = [log for log in receipt["logs"] if log["address"].lower() == self.proxies.address.lower()]
        topic = event["topics"][1] if len(event["topics"]) > 1 else event["data"][:66]
        proxy = to_checksum_address("0x" + topic[-40:])
        return Contract(self.node, proxy, artifact(self.version, self.singleton.name))

    def execute(self, safe: Contract, tx: SafeTx, signatures: bytes, *, sender: Address) -> dict[str, Any]:
        """Execute a transaction, as an owner's wallet would, and return the receipt."""
        *fields, nonce = tx.fields
        assert nonce == safe.call("nonce")
        return safe.send("execTransaction", *fields, signatures, sender=sender)

    def _deployed(self, contract: str) -> Contract:
        found = artifact(self.version, contract)
        code = bytes.fromhex(found.bytecode)
        digest = keccak(b"\xff" + bytes.fromhex(self.factory[2:]) + _SALT + keccak(code))
        address = to_checksum_address(digest[12:])
        if self.node.rpc("eth_getCode", address, "latest") == "0x":
            self.node.send(
                self.node.accounts[0],
                self.factory,
                "0x" + (_SALT + code).hex(),
                what=f"creation of {contract}",
            )
        return Contract(self.node, address, found)
