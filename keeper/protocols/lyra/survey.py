"""Lyra between full reads: spot and parameters, and which positions an event named."""

from keeper.model.reads import Failed, Logs, Reads
from keeper.model.snapshot import BlockRef, Gap, VenueState
from keeper.protocols.adapter import Found, Survey
from keeper.protocols.answers import Asked, answers_to
from keeper.protocols.errors import DiscoveryError
from keeper.protocols.lyra.contracts import TOKEN, Contracts
from keeper.protocols.lyra.market import ask_market
from keeper.protocols.lyra.reading import market_from, market_state


def survey(contracts: Contracts, known: Found, at: BlockRef) -> Reads[Survey]:
    """Return what one round of reads tells of the venue without reading its positions.

    A trade moves the vols of its board, yet no requirement: that is priced at the venue's own shock vol.
    Raises `DiscoveryError` when the events cannot be read: a changed position must not look unchanged.
    """
    asked: Asked = {"changed": Logs(TOKEN, contracts["OptionToken"], ("PositionUpdated",), known.next_block)}
    ask_market(asked, contracts)
    answers = yield from answers_to(asked)
    changed = answers["changed"]
    if isinstance(changed, Failed):
        raise DiscoveryError(contracts.venue.id, changed)
    touched = {int(log.args["positionId"]) for log in changed}
    market = market_from(contracts.venue, answers, at)
    if isinstance(market, Gap):
        state = VenueState(accounts=(), instruments=(), quotes=(), gaps=(market,))
    else:
        state = market_state(market, answers, ())
    ids = {int(key) for key in known.keys} | touched
    return Survey(
        state=state,
        found=Found(keys=tuple(str(i) for i in sorted(ids)), next_block=at.number + 1),
        touched=frozenset(str(i) for i in touched),
    )
