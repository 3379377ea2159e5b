"""What a hypothetical trade or transfer would do: a changed snapshot, and the same profiles of it.

Decided:

* Trades are done at today's mark and cost nothing: what crossing the book would cost is reported beside, so
  that a trade and its mirror end where they began.
* The owner's wallet stands outside the accounts: it pays option premiums and what is moved in, and receives
  the contrary. Profiles count accounts, so their net value moves with both.
* The venue's figures of a touched account move by the difference that our twin of its rule makes of old and
  new holdings, and whether it is liquidatable is the twin's answer. Without a twin there is no answer.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.model.book import Account
from keeper.model.instrument import Instrument, Perp
from keeper.model.margin import MarginProfile, Role
from keeper.model.params import Params
from keeper.model.quote import Depth
from keeper.model.snapshot import Snapshot
from keeper.model.units import ONE, Wad, floor_to_wad, to_float
from keeper.policy.decide import margin_profiles
from keeper.policy.holdings import measured, opened, with_amount, with_trade
from keeper.policy.membership import members
from keeper.policy.valuation import value
from keeper.policy.venue_rule import Market, market_of, venue_of
from keeper.policy.whatif_errors import (
    AmbiguousAccountError,
    NoOwnerError,
    NoPriceError,
    NoRuleError,
    NoSuchAccountError,
    NoSuchInstrumentError,
    WrongAccountError,
    WrongAssetError,
)

NEW = "new"
"""Key of an account that a trade opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A trade at today's mark."""

    instrument: str
    size: Wad
    """Signed, units of the underlying: buying is positive."""

    account: str | None = None
    """None: the only one of ours that can make it, else a new one. `new`, or an id ending so, opens one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Collateral from the owner's wallet into an account; negative: out of it."""

    account: str
    amount: Wad
    """In whole units of the asset."""

    asset: str | None = None
    """None: the account's own collateral."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """A trade as it was done."""

    instrument: str
    account: str
    size_base: float
    price_usd: float
    premium_usd: float
    """Paid by the wallet, negative where received; 0 for perps."""

    crossing_usd: float | None
    """What depth and fee would take beyond the mark, not counted; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A transfer as it was done."""

    account: str
    asset: str
    amount: float
    value_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Before and after."""

    snapshot: Snapshot
    """As it would be; its wallets are as they were."""

    trades: tuple[Traded, ...]
    moves: tuple[Moved, ...]
    touched: tuple[str, ...]
    """Ids of the accounts that changed, sorted."""

    wallet_usd: float
    """What the wallets pay in all, negative where they receive."""

    notes: tuple[str, ...]
    """What would stand in the way, a line each."""

    before: tuple[MarginProfile, ...]
    after: tuple[MarginProfile, ...]


def whatif(
    snapshot: Snapshot, params: Params, *, trades: Sequence[Trade] = (), moves: Sequence[Move] = ()
) -> WhatIf:
    """Return every profile before and after the trades and then the transfers, each in their order.

    Raises
    ------
    WhatIfError
        One subclass per reason: unknown instrument, account or asset, no price, no rule.
    UnfitValueError
        A number of the snapshot is outside its domain.
    """
    book = _Book(snapshot, params)
    traded = tuple(book.trade(trade) for trade in trades)
    moved = tuple(book.move(move) for move in moves)
    changed = dataclasses.replace(snapshot, accounts=tuple(a for _, a in sorted(book.accounts.items())))
    return WhatIf(
        snapshot=changed,
        trades=traded,
        moves=moved,
        touched=book.touched(),
        wallet_usd=math.fsum([*(t.premium_usd for t in traded), *(m.value_usd for m in moved)]),
        notes=tuple(book.notes),
        before=margin_profiles(snapshot, params),
        after=margin_profiles(changed, params),
    )


class _Book:
    """Accounts and wallets while one trade or transfer after the other is applied to them."""

    accounts: dict[str, Account]
    notes: list[str]

    def __init__(self, snapshot: Snapshot, params: Params) -> None:
        valuation = value(snapshot)
        held = members(snapshot.accounts, params.profiles)
        ours = [p for p in params.profiles if p.role is not Role.WATCH]
        self.accounts = {a.id: a for a in snapshot.accounts}
        self.notes = []
        self._first = dict(self.accounts)
        self._market: Market = market_of(snapshot)
        self._prices_usd = dict(zip(valuation.columns.ids, valuation.unit.price_usd.tolist(), strict=True))
        self._depth: Mapping[str, Depth] = {d.instrument: d for d in snapshot.depth}
        self._ours = {a.id for p in ours for a in held[p.name]}
        self._owners = tuple(owner for p in ours for owner in p.owners)
        self._wallets = {
            (wallet.chain_id, wallet.owner, balance.asset): to_float(balance.amount)
            for wallet in snapshot.wallets
            for balance in wallet.balances
        }

    def touched(self) -> tuple[str, ...]:
        """Return the accounts that are not what they were."""
        return tuple(i for i, account in sorted(self.accounts.items()) if self._first.get(i) != account)

    def trade(self, trade: Trade) -> Traded:
        """Apply one trade."""
        instrument = self._market.instruments.get(trade.instrument)
        if instrument is None:
            raise NoSuchInstrumentError(trade.instrument)
        price_usd = self._prices_usd.get(instrument.id)
        if price_usd is None:
            raise NoPriceError(instrument.id)
        account = self._trader(trade, instrument)
        size_base = to_float(trade.size)
        self._put(account, with_trade(account, instrument, trade.size, floor_to_wad(price_usd)))
        premium_usd = 0.0 if isinstance(instrument, Perp) else size_base * price_usd
        self._pay(account, instrument.settle, premium_usd)
        return Traded(
            instrument=instrument.id,
            account=account.id,
            size_base=size_base,
            price_usd=price_usd,
            premium_usd=premium_usd,
            crossing_usd=self._crossing_usd(instrument, size_base, price_usd),
        )

    def move(self, move: Move) -> Moved:
        """Apply one transfer."""
        account = self.accounts.get(move.account)
        if account is None:
            raise NoSuchAccountError(move.account)
        asset, underlying = _collateral(account, move.asset)
        price_usd = 1.0 if underlying is None else self._market.reference_usd.get(underlying)
        if price_usd is None:
            raise NoPriceError(asset)
        amount = to_float(move.amount)
        self._put(account, with_amount(account, asset, move.amount, underlying))
        self._pay(account, asset, amount)
        if amount < 0.0:
            self._refusal(account, asset, -amount * price_usd)
        return Moved(account=account.id, asset=asset, amount=amount, value_usd=amount * price_usd)

    def _put(self, before: Account, after: Account) -> None:
        if before == after:
            return
        account = measured(before, after, self._market)
        if account is None:
            raise NoRuleError(after.id)
        self.accounts[account.id] = account

    def _pay(self, account: Account, asset: str, amount: float) -> None:
        """Count what the wallet pays, and note it where it could not."""
        key = (account.chain_id, account.owner, asset)
        if key not in self._wallets:
            return
        self._wallets[key] -= amount
        if amount > 0.0 and self._wallets[key] < 0.0:
            self.notes.append(
                f"the wallet of {account.owner} on chain {account.chain_id} is {-self._wallets[key]:,.2f} "
                f"{asset} short of this"
            )

    def _refusal(self, account: Account, asset: str, taken_usd: float) -> None:
        """Note a withdrawal that the account or its venue would refuse."""
        left = sum(b.amount for b in self.accounts[account.id].balances if b.asset == asset)
        if left < 0:
            self.notes.append(
                f"{account.id} holds less {asset} than is taken: {-to_float(Wad(left)):,.2f} short"
            )
        free = self._first[account.id].withdrawable if account.id in self._first else None
        if free is not None and taken_usd > to_float(free):
            self.notes.append(f"the venue lets {to_float(free):,.2f} USD be taken from {account.id} now")

    def _trader(self, trade: Trade, instrument: Instrument) -> Account:
        """Return the account that trades: the one that is named, the only one that can, or a new one."""
        venue = ":".join(instrument.id.split(":")[:2])
        shared = "mm_ratio" in self._market.terms.get(venue, {})
        if trade.account is None:
            able = [
                a
                for i, a in sorted(self.accounts.items())
                if venue_of(a) == venue
                and (i in self._ours or i not in self._first)
                and (shared or any(p.instrument == instrument.id for p in a.positions))
            ]
            if len(able) > 1:
                raise AmbiguousAccountError(instrument.id, [a.id for a in able])
            return able[0] if able else self._opened(venue, instrument, shared, NEW)
        account = self.accounts.get(trade.account)
        if account is None:
            place, _, key = trade.account.rpartition(":")
            if key.split("-")[0] != NEW:
                raise NoSuchAccountError(trade.account)
            if place not in ("", venue):
                raise WrongAccountError(trade.account, instrument.id, f"it would be at {place}")
            return self._opened(venue, instrument, shared, key)
        if venue_of(account) != venue:
            raise WrongAccountError(account.id, instrument.id, f"it is at {venue_of(account)}")
        if not shared and account.positions and account.positions[0].instrument != instrument.id:
            held = account.positions[0].instrument
            problem = (
                f"it holds {held}, and every position there is an account of its own: open one with @new"
            )
            raise WrongAccountError(account.id, instrument.id, problem)
        return account

    def _opened(self, venue: str, instrument: Instrument, shared: bool, asked: str) -> Account:
        """Return a new account of ours at a venue: the owner's own where it is shared, else the next free."""
        there = [a for a in self.accounts.values() if venue_of(a) == venue]
        owner = next((a.owner for a in there if a.id in self._ours), next(iter(self._owners), None))
        if owner is None:
            raise NoOwnerError(venue)
        account_id = f"{venue}:{owner if shared else self._free_key(venue, asked)}"
        if account_id in self.accounts:
            return self.accounts[account_id]
        return opened(account_id, owner, instrument, next(iter(there), None))

    def _free_key(self, venue: str, asked: str) -> str:
        key, number = asked, 1
        while f"{venue}:{key}" in self.accounts:
            number += 1
            key = f"{NEW}-{number}"
        return key

    def _crossing_usd(self, instrument: Instrument, size_base: float, price_usd: float) -> float | None:
        """Return what the book's levels and fee take beyond the mark."""
        depth = self._depth.get(instrument.id)
        if depth is None or size_base == 0.0:
            return None
        left_base, paid_usd = abs(size_base), 0.0
        for level in depth.asks if size_base > 0 else depth.bids:
            taken_base = min(left_base, to_float(level.size))
            paid_usd += taken_base * to_float(level.price)
            left_base -= taken_base
        if left_base > 0.0:
            reach = abs(size_base) - left_base
            self.notes.append(f"the depth that was read at {instrument.id} ends after {reach:,.4f} units")
            return None
        beyond_usd = math.copysign(1.0, size_base) * (paid_usd - abs(size_base) * price_usd)
        return beyond_usd + depth.fee / ONE * paid_usd


def _collateral(account: Account, asset: str | None) -> tuple[str, str | None]:
    """Return the asset that is moved and its underlying."""
    taken = {b.asset: b.underlying for b in account.balances}
    if account.margin_asset is not None:
        taken.setdefault(account.margin_asset, account.margin_underlying)
    chosen = asset or account.margin_asset or next(iter(taken), None)
    if chosen is None or chosen not in taken:
        raise WrongAssetError(account.id, asset, sorted(taken))
    return chosen, taken[chosen]
