"""What is carried of a venue from one look to the next, where not all accounts are read each time. Pure.

A screened snapshot holds only what was read at its own blocks: our own accounts, those that an event named,
those that cannot be measured without their contract, and those that may be near their line. Its plan is a
function of it like any other, and replay needs nothing else. The others are left out, and counted in
`Snapshot.screens`.

Rejected: snapshots in which the others stand as they were last read. Their requirements would belong to other
prices, each cycle would write them all down again, and a reader could not tell what the contract had said
of which block.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from keeper.model.book import Account
from keeper.model.instrument import Instrument
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.units import to_float
from keeper.policy.accrual import accrued_usd
from keeper.policy.screen import (
    Holding,
    OptionHolding,
    PerpHolding,
    Prices,
    holding_of,
    measured,
    prices_of,
    suspects,
    unlike,
)
from keeper.protocols.adapter import Found, Survey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carried:
    """A venue's accounts as each was last read, followed through all events up to one block."""

    at: BlockRef
    full_read: BlockRef
    """Where all of them were last read."""

    found: Found
    accounts: Mapping[str, Account]
    """By key."""

    holdings: Mapping[str, Holding]
    """Of the accounts that can be measured without their contract."""

    unread: frozenset[str]
    """Keys that were asked for and not answered; they are gaps, and asked for every time."""

    prices: Prices
    """At `at`."""


def carry(state: VenueState, found: Found, at: BlockRef) -> Carried:
    """Return what a full read gives to carry."""
    prices = prices_of(state, at.timestamp_s)
    accounts = {a.key: a for a in state.accounts}
    return Carried(
        at=at,
        full_read=at,
        found=found,
        accounts=accounts,
        holdings=_holdings(accounts, state.instruments, prices),
        unread=_unread(state, found.keys),
        prices=prices,
    )


def advance(
    carried: Carried, survey: Survey, prices: Prices, asked: Collection[str], state: VenueState, at: BlockRef
) -> Carried:
    """Return what is carried after a screened look: `state` holds what `asked` names, read at `at`."""
    fresh = {a.key: a for a in state.accounts}
    gone = {*asked, *fresh}
    return Carried(
        at=at,
        full_read=carried.full_read,
        found=survey.found,
        accounts={k: a for k, a in carried.accounts.items() if k not in gone} | fresh,
        holdings={k: h for k, h in carried.holdings.items() if k not in gone}
        | _holdings(fresh, state.instruments, prices),
        unread=_unread(state, survey.found.keys),
        prices=prices,
    )


def surveyed(carried: Carried, survey: Survey, at: BlockRef) -> Prices:
    """Return the prices of a survey, with the funding that its probes tell."""
    dues_usd = {key: to_float(due) for key, due in survey.funding_due.items()}
    paid_usd = accrued_usd(carried.holdings, dues_usd, survey.touched)
    return prices_of(survey.state, at.timestamp_s, paid_usd)


def is_complete(carried: Carried, survey: Survey, prices: Prices) -> bool:
    """Tell whether every carried account can be measured with what a survey told."""
    held = {name for h in carried.holdings.values() if isinstance(h, PerpHolding) for name, _ in h.legs}
    return not survey.state.gaps and held <= prices.accrued_usd.keys()


def to_read(
    carried: Carried, survey: Survey, prices: Prices, ours: Collection[Address], margin: float
) -> frozenset[str]:
    """Return the keys of the accounts that a screened look reads."""
    untouched = {k: h for k, h in carried.holdings.items() if k not in survey.touched}
    return (
        survey.touched
        | carried.unread
        | (carried.accounts.keys() - carried.holdings.keys())
        | {k for k, a in carried.accounts.items() if a.owner in ours}
        | frozenset(suspects(measured(untouched, prices), margin))
    )


def differences(
    carried: Carried, prices: Prices, state: VenueState, touched: Collection[str]
) -> tuple[str, ...]:
    """Return what a full read contradicts, of all that was carried and no event has touched since.

    Positions, collateral and owner must be the same integers, funding due apart; the twin's figures at
    `prices`, where it has any, those of the contract (`policy.screen.unlike`).
    """
    read = {a.key: a for a in state.accounts}
    unread = _unread(state, [*carried.found.keys, *read])
    followed = {
        k: h
        for k, h in carried.holdings.items()
        if k not in touched and not (isinstance(h, OptionHolding) and h.expiry_s <= prices.at_s)
    }
    found = [
        f"{key} was not read" if key in unread else f"{key} is gone" for key in followed if key not in read
    ]
    found += [
        f"{key} holds something else"
        for key in followed
        if key in read and _held(read[key]) != _held(carried.accounts[key])
    ]
    found += [
        f"{key} has appeared"
        for key in read
        if key not in carried.accounts and key not in touched and key not in carried.unread
    ]
    figures = measured(followed, prices)
    known = np.isfinite(figures.equity_usd) & np.isfinite(figures.maintenance_usd)
    told = {k for k, fine in zip(figures.keys, known.tolist(), strict=True) if fine and k in read}
    found += [f"{key} is measured otherwise by its contract" for key in unlike(figures, read) if key in told]
    return tuple(found)


def _held(account: Account) -> tuple[object, ...]:
    """Return what only an event can change. Funding that is due stands in the first balance."""
    amounts = [b.amount for b in account.balances]
    if amounts:
        amounts[0] = type(amounts[0])(amounts[0] + account.funding_due)
    return account.owner, account.positions, tuple(amounts)


def _holdings(
    accounts: Mapping[str, Account], instruments: Iterable[Instrument], prices: Prices
) -> dict[str, Holding]:
    """Return what can be measured without a contract: whoever the twin gets wrong now is left out."""
    described = {i.id: i for i in instruments}
    held = {
        key: holding
        for key, account in accounts.items()
        if (holding := holding_of(account, described, prices)) is not None
    }
    wrong = set(unlike(measured(held, prices), accounts))
    return {key: holding for key, holding in held.items() if key not in wrong}


def _unread(state: VenueState, keys: Iterable[str]) -> frozenset[str]:
    missing = {g.key.split(":", 2)[-1] for g in state.gaps if g.what == "account"}
    return frozenset(missing.intersection(keys)) if missing else frozenset()
