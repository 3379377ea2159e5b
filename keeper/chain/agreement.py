"""How several endpoints' answers to one question about the present become one, or none.

| asked | believed, where as many say so as must agree | because a lie or a lag |
| --- | --- | --- |
| next nonce, mined | the same number | downward uses a nonce again, upward gives up what may still land |
| next nonce, waiting | at least so many | upward leaves a gap; pools differ without anybody lying |
| receipt, block of a number | the same | makes a transaction done that is not, or lost that is done |
| head | that it is not far behind the first one's | upward makes things late |
| final block | at least so high | upward ends what a reorg may still undo |
| fees | base fees near each other: the highest of them, the lowest tip | of the tip is paid |

Only as many are asked as must agree. Where they differ all others are asked too, so that one that lies or
lags is outvoted; and again after a moment, because endpoints hear of a block within about a second of each
other. What is "at least so" never differs: an endpoint that lags only makes it late.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from keeper.chain.transactions import Fees
from keeper.model.snapshot import BlockRef

T = TypeVar("T")

Settle: TypeAlias = Callable[[Sequence[T], int], tuple[T] | None]
"""Makes one answer of several, the first of which is that of the endpoint in use, where so many must agree;
None where they do not."""

_NEAR: Final = (5, 4)
"""Base fees that are at most two full blocks apart, about."""


def same(answers: Sequence[T], votes: int) -> tuple[T] | None:
    """Return the one answer that `votes` give."""
    found: list[T] = []
    for answer in answers:
        if answer not in found and sum(other == answer for other in answers) >= votes:
            found.append(answer)
    return (found[0],) if len(found) == 1 else None


def lowest(answers: Sequence[int], votes: int) -> tuple[int] | None:
    """Return the highest number that `votes` confirm, or exceed."""
    return (sorted(answers, reverse=True)[votes - 1],)


def near(max_lag_blocks: int) -> Settle[BlockRef]:
    """Return the rule for heads: the first, where `votes` are at most `max_lag_blocks` behind it."""

    def settle(heads: Sequence[BlockRef], votes: int) -> tuple[BlockRef] | None:
        first = heads[0]
        agree = sum(head.number >= first.number - max_lag_blocks for head in heads)
        return (first,) if agree >= votes else None

    return settle


def prudent(fees: Sequence[Fees], votes: int) -> tuple[Fees] | None:
    """Return fees that cover the next block by `votes` accounts, with the least tip of them."""
    for legacy in (False, True):
        alike = [f for f in fees if (f.legacy_gas_price_wei is not None) == legacy]
        alike.sort(key=lambda f: (f.base_fee_wei, f.priority_fee_wei))
        for i in range(len(alike) - votes + 1):
            group = alike[i : i + votes]
            low, high = group[0].base_fee_wei, group[-1].base_fee_wei
            if high * _NEAR[1] <= low * _NEAR[0] + _NEAR[0]:
                tip = min(f.priority_fee_wei for f in group)
                price = tip if legacy else None
                return (Fees(base_fee_wei=high, priority_fee_wei=tip, legacy_gas_price_wei=price),)
    return None
