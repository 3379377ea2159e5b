"""Curie's venue at one block: rounds of reads, put together."""

from collections.abc import Sequence
from dataclasses import replace

from keeper.model.book import Account
from keeper.model.quote import Funding, PoolState
from keeper.model.reads import Address, Failed, Reads
from keeper.model.snapshot import BlockRef, Gap, VenueState
from keeper.protocols.adapter import Found
from keeper.protocols.answers import Asked, account_gap, answers_to, together, venue_gap, why
from keeper.protocols.curie.accounts import Book, account_from, ask_parts, ask_trader, is_empty, unread
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.liquidations import prove
from keeper.protocols.curie.market import (
    ask_averages,
    ask_markets,
    funding_from,
    margin_terms,
    markets_from,
    perp_of,
    quotes_from,
    ratios_from,
)
from keeper.protocols.curie.pools import ask_pool, read_pool
from keeper.protocols.tokens import Token, ask_wallets, wallets_from


def read(contracts: Contracts, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
    """Read the markets and every trader of `found` and `wallets`, in rounds whose number is fixed.

    Rounds: ratios, markets, accounts and wallets; pool prices, averages, positions and collateral; then the
    ticks of the pools, and beside them, for accounts below their requirement, orders and a simulated
    liquidation.
    """
    venue = contracts.venue
    traders = tuple(sorted({*map(Address, found.keys), *wallets}))
    asked: Asked = {}
    ask_markets(asked, contracts)
    for trader in traders:
        ask_trader(asked, contracts, trader, ours=trader in wallets)
    ask_wallets(asked, wallets, (contracts["SettlementToken"],), contracts["Vault"])
    first = yield from answers_to(asked)

    ratios = ratios_from(first)
    if isinstance(ratios, Failed):
        return VenueState(accounts=(), instruments=(), quotes=(), gaps=(venue_gap(venue, why(ratios)),))
    markets, gaps = markets_from(contracts, first)
    known = tuple(t for t in traders if unread(first, t) is None)
    asked = {}
    trading = [m for m in markets.values() if m.is_open]
    for market in trading:
        ask_pool(asked, contracts, market)
        ask_averages(asked, contracts, ratios, market)
    for trader in known:
        ask_parts(asked, contracts, trader, first)
    second = yield from answers_to(asked)

    book = Book(contracts, ratios, markets, {**first, **second})
    (accounts, unknown), *pools = yield from together(
        _accounts(book, traders, wallets),
        *(read_pool(contracts, market, second, at) for market in trading),
    )
    token = Token(
        address=contracts["SettlementToken"],
        symbol=ratios.symbol,
        decimals=ratios.decimals,
        underlying=None,
    )
    held, lost = wallets_from(venue, first, wallets, (token,), contracts["Vault"])
    state = _market_state(book, pools, at)
    return replace(state, accounts=accounts, wallets=held, gaps=(*gaps, *state.gaps, *unknown, *lost))


def _accounts(
    book: Book, traders: Sequence[Address], wallets: Sequence[Address]
) -> Reads[tuple[tuple[Account, ...], tuple[Gap, ...]]]:
    venue = book.contracts.venue
    accounts: dict[str, Account] = {}
    gaps: list[Gap] = []
    for trader in traders:
        if failed := unread(book.answers, trader):
            gaps.append(account_gap(venue, trader, why(failed)))
            continue
        account = account_from(book, trader)
        if isinstance(account, str):
            gaps.append(account_gap(venue, trader, account))
        elif trader in wallets or not is_empty(account):
            accounts[account.id] = account
    proven = yield from prove(book, tuple(accounts.values()), wallets)
    for i, answer in proven.items():
        if isinstance(answer, Failed):
            gaps.append(account_gap(venue, accounts.pop(i).key, why(answer)))
        else:
            accounts[i] = answer
    return tuple(accounts.values()), tuple(gaps)


def _market_state(book: Book, pools: Sequence[PoolState | Gap], at: BlockRef) -> VenueState:
    venue = book.contracts.venue
    quotes, gaps = quotes_from(venue, book.markets, at)
    funding = [
        funding_from(venue, market, book.ratios, book.answers, at)
        for market in book.markets.values()
        if market.is_open
    ]
    return VenueState(
        accounts=(),
        instruments=tuple(perp_of(m, book.ratios) for m in book.markets.values()),
        quotes=quotes,
        funding=tuple(f for f in funding if isinstance(f, Funding)),
        pools=tuple(p for p in pools if isinstance(p, PoolState)),
        terms=(margin_terms(venue, book.ratios),),
        gaps=(*gaps, *(g for g in (*funding, *pools) if isinstance(g, Gap))),
    )
