"""Lyra's venue at one block: four rounds of reads, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

from keeper.model.book import Account
from keeper.model.instrument import Instrument
from keeper.model.quote import Quote, VolSurface
from keeper.model.reads import Address, Failed, Reads
from keeper.model.snapshot import BlockRef, Board, Gap, VenueState
from keeper.model.venue import Venue
from keeper.protocols.adapter import Found
from keeper.protocols.answers import Answers, Asked, account_gap, answers_to, unanswered, venue_gap, why
from keeper.protocols.lyra.accounts import (
    Holding,
    account_from,
    ask_proof,
    ask_requirement,
    holding_from,
    is_candidate,
)
from keeper.protocols.lyra.contracts import DECIMALS, Contracts, PositionState
from keeper.protocols.lyra.discovery import ask_positions
from keeper.protocols.lyra.market import (
    Market,
    Strike,
    ask_market,
    ask_strikes,
    index_quote,
    listed_options,
    margin_terms,
    option_of,
    strike_from,
    vol_surface,
)
from keeper.protocols.tokens import Token, ask_wallets, wallets_from

Strikes: TypeAlias = Mapping[int, Strike | Failed]


def read(contracts: Contracts, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
    """Read the market and every open position of `found`, in four rounds whatever their number.

    Rounds: market, positions and wallets; boards, strikes and owners; requirements; and the simulated
    liquidation of those that the contract calls liquidatable.
    """
    venue = contracts.venue
    asked: Asked = {}
    ask_market(asked, contracts)
    ask_positions(asked, contracts, tuple(sorted(int(key) for key in found.keys)))
    ask_wallets(asked, wallets, (contracts["QuoteAsset"], contracts["BaseAsset"]), contracts["OptionMarket"])
    first = yield from answers_to(asked)
    market = market_from(venue, first, at)
    if isinstance(market, Gap):
        return VenueState(accounts=(), instruments=(), quotes=(), gaps=(market,))
    holdings, unread = _holdings(venue, first)

    asked = {}
    live = () if isinstance(first["boards"], Failed) else tuple(sorted(first["boards"]))
    for board in live:
        asked["board", board] = contracts.market("getBoardAndStrikeDetails", board)
    ask_strikes(asked, contracts, [h.strike_id for h in holdings])
    for holding in holdings:
        asked["owner", holding.id] = contracts.token("ownerOf", holding.id)
    second = yield from answers_to(asked)
    strikes = {h.strike_id: strike_from(second, h.strike_id) for h in holdings}
    boards = [first["boards"]] if isinstance(first["boards"], Failed) else [second["board", b] for b in live]

    required = yield from _requirements(contracts, market, holdings, strikes)
    accounts, unknown = _accounts(market, holdings, strikes, {**second, **required})
    held, lost = wallets_from(venue, first, wallets, _tokens(contracts, market), contracts["OptionMarket"])
    state = market_state(market, first, boards)
    return replace(
        state,
        accounts=accounts,
        instruments=_instruments(market, boards, holdings, strikes),
        boards=_boards(market, boards, holdings, strikes),
        wallets=held,
        gaps=(*state.gaps, *unread, *unknown, *lost),
    )


def market_from(venue: Venue, answers: Answers, at: BlockRef) -> Market | Gap:
    """Return the market, of the answers to `ask_market`; a gap when nothing can be said of it."""
    if failed := unanswered(answers, "quote", "base"):
        return venue_gap(venue, why(failed))
    base = answers["base"]
    underlying = dict(venue.underlyings).get(base)
    if underlying is None:
        return venue_gap(venue, f"the configuration names no risk factor for {base}: add it to underlyings")
    failed = unanswered(answers, "paused", "all paused")
    return Market(
        venue=venue,
        underlying=underlying,
        quote_symbol=answers["quote"],
        base_symbol=base,
        spot=answers["spot"],
        paused=failed or answers["paused"] or answers["all paused"],
        at=at,
    )


def _tokens(contracts: Contracts, market: Market) -> tuple[Token, Token]:
    def token(name: str, symbol: str, underlying: str | None) -> Token:
        return Token(address=contracts[name], symbol=symbol, decimals=DECIMALS, underlying=underlying)

    return (
        token("QuoteAsset", market.quote_symbol, None),
        token("BaseAsset", market.base_symbol, market.underlying),
    )


def _holdings(venue: Venue, answers: Answers) -> tuple[list[Holding], list[Gap]]:
    """Return the open positions in order of their ids, and a gap for every id that was not answered."""
    holdings: list[Holding] = []
    gaps: list[Gap] = []
    for name, answer in answers.items():
        match name:
            case ("positions", ids) if isinstance(answer, Failed):
                gaps.extend(account_gap(venue, str(i), why(answer)) for i in cast(tuple[int, ...], ids))
            case ("positions", _):
                holdings.extend(h for h in map(holding_from, answer) if h.state is PositionState.ACTIVE)
            case _:
                pass
    return holdings, gaps


def _requirements(
    contracts: Contracts, market: Market, holdings: Sequence[Holding], strikes: Strikes
) -> Reads[Answers]:
    known = [(h, s) for h in holdings if isinstance(s := strikes[h.strike_id], Strike)]
    asked: Asked = {}
    for holding, strike in known:
        ask_requirement(asked, contracts, market, holding, strike)
    required = yield from answers_to(asked)
    asked = {}
    for holding, strike in known:
        if is_candidate(market, holding, strike, required):
            ask_proof(asked, contracts, holding)
    proofs = yield from answers_to(asked)
    return {**required, **proofs}


def _accounts(
    market: Market, holdings: Sequence[Holding], strikes: Strikes, answers: Answers
) -> tuple[tuple[Account, ...], tuple[Gap, ...]]:
    accounts: list[Account] = []
    gaps: list[Gap] = []
    for holding in holdings:
        strike, owner = strikes[holding.strike_id], answers["owner", holding.id]
        if isinstance(strike, Failed) or isinstance(owner, Failed):
            missing = strike if isinstance(strike, Failed) else owner
        else:
            known = account_from(market, holding, strike, owner, answers)
            if isinstance(known, Account):
                accounts.append(known)
                continue
            missing = known
        gaps.append(account_gap(market.venue, str(holding.id), why(missing)))
    return tuple(accounts), tuple(gaps)


def market_state(market: Market, answers: Answers, boards: Sequence[Any]) -> VenueState:
    """Return spot, terms, and the surface over `boards`; no accounts."""
    quote, terms = index_quote(market), margin_terms(market.venue, answers)
    surface = vol_surface(market, answers["pricing"], boards)
    gaps = [g for g in (quote, surface) if isinstance(g, Gap)]
    if isinstance(terms, Failed):
        gaps.append(venue_gap(market.venue, why(terms)))
    return VenueState(
        accounts=(),
        instruments=(),
        quotes=(quote,) if isinstance(quote, Quote) else (),
        surfaces=(surface,) if isinstance(surface, VolSurface) else (),
        terms=() if isinstance(terms, Failed) else (terms,),
        gaps=tuple(gaps),
    )


def _instruments(
    market: Market, boards: Sequence[Any], holdings: Sequence[Holding], strikes: Strikes
) -> tuple[Instrument, ...]:
    """Every option that is listed, and those of settled boards that are still held."""
    options = listed_options(market, [b for b in boards if not isinstance(b, Failed)])
    held = [
        option_of(market, strike, h.type.right)
        for h in holdings
        if isinstance(strike := strikes[h.strike_id], Strike)
    ]
    by_id = {option.id: option for option in (*options, *held)}
    return tuple(by_id[i] for i in sorted(by_id))


def _boards(
    market: Market, boards: Sequence[Any], holdings: Sequence[Holding], strikes: Strikes
) -> tuple[Board, ...]:
    """Boards past expiry that are not settled, or whose positions wait for it."""
    expired = {
        answer[0]["id"]: (answer[0]["expiry"], False) for answer in boards if not isinstance(answer, Failed)
    }
    waiting: dict[int, list[str]] = {}
    for holding in holdings:
        if isinstance(strike := strikes[holding.strike_id], Strike):
            expired[strike.board_id] = (strike.expiry_s, strike.settled_at is not None)
            waiting.setdefault(strike.board_id, []).append(f"{market.venue.id}:{holding.id}")
    return tuple(
        Board(
            venue=market.venue.id,
            chain_id=market.venue.chain_id,
            key=str(board),
            expiry_s=expiry_s,
            settled=settled,
            open_positions=tuple(waiting.get(board, ())),
        )
        for board, (expiry_s, settled) in sorted(expired.items())
        if expiry_s <= market.at.timestamp_s
    )
