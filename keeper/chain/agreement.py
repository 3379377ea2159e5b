"""How several endpoints' answers to one question about the present become one, or none.

| asked | believed | because a lie or a lag |
| --- | --- | --- |
| next nonce, mined | what all say | downward uses a nonce again, upward gives up what may still land |
| next nonce, waiting | the lowest | upward leaves a gap; pools differ without anybody lying |
| receipt, block of a number | what all say | makes a transaction done that is not, or lost that is done |
| head | the first one's, where nobody is further behind than is tolerated | upward makes things late |
| final block | the lowest | upward ends what a reorg may still undo |
| fees | the higher base fee, the lower tip, where base fees are near each other | of the tip is paid |

Endpoints hear of a block within about a second of each other, so that a difference is asked about again
before it counts.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from keeper.chain.transactions import Fees
from keeper.model.snapshot import BlockRef

T = TypeVar("T")

Settle: TypeAlias = Callable[[Sequence[T]], tuple[T] | None]
"""Makes one answer of several, the first of which is that of the endpoint in use; None where they differ."""

_NEAR: Final = (5, 4)
"""Base fees that are at most two full blocks apart, about."""


def same(answers: Sequence[T]) -> tuple[T] | None:
    """Return what all say."""
    return (answers[0],) if all(answer == answers[0] for answer in answers) else None


def lowest(answers: Sequence[int]) -> tuple[int] | None:
    """Return what all confirm at least."""
    return (min(answers),)


def near(max_lag_blocks: int) -> Settle[BlockRef]:
    """Return the rule for heads: the first, unless it is further ahead of another than `max_lag_blocks`."""

    def settle(heads: Sequence[BlockRef]) -> tuple[BlockRef] | None:
        first = heads[0]
        return (first,) if first.number - min(head.number for head in heads) <= max_lag_blocks else None

    return settle


def prudent(fees: Sequence[Fees]) -> tuple[Fees] | None:
    """Return fees that cover the next block by all accounts, and give away no more than the least of them."""
    prices = [f.legacy_gas_price_wei for f in fees if f.legacy_gas_price_wei is not None]
    if prices and len(prices) != len(fees):
        return None
    base, least = max(f.base_fee_wei for f in fees), min(f.base_fee_wei for f in fees)
    if base * _NEAR[1] > least * _NEAR[0] + _NEAR[0]:
        return None
    tip = min(f.priority_fee_wei for f in fees)
    return (Fees(base_fee_wei=base, priority_fee_wei=tip, legacy_gas_price_wei=min(prices, default=None)),)
