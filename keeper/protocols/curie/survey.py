"""Curie between full reads: prices and ratios, whom an event named, and the funding of a few accounts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from keeper.model.reads import Address, Failed, Logs, Reads
from keeper.model.snapshot import BlockRef, VenueState
from keeper.model.units import Wad
from keeper.protocols.adapter import Found, Survey
from keeper.protocols.answers import Answers, Asked, answers_to, venue_gap, why
from keeper.protocols.curie.contracts import BALANCE, CLEARING, VAULT, Contracts
from keeper.protocols.curie.discovery import TRADER_IN
from keeper.protocols.curie.market import (
    ask_markets,
    margin_terms,
    markets_from,
    perp_of,
    quotes_from,
    ratios_from,
)
from keeper.protocols.errors import DiscoveryError

_CHANGED_IN: Final = {
    **TRADER_IN,
    "PositionClosed": ("trader",),
    "FundingPaymentSettled": ("trader",),
    "Withdrawn": ("trader",),
    "CollateralLiquidated": ("trader", "liquidator"),
    "BadDebtSettled": ("trader",),
    "PnlRealized": ("trader",),
}
"""Where an event names an account whose positions, collateral or realised profit it changed. Every such
change emits one; what changes without is the funding due, and whatever an account has in resting orders."""

_EVENTS: Final = (
    (
        CLEARING,
        "ClearingHouse",
        (
            "PositionChanged",
            "PositionLiquidated",
            "PositionClosed",
            "LiquidityChanged",
            "FundingPaymentSettled",
        ),
    ),
    (VAULT, "Vault", ("Deposited", "Withdrawn", "CollateralLiquidated", "BadDebtSettled")),
    (BALANCE, "AccountBalance", ("PnlRealized",)),
)


def survey(contracts: Contracts, known: Found, probes: Sequence[str], at: BlockRef) -> Reads[Survey]:
    """Return what one round of reads tells of the venue without reading its accounts.

    Raises `DiscoveryError` when the events cannot be read: a changed account must not look unchanged.
    """
    asked: Asked = {
        abi: Logs(abi, contracts[name], events, known.next_block) for abi, name, events in _EVENTS
    }
    ask_markets(asked, contracts)
    for trader in map(Address, probes):
        asked["funding", trader] = contracts.exchange("getAllPendingFundingPayment", trader)
    answers = yield from answers_to(asked)

    named: set[str] = set()
    new: set[str] = set()
    for abi, _, _ in _EVENTS:
        logs = answers[abi]
        if isinstance(logs, Failed):
            raise DiscoveryError(contracts.venue.id, logs)
        for log in logs:
            traders = {str(log.args[name]) for name in _CHANGED_IN[log.event]}
            named |= traders
            # The others are realised by the venue's own contracts too, which are nobody's accounts.
            new |= traders if log.event in TRADER_IN else set()
    keys = {*known.keys, *new}
    dues = ((key, answers["funding", Address(key)]) for key in probes)
    return Survey(
        state=_state(contracts, answers, at),
        found=Found(keys=tuple(sorted(keys)), next_block=at.number + 1),
        touched=frozenset(named & keys),
        funding_due={key: Wad(due) for key, due in dues if not isinstance(due, Failed)},
    )


def _state(contracts: Contracts, answers: Answers, at: BlockRef) -> VenueState:
    venue = contracts.venue
    empty = VenueState(accounts=(), instruments=(), quotes=())
    ratios = ratios_from(answers)
    if isinstance(ratios, Failed):
        return replace(empty, gaps=(venue_gap(venue, why(ratios)),))
    markets, gaps = markets_from(contracts, answers)
    quotes, missing = quotes_from(venue, markets, at)
    return replace(
        empty,
        instruments=tuple(perp_of(m, ratios) for m in markets.values()),
        quotes=quotes,
        terms=(margin_terms(venue, ratios),),
        gaps=(*gaps, *missing),
    )
