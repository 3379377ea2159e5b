"""Chain reads and writes as data: an adapter says what to read or send, `keeper.chain` does it.

An adapter's method is a generator. Each `yield` hands out a list of reads and receives their answers in
the same order: one round trip per chain, whatever the number of accounts. The same code therefore
runs live, from a recording and in replay.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NewType, TypeAlias, TypeVar

Address = NewType("Address", str)
"""EIP-55 checksummed."""


@dataclass(frozen=True, slots=True)
class Call:
    """One view call, made at the block that the snapshot pins for its chain."""

    contract: str
    """ABI under `contracts_abi/`, for example `curie/AccountBalance`."""

    to: Address
    fn: str
    """Name, or the full signature where a name is overloaded."""

    args: tuple[object, ...] = ()

    sender: Address | None = None
    """`msg.sender` of the call where the answer depends on it."""

    before: tuple["Send", ...] = ()
    """State changes simulated before this call in the same read, and only for it; never sent."""


@dataclass(frozen=True, slots=True)
class Logs:
    """All events of one contract from `from_block` to the pinned block, in chain order.

    The answer is a tuple of `Log`.
    """

    contract: str
    to: Address
    events: tuple[str, ...]
    from_block: int


@dataclass(frozen=True, slots=True)
class Log:
    """One decoded event."""

    event: str
    args: dict[str, Any]
    block_number: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Query:
    """A request to a venue whose book lives outside the EVM; stamped with the venue's own time."""

    venue: str
    method: str
    params: tuple[tuple[str, object], ...] = ()


Read: TypeAlias = Call | Logs | Query


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer to a read that gave none. Arithmetic on it raises, so it never passes for a zero."""

    read: str
    """What was asked, for example `curie/ClearingHouse.getAccountValue(0xabc...)`."""

    reason: str
    """The decoded revert reason, or the node's own words."""

    benign: bool = False
    """True where the contract answered by reverting, False where nobody answered."""


@dataclass(frozen=True, slots=True)
class Send:
    """One transaction's call, not yet encoded: contract, function and arguments."""

    contract: str
    to: Address
    fn: str
    args: tuple[object, ...] = ()
    value_wei: int = 0


T = TypeVar("T")
Reads: TypeAlias = Generator[Sequence[Read], Sequence[Any], T]
"""Each `yield` is one multicall: out goes a list of reads, back come decoded results or `Failed`."""
