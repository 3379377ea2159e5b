"""Calls that would change state, made inside a multicall without a trace for the calls beside them.

A multicall runs its entries one after the other on one state. An entry that changes it, or that must come
from a given sender, is therefore wrapped: the rollback, a few bytes of code put into the read by a state
override, passes it on and then reverts with what came back, which undoes everything. What it passes on is a
multicall of its own, whose code is put at the sender's address, so that the sender is `msg.sender`.
"""

from collections.abc import Sequence
from typing import Final

from keeper.chain.multicall import Entry, Result, frame_bytes, unframe
from keeper.model.reads import Address

ROLLBACK: Final = Address("0x726f6c6c6261636B206f66206B65657065720000")
"""An address that no contract can have. In a read its code is overridden by `ROLLBACK_CODE`."""

ROLLBACK_CODE: Final = "0x602036038060206000376000600091600060006000355af16000523d600060203e3d6020016000fd"
"""Calls the address in the first word with all that follows it; reverts with success and return data.

    calldatacopy(0, 32, calldatasize - 32)
    mstore(0, call(gas, calldataload(0), 0, 0, calldatasize - 32, 0, 0))
    returndatacopy(32, 0, returndatasize)
    revert(0, 32 + returndatasize)
"""

_WORD: Final = 32


def wrapped(stage: Address, entries: Sequence[Entry]) -> Entry:
    """Return one entry that runs `entries` from `stage`, where the multicall's code is, and undoes them."""
    return Entry(ROLLBACK, bytes(12) + bytes.fromhex(stage[2:]) + frame_bytes(entries))


def unwrapped(result: Result, count: int) -> list[Result] | None:
    """Return the results of the `count` entries inside; None when they did not run to the end.

    Raises `AbiMismatch` for data that no rollback answers.
    """
    if result.success or len(result.data) < _WORD or not any(result.data[:_WORD]):
        return None
    return unframe(result.data[_WORD:], count)
