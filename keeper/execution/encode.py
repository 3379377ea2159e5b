"""From an action to the transactions that carry it out."""

from collections.abc import Sequence

from keeper.chain import abi
from keeper.chain.transactions import Tx
from keeper.execution.moved_value import Movement
from keeper.execution.node import Node
from keeper.model.intent import TxIntent, intent_id
from keeper.model.plan import Liquidate, TxAction
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import ONE, ZERO, Wei
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.store.rows import StoredIntent


def transactions(
    node: Node, venue: Venue, adapter: Adapter, action: TxAction, sender: Address, head: BlockRef
) -> tuple[Tx, ...]:
    """Return the calls that the adapter encodes at the head, in order.

    Raises `DataError` when the action cannot be encoded, or node trouble.
    """
    sends = node.run(adapter.encode(venue, action, sender), head)
    return tuple(
        Tx(to=send.to, data=abi.encode(send), value=Wei(send.value_wei), abis=adapter.abis) for send in sends
    )


def intents(
    txs: Sequence[Tx],
    action: TxAction,
    *,
    action_id: str,
    episode: int,
    cycle_id: str,
    sender: Address,
    valid_until_block: int,
    urgent: bool,
    moves: Movement,
) -> tuple[StoredIntent, ...]:
    """Return one intent for each call; gas and budget follow from its simulation.

    What the action moves counts with its last call: those before it only make it possible.
    """
    last = len(txs) - 1
    return tuple(
        StoredIntent(
            intent=TxIntent(
                id=intent_id(
                    action_id=action_id,
                    episode=str(episode),
                    sequence=sequence,
                    chain_id=action.chain_id,
                    to=tx.to,
                    data=tx.data,
                ),
                action_id=action_id,
                cycle_id=cycle_id,
                chain_id=action.chain_id,
                sender=sender,
                to=tx.to,
                data=tx.data,
                value=tx.value,
                gas=0,
                max_fee=Wei(0),
                valid_until_block=valid_until_block,
            ),
            episode=episode,
            sequence=sequence,
            kind=action.kind.value,
            subject=action.subject,
            urgent=urgent,
            moved_usd=moves.usd if sequence == last else ZERO,
            asset=moves.asset if sequence == last else "",
            outgoing=moves.outgoing if sequence == last else ZERO,
        )
        for sequence, tx in enumerate(txs)
    )


def fee_budget(action: TxAction, snapshot: Snapshot, cap: Wei) -> Wei:
    """Return the most that may be spent on gas: for a liquidation its reward, where that is below `cap`.

    The reward is turned into native coin at the snapshot's reference price; without one the cap stands.
    """
    if not isinstance(action, Liquidate):
        return cap
    native = {gas.chain_id: gas.native_underlying for gas in snapshot.gas}.get(action.chain_id)
    prices = {q.subject: q.price for q in snapshot.quotes if q.kind == "reference"}
    price = prices.get(native, 0) if native is not None else 0
    return Wei(min(cap, action.reward_usd * ONE // price)) if price > 0 else cap
