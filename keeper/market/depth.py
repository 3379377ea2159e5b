"""Depth of a concentrated-liquidity pool: what could be traded against it now, step by step.

Between two initialised ticks a pool with liquidity L trades along  base * quote = L**2,  so that from
square-root price a to b it exchanges  L * (1/a - 1/b)  base for  L * (b - a)  quote, at an average price of
exactly  a * b.  Base is the pool's token0.
Source: Uniswap v3 core whitepaper, sections 6.1 to 6.3.
"""

from collections.abc import Iterator
from functools import cache
from math import isqrt
from typing import Final

from keeper.model.quote import Depth, Level, PoolState
from keeper.model.units import ONE, Wad

LEVELS: Final = 40
"""Steps per side, where no initialised tick adds one."""

MAX_TICK: Final = 887_272
"""Ticks beyond give square-root prices that do not fit the pool's 160 bits."""

_Q96: Final = 1 << 96
_BITS: Final = 256
"""Fraction bits of the powers below: twenty squarings cost about as many of them, and 128 are needed."""


def sqrt_price_x96(tick: int) -> int:
    """Return the square root of 1.0001**tick, times 2**96, rounded down.

    Relative error below 2**-200 before rounding; the pool's own arithmetic has 128 bits and is off by up to
    3e-20 at the far ends. Raises `ValueError` beyond `MAX_TICK`.
    """
    if abs(tick) > MAX_TICK:
        raise ValueError(f"tick must be within +-{MAX_TICK}, was {tick}")
    power = 1 << _BITS
    for bit, factor in enumerate(_powers()):
        if abs(tick) >> bit & 1:
            power = power * factor >> _BITS
    # The powers are of 1/sqrt(1.0001): they stay below one and lose nothing at the top.
    return (_Q96 << _BITS) // power if tick > 0 else power * _Q96 >> _BITS


@cache
def _powers() -> tuple[int, ...]:
    """1.0001**(-2**i / 2) for i = 0..19, with `_BITS` fraction bits."""
    powers = [isqrt((10_000 << (2 * _BITS)) // 10_001)]
    while len(powers) < 20:
        powers.append(powers[-1] * powers[-1] >> _BITS)
    return tuple(powers)


def depth(pool: PoolState) -> Depth:
    """Return the levels of a pool in both directions, out to the venue's limit on one trade.

    Sizes and prices are those of the pool's curve with the pool's own rounding, which is always against the
    trader; the fee is not in the prices. A level is one step of about a fortieth of the way, or less where an
    initialised tick lies in between. No levels where the pool is empty or the venue lets no price move.
    """
    return Depth(
        instrument=pool.instrument,
        bids=tuple(_levels(pool, -1)),
        asks=tuple(_levels(pool, 1)),
        fee=pool.fee,
        source=pool.source,
        chain_id=pool.chain_id,
        observed_at_s=pool.observed_at_s,
    )


def _levels(pool: PoolState, direction: int) -> Iterator[Level]:
    """Walk up (+1: somebody buys base, asks) or down (-1: bids) from the current price."""
    if pool.max_tick_move == 0:
        return
    nets = dict(pool.nets)
    last = max(-MAX_TICK, min(MAX_TICK, pool.tick + direction * pool.max_tick_move))
    step = max(1, pool.max_tick_move // LEVELS)
    ends = {t for t in range(pool.tick, last, direction * step) if t != pool.tick} | {last}
    # Crossing down, a tick that the price stands on exactly is crossed first; going up it lies behind.
    ends |= {t for t in nets if (pool.tick < t <= last if direction > 0 else last <= t <= pool.tick)}
    at, liquidity = pool.sqrt_price_x96, pool.liquidity
    for tick in sorted(ends, reverse=direction < 0):
        to = sqrt_price_x96(tick)
        if liquidity > 0 and (to - at) * direction > 0:
            level = _ask(liquidity, at, to) if direction > 0 else _bid(liquidity, to, at)
            if level.size > 0 and level.price > 0:
                yield level
        if (to - at) * direction > 0:
            at = to
        liquidity += direction * nets.get(tick, 0)


def _ask(liquidity: int, low: int, high: int) -> Level:
    """Return what can be bought between two square-root prices: base out rounded down, quote in up."""
    base = (liquidity * _Q96 * (high - low)) // (high * low)
    quote = -(-liquidity * (high - low) // _Q96)
    return Level(price=Wad(-(-quote * ONE // base) if base else 0), size=Wad(base))


def _bid(liquidity: int, low: int, high: int) -> Level:
    """Return what can be sold between two square-root prices: base in rounded up, quote out down."""
    base = -(-liquidity * _Q96 * (high - low) // (high * low))
    quote = liquidity * (high - low) // _Q96
    return Level(price=Wad(quote * ONE // base if base else 0), size=Wad(base))
