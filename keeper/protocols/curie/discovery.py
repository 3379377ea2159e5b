"""Who has ever traded on Curie, or deposited there."""

from typing import Final

from keeper.model.reads import Failed, Logs, Reads
from keeper.model.snapshot import BlockRef
from keeper.protocols.adapter import Found
from keeper.protocols.curie.contracts import CLEARING, VAULT, Contracts
from keeper.protocols.errors import DiscoveryError
from keeper.protocols.following import next_from, starts_over

TRADER_IN: Final = {
    "PositionChanged": ("trader",),
    "PositionLiquidated": ("trader", "liquidator"),
    "LiquidityChanged": ("maker",),
    "Deposited": ("trader",),
}
"""Where an event names an account. Other events name only accounts that one of these named before."""


def discover(contracts: Contracts, known: Found, at: BlockRef) -> Reads[Found]:
    """Return every trader, maker, liquidator and depositor up to `at`: the venue keeps no list of them.

    Raises `DiscoveryError` when the events cannot be read: an unseen account must not look like none.
    """
    venue = contracts.venue
    fresh = starts_over(known, at)
    since = venue.from_block if fresh else next_from(known, venue.from_block)
    clearing = ("PositionChanged", "PositionLiquidated", "LiquidityChanged")
    answers = yield (
        Logs(CLEARING, contracts["ClearingHouse"], clearing, since),
        Logs(VAULT, contracts["Vault"], ("Deposited",), since),
    )
    found = set() if fresh else set(known.keys)
    for logs in answers:
        if isinstance(logs, Failed):
            raise DiscoveryError(venue.id, logs)
        for log in logs:
            found |= {str(log.args[name]) for name in TRADER_IN[log.event]}
    return Found(keys=tuple(sorted(found)), next_block=at.number + 1)
