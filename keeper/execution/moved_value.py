"""What an action moves, in USD at the snapshot's trusted prices: what the caps on moved value count.

| action | counts | leaves the sender's wallet |
| --- | --- | --- |
| top-up | amount * price of the asset | the amount |
| withdrawal | amount * price of the asset: it goes from the venue to the owner's wallet | nothing |
| hedge | size * the greater of limit price and mark: no token moves, but so much is at stake | nothing |
| liquidation that takes over | size * mark: so much is received and must be margined | nothing |
| other liquidation | nothing: the venue pays the reward and takes no capital | nothing |
| settlement, refresh | nothing of ours | nothing |

Native coin that a transaction carries counts on top, at its trusted price. Gas does not: it has its own caps.
An approval moves nothing; the step that it is for does. Amounts are rounded up, to 10**-18 USD.

A dollar counts as one. What has no trusted price cannot be moved: its value cannot be held against a cap.
"""

from dataclasses import dataclass

from keeper.execution.errors import UnvaluedError
from keeper.model.plan import Hedge, Liquidate, MoveCollateral, TxAction
from keeper.model.snapshot import Snapshot
from keeper.model.units import NO_WEI, ONE, ZERO, Wad, Wei


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What one action moves, all its steps together."""

    usd: Wad
    """>= 0."""

    asset: str = ""
    outgoing: Wad = ZERO
    """Whole units of `asset` that leave the sender's wallet."""


def movement(action: TxAction, snapshot: Snapshot, *, native_value: Wei = NO_WEI) -> Movement:
    """Return what an action moves; `native_value` is the native coin that its transactions carry.

    Raises `UnvaluedError` where the snapshot has no trusted price for it.
    """
    carried = ZERO
    if native_value:
        carried = _times(Wad(native_value), _native_price(snapshot, action.chain_id))
    match action:
        case MoveCollateral():
            usd = _times(action.amount, _asset_price(snapshot, action))
            leaves = action.amount if action.direction == "add" else ZERO
            return Movement(usd=Wad(usd + carried), asset=action.asset, outgoing=leaves)
        case Hedge():
            price = max(action.limit_price, _mark(snapshot, action.instrument) or ZERO)
            if price <= 0:
                raise UnvaluedError(action.instrument)
            return Movement(usd=Wad(_times(action.size, price) + carried))
        case Liquidate(takes_over=True):
            mark = _mark(snapshot, action.instrument)
            if mark is None:
                raise UnvaluedError(action.instrument)
            return Movement(usd=Wad(_times(action.max_size, mark) + carried))
    return Movement(usd=carried)


def _times(amount: Wad, price: Wad) -> Wad:
    return Wad(-(-abs(amount) * abs(price) // ONE))


def _mark(snapshot: Snapshot, instrument: str) -> Wad | None:
    return next((q.price for q in snapshot.quotes if q.kind == "mark" and q.subject == instrument), None)


def _reference(snapshot: Snapshot, underlying: str) -> Wad | None:
    found = (q.price for q in snapshot.quotes if q.kind == "reference" and q.subject == underlying)
    return next(found, None)


def _native_price(snapshot: Snapshot, chain_id: int) -> Wad:
    native = next((g.native_underlying for g in snapshot.gas if g.chain_id == chain_id), None)
    price = None if native is None else _reference(snapshot, native)
    if price is None:
        raise UnvaluedError(native or f"native coin of chain {chain_id}")
    return price


def _asset_price(snapshot: Snapshot, action: MoveCollateral) -> Wad:
    """Return USD per unit of the asset. Its risk factor is that which the snapshot read it under."""
    factors = _factors(snapshot, action)
    if len(factors) != 1:
        raise UnvaluedError(action.asset)
    (underlying,) = factors
    price = ONE if underlying is None else _reference(snapshot, underlying)
    if price is None:
        raise UnvaluedError(action.asset)
    return price


def _factors(snapshot: Snapshot, action: MoveCollateral) -> set[str | None]:
    """Return the risk factors of the action's asset; None is a dollar. The account's own word goes first."""
    account = next((a for a in snapshot.accounts if a.id == action.account), None)
    if account is not None and account.margin_asset == action.asset:
        return {account.margin_underlying}
    balances = [] if account is None else list(account.balances)
    for wallet in snapshot.wallets:
        if wallet.chain_id == action.chain_id:
            balances += wallet.balances
    return {b.underlying for b in balances if b.asset == action.asset}
