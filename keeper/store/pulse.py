"""The heartbeat: what the last cycle saw, so that health can be told without a chain or a key."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from keeper.model.snapshot import Gap
from keeper.store import tables
from keeper.store.database import Database
from keeper.store.told import Beat, ChainBeat, ProfileBeat

__all__ = ["Beat", "ChainBeat", "ProfileBeat", "Pulse"]


class Pulse:
    """Writes and reads the heartbeat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, beat: Beat) -> None:
        """Replace the heartbeat. A failed cycle keeps what is known of chains and profiles."""
        with self._database.writing() as connection:
            good_s = connection.execute(select(tables.cycles.c.last_good_at_s)).scalar()
            connection.execute(delete(tables.cycles))
            row = {
                "id": 1,
                "cycle_id": beat.cycle_id,
                "plan_id": beat.plan_id,
                "started_at_s": beat.started_at_s,
                "finished_at_s": beat.finished_at_s,
                "last_good_at_s": good_s if beat.failure else beat.finished_at_s,
                "chain_time_s": beat.chain_time_s,
                "failure": beat.failure,
                "gaps": [asdict(gap) for gap in beat.gaps],
            }
            connection.execute(insert(tables.cycles), [row])
            if beat.chains:
                _replace(connection, tables.heads, _first_seen(connection, beat.chains))
            if beat.profiles:
                _replace(connection, tables.profiles, [asdict(profile) for profile in beat.profiles])

    def last(self) -> Beat | None:
        """Return the heartbeat; None before the first cycle has ended."""
        with self._database.reading(at_once=True) as connection:
            row = connection.execute(select(tables.cycles)).first()
            if row is None:
                return None
            heads = connection.execute(select(tables.heads).order_by(tables.heads.c.chain_id)).all()
            profiles = connection.execute(select(tables.profiles).order_by(tables.profiles.c.name)).all()
        columns = {name: value for name, value in row._mapping.items() if name != "id"}
        columns["gaps"] = tuple(Gap(**gap) for gap in columns["gaps"])
        return Beat(
            **columns,
            chains=tuple(
                ChainBeat(**{**head._mapping, "endpoints": tuple(head.endpoints)}) for head in heads
            ),
            profiles=tuple(ProfileBeat(**profile._mapping) for profile in profiles),
        )


def _first_seen(connection: Connection, chains: Sequence[ChainBeat]) -> list[dict[str, Any]]:
    known = {(row.chain_id, row.hash): row.first_seen_s for row in connection.execute(select(tables.heads))}
    return [
        asdict(chain)
        | {
            "first_seen_s": known.get((chain.chain_id, chain.hash), chain.first_seen_s),
            "endpoints": list(chain.endpoints),
        }
        for chain in chains
    ]


def _replace(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(delete(table))
    connection.execute(insert(table), rows)
