"""The vAMM's liquidity around the current price: what can be traded before the venue refuses."""

from collections.abc import Iterator
from typing import Final

from keeper.model.quote import PoolState
from keeper.model.reads import Reads
from keeper.model.snapshot import BlockRef, Gap
from keeper.protocols.answers import Answers, Asked, answers_to, market_gap, unanswered, why
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.market import Market

_WORD_BITS: Final = 256
"""Initialised ticks are marked in words of so many bits, one bit per tick spacing."""


def ask_pool(asked: Asked, contracts: Contracts, market: Market) -> None:
    """Add the pool's price, and the liquidity that is active there."""
    asked["slot", market.base] = contracts.pool(market.pool, "slot0")
    asked["liquidity", market.base] = contracts.pool(market.pool, "liquidity")
    asked["spacing", market.base] = contracts.pool(market.pool, "tickSpacing")


def read_pool(contracts: Contracts, market: Market, answers: Answers, at: BlockRef) -> Reads[PoolState | Gap]:
    """Return the pool with every tick that one trade can reach: which there are, then what each holds.

    `answers` are those of `ask_pool`. A gap when any of it is missing: a pool without one of its ticks would
    seem deeper, or shallower, than it is.
    """
    venue = contracts.venue
    names = [(kind, market.base) for kind in ("slot", "liquidity", "spacing")]
    if failed := unanswered(answers, *names):
        return market_gap(venue, "depth", market.instrument, why(failed))
    slot, liquidity, spacing = (answers[name] for name in names)
    sqrt_price_x96, tick, *_ = slot
    low, high = tick - market.max_tick_move, tick + market.max_tick_move

    words = range(low // spacing // _WORD_BITS, high // spacing // _WORD_BITS + 1)
    bitmaps = yield from answers_to({w: contracts.pool(market.pool, "tickBitmap", w) for w in words})
    if failed := unanswered(bitmaps, *words):
        return market_gap(venue, "depth", market.instrument, why(failed))
    reachable = [t for w in words for t in _marked(bitmaps[w], w, spacing) if low <= t <= high]
    ticks = yield from answers_to({t: contracts.pool(market.pool, "ticks", t) for t in reachable})
    if failed := unanswered(ticks, *reachable):
        return market_gap(venue, "depth", market.instrument, why(failed))
    return PoolState(
        instrument=market.instrument,
        sqrt_price_x96=sqrt_price_x96,
        tick=tick,
        liquidity=liquidity,
        tick_spacing=spacing,
        fee=market.taker_fee,
        max_tick_move=market.max_tick_move,
        nets=tuple((t, ticks[t][1]) for t in reachable),
        chain_id=venue.chain_id,
        source=f"{venue.id}:UniswapV3Pool",
        observed_at_s=at.timestamp_s,
    )


def _marked(bitmap: int, word: int, spacing: int) -> Iterator[int]:
    """Yield the initialised ticks of one word, ascending."""
    for bit in range(_WORD_BITS):
        if bitmap >> bit & 1:
            yield (word * _WORD_BITS + bit) * spacing
