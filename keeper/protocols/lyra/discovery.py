"""Which positions of a Lyra market exist."""

from keeper.model.reads import Failed, Logs, Reads
from keeper.model.snapshot import BlockRef
from keeper.protocols.adapter import Found
from keeper.protocols.answers import Asked, answers_to
from keeper.protocols.errors import DiscoveryError
from keeper.protocols.following import next_from, starts_over
from keeper.protocols.lyra.accounts import holding_from
from keeper.protocols.lyra.contracts import IDS_PER_CALL, TOKEN, Contracts, PositionState


def ask_positions(asked: Asked, contracts: Contracts, ids: tuple[int, ...]) -> None:
    """Add the structs of many positions, in chunks that fit the gas of a call, under their first id."""
    for start in range(0, len(ids), IDS_PER_CALL):
        chunk = ids[start : start + IDS_PER_CALL]
        asked["positions", chunk] = contracts.token("getOptionPositions", chunk)


def discover(contracts: Contracts, known: Found, at: BlockRef) -> Reads[Found]:
    """Return every position that is open at `at`.

    The first time every id ever given is asked for its state; later the events name what was opened since.
    Positions that end stay known, because a reorg may open them again; `read` passes over them.

    Raises `DiscoveryError` when a read fails: an unseen position must not look like none.
    """
    if starts_over(known, at):
        ids = yield from _open_positions(contracts)
    else:
        (logs,) = yield (
            Logs(
                TOKEN,
                contracts["OptionToken"],
                ("PositionUpdated",),
                next_from(known, contracts.venue.from_block),
            ),
        )
        if isinstance(logs, Failed):
            raise DiscoveryError(contracts.venue.id, logs)
        ids = {int(key) for key in known.keys} | {int(log.args["positionId"]) for log in logs}
    return Found(keys=tuple(str(i) for i in sorted(ids)), next_block=at.number + 1)


def _open_positions(contracts: Contracts) -> Reads[set[int]]:
    (next_id,) = yield (contracts.token("nextId"),)
    if isinstance(next_id, Failed):
        raise DiscoveryError(contracts.venue.id, next_id)
    asked: Asked = {}
    ask_positions(asked, contracts, tuple(range(1, next_id)))
    answers = yield from answers_to(asked)
    found: set[int] = set()
    for answer in answers.values():
        if isinstance(answer, Failed):
            raise DiscoveryError(contracts.venue.id, answer)
        found |= {h.id for h in map(holding_from, answer) if h.state is PositionState.ACTIVE}
    return found
