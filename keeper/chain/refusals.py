"""What a node means by an error: the words and codes of anvil, geth, Nethermind, Erigon and sequencers.

JSON-RPC gives errors a code, but clients agree on few of them; their words are more stable. All
comparisons are on lower-case text.
"""

import re
from collections.abc import Sequence
from typing import Final

from keeper.chain.errors import (
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    InsufficientFunds,
    NodeRefused,
    NonceTooHigh,
    NonceTooLow,
    ReplacementUnderpriced,
)

_BLOCK_GONE: Final = (
    "header not found",
    "block not found",
    "unknown block",
    "could not find block",
    "blockoutofrange",
    "resource not found",
    "not currently canonical",
    "missing trie node",
    "no state found",
    "no state available",
    "state not available",
    "state is not available",
    "historical state",
    "pruned",
)
_TOO_LARGE: Final = (
    "too many results",
    "query returned more than",
    "max results",
    "limit exceeded",
    "response size",
    "response is too big",
    "too large",
    "too big",
    "block range",
    "range is too wide",
    "request entity",
    "execution aborted",
)
_OUT_OF_GAS: Final = ("out of gas", "outofgas", "gas required exceeds", "gas uint64 overflow")
_REVERTED: Final = ("revert", "vm execution error", "invalid opcode", "invalidfeopcode", "stack underflow")
_RATE_LIMITED: Final = (
    "rate limit",
    "too many requests",
    "request rate",
    "compute units per second",
    "exceeded its",
    "capacity exceeded",
)
_UNSUPPORTED: Final = ("method not found", "not supported", "does not exist", "not available", "unsupported")
_RATE_CODES: Final = (429, -32005, -32029)

_BROADCAST: Final[tuple[tuple[type[BroadcastRefused], tuple[str, ...]], ...]] = (
    (
        AlreadyKnown,
        ("already known", "already imported", "alreadyknown", "known transaction", "already exists"),
    ),
    (
        ReplacementUnderpriced,
        ("replacement transaction underpriced", "replacementnotallowed", "replacement fee"),
    ),
    (
        NonceTooLow,
        ("nonce too low", "nonce is too low", "oldnonce", "old nonce", "nonce has already been used"),
    ),
    (NonceTooHigh, ("nonce too high", "nonce is too high", "noncegap", "nonce gap", "future nonce")),
    (
        InsufficientFunds,
        ("insufficient funds", "insufficientfunds", "insufficient balance", "doesn't have enough"),
    ),
    (
        FeeTooLow,
        (
            "underpriced",
            "less than block base fee",
            "fee too low",
            "feetoolow",
            "gas price too low",
            "gas price below",
            "below minimum",
            "max fee per gas less",
        ),
    ),
)
"""In this order: a replacement that pays too little is also called underpriced."""


def block_gone(refusal: NodeRefused) -> bool:
    """Whether the node does not have the block that was asked for, or not its state."""
    return _says(refusal, _BLOCK_GONE) and not reverted(refusal)


def too_large(refusal: NodeRefused) -> bool:
    """Whether a smaller request may be answered: range, result, body or time limits of the node."""
    return refusal.code == 413 or _says(refusal, _TOO_LARGE)


def out_of_gas(refusal: NodeRefused) -> bool:
    """Whether the execution had too little gas."""
    return _says(refusal, _OUT_OF_GAS)


def reverted(refusal: NodeRefused) -> bool:
    """Whether the contract itself ended the execution."""
    return refusal.code == 3 or bool(refusal.data) or _says(refusal, _REVERTED)


def rate_limited(code: int, text: str) -> bool:
    """Whether the node asks for patience. Result limits share a code with it: words decide first."""
    lower = text.lower()
    if any(words in lower for words in _RATE_LIMITED):
        return True
    return code in _RATE_CODES and not any(words in lower for words in _TOO_LARGE)


def unsupported(refusal: NodeRefused) -> bool:
    """Whether the node does not offer the method or one of its parameters."""
    return refusal.code in (-32601, -32602) or _says(refusal, _UNSUPPORTED)


def not_taken(refusal: NodeRefused) -> BroadcastRefused:
    """Return why a node did not take a transaction."""
    lower = refusal.text.lower()
    for reason, words in _BROADCAST:
        if any(w in lower for w in words):
            return reason(refusal.host, refusal.text)
    return BroadcastRefused(refusal.host, refusal.text)


def most_telling(refusals: Sequence[BroadcastRefused]) -> BroadcastRefused:
    """Return the refusal to go by: having the bytes, or a block with the nonce, is known by who is ahead."""
    for kind in (AlreadyKnown, NonceTooLow):
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    return refusals[0]


def revert_data(data: object) -> bytes:
    """Return the revert bytes in an error's `data`: a string, `Reverted 0x...`, or nested in an object."""
    if isinstance(data, dict):
        return next((found for v in data.values() if (found := revert_data(v))), b"")
    if isinstance(data, str) and (match := re.search(r"0x((?:[0-9a-fA-F]{2})*)", data)):
        return bytes.fromhex(match.group(1))
    return b""


def _says(refusal: NodeRefused, words: tuple[str, ...]) -> bool:
    lower = refusal.text.lower()
    return any(w in lower for w in words)
