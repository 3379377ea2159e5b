"""What can go wrong between the keeper and a node, one class per reason.

* TransientError
  * NodeUnreachable          no endpoint of the chain gives a usable answer now
    * RateLimited            an endpoint asks for patience
    * QuorumMissing          too few endpoints answer for a quorum
    * AnswersDiffer          endpoints say different things about now: one of them lags, or lies
    * NodeDisbelieved        an endpoint's answers cannot be right; it is set aside
  * PinnedBlockGone          a reorg, or a node without that state, took the block all reads rest on
* DataError
  * NodeRefused              the node answered the request with an error
    * TagUnknown             it does not know `safe` or `finalized`
  * EndpointsDisagree        two endpoints give different answers to the same read
  * AbiMismatch              an answer does not have the shape that the ABI promises
  * BroadcastRefused         the node did not take a transaction
    * AlreadyKnown           it has these very bytes
    * NonceTooLow            a transaction with this nonce was mined
    * NonceTooHigh           an earlier nonce is missing
    * ReplacementUnderpriced another transaction with this nonce pays as much or nearly
    * FeeTooLow              below what the node takes now
    * InsufficientFunds      the sender cannot pay for it
    * PoolFull               the node has no room for it now
    * GasLimitUnfit          its gas limit is below what it needs at least, or above what a block may have
* ConfigError
  * WrongChain               an endpoint serves another chain
  * FinalityUnknown          no endpoint knows the block tag that finality is configured by
  * EndpointUnfit            an endpoint's URL is not one
  * MulticallMissing         nothing answers at the configured Multicall3 address
  * AbiMissing               no such ABI, function, event or error

Messages carry an endpoint's scheme and host, never the rest of its URL: that may hold a key.
"""

from collections.abc import Sequence

from keeper.model.errors import ConfigError, DataError, TransientError
from keeper.model.reads import Address


class NodeUnreachable(TransientError):  # noqa: N818 - named for what is the matter
    """No endpoint of a chain gave a usable answer."""

    chain: str
    """Name of the chain, or an endpoint's host where no chain is known yet."""

    reasons: tuple[str, ...]
    """One per endpoint: host and what it did."""

    def __init__(self, chain: str, reasons: Sequence[str]) -> None:
        super().__init__(f"{chain}: {'; '.join(reasons) or 'no endpoint is configured'}")
        self.chain = chain
        self.reasons = tuple(reasons)


class RateLimited(NodeUnreachable):
    """An endpoint answers that it was asked too often."""

    retry_after_s: float | None
    """How long it wants to be left alone; None where it does not say."""

    certain: bool
    """False where only the error's code says so, which stands for limits of size too."""

    def __init__(self, host: str, reason: str, retry_after_s: float | None, *, certain: bool = True) -> None:
        super().__init__(host, (reason,))
        self.retry_after_s = retry_after_s
        self.certain = certain


class QuorumMissing(NodeUnreachable):
    """Too few endpoints answer to hold their answers against each other."""

    def __init__(self, chain: str, *, needed: int, found: int, reasons: Sequence[str]) -> None:
        super().__init__(chain, (f"quorum of {needed}, only {found} answered", *reasons))


class AnswersDiffer(NodeUnreachable):
    """Endpoints give different answers about the present: nonce, price, receipt. One of them lags, or lies.

    Nothing is decided on either; a moment later they may agree.
    """

    what: str
    said: tuple[tuple[str, str], ...]
    """Host and answer, of each that was asked."""

    def __init__(self, chain: str, what: str, said: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            chain, (f"endpoints disagree about {what}: {', '.join(f'{h} says {a}' for h, a in said)}",)
        )
        self.what = what
        self.said = tuple(said)


class NodeDisbelieved(NodeUnreachable):
    """An endpoint answered what cannot be: another chain, another time, bytes that mean nothing.

    It has been set aside: the same reads may be asked again at once and go to another one.
    """

    def __init__(self, chain: str, host: str, problem: str) -> None:
        super().__init__(chain, (f"{host} {problem}",))


class PinnedBlockGone(TransientError):  # noqa: N818
    """The block that the reads rest on is no longer on the chain, or its state is not there."""

    chain_id: int
    number: int
    block_hash: str

    def __init__(self, chain_id: int, number: int, block_hash: str, detail: str) -> None:
        super().__init__(
            f"block {number} ({block_hash[:18]}...) of chain {chain_id} can no longer be read ({detail}): "
            "pin a new one"
        )
        self.chain_id = chain_id
        self.number = number
        self.block_hash = block_hash


class NodeRefused(DataError):  # noqa: N818
    """A node answered a request with an error of its own."""

    host: str
    code: int
    """JSON-RPC error code."""

    text: str
    """The node's words, without anything of the URL."""

    data: bytes
    """Revert data where the node sent some."""

    def __init__(self, host: str, method: str, code: int, text: str, data: bytes = b"") -> None:
        super().__init__(f"{host} refused {method}: {text} ({code})")
        self.host = host
        self.code = code
        self.text = text
        self.data = data


class TagUnknown(NodeRefused):
    """The endpoint does not know a block tag: it is old, or its chain has no finality of its own."""

    tag: str

    def __init__(self, refusal: NodeRefused, tag: str) -> None:
        super().__init__(refusal.host, f'block "{tag}"', refusal.code, refusal.text)
        self.tag = tag


class EndpointsDisagree(DataError):  # noqa: N818
    """Endpoints give different answers to the same read at the same block: one of them is wrong."""

    hosts: tuple[str, str]
    what: str
    number: int

    def __init__(self, chain: str, hosts: tuple[str, str], what: str, number: int) -> None:
        super().__init__(f"{chain}: {hosts[0]} and {hosts[1]} disagree about {what} at block {number}")
        self.hosts = hosts
        self.what = what
        self.number = number


class AbiMismatch(DataError):  # noqa: N818
    """An answer does not have the shape that the ABI promises."""

    what: str

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what


class AbiMissing(ConfigError):  # noqa: N818
    """An ABI, or an entry of one, that the program needs is not there."""

    what: str

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what


class WrongChain(ConfigError):  # noqa: N818
    """An endpoint serves another chain than the one it is configured for."""

    host: str
    expected: int
    found: int

    def __init__(self, name: str, host: str, *, expected: int, found: int) -> None:
        super().__init__(
            f"chain {name}: {host} serves chain id {found}, expected {expected}: "
            f"correct chain_id or the endpoint under [chains.{name}]"
        )
        self.host = host
        self.expected = expected
        self.found = found


class FinalityUnknown(ConfigError):  # noqa: N818
    """Finality or reads are configured by a block tag that the chain's endpoint does not know."""

    tag: str

    def __init__(self, name: str, unknown: TagUnknown) -> None:
        super().__init__(
            f'chain {name}: {unknown.host} does not know the block "{unknown.tag}" ({unknown.text}): set '
            f'finality = "confirmations" (and pin_at = "latest") under [chains.{name}], or finality_fallback'
        )
        self.tag = unknown.tag


class EndpointUnfit(ConfigError):  # noqa: N818
    """An endpoint's URL cannot be used."""

    def __init__(self, shown: str, expected: str) -> None:
        super().__init__(f"endpoint {shown}: expected {expected}")


class MulticallMissing(ConfigError):  # noqa: N818
    """Nothing answers as Multicall3 at the configured address."""

    chain_id: int
    address: Address

    def __init__(self, name: str, chain_id: int, address: Address) -> None:
        super().__init__(
            f"chain {name}: no Multicall3 at {address} on chain {chain_id}: "
            f"set `multicall` under [chains.{name}]"
        )
        self.chain_id = chain_id
        self.address = address


class BroadcastRefused(DataError):  # noqa: N818
    """A node did not take a transaction; the class says why where its words are known."""

    host: str
    text: str
    """The node's own words."""

    def __init__(self, host: str, text: str) -> None:
        super().__init__(f"{host} did not take the transaction: {text}")
        self.host = host
        self.text = text


class AlreadyKnown(BroadcastRefused):
    """The node has these very bytes: as good as sent."""


class NonceTooLow(BroadcastRefused):
    """A transaction with this nonce has been mined."""


class NonceTooHigh(BroadcastRefused):
    """The node wants the nonces before it first."""


class ReplacementUnderpriced(BroadcastRefused):
    """Another transaction with this nonce waits, and this one does not pay enough more."""


class FeeTooLow(BroadcastRefused):
    """The fee is below what the node takes now."""


class InsufficientFunds(BroadcastRefused):
    """The sender cannot pay for gas and value."""


class PoolFull(BroadcastRefused):
    """The node has no room for it now, or takes no more of this sender: the same bytes may go in later."""


class GasLimitUnfit(BroadcastRefused):
    """The gas limit is below what any such transaction takes, or above what a block or the chain allows."""
