"""Reads under names, and what becomes of those that were not answered."""

from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from keeper.model.reads import Failed, Read, Reads
from keeper.model.snapshot import Gap
from keeper.model.venue import Venue

Asked: TypeAlias = dict[Hashable, Read]
Answers: TypeAlias = Mapping[Hashable, Any]


def answers_to(asked: Asked) -> Generator[Sequence[Read], Sequence[Any], Answers]:
    """Ask everything in one round, and return the answers under the same names."""
    if not asked:
        return {}
    answers = yield tuple(asked.values())
    return dict(zip(asked, answers, strict=True))


def together(*parts: Reads[Any]) -> Reads[tuple[Any, ...]]:
    """Run generators side by side, each round of all of them in one; return their results in order."""
    results: list[Any] = [None] * len(parts)
    sent: dict[int, Sequence[Any] | None] = dict.fromkeys(range(len(parts)))
    while sent:
        asked: dict[int, Sequence[Read]] = {}
        for i, given in sent.items():
            try:
                # None starts a generator, as next() does.
                asked[i] = parts[i].send(given)  # type: ignore[arg-type]
            except StopIteration as done:
                results[i] = done.value
        answers = (yield [read for reads in asked.values() for read in reads]) if asked else ()
        sent = {}
        for i, reads in asked.items():
            sent[i], answers = answers[: len(reads)], answers[len(reads) :]
    return tuple(results)


def unanswered(answers: Answers, *names: Hashable) -> Failed | None:
    """Return the first of the named answers that is missing; None when all are there."""
    return next((a for a in (answers[name] for name in names) if isinstance(a, Failed)), None)


def why(failed: Failed) -> str:
    """Return the words for a gap."""
    return f"{failed.read}: {failed.reason}"


def venue_gap(venue: Venue, reason: str) -> Gap:
    """Return the gap of a venue of which nothing can be said."""
    return Gap(what="venue", key=venue.id, reason=reason, chain_id=venue.chain_id)


def account_gap(venue: Venue, key: str, reason: str) -> Gap:
    """Return the gap of one account, under its account id."""
    return Gap(what="account", key=f"{venue.id}:{key}", reason=reason, chain_id=venue.chain_id)


def market_gap(venue: Venue, what: str, key: str, reason: str) -> Gap:
    """Return the gap of a market input: `what` is `quote`, `surface`, `funding` or `depth`."""
    return Gap(what=what, key=key, reason=reason, chain_id=venue.chain_id)


def key_of(venue: Venue, account: str) -> str | None:
    """Return the venue's own key inside one of its account or instrument ids; None when it is not its own."""
    prefix = f"{venue.id}:"
    return account.removeprefix(prefix) if account.startswith(prefix) else None
