"""The outbox's rows as values, and their columns."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from keeper.model.intent import OPEN, Simulation, TxIntent, TxState
from keeper.model.reads import Address
from keeper.model.units import NO_WEI, ZERO, Wad, Wei

UNSIGNED: Final = frozenset({TxState.PLANNED, TxState.SIMULATED})
"""States that nobody but the process which planned the intent carries on."""

NOT_FINAL: Final = OPEN | {TxState.CONFIRMED}
"""Signed states that a reorg, at least, may still change the outcome of."""

FINAL: Final = frozenset({TxState.FINALIZED, TxState.DROPPED})
"""States that nothing leads out of."""

ENDED: Final = frozenset({TxState.CONFIRMED, TxState.FINALIZED, TxState.DROPPED})
"""States in which the decision has its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIntent:
    """An intent, whose it is, and how far it got."""

    intent: TxIntent
    episode: int
    sequence: int
    kind: str
    """Kind of the action, or `lane` for a transaction that fills a nonce."""

    subject: str
    state: TxState = TxState.PLANNED
    reason: str = ""
    nonce: int | None = None
    tx_hash: str | None = None
    """The version that landed; before that, the newest one signed."""

    block_number: int | None = None
    """Block of the receipt; of a drop, the head at which it was decided."""

    block_hash: str | None = None
    block_time_s: int | None = None
    success: bool | None = None
    gas_used: int | None = None
    fee: Wei | None = None
    simulation: Simulation | None = None
    changed_at_s: float = 0.0
    urgent: bool = False
    """It does not wait behind one that is not: see `keeper.execution.urgency`."""

    displaces: str | None = None
    """The intent whose nonce it took over."""

    displaced_by: str | None = None
    """The intent that took its nonce over, while either of them may still land."""

    moved_usd: Wad = ZERO
    """What it moves, USD, as `keeper.execution.moved_value` counts it; >= 0."""

    asset: str = ""
    outgoing: Wad = ZERO
    """Whole units of `asset` that leave the sender's wallet, >= 0."""

    landed_at_s: float | None = None
    """Wall clock at which its receipt was noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed version of an intent's transaction. Any of them may land, at most one will."""

    intent_id: str
    number: int
    nonce: int
    cancels: bool
    """A transfer of nothing to ourselves, which only uses up the nonce."""

    tx_hash: str
    raw: bytes
    gas: int
    fee_per_gas: Wei
    """Fee cap, or the gas price of a legacy transaction."""

    priority_per_gas: Wei | None
    """None for a legacy transaction."""

    signed_at_block: int
    signed_at_s: float = 0.0
    l1_fee: Wei = NO_WEI
    """What layer 1 charged beside the gas when it was signed."""

    @property
    def worst_fee(self) -> Wei:
        """Most that this version can cost."""
        return Wei(self.gas * self.fee_per_gas + self.l1_fee)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One intent's part of several moves that are made together."""

    intent_id: str
    to: TxState
    reason: str = ""
    changes: tuple[tuple[str, Any], ...] = ()
    """Columns that change with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a transaction cost, or may still cost."""

    intent_id: str
    lane: tuple[int, Address]
    """(chain id, signer)."""

    kind: str
    """As of its intent."""

    urgent: bool
    nonce: int
    """Of all that was signed with one nonce at most one lands: they count once."""

    at_s: float
    """Wall clock at which its receipt was noted; infinity until it is final."""

    cost: Wei
    """Until it is final, that of its dearest version."""

    fee_per_gas: Wei
    """Cap of its dearest version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Value that an intent moved, or may still move."""

    intent_id: str
    urgent: bool
    at_s: float
    """Wall clock at which its receipt was noted; infinity until it is final."""

    usd: Wad


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move, as it was written."""

    id: int
    """1, 2, 3 ... over all intents."""

    intent_id: str
    before: TxState | None
    """None when the intent was planned."""

    after: TxState
    reason: str
    tx_hash: str | None
    block_number: int | None
    at_s: float
    """Wall clock."""


_SIMULATION: Final = TypeAdapter(Simulation)
_INTENT_FIELDS: Final = tuple(f.name for f in dataclasses.fields(TxIntent))
_ATTEMPT_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Attempt))
_STORED_FIELDS: Final = tuple(f.name for f in dataclasses.fields(StoredIntent) if f.name != "intent")


def columns_of(planned: StoredIntent, at_s: float) -> dict[str, Any]:
    """Return the row of a new intent."""
    row = {name: getattr(planned.intent, name) for name in _INTENT_FIELDS}
    return row | {
        "episode": planned.episode,
        "sequence": planned.sequence,
        "kind": planned.kind,
        "subject": planned.subject,
        "state": TxState.PLANNED.value,
        "reason": planned.reason,
        "planned_at_s": at_s,
        "changed_at_s": at_s,
        "urgent": planned.urgent,
        "moved_usd": planned.moved_usd,
        "asset": planned.asset,
        "outgoing": planned.outgoing,
    }


def attempt_columns(attempt: Attempt) -> dict[str, Any]:
    """Return the row of a signed version."""
    return {name: getattr(attempt, name) for name in _ATTEMPT_FIELDS}


def stored_of(columns: RowMapping | dict[str, Any]) -> StoredIntent:
    """Return the intent of a row."""
    fields: dict[str, Any] = {name: columns[name] for name in _STORED_FIELDS}
    fields["state"] = TxState(fields["state"])
    if fields["simulation"] is not None:
        fields["simulation"] = _SIMULATION.validate_python(fields["simulation"])
    return StoredIntent(intent=TxIntent(**{name: columns[name] for name in _INTENT_FIELDS}), **fields)


def transition_of(row: RowMapping | dict[str, Any]) -> Transition:
    """Return the move of a row."""
    before = row["before"]
    return Transition(
        **{**row, "before": None if before is None else TxState(before), "after": TxState(row["after"])}
    )
