"""What is read of a Safe, and what the contract itself says of a transaction.

Source: safe-global/safe-smart-account 1.3.0, 1.4.1 and 1.5.0, `Safe.sol` and `StorageAccessible.sol`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.chain import abi
from keeper.chain.multicall import Entry, Result
from keeper.execution.safe.errors import NotASafeError, SafeUnreadError, UnsupportedVersionError
from keeper.execution.safe.multisend import SUPPORTED
from keeper.execution.safe.transaction import SafeTx, address_of_word
from keeper.model.reads import Address, Call, Failed, Reads, Send

SAFE: Final = "safe/Safe"

_SINGLETON_SLOT: Final = 0
_GUARD_SLOT: Final = int.from_bytes(keccak(text="guard_manager.guard.address"), "big")
_HEAD: Final = 64
"""Of what `simulateAndRevert` reverts with: whether it succeeded, and how much data follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeState:
    """A Safe at one block."""

    address: Address
    chain_id: int
    version: str
    nonce: int
    """Of the next transaction that it executes."""

    threshold: int
    """Owners who must sign."""

    owners: tuple[Address, ...]
    """In the contract's order."""

    singleton: Address | None
    """Whose code it runs."""

    guard: Address | None
    """A contract that may refuse any of its transactions; None where there is none."""


def read_state(safe: Address, *, chain: str, chain_id: int) -> Reads[SafeState]:
    """Return the state of a Safe, in one round.

    Raises `NotASafeError`, `UnsupportedVersionError`, and `SafeUnreadError` where a part is missing.
    """
    asked = {
        "VERSION": _call(safe, "VERSION"),
        "nonce": _call(safe, "nonce"),
        "threshold": _call(safe, "getThreshold"),
        "owners": _call(safe, "getOwners"),
        "singleton": _call(safe, "getStorageAt", _SINGLETON_SLOT, 1),
        "guard": _call(safe, "getStorageAt", _GUARD_SLOT, 1),
    }
    answers = dict(zip(asked, (yield tuple(asked.values())), strict=True))
    version = answers["VERSION"]
    if isinstance(version, Failed):
        raise NotASafeError(safe, chain, chain_id, f"it has no VERSION() ({version.reason})")
    known = version.partition("+")[0]
    if known not in SUPPORTED:
        raise UnsupportedVersionError(safe, version, SUPPORTED)
    return _state(safe, chain_id, known, answers)


def _state(safe: Address, chain_id: int, version: str, answers: Mapping[str, Any]) -> SafeState:
    missing = [f"{name} was not read: {a.reason}" for name, a in answers.items() if isinstance(a, Failed)]
    if missing:
        raise SafeUnreadError(safe, missing[0])
    owners, threshold = tuple(answers["owners"]), answers["threshold"]
    if not 1 <= threshold <= len(owners):
        raise SafeUnreadError(safe, f"a threshold of {threshold} with {len(owners)} owners cannot be")
    try:
        singleton, guard = (address_of_word(answers[name]) for name in ("singleton", "guard"))
    except ValueError as problem:
        raise SafeUnreadError(safe, str(problem)) from None
    return SafeState(
        address=safe,
        chain_id=chain_id,
        version=version,
        nonce=answers["nonce"],
        threshold=threshold,
        owners=owners,
        singleton=singleton,
        guard=guard,
    )


def read_hash(safe: Address, tx: SafeTx) -> Reads[str]:
    """Return what the contract says that owners sign, 0x-prefixed. Raises `SafeUnreadError`."""
    (answer,) = yield (_call(safe, "getTransactionHash", *tx.fields),)
    if isinstance(answer, Failed):
        raise SafeUnreadError(safe, f"getTransactionHash was not answered: {answer.reason}")
    return f"0x{answer.hex()}"


def trial(safe: Address, tx: SafeTx) -> Entry:
    """Return a call in which the Safe makes a delegatecall as `tx` would, tells the outcome, and undoes it.

    Anybody may make it, in a simulation. Only `tx.to` and `tx.data` count.
    """
    send = Send(SAFE, safe, "simulateAndRevert", (tx.to, bytes.fromhex(tx.data[2:])))
    return Entry(safe, abi.encode_bytes(send))


def refusal(safe: Address, result: Result, abis: tuple[str, ...]) -> str:
    """Return why a trial failed, in words; empty where it succeeded. Raises `SafeUnreadError`."""
    if result.success or len(result.data) < _HEAD:
        raise SafeUnreadError(safe, "simulateAndRevert did not tell an outcome")
    if int.from_bytes(result.data[:32], "big") == 1:
        return ""
    return abi.decode_revert(result.data[_HEAD:], abis).text


def _call(safe: Address, fn: str, *args: object) -> Call:
    return Call(SAFE, safe, fn, args)
