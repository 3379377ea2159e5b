"""Which work does not wait behind other work, and which of two signers sends it.

| rank | actions | |
| --- | --- | --- |
| rescue | top-ups, liquidations | lose an account, or a reward, to whoever is first |
| hedge | hedges | may count on what the liquidations bring |
| housekeeping | withdrawals, settlements, refreshes | can wait a block |

Ranks order the actions of a plan. Whether work is *urgent* is configured by kind (`limits.urgent_kinds`):
only that work takes a nonce over from other work, has budgets of its own, and goes to a signer of its own
where there is one. A withdrawal is never urgent: it takes collateral from an account.

Decisions:

* Funds belong to a signer. A top-up is paid from the wallet of whoever sends it, and approved by him one step
  before; a reward and a position taken over land with the sender; a trade needs the trader, or his approval.
  So urgent work goes to the urgent signer only where what it needs is his.
* Where it is not, the ordinary signer sends it, and takes the nonce over if something is in front of it.
"""

from collections.abc import Set
from dataclasses import dataclass
from enum import IntEnum

from keeper.model.plan import Action, Hedge, Liquidate, MoveCollateral, TxAction
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad


class Rank(IntEnum):
    """What goes first within a plan; actions of one rank keep the order of the plan."""

    RESCUE = 0
    HEDGE = 1
    HOUSEKEEPING = 2


def rank(action: Action) -> Rank:
    """Return where an action stands. A hedge comes after every liquidation that it may count on."""
    match action:
        case Liquidate() | MoveCollateral(direction="add"):
            return Rank.RESCUE
        case Hedge():
            return Rank.HEDGE
    return Rank.HOUSEKEEPING


def is_urgent(action: TxAction, kinds: Set[str]) -> bool:
    """Whether an action does not wait behind work that is not urgent. `kinds` are the configured ones."""
    if isinstance(action, MoveCollateral) and action.direction == "withdraw":
        return False
    return action.kind.value in kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Who sends: one address for all work, or another one beside it for urgent work."""

    ordinary: Address
    urgent: Address | None = None
    kinds: frozenset[str] = frozenset()
    """Of urgent work."""

    taker: Address | None = None
    """Whose account receives what liquidations take over, as the policy counts on it."""

    def of(self, action: TxAction, snapshot: Snapshot) -> Address:
        """Return who sends an action: the urgent signer where it is urgent and its means are his.

        * liquidation: the taker where it takes a position over and the ordinary signer is the taker;
        * top-up: who holds the amount in his wallet as the snapshot read it, the urgent signer first;
        * hedge: the trader himself where he signs;
        * anything else needs no means but gas.
        """
        if self.urgent is None or not is_urgent(action, self.kinds):
            return self.ordinary
        match action:
            case Liquidate(takes_over=True) if self.taker == self.ordinary:
                return self.ordinary
            case Hedge() if action.owner == self.ordinary:
                return self.ordinary
            case MoveCollateral():
                held = holding(snapshot, action.chain_id, self.urgent, action.asset)
                return self.urgent if held is not None and held >= action.amount else self.ordinary
        return self.urgent


def holding(snapshot: Snapshot, chain_id: int, owner: Address, asset: str) -> Wad | None:
    """Return what a wallet holds of an asset, in whole units; None where that was not read."""
    for wallet in snapshot.wallets:
        if wallet.chain_id == chain_id and wallet.owner == owner:
            return next((b.amount for b in wallet.balances if b.asset == asset), None)
    return None
