"""What came of an action, for the journal and for people."""

from keeper.model.intent import Outcome, TxState
from keeper.model.plan import TxAction, action_id
from keeper.store.rows import ENDED, StoredIntent


def outcome_of(stored: StoredIntent) -> Outcome:
    """Return what came of an intent so far."""
    reason = stored.reason
    if not reason and stored.state in (TxState.SIGNED, TxState.SENT):
        reason = "not mined yet: the next cycle goes on with it"
    return Outcome(
        intent_id=stored.intent.id,
        action_id=stored.intent.action_id,
        chain_id=stored.intent.chain_id,
        state=stored.state,
        success=stored.success if stored.state in ENDED else None,
        reason=reason,
        tx_hash=stored.tx_hash,
        block_number=stored.block_number,
        gas_used=stored.gas_used,
        fee=stored.fee,
        simulation=stored.simulation,
        to=stored.intent.to,
        data=stored.intent.data,
        value=stored.intent.value,
    )


def not_done(action: TxAction, reason: str) -> Outcome:
    """Return the outcome of an action that came to no transaction: its `intent_id` is empty."""
    return Outcome(
        intent_id="",
        action_id=action_id(action),
        chain_id=action.chain_id,
        state=TxState.DROPPED,
        success=None,
        reason=reason,
    )
