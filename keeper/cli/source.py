"""Where a command's snapshot comes from: the chains now, or a cycle that was journaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keeper.model.errors import ConfigError
from keeper.model.params import Params
from keeper.model.snapshot import Snapshot

LAST: Final = "last"


class ConflictingSourceError(ConfigError):
    """The chains and a journal were asked for at once."""

    def __init__(self) -> None:
        super().__init__("--at reads the chains, --cycle and --journal a recorded cycle: give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A snapshot, and the parameters to judge it by."""

    snapshot: Snapshot
    params: Params
    """The configuration's for the chains, those that were recorded for a journaled cycle."""

    chains: Mapping[int, str]
    """Name of each chain id, where a configuration gives one."""

    cycle_id: str | None
    """None for the chains now."""


def taken(config: Path | None, *, at: Sequence[str] | None, cycle: str | None, journal: Path | None) -> Taken:
    """Return the snapshot that the options ask for.

    Raises `ConflictingSourceError`, and what reading the configuration, the chains or the journal raises.
    """
    from keeper.config.load import load

    if at and (cycle is not None or journal is not None):
        raise ConflictingSourceError
    settings = load(config) if journal is None or config is not None else None
    chains = {} if settings is None else settings.chain_names()
    if settings is not None and cycle is None and journal is None:
        from keeper.service.chains import blocks_of, observing

        with observing(settings, at=blocks_of(settings, at or ())) as observe:
            return Taken(snapshot=observe(), params=settings.params(), chains=chains, cycle_id=None)
    from keeper.replay.recorded import recorded

    path = journal if journal is not None or settings is None else settings.journal.path
    assert path is not None, "without a configuration there is a journal"
    found = recorded(path, None if cycle == LAST else cycle)
    return Taken(snapshot=found.snapshot, params=found.params, chains=chains, cycle_id=found.cycle_id)


def stamp(source: Taken) -> dict[str, Any]:
    """Return the part of a JSON document that says what was looked at."""
    from keeper.model.canonical import plain

    snapshot = source.snapshot
    return {
        "taken_at_s": snapshot.taken_at_s,
        "skew_s": snapshot.skew_s,
        "snapshot_digest": snapshot.digest,
        "params_digest": source.params.digest,
        "cycle_id": source.cycle_id,
        "blocks": plain(snapshot.blocks),
        "gaps": plain(snapshot.gaps),
    }
