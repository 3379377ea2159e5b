"""Many looks to one snapshot: merged, gated, in order. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from keeper.market import funding, surfaces
from keeper.market.age import too_old
from keeper.market.depth import MAX_TICK, depth, sqrt_price_x96
from keeper.market.oracles import references
from keeper.model.book import Account, Wallet
from keeper.model.params import StalenessParams
from keeper.model.quote import Depth, PoolState, Quote
from keeper.model.snapshot import BlockRef, Gap, Snapshot, VenueState
from keeper.snapshot.look import Look
from keeper.snapshot.merge import unique, wallets_at


def assemble(looks: Sequence[Look], lost: Iterable[Gap], limits: StalenessParams) -> Snapshot:
    """Return the snapshot of all chains that were looked at.

    `lost` holds a gap for every chain that could not be. Every tuple comes out sorted, so neither the order
    of the looks nor that of what is in them matters.
    """
    blocks = tuple(sorted((look.block for look in looks), key=lambda b: b.chain_id))
    taken_at_s = max((b.timestamp_s for b in blocks), default=0)
    states = [state for look in looks for state in look.states]
    gaps = [*lost, *_skewed(blocks, taken_at_s, limits)]
    gaps += [g for look in looks for g in look.gaps]
    gaps += [g for state in states for g in state.gaps]

    instruments, clashes = unique((i for s in states for i in s.instruments), lambda i: i.id, "venue")
    gaps += clashes
    underlyings = {i.id: i.underlying for i in instruments}
    accounts, clashes = unique((a for s in states for a in s.accounts), lambda a: a.id, "account")
    accounts, undescribed = _described(accounts, underlyings)
    gaps += [*clashes, *undescribed]
    wallets: list[Wallet] = []
    for look in looks:
        held, unknown = wallets_at(look.block, [w for s in look.states for w in s.wallets], look.natives)
        wallets += held
        gaps += unknown

    needed = _needed(accounts, wallets, looks, underlyings)
    quotes, unfit = _quotes(states, needed, taken_at_s, limits)
    curves, bent = surfaces.trusted(
        (v for s in states for v in s.surfaces), taken_at_s=taken_at_s, limits=limits
    )
    rates, late = funding.trusted(
        (f for s in states for f in s.funding), taken_at_s=taken_at_s, limits=limits
    )
    books, shallow = _depth(states)
    gaps += [*unfit, *bent, *late, *shallow]
    return Snapshot(
        blocks=blocks,
        accounts=accounts,
        instruments=instruments,
        quotes=quotes,
        surfaces=tuple(sorted(curves, key=lambda v: (v.venue, v.underlying))),
        funding=tuple(sorted(rates, key=lambda f: (f.instrument, f.source))),
        depth=books,
        boards=tuple(sorted((b for s in states for b in s.boards), key=lambda b: (b.venue, b.key))),
        terms=tuple(sorted((t for s in states for t in s.terms), key=lambda t: t.venue)),
        wallets=tuple(sorted(wallets, key=lambda w: (w.chain_id, w.owner))),
        gas=tuple(sorted((x.gas for x in looks if x.gas is not None), key=lambda g: g.chain_id)),
        screens=tuple(
            sorted(
                (s.screen for x in looks for s in x.seen.values() if s.screen is not None),
                key=lambda s: s.venue,
            )
        ),
        gaps=tuple(sorted(set(gaps), key=lambda g: (g.what, g.key, g.chain_id or 0, g.reason))),
    )


def _skewed(blocks: Sequence[BlockRef], taken_at_s: int, limits: StalenessParams) -> list[Gap]:
    """Return a gap for every chain whose pinned block is too far behind the latest one of all."""
    return [
        Gap(
            what="skew",
            key=str(b.chain_id),
            reason=f"its block is {taken_at_s - b.timestamp_s} s behind the latest of all chains, "
            f"limit is {limits.max_skew_s} s",
            chain_id=b.chain_id,
        )
        for b in blocks
        if taken_at_s - b.timestamp_s > limits.max_skew_s
    ]


def _described(
    accounts: Sequence[Account], underlyings: Mapping[str, str]
) -> tuple[tuple[Account, ...], list[Gap]]:
    """Leave out accounts that hold what no venue described."""
    kept: list[Account] = []
    gaps: list[Gap] = []
    for account in accounts:
        strange = next((p.instrument for p in account.positions if p.instrument not in underlyings), None)
        if strange is None:
            kept.append(account)
        else:
            reason = f"holds {strange}, which its venue did not describe"
            gaps.append(Gap(what="account", key=account.id, reason=reason, chain_id=account.chain_id))
    return tuple(kept), gaps


def _needed(
    accounts: Sequence[Account],
    wallets: Sequence[Wallet],
    looks: Sequence[Look],
    underlyings: Mapping[str, str],
) -> set[str]:
    """Return the underlyings that something is valued with."""
    needed = {underlyings[p.instrument] for a in accounts for p in a.positions}
    balances = [b for a in accounts for b in a.balances] + [b for w in wallets for b in w.balances]
    needed |= {b.underlying for b in balances if b.underlying is not None}
    return needed | {look.gas.native_underlying for look in looks if look.gas is not None}


def _quotes(
    states: Sequence[VenueState], needed: set[str], taken_at_s: int, limits: StalenessParams
) -> tuple[tuple[Quote, ...], list[Gap]]:
    """Return what may be priced with: fit indices, fresh marks, and the references made of the former."""
    read = [q for s in states for q in s.quotes]
    trusted = references(read, needed=needed, taken_at_s=taken_at_s, limits=limits)
    gaps = [*trusted.gaps]
    kept = [q for q in read if q.kind == "index" and q not in trusted.stale]
    for mark in (q for q in read if q.kind == "mark"):
        problem = too_old(mark.observed_at_s, taken_at_s=taken_at_s, limit_s=limits.max_quote_age_s)
        if problem is None:
            kept.append(mark)
        else:
            gaps.append(Gap(what="quote", key=mark.subject, reason=problem, chain_id=mark.chain_id))
    kept += trusted.quotes
    return tuple(sorted(kept, key=lambda q: (q.kind, q.subject, q.chain_id, q.source))), gaps


def _depth(states: Sequence[VenueState]) -> tuple[tuple[Depth, ...], list[Gap]]:
    books = [d for s in states for d in s.depth]
    gaps: list[Gap] = []
    for pool in (p for s in states for p in s.pools):
        book = _timeless_depth(replace(pool, observed_at_s=0))
        if isinstance(book, Depth):
            books.append(replace(book, observed_at_s=pool.observed_at_s))
        else:
            gaps.append(Gap(what="depth", key=pool.instrument, reason=book, chain_id=pool.chain_id))
    return tuple(sorted(books, key=lambda d: (d.instrument, d.source))), gaps


@lru_cache(maxsize=64)
def _timeless_depth(pool: PoolState) -> Depth | str:
    """Return the levels of a pool, or what is wrong with it: of most pools the same block after block."""
    return _malformed(pool) or depth(pool)


def _malformed(pool: PoolState) -> str | None:
    if abs(pool.tick) >= MAX_TICK or pool.max_tick_move < 0 or pool.liquidity < 0:
        return f"tick {pool.tick}, liquidity {pool.liquidity}: no pool has these"
    # A price that stands on a tick from above may be named by the tick below it.
    if not sqrt_price_x96(pool.tick) - 1 <= pool.sqrt_price_x96 <= sqrt_price_x96(pool.tick + 1) + 1:
        return f"square-root price {pool.sqrt_price_x96} does not belong to tick {pool.tick}"
    return None
