"""An account with other holdings: positions, cash, and what its venue would then make of it."""

import dataclasses

from keeper.model.book import Account, Balance, LiquidationMode, Position, Requirement, SettlementMode
from keeper.model.instrument import Instrument, Perp
from keeper.model.reads import Address
from keeper.model.units import ZERO, Wad, floor_to_wad, mul
from keeper.policy.rule import NOW
from keeper.policy.venue_rule import Market, twin_of


def with_trade(account: Account, instrument: Instrument, size: Wad, price: Wad) -> Account:
    """Return the account after buying `size` (selling, where negative) at `price`.

    A perp keeps its entry price, and cash takes the difference: the account's value is the same before and
    after, and the opposite trade at the same price leads back exactly. The premium of anything else is
    paid by the owner's wallet.
    """
    if size == 0:
        return account
    held = next((p for p in account.positions if p.instrument == instrument.id), None)
    total = Wad(size + (held.size if held is not None else 0))
    entry = held.entry if held is not None else price if isinstance(instrument, Perp) else None
    others = tuple(p for p in account.positions if p.instrument != instrument.id)
    fresh = (Position(instrument=instrument.id, size=total, entry=entry),) if total else ()
    changed = dataclasses.replace(
        account, positions=tuple(sorted((*others, *fresh), key=lambda p: p.instrument))
    )
    if not isinstance(instrument, Perp) or entry is None:
        return changed
    return with_amount(changed, instrument.settle, Wad(-mul(size, Wad(price - entry))))


def with_amount(account: Account, asset: str, amount: Wad, underlying: str | None = None) -> Account:
    """Return the account with `amount` more of an asset; dollars are one balance, whatever their symbol."""
    if amount == 0:
        return account
    balances = list(account.balances)
    for i, balance in enumerate(balances):
        same = balance.asset == asset or (underlying is None and balance.underlying is None)
        if same:
            balances[i] = dataclasses.replace(balance, amount=Wad(balance.amount + amount))
            return dataclasses.replace(account, balances=tuple(balances))
    balances.append(Balance(asset=asset, amount=amount, underlying=underlying))
    return dataclasses.replace(account, balances=tuple(balances))


def measured(before: Account, after: Account, market: Market) -> Account | None:
    """Return `after` with the venue's figures moved by the twin's difference to `before`.

    Liquidatable is what the twin says then. None where the venue's rule is not known. An account that did
    not change is returned as it is.
    """
    if before == after:
        return after
    old, new = twin_of(before, market), twin_of(after, market)
    if old is None or new is None:
        return None
    was, now = old(NOW), new(NOW)
    venue = before.venue

    def moved(figure: Wad, from_usd: float, to_usd: float) -> Wad:
        return Wad(figure + floor_to_wad(to_usd) - floor_to_wad(from_usd))

    asked = now.maintenance_usd[0] > 0.0
    requirement = Requirement(
        equity=moved(venue.equity, was.equity_usd[0], now.equity_usd[0]),
        initial=Wad(max(0, moved(venue.initial, was.initial_usd[0], now.initial_usd[0]))) if asked else ZERO,
        maintenance=Wad(max(0, moved(venue.maintenance, was.maintenance_usd[0], now.maintenance_usd[0])))
        if asked
        else ZERO,
    )
    failing = requirement.equity < requirement.maintenance
    return dataclasses.replace(
        after,
        venue=requirement,
        liquidatable=failing,
        bounty=after.bounty if failing else None,
        withdrawable=None,
    )


def opened(account_id: str, owner: Address, instrument: Instrument, like: Account | None) -> Account:
    """Return an empty account at the instrument's venue, with the modes of another one there."""
    protocol, chain, key = account_id.split(":", 2)
    return Account(
        id=account_id,
        protocol=protocol,
        chain_id=int(chain),
        key=key,
        owner=owner,
        balances=(),
        positions=(),
        venue=Requirement(equity=ZERO, initial=ZERO, maintenance=ZERO),
        liquidatable=False,
        liquidation_mode=like.liquidation_mode if like is not None else LiquidationMode.PERMISSIONLESS,
        settlement_mode=like.settlement_mode if like is not None else SettlementMode.SYNC,
        margin_asset=instrument.settle,
    )
