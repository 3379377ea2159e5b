"""Margin calls and top-ups of our own accounts, before their venue can act."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from keeper.model.book import Account
from keeper.model.margin import Role, Transfer
from keeper.model.params import Params
from keeper.model.plan import Decision, MarginCall, MoveCollateral, Reason, Step
from keeper.model.snapshot import Snapshot
from keeper.model.units import Wad, floor_to_wad, to_float
from keeper.policy.gates import blocking_venue, held

CALL_STEPS = frozenset({Step.MARGIN_CALL, Step.REBALANCE, Step.LIQUIDATE})
TOP_UP_STEPS = frozenset({Step.REBALANCE, Step.LIQUIDATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What an account is to receive, or why it receives nothing."""

    action: MoveCollateral | MarginCall | None
    held: str | None = None


class Purse:
    """What wallets hold, counted down as the plan spends it, so that one dollar is promised once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._left: dict[tuple[int, str, str], Wad] = {
            (wallet.chain_id, wallet.owner, balance.asset): balance.amount
            for wallet in snapshot.wallets
            for balance in wallet.balances
        }

    def left(self, chain_id: int, owner: str, asset: str) -> Wad | None:
        """Return what is left; None when the wallet was not read."""
        return self._left.get((chain_id, owner, asset))

    def take(self, chain_id: int, owner: str, asset: str, amount: Wad) -> None:
        """Count `amount` as spent."""
        self._left[chain_id, owner, asset] = Wad(self._left[chain_id, owner, asset] - amount)


def wants(
    account: Account,
    decision: Decision,
    *,
    role: Role,
    snapshot: Snapshot,
    params: Params,
    reference_usd: Mapping[str, float],
    purse: Purse,
    transfer: Transfer | None,
) -> Wants:
    """Return the margin call or top-up that the account's step asks for.

    A member is only ever called. Our own account is called below `call_below`; below `rebalance_below`
    the payer's wallet pays, rounded up, to `target_health`:

        amount_usd = ceil((target_health * maintenance - equity) / rounding) * rounding

    If the wallet cannot pay all of it, it pays what it has, and the call asks for the rest next cycle.
    """
    if decision.step not in CALL_STEPS or role is Role.WATCH:
        return Wants(action=None)
    amount_usd = _needed_usd(account, params)
    call = _call(account, decision, amount_usd, snapshot, transfer)
    if decision.step not in TOP_UP_STEPS or role is Role.MEMBER:
        return Wants(action=call)
    if account.margin_asset is None:
        return Wants(action=call, held="held: the venue takes no collateral for this account")
    gap = blocking_venue(account.protocol, account.chain_id, account.margin_underlying, snapshot)
    if gap is not None:
        return Wants(action=call, held=held(gap))
    price_usd = 1.0 if account.margin_underlying is None else reference_usd.get(account.margin_underlying)
    if price_usd is None:
        return Wants(action=call, held=f"held: no trusted price of {account.margin_asset}")
    return _top_up(account, decision, amount_usd, price_usd, params, purse, call)


def _needed_usd(account: Account, params: Params) -> float:
    missing_usd = params.top_up.target_health * to_float(account.venue.maintenance) - to_float(
        account.venue.equity
    )
    rounding_usd = params.top_up.rounding_usd
    return max(0.0, math.ceil(missing_usd / rounding_usd - 1e-9) * rounding_usd)


def _call(
    account: Account, decision: Decision, amount_usd: float, snapshot: Snapshot, transfer: Transfer | None
) -> MarginCall:
    barrier_s = transfer.time_to_barrier_s if transfer is not None else None
    deadline_s = 0
    if barrier_s is not None and transfer is not None:
        deadline_s = snapshot.taken_at_s + max(0, int(barrier_s - transfer.latency_s))
    return MarginCall(
        subject=account.id,
        owner=account.owner,
        amount_usd=floor_to_wad(amount_usd),
        deadline_s=deadline_s,
        reason=Reason(
            text=f"{decision.reason.text}: {amount_usd:,.0f} USD restore the target",
            numbers=(*decision.reason.numbers, ("amount_usd", amount_usd)),
        ),
    )


def _top_up(
    account: Account,
    decision: Decision,
    amount_usd: float,
    price_usd: float,
    params: Params,
    purse: Purse,
    call: MarginCall,
) -> Wants:
    asset = account.margin_asset or ""
    payer = params.top_up.payer or account.owner
    left = purse.left(account.chain_id, payer, asset)
    if left is None:
        return Wants(action=call, held=f"held: the wallet's {asset} on chain {account.chain_id} was not read")
    capped_usd = min(amount_usd, params.top_up.max_usd)
    amount = Wad(min(floor_to_wad(capped_usd / price_usd), left))
    moved_usd = to_float(amount) * price_usd
    if moved_usd < params.top_up.min_transfer_usd:
        return Wants(
            action=call,
            held=f"held: the wallet has {to_float(left):,.2f} {asset}, {moved_usd:,.2f} USD is below the "
            f"minimum transfer of {params.top_up.min_transfer_usd:,.2f} USD",
        )
    purse.take(account.chain_id, payer, asset, amount)
    after = (to_float(account.venue.equity) + moved_usd) / to_float(account.venue.maintenance)
    return Wants(
        action=MoveCollateral(
            subject=account.id,
            protocol=account.protocol,
            chain_id=account.chain_id,
            account=account.id,
            owner=account.owner,
            asset=asset,
            amount=amount,
            direction="add",
            reason=Reason(
                text=f"{decision.reason.text}: {to_float(amount):,.4f} {asset} lift it to {after:.3f}",
                numbers=(*decision.reason.numbers, ("amount_usd", moved_usd), ("health_after", after)),
            ),
        )
    )
