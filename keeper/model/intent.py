"""A transaction the keeper means to send, and the states it may pass through."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keeper.model.canonical import digest
from keeper.model.promise import Proof
from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wei


class TxState(StrEnum):
    """Written to the outbox before the step it names is taken, so a crash loses nothing."""

    PLANNED = "planned"
    SIMULATED = "simulated"
    SIGNED = "signed"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"
    DROPPED = "dropped"


MOVES: Final[dict[TxState, frozenset[TxState]]] = {
    TxState.PLANNED: frozenset({TxState.SIMULATED, TxState.DROPPED}),
    TxState.SIMULATED: frozenset({TxState.SIGNED, TxState.DROPPED}),
    # SIGNED to DROPPED only where the bytes can no longer land: another transaction used the nonce.
    TxState.SIGNED: frozenset({TxState.SENT, TxState.DROPPED}),
    # To SIGNED again: a higher fee at the same nonce.
    TxState.SENT: frozenset({TxState.CONFIRMED, TxState.SIGNED, TxState.DROPPED}),
    # Back to SENT: a reorg took its block.
    TxState.CONFIRMED: frozenset({TxState.FINALIZED, TxState.SENT}),
    TxState.FINALIZED: frozenset(),
    TxState.DROPPED: frozenset(),
}
"""In dry-run mode the walk ends at SIMULATED: there is no signer to take the next step.
A SENT intent is DROPPED only once another transaction has used its nonce.
"""

OPEN: Final[frozenset[TxState]] = frozenset({TxState.SIGNED, TxState.SENT})
"""States in which a transaction may still land: the same bytes are sent again, never new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TxIntent:
    """One transaction, decided but not yet signed. Holds no nonce: the outbox assigns it."""

    id: str
    """Hash of (action id, sequence, chain id, to, data): the same action twice is the same intent."""

    action_id: str
    cycle_id: str
    """The cycle whose journal record explains it."""

    chain_id: int
    sender: Address
    to: Address
    data: str
    """Calldata, 0x-prefixed hexadecimal."""

    value: Wei
    gas: int
    """Gas limit."""

    max_fee: Wei
    """Most that may be spent on gas in total, not per unit of gas."""

    valid_until_block: int
    """Dropped, never sent late: the snapshot it rests on is too old by then."""


def intent_id(*, action_id: str, episode: str, sequence: int, chain_id: int, to: Address, data: str) -> str:
    """Return the intent's identity.

    `episode` separates a later, new decision that happens to be the same from the same decision taken
    twice: it is the count of finished intents of that action.
    """
    return digest(
        {
            "action": action_id,
            "episode": episode,
            "sequence": sequence,
            "chain": chain_id,
            "to": to,
            "data": data,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What an intent would do at the head of its chain."""

    ok: bool
    gas: int | None
    error: str | None
    """Decoded reason; None when ok."""

    benign: bool = False
    """The reason says that nothing needs to be done any more: already gone, healthy again."""

    block_number: int | None = None
    promise: Proof | None = None
    """What the action promised beside what it moves; None where it fails before that can be said."""

    @property
    def untold(self) -> bool:
        """Whether the node could not tell: it cannot run several transactions in a row."""
        return (self.error or "").startswith("not simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one intent."""

    intent_id: str
    action_id: str
    chain_id: int
    state: TxState
    success: bool | None
    """True mined and succeeded, False mined and reverted, None not mined."""

    reason: str
    """Why it is in this state, decoded where it reverted; empty when all went well."""

    tx_hash: str | None = None
    block_number: int | None = None
    gas_used: int | None = None
    fee: Wei | None = None
    simulation: Simulation | None = None
    to: str | None = None
    data: str | None = None
    value: Wei = NO_WEI
