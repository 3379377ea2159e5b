"""What a client of one chain is made of."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NotRequired, TypedDict

from keeper.chain.pricing import FeeRules
from keeper.model.reads import Address


class Finality(StrEnum):
    """By what a block counts as final."""

    CONFIRMATIONS = "confirmations"
    """So many blocks below the head; how many, whoever asks says."""

    SAFE = "safe"
    """At or below the block of this tag: on a layer 2, its data is on layer 1."""

    FINALIZED = "finalized"
    """At or below the block of this tag: on a layer 2, its data is in a block of layer 1 that is final."""


class PinAt(StrEnum):
    """What a cycle reads at, or so many blocks below it."""

    LATEST = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"


class GasBy(StrEnum):
    """By what the gas of a transaction is settled."""

    ESTIMATE = "estimate"
    """`eth_estimateGas`: runs it a dozen times, and knows what the chain charges beside execution."""

    SIMULATION = "simulation"
    """What it used in `eth_simulateV1` and a quarter, tried once. Where that cannot be, the estimate."""


class ClientSettings(TypedDict):
    """What a client is made of; see the example configuration for units."""

    name: str
    chain_id: int
    endpoints: Sequence[str]
    """HTTP(S) URLs in order of preference."""

    pin_at: NotRequired[PinAt]
    """Default: latest."""

    confirmations: NotRequired[int]
    """Blocks below `pin_at` that a cycle reads at. Default 0."""

    finality: NotRequired[Finality]
    """Default: confirmations."""

    finality_fallback: NotRequired[bool]
    """Whether confirmations count where the endpoint does not know the tag. Default False: it is an error."""

    call_gas: NotRequired[int]
    """Gas of one multicall. Default 50,000,000."""

    gas_by: NotRequired[GasBy]
    """Default: estimate."""

    log_blocks: NotRequired[int]
    """Widest range of one `eth_getLogs`. Default 10,000."""

    timeout_s: NotRequired[float]
    """Of one request. Default 20."""

    multicall: NotRequired[Address]
    """Default: the usual address."""

    max_lag_blocks: NotRequired[int]
    """An endpoint further behind the best of its peers is not read from. Default 5."""

    max_head_age_s: NotRequired[float]
    """Without a new block for longer, an endpoint behind its peers is not read from, and nothing is sent on a
    chain that stands still. Default 120."""

    quorum: NotRequired[int]
    """Endpoints that must agree: on reads at the pinned block, on simulations, and on what transactions are
    made and followed by: head, nonce, fees, receipts. Default 1."""

    private_endpoint: NotRequired[str]
    """HTTP(S) URL that transactions are handed to instead of `endpoints`. Empty, the default: none."""

    private_blocks: NotRequired[int]
    """Blocks after which a transaction that was handed over there goes to `endpoints`. Default 25."""

    private_only: NotRequired[bool]
    """Never. Default False."""

    fees: NotRequired[FeeRules]
    """Default: EIP-1559, the median tip of the last twenty blocks."""
