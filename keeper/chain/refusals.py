"""What a node means by an error: the words and codes of its client, its sequencer, or a proxy before them.

JSON-RPC gives errors a code, but clients agree on few of them; their words are more stable. All
comparisons are on lower-case text.

Source: go-ethereum `core/error.go`, `core/txpool/errors.go`, `core/txpool/legacypool`; Nethermind
`TxPoolErrorMessages.cs` and, before it, `AcceptTxResult.cs`; Erigon `txpoolcfg.go`; Besu `RpcErrorType.java`;
Reth `rpc-eth-types/src/error/mod.rs`, `transaction-pool/src/error.rs`; anvil `eth/error.rs`; the OP-stack's
`proxyd/backend.go`; Nitro `gethexec/sequencer.go`.
"""

import re
from collections.abc import Sequence
from typing import Final

from keeper.chain.errors import (
    AlreadyKnown,
    BroadcastRefused,
    FeeTooLow,
    GasLimitUnfit,
    InsufficientFunds,
    NodeRefused,
    NonceTooHigh,
    NonceTooLow,
    PoolFull,
    ReplacementUnderpriced,
)

_BLOCK_GONE: Final = (
    "header not found",
    "header for number not found",
    "header for hash not found",
    "block not found",
    "block is out of range",
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
    "world state unavailable",
    "initial sync is still in progress",
    "historical state",
    "not available (head block",
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
    "exceeds maximum rpc range",
    "exceeds max batch size",
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
    "over capacity",
)
_UNAVAILABLE: Final = (
    "no backend is currently healthy",
    "backend is currently not healthy",
    "backend offline",
    "backend returned an invalid response",
    "gateway timeout",
    "sequencer temporarily not available",
    "sequencer internal error",
)
"""What stands before the node has none to ask, or does not know what came of it."""

_NO_SUCH_BLOCK_YET: Final = (
    "finalized block not found",
    "safe block not found",
    "block not found: finalized",
    "block not found: safe",
    "unknown block",
    "not available (head block",
)
"""Answers to `safe` and `finalized` of a chain that has made none yet."""

_TAG_UNKNOWN: Final = ("hex string without 0x prefix", "invalid block number", "unknown block tag")
_UNSUPPORTED: Final = ("method not found", "not supported", "does not exist", "not available", "unsupported")
_RATE_CODES: Final = (429, -32005, -32029)
_EITHER: Final = "limit exceeded"

_GAS_LIMIT: Final = (
    "intrinsic gas",
    "intrinsicgas",
    "floor data gas",
    "block gas limit",
    "block's gas limit",
    "transaction gas limit",
    "gas limit too high",
    "gas limit is too high",
    "gas limit reached",
)

_BROADCAST: Final[tuple[tuple[type[BroadcastRefused], tuple[str, ...]], ...]] = (
    (
        AlreadyKnown,
        ("already known", "already imported", "alreadyknown", "already exists", "txn with same hash"),
    ),
    (
        ReplacementUnderpriced,
        (
            "replacement transaction underpriced",
            "replacementnotallowed",
            "replacement fee",
            "price to replace existing",
            "could not replace existing",
            "replaced by transaction with higher tip",
        ),
    ),
    (
        NonceTooLow,
        ("nonce too low", "nonce is too low", "oldnonce", "old nonce", "nonce has already been used"),
    ),
    (
        NonceTooHigh,
        (
            "nonce too high",
            "nonce is too high",
            "noncegap",
            "nonce gap",
            "gapped-nonce",
            "future nonce",
            "nonce too far in future",
            "nonce is too distant",
            "lower nonce exists",
            "future transaction tries to replace",
        ),
    ),
    (
        InsufficientFunds,
        (
            "insufficient funds",
            "insufficientfunds",
            "insufficient balance",
            "doesn't have enough",
            "not have enough funds",
            "upfront cost exceeds",
            "overdraws",
        ),
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
            "below chain minimum",
            "max fee per gas less",
        ),
    ),
    (
        PoolFull,
        (
            "pool is full",
            "account limit exceeded",
            "pool size constraints",
            "spammer",
            "in-flight transaction limit",
        ),
    ),
    (GasLimitUnfit, _GAS_LIMIT),
)
"""In this order: a replacement that pays too little is also called underpriced."""

_REVERT_DATA: Final = re.compile(r"(?:Reverted )?0x((?:[0-9a-fA-F]{2})+)", re.IGNORECASE)
_DEEPEST_DATA: Final = 4
_KNOWN_TRANSACTION: Final = re.compile(r"(?<!un)known transaction")
"""As old clients and Besu say it; others speak of an unknown transaction type."""


def block_gone(refusal: NodeRefused) -> bool:
    """Whether the node does not have the block that was asked for, or not its state."""
    return _says(refusal, _BLOCK_GONE) and not reverted(refusal)


def too_large(refusal: NodeRefused) -> bool:
    """Whether a smaller request may be answered: range, result, body or time limits of the node."""
    return refusal.code == 413 or _says(refusal, _TOO_LARGE)


def out_of_gas(refusal: NodeRefused) -> bool:
    """Whether the execution had too little gas."""
    return _says(refusal, _OUT_OF_GAS) and not refusal.data


def reverted(refusal: NodeRefused) -> bool:
    """Whether the contract itself ended the execution."""
    return refusal.code == 3 or bool(refusal.data) or _says(refusal, _REVERTED)


def rate_limited(code: int, text: str) -> bool:
    """Whether the node asks for patience. Result limits share a code with it: words decide first."""
    if says_rate(text):
        return True
    return code in _RATE_CODES and not any(words in text.lower() for words in (*_TOO_LARGE, *_GAS_LIMIT))


def says_rate(text: str) -> bool:
    """Whether words, not a code alone, ask for patience."""
    return any(words in text.lower() for words in _RATE_LIMITED)


def of_any_limit(refusal: NodeRefused) -> bool:
    """Whether a refusal may be for the rate as well as for the size: the words that go with the code.

    Source: EIP-1474, error code -32005.
    """
    said = refusal.text.lower()
    known = any(words in said for words in (*_TOO_LARGE, *_GAS_LIMIT) if words != _EITHER)
    return refusal.code in _RATE_CODES and not known


def unavailable(text: str) -> bool:
    """Whether nobody behind the endpoint answered: another endpoint may."""
    return any(words in text.lower() for words in _UNAVAILABLE)


def tag_without_block(refusal: NodeRefused) -> bool:
    """Whether the node knows the tag `safe` or `finalized`, and has no such block yet."""
    return refusal.code == -39001 or _says(refusal, _NO_SUCH_BLOCK_YET)


def tag_unknown(refusal: NodeRefused) -> bool:
    """Whether the node takes no such block tag."""
    return not tag_without_block(refusal) and (unsupported(refusal) or _says(refusal, _TAG_UNKNOWN))


def unsupported(refusal: NodeRefused) -> bool:
    """Whether the node does not offer the method or one of its parameters."""
    return refusal.code in (-32601, -32602) or _says(refusal, _UNSUPPORTED)


def not_taken(refusal: NodeRefused) -> BroadcastRefused:
    """Return why a node did not take a transaction."""
    lower = refusal.text.lower()
    if _KNOWN_TRANSACTION.search(lower):
        return AlreadyKnown(refusal.host, refusal.text)
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
    """Return the revert bytes in an error's `data`: a string, `Reverted 0x...`, or nested in an object.

    Other text that holds a number, such as an address in the node's own words, is none.
    """
    level = [data]
    for _ in range(_DEEPEST_DATA):
        for value in level:
            if isinstance(value, str) and (match := _REVERT_DATA.fullmatch(value)):
                return bytes.fromhex(match.group(1))
        level = [inner for value in level if isinstance(value, dict) for inner in value.values()]
    return b""


def _says(refusal: NodeRefused, words: tuple[str, ...]) -> bool:
    lower = refusal.text.lower()
    return any(w in lower for w in words)
