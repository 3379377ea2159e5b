"""How a venue is read: whole, or only where something may have changed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from keeper.model.reads import Address, Reads
from keeper.model.snapshot import BlockRef, Screen, VenueState
from keeper.model.units import floor_to_wad
from keeper.model.venue import Venue
from keeper.policy.accrual import probes
from keeper.protocols.adapter import Adapter, Found
from keeper.snapshot.carried import Carried, advance, carry, differences, is_complete, surveyed, to_read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What one look shows of a venue."""

    found: Found
    state: VenueState
    carried: Carried | None = None
    """What the next look may go on from; None where accounts could not be read, are too few for it, or nobody
    asked for it."""

    screen: Screen | None = None
    """None where all accounts were read."""

    compared: bool = False
    """Whether all accounts were read, and held against what had been carried."""

    differences: tuple[str, ...] = ()
    """What the comparison found."""


VenueReader: TypeAlias = Callable[[Venue, Adapter, Sequence[Address], BlockRef], Reads[Seen]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """Where the next look at a venue goes on from."""

    carried: Carried
    screened: bool
    """False: all accounts are read, and held against what was carried."""


def whole(known: Mapping[str, Found], *, carries: int | None = None) -> VenueReader:
    """Return the reader of everything; `known` holds what was discovered before, by venue id.

    Another look can go on from a venue with `carries` accounts or more; None: from none.
    """

    def read(venue: Venue, adapter: Adapter, wallets: Sequence[Address], at: BlockRef) -> Reads[Seen]:
        found = yield from adapter.discover(venue, known.get(venue.id, Found()), at)
        state = yield from adapter.read(venue, found, wallets, at)
        pays = carries is not None and len(state.accounts) >= carries
        carried = carry(state, found, at) if pays and _is_readable(state) else None
        return Seen(found=found, state=state, carried=carried)

    return read


def following(
    steps: Mapping[str, Step],
    known: Mapping[str, Found],
    ours: Collection[Address],
    margin: float,
    carries: int = 0,
) -> VenueReader:
    """Return the reader that goes on from `steps`, by venue id; a venue without a step is read whole.

    `ours` are owners whose accounts are read every time. `margin` is the fraction of the requirement above
    which an account is far from its line. `carries` as in `whole`.
    """
    entire = whole(known, carries=carries)

    def read(venue: Venue, adapter: Adapter, wallets: Sequence[Address], at: BlockRef) -> Reads[Seen]:
        step = steps.get(venue.id)
        if step is None or not _precedes(step.carried.at, at):
            return (yield from entire(venue, adapter, wallets, at))
        carried = step.carried
        survey = yield from adapter.survey(venue, carried.found, probes(carried.holdings), at)
        prices = surveyed(carried, survey, at)
        if step.screened and is_complete(carried, survey, prices):
            keys = to_read(carried, survey, prices, ours, margin)
            asked = Found(keys=tuple(sorted(keys)), next_block=survey.found.next_block)
            state = yield from adapter.read(venue, asked, wallets, at)
            if not _is_readable(state):
                return Seen(found=survey.found, state=state)
            after = advance(carried, survey, prices, keys, state, at)
            return Seen(
                found=survey.found,
                state=state,
                carried=after,
                screen=Screen(
                    venue=venue.id,
                    chain_id=venue.chain_id,
                    unread=len(after.accounts) - len(state.accounts),
                    full_read=carried.full_read,
                    margin=floor_to_wad(margin),
                ),
            )
        found = yield from adapter.discover(venue, carried.found, at)
        state = yield from adapter.read(venue, found, wallets, at)
        return _compared(found, state, at, lambda: differences(carried, prices, state, survey.touched))

    return read


def comparing(carried: Mapping[str, Carried]) -> VenueReader:
    """Return the reader of everything that compares it with what was carried to the same block, by venue id.

    Whatever the other reader saw at that block, prices included, is what it is held against.
    """

    def read(venue: Venue, adapter: Adapter, wallets: Sequence[Address], at: BlockRef) -> Reads[Seen]:
        before = carried.get(venue.id)
        if before is None:
            return Seen(found=Found(), state=VenueState(accounts=(), instruments=(), quotes=()))
        found = yield from adapter.discover(venue, before.found, at)
        state = yield from adapter.read(venue, found, wallets, at)
        return _compared(found, state, at, lambda: differences(before, before.prices, state, ()))

    return read


def shows_all(seen: Mapping[str, Seen], steps: Mapping[str, Step]) -> bool:
    """Tell whether an earlier look at the same block shows all that `following` would read there.

    So it does of a venue that was read whole and is to be again, and of one that is to be screened from where
    that look left it. A venue that is in doubt is read.
    """

    def stands(what: Seen, step: Step | None) -> bool:
        if step is None:
            return what.screen is None
        return step.screened and step.carried is what.carried

    return all(stands(what, steps.get(venue)) for venue, what in seen.items())


def _compared(found: Found, state: VenueState, at: BlockRef, compare: Callable[[], tuple[str, ...]]) -> Seen:
    if not _is_readable(state):
        return Seen(found=found, state=state)
    return Seen(
        found=found, state=state, carried=carry(state, found, at), compared=True, differences=compare()
    )


def _is_readable(state: VenueState) -> bool:
    """Whether the venue let its accounts be read. Else there may be none, which means nothing."""
    return not any(gap.what == "venue" for gap in state.gaps)


def _precedes(before: BlockRef, at: BlockRef) -> bool:
    return before.number < at.number or before.hash == at.hash
