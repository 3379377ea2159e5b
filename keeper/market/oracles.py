"""Reference prices: one trusted price per underlying, from what the venues' own oracles say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from keeper.market.age import too_old
from keeper.model.params import StalenessParams
from keeper.model.quote import Quote
from keeper.model.snapshot import Gap
from keeper.model.units import Wad

NO_CHAIN = 0
"""`chain_id` of a reference that rests on several chains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What `references` found."""

    quotes: tuple[Quote, ...]
    """One of kind `reference` per underlying that has a trusted price, by underlying."""

    stale: tuple[Quote, ...]
    """Indices that failed their gate: unfit for any use."""

    gaps: tuple[Gap, ...]


def references(
    quotes: Sequence[Quote], *, needed: Collection[str], taken_at_s: int, limits: StalenessParams
) -> References:
    """Return the reference price of every needed underlying: the median of its fresh indices.

    The median of an even number is the mean of the middle two, rounded down. An index is unfit when it is
    older than `max_quote_age_s` or not positive: a gap under its source, and it counts no further. Where the
    fit ones are further apart than `max_deviation`, as a fraction of the lowest, no price is trusted: nobody
    can say which venue is wrong. An underlying without a trusted price is a gap under its name.

    Parameters
    ----------
    quotes
        Of any kind; only indices count.
    needed
        Underlyings that something in the snapshot is valued with.
    taken_at_s
        Chain time of the snapshot.
    """
    indices = sorted((q for q in quotes if q.kind == "index"), key=lambda q: (q.subject, q.source))
    problems = {q: _unfit(q, taken_at_s, limits) for q in indices}
    gaps = [
        Gap(what="quote", key=f"{q.source}/{q.subject}", reason=problem, chain_id=q.chain_id)
        for q, problem in problems.items()
        if problem is not None
    ]
    found: list[Quote] = []
    for underlying in sorted({*needed, *(q.subject for q in indices)}):
        told = [q for q in indices if q.subject == underlying]
        reference = _reference(underlying, [q for q in told if problems[q] is None], bool(told), limits)
        if isinstance(reference, Quote):
            found.append(reference)
        else:
            gaps.append(reference)
    stale = tuple(q for q, problem in problems.items() if problem is not None)
    return References(quotes=tuple(found), stale=stale, gaps=tuple(gaps))


def _unfit(quote: Quote, taken_at_s: int, limits: StalenessParams) -> str | None:
    if quote.price <= 0:
        return f"price {quote.price} is not positive"
    return too_old(quote.observed_at_s, taken_at_s=taken_at_s, limit_s=limits.max_quote_age_s)


def _reference(underlying: str, fit: Sequence[Quote], told: bool, limits: StalenessParams) -> Quote | Gap:
    if not fit:
        reason = "every venue's price of it is unfit" if told else "no venue quotes it"
        return Gap(what="quote", key=underlying, reason=reason)
    ranked = sorted(fit, key=lambda q: (q.price, q.source))
    lowest, highest = ranked[0], ranked[-1]
    apart = (highest.price - lowest.price) / lowest.price
    if apart > limits.max_deviation:
        reason = (
            f"{lowest.source} and {highest.source} are {apart:.2%} apart, limit is {limits.max_deviation:.2%}"
        )
        return Gap(what="quote", key=underlying, reason=reason)
    middle = (len(ranked) - 1) // 2, len(ranked) // 2
    return Quote(
        subject=underlying,
        kind="reference",
        price=Wad((ranked[middle[0]].price + ranked[middle[1]].price) // 2),
        source="median of " + ", ".join(q.source for q in fit),
        chain_id=fit[0].chain_id if len({q.chain_id for q in fit}) == 1 else NO_CHAIN,
        observed_at_s=min(q.observed_at_s for q in fit),
    )
