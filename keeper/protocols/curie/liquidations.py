"""Who may be liquidated now, shown by simulating it, and what that pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keeper.model.book import Account, Bounty
from keeper.model.reads import Address, Call, Failed, Reads, Send
from keeper.model.units import Wad, mul
from keeper.protocols.answers import Answers, Asked, answers_to, unanswered
from keeper.protocols.curie.accounts import Book
from keeper.protocols.curie.contracts import LIQUIDATION_GAS, Contracts
from keeper.protocols.curie.market import Market

NOBODY: Final = Address("0x000000000000000000000000000000000000dEaD")
"""Asks where we have no wallet: the answer then is about the liquidator's margin, or about the account."""

OUR_MARGIN_IS_SHORT: Final = "CH_NEFCI"
"""The contract's last check is the liquidator's own margin: whoever has enough may liquidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An account below its requirement, and the market to begin with."""

    account: Account
    market: Market
    mark: Wad
    bases: tuple[Address, ...]
    """Markets in which the trader may have orders; empty when he has none."""

    @property
    def trader(self) -> Address:
        """The account's key."""
        return self.account.owner


def prove(
    book: Book, accounts: Sequence[Account], wallets: Sequence[Address]
) -> Reads[Mapping[str, Account | Failed]]:
    """Return, by id, each account below its requirement with the contract's answer to a liquidation.

    The largest position in an open market is tried, from one of `wallets`, in one call per account, after
    cancelling the trader's orders where he has any. `Failed` where nobody answered.
    """
    short = [a for a in accounts if a.venue.equity < a.venue.maintenance]
    tried = {a.id: _candidate(book, a) for a in short}
    candidates = [c for c in tried.values() if isinstance(c, Candidate)]
    cancels = yield from _cancellations(book.contracts, candidates)
    asked: Asked = {}
    for c in candidates:
        before = cancels[c.account.id]
        if not isinstance(before, Failed):
            asked["size", c.account.id] = replace(
                book.contracts.balance(
                    "getLiquidatablePositionSize", c.trader, c.market.base, c.account.venue.equity
                ),
                before=before,
            )
            asked["liquidation", c.account.id] = _attempt(book.contracts, c, before, wallets)
    answers = yield from answers_to(asked)
    unknown = {i: c for i, c in tried.items() if isinstance(c, Failed)}
    unknown |= {i: before for i, before in cancels.items() if isinstance(before, Failed)}
    known = {c.account.id: c for c in candidates if c.account.id not in unknown}
    return {**unknown, **{i: _answered(book, c, answers) for i, c in known.items()}}


def _candidate(book: Book, account: Account) -> Candidate | Failed | None:
    """Return the market to try; None where no market of the account is open, `Failed` for want of a mark."""
    by_instrument = {m.instrument: m for m in book.markets.values()}
    largest: tuple[Wad, Market, Wad] | None = None
    for position in account.positions:
        market = by_instrument[position.instrument]
        if not market.is_open:
            continue
        if isinstance(market.mark, Failed):
            return market.mark
        notional = Wad(abs(mul(position.size, market.mark)))
        if largest is None or notional > largest[0]:
            largest = (notional, market, market.mark)
    if largest is None:
        return None
    _, market, mark = largest
    return Candidate(
        account=account,
        market=market,
        mark=mark,
        bases=tuple(sorted(book.answers["bases", account.owner])) if account.has_orders else (),
    )


def _cancellations(
    contracts: Contracts, candidates: Sequence[Candidate]
) -> Reads[Mapping[str, tuple[Send, ...] | Failed]]:
    asked: Asked = {
        (c.account.id, base): contracts.orders("getOpenOrderIds", c.trader, base)
        for c in candidates
        for base in c.bases
    }
    answers = yield from answers_to(asked)
    cancels: dict[str, tuple[Send, ...] | Failed] = {}
    for c in candidates:
        failed = unanswered(answers, *((c.account.id, base) for base in c.bases))
        cancels[c.account.id] = failed or tuple(
            contracts.cancel_orders(c.trader, base) for base in c.bases if answers[c.account.id, base]
        )
    return cancels


def _attempt(
    contracts: Contracts, c: Candidate, before: tuple[Send, ...], wallets: Sequence[Address]
) -> Call:
    send = contracts.liquidate(c.trader, c.market.base, 0)
    # Nobody takes over his own position.
    sender = next((w for w in wallets if w != c.trader), NOBODY)
    return Call(send.contract, send.to, send.fn, send.args, sender=sender, before=before)


def _answered(book: Book, c: Candidate, answers: Answers) -> Account | Failed:
    attempt = answers["liquidation", c.account.id]
    if isinstance(attempt, Failed) and not (attempt.benign and OUR_MARGIN_IS_SHORT in attempt.reason):
        return c.account if attempt.benign else attempt
    if failed := unanswered(answers, ("size", c.account.id)):
        return failed
    size = Wad(answers["size", c.account.id])
    return replace(
        c.account,
        liquidatable=True,
        bounty=Bounty(
            instrument=c.market.instrument,
            size=size,
            reward_usd=reward(size, c.mark, book.ratios.penalty, c.account.venue.equity),
            takes_over=True,
            gas=LIQUIDATION_GAS,
        ),
    )


def reward(size: Wad, mark: Wad, penalty: Wad, account_value: Wad) -> Wad:
    """Return what a liquidator's account gains at once, USD, before the position is closed again.

    Half of the penalty on the notional at mark; all of it where the account value is negative, because the
    insurance fund then takes no share.  Source: `ClearingHouse._liquidate`.
    """
    fee = mul(Wad(abs(mul(size, mark))), penalty)
    return fee if account_value < 0 else Wad(fee // 2)
