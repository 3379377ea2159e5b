"""The outbox's statements, built once: building one costs more than running it."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    insert,
    not_,
    or_,
    select,
    union_all,
    update,
)

from keeper.model.intent import OPEN, TxState
from keeper.store import tables
from keeper.store.prepared import Prepared
from keeper.store.rows import ENDED, FINAL, NOT_FINAL

_intent = tables.intents.c
_attempt = tables.attempts.c
_transition = tables.transitions.c


def _among(states: Collection[TxState], column: ColumnElement[str] = _intent.state) -> ColumnElement[bool]:
    return or_(*(column == state.value for state in sorted(states)))


_order = (
    _intent.chain_id,
    _intent.nonce.nulls_first(),
    _intent.planned_at_s,
    _intent.episode,
    _intent.sequence,
)
_in_lane = and_(_intent.chain_id == bindparam("chain"), _intent.sender == bindparam("signer"))
_of_topic = and_(_intent.kind == bindparam("kind"), _intent.subject == bindparam("subject"))
_is_open = _among(OPEN)
_has_ended = _among(ENDED)

ADD_INTENT: Final = Prepared(insert(tables.intents))
ADD_ATTEMPT: Final = Prepared(insert(tables.attempts))
ADD_TRANSITION: Final = Prepared(
    insert(tables.transitions)
    .values(id=select(func.coalesce(func.max(_transition.id), 0) + 1).scalar_subquery())
    .returning(_transition.id)
)
"""Numbered without holes, which a sequence of PostgreSQL is not."""

STATE: Final = Prepared(select(_intent.state).where(_intent.id == bindparam("id")))
DISPLACED: Final = Prepared(select(_intent.displaced_by).where(_intent.id == bindparam("id")))
CHANGE: Final = Prepared(update(tables.intents).where(_intent.id == bindparam("intent")))

INTENT: Final = Prepared(select(tables.intents).where(_intent.id == bindparam("id")))
ATTEMPTS: Final = Prepared(
    select(tables.attempts).where(_attempt.intent_id == bindparam("id")).order_by(_attempt.number)
)
OPEN_LIKE: Final = Prepared(
    select(tables.intents)
    .where(and_(_is_open, or_(_intent.action_id == bindparam("action"), _of_topic)))
    .order_by(*_order)
    .limit(1)
)
ENDED_OF_ACTION: Final = Prepared(
    select(func.count())
    .select_from(tables.intents)
    .where(and_(_intent.action_id == bindparam("action"), _has_ended))
)
SETTLED_OF_TOPIC: Final = Prepared(
    select(tables.intents)
    .where(and_(_of_topic, _has_ended, _intent.nonce.is_not(None)))
    .order_by(_intent.block_number.desc().nulls_last(), _intent.nonce.desc())
    .limit(bindparam("limit"))
)
_seen = cast(_intent.simulation, Text)
PROVED_OF_TOPIC: Final = Prepared(
    select(tables.intents)
    .join(tables.transitions, _transition.intent_id == _intent.id)
    .where(and_(_of_topic, _transition.before.is_(None)))
    .where(or_(_seen.contains('"broken": ""'), _seen.contains('"rest": {')))
    .order_by(_transition.id.desc())
    .limit(1)
)
"""By the text, in which a quotation mark of others is escaped: PostgreSQL's own look into a document fails
where a reason in it holds the character NUL."""

DROPPED_SINCE: Final = Prepared(
    select(tables.intents)
    .where(
        and_(
            _in_lane,
            _intent.state == TxState.DROPPED.value,
            _intent.nonce.is_not(None),
            _intent.block_number >= bindparam("block"),
        )
    )
    .order_by(*_order)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about intents, of some of them.

    The database filters by one thing only, for which it has an index. SQLite would otherwise take the most
    precise condition, which is the state, and read all that ever became final.
    """

    still_open: Prepared
    """Of those that may still change."""

    since: Prepared
    """Of those whose receipt was noted at or after `since`, final or not."""

    intent: Prepared
    """Of the one with `id`."""


def _question(columns: Select[Any]) -> Question:
    return Question(
        still_open=Prepared(columns.where(_among(NOT_FINAL))),
        since=Prepared(columns.where(_intent.landed_at_s >= bindparam("since"))),
        intent=Prepared(columns.where(_intent.id == bindparam("id"))),
    )


COSTS: Final = _question(
    select(
        _intent.id,
        _intent.state,
        _intent.landed_at_s,
        _intent.chain_id,
        _intent.sender,
        _intent.kind,
        _intent.urgent,
        _intent.nonce,
        _intent.fee,
        _attempt.gas,
        _attempt.fee_per_gas,
        _attempt.l1_fee,
    ).join_from(tables.intents, tables.attempts, _attempt.intent_id == _intent.id)
)
MOVES: Final = _question(
    select(
        _intent.id,
        _intent.state,
        _intent.landed_at_s,
        _intent.urgent,
        _intent.success,
        _intent.moved_usd,
    ).select_from(tables.intents)
)
NEWEST_TRANSITION: Final = Prepared(select(func.coalesce(func.max(_transition.id), 0)))
ENDED_SINCE: Final = Prepared(
    select(_transition.intent_id).where(
        and_(_transition.id > bindparam("after"), _among(FINAL, _transition.after))
    )
)
_of_asset = and_(_in_lane, _intent.asset == bindparam("asset"))
OUTGOING: Final = Prepared(
    union_all(
        select(_intent.outgoing).where(and_(_of_asset, _is_open)),
        select(_intent.outgoing).where(
            and_(
                _of_asset,
                _intent.block_number > bindparam("block"),
                _intent.success.is_(True),
                not_(_is_open),
            )
        ),
    )
)


def _highest_nonce(states: Collection[TxState]) -> Prepared:
    """Return what looks up the highest nonce of a lane in each state, which an index answers at once."""
    highest = union_all(
        *(
            select(func.max(_intent.nonce).label("nonce")).where(and_(_in_lane, _intent.state == state.value))
            for state in sorted(states)
        )
    ).subquery()
    return Prepared(select(func.coalesce(func.max(highest.c.nonce), -1)))


HIGHEST_NONCE: Final = _highest_nonce(frozenset(TxState) - {TxState.DROPPED})
FINAL_NONCE: Final = _highest_nonce({TxState.FINALIZED})
OPEN_LANES: Final = Prepared(
    select(_intent.chain_id, _intent.sender)
    .where(_is_open)
    .distinct()
    .order_by(_intent.chain_id, _intent.sender)
)
_told = tables.meta.c.key == "told"
TOLD: Final = Prepared(select(tables.meta.c.value).where(_told))
TELL: Final = Prepared(update(tables.meta).where(_told))
TELL_FIRST: Final = Prepared(insert(tables.meta).values(key="told"))
COUNTS: Final = Prepared(select(_intent.state, func.count()).group_by(_intent.state))
TRANSITIONS: Final = Prepared(
    select(tables.transitions).where(_transition.id > bindparam("after")).order_by(_transition.id)
)
TRANSITIONS_OF_INTENT: Final = Prepared(
    select(tables.transitions)
    .where(and_(_transition.id > bindparam("after"), _transition.intent_id == bindparam("intent")))
    .order_by(_transition.id)
)


@cache
def in_states(states: frozenset[TxState], *, of_lane: bool) -> Prepared:
    """Return what selects the intents in some states, of one lane or of all, in order of nonces."""
    wanted = and_(_among(states), _in_lane) if of_lane else _among(states)
    return Prepared(select(tables.intents).where(wanted).order_by(*_order))
