"""Curie's markets at one block: prices, funding, the pool, the venue's ratios."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keeper.model.instrument import Perp
from keeper.model.quote import Funding, Quote
from keeper.model.reads import Address, Failed
from keeper.model.snapshot import BlockRef, Gap, VenueTerms
from keeper.model.units import ONE, Wad
from keeper.model.venue import Venue
from keeper.protocols.answers import Answers, Asked, market_gap, unanswered, why
from keeper.protocols.curie.contracts import FUNDING_PERIOD_S, Contracts, ratio_to_wad, risk_factors

_Q96: Final = 1 << 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The venue's ratios and its settlement token."""

    im: Wad
    mm: Wad
    penalty: Wad
    max_funding: Wad
    """Most that the premium may be of the index, for funding."""

    twap_s: int
    """Interval of the averages that funding is the difference of."""

    symbol: str
    decimals: int
    """Of the settlement token, and of everything the vault answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One base token that has a pool."""

    base: Address
    underlying: str
    instrument: str
    pool: Address
    taker_fee: Wad
    max_tick_move: int
    is_open: bool
    mark: Wad | Failed
    """What the venue values positions at: the mark price, or the fixed price of a paused or closed market."""

    index: Wad | Failed


def ask_markets(asked: Asked, contracts: Contracts) -> None:
    """Add what is read of the venue and of every configured base token.

    Paused and closed markets are valued at a fixed price; an open one answers by reverting, which costs
    nothing.
    """
    for fn in (
        "getImRatio",
        "getMmRatio",
        "getLiquidationPenaltyRatio",
        "getMaxFundingRate",
        "getTwapInterval",
    ):
        asked[fn] = contracts.config(fn)
    asked["symbol"] = contracts.settlement("symbol")
    asked["decimals"] = contracts.vault("decimals")
    for base in risk_factors(contracts.venue):
        asked["listed", base] = contracts.registry("hasPool", base)
        asked["terms", base] = contracts.registry("getMarketInfo", base)
        asked["ticks", base] = contracts.exchange("getMaxTickCrossedWithinBlock", base)
        asked["mark", base] = contracts.balance("getMarkPrice", base)
        asked["index", base] = contracts.base(base, "getIndexPrice", 0)
        asked["open", base] = contracts.base(base, "isOpen")
        asked["closed at", base] = contracts.base(base, "getClosedPrice")
        asked["paused at", base] = contracts.base(base, "getPausedIndexPrice")


def ratios_from(answers: Answers) -> Ratios | Failed:
    """Return the venue's ratios, or the first that is missing."""
    names = ("getImRatio", "getMmRatio", "getLiquidationPenaltyRatio", "getMaxFundingRate", "getTwapInterval")
    if failed := unanswered(answers, *names, "symbol", "decimals"):
        return failed
    im, mm, penalty, max_funding, twap_s = (answers[n] for n in names)
    return Ratios(
        im=ratio_to_wad(im),
        mm=ratio_to_wad(mm),
        penalty=ratio_to_wad(penalty),
        max_funding=ratio_to_wad(max_funding),
        twap_s=twap_s,
        symbol=answers["symbol"],
        decimals=answers["decimals"],
    )


def margin_terms(venue: Venue, ratios: Ratios) -> VenueTerms:
    """Return the ratios that our twin of the venue's rule needs."""
    return VenueTerms(
        venue=venue.id,
        chain_id=venue.chain_id,
        values=(("im_ratio", ratios.im), ("liquidation_penalty", ratios.penalty), ("mm_ratio", ratios.mm)),
    )


def markets_from(contracts: Contracts, answers: Answers) -> tuple[dict[Address, Market], tuple[Gap, ...]]:
    """Return the markets by base token, and gaps for those of which the terms could not be read.

    Configured tokens without a pool are collateral, not markets.
    """
    venue = contracts.venue
    markets: dict[Address, Market] = {}
    gaps: list[Gap] = []
    for base, underlying in risk_factors(venue).items():
        names = [(kind, base) for kind in ("terms", "ticks", "open")]
        if failed := unanswered(answers, ("listed", base)):
            gaps.append(market_gap(venue, "quote", contracts.instrument(base), why(failed)))
        elif not answers["listed", base]:
            continue
        elif failed := unanswered(answers, *names):
            gaps.append(market_gap(venue, "quote", contracts.instrument(base), why(failed)))
        else:
            terms = answers["terms", base]
            markets[base] = Market(
                base=base,
                underlying=underlying,
                instrument=contracts.instrument(base),
                pool=terms["pool"],
                taker_fee=ratio_to_wad(terms["exchangeFeeRatio"]),
                max_tick_move=answers["ticks", base],
                is_open=answers["open", base],
                mark=_mark(answers, base),
                index=answers["index", base],
            )
    return markets, tuple(gaps)


def _mark(answers: Answers, base: Address) -> Any:
    if answers["open", base]:
        return answers["mark", base]
    closed = answers["closed at", base]
    still_paused = isinstance(closed, Failed) and closed.benign
    return answers["paused at", base] if still_paused else closed


def quotes_from(
    venue: Venue, markets: Mapping[Address, Market], at: BlockRef
) -> tuple[tuple[Quote, ...], tuple[Gap, ...]]:
    """Return mark and index of every market, and a gap for each price that is missing.

    The index is the latest of the venue's oracle, which does not say how old it is.
    """
    quotes: list[Quote] = []
    gaps: list[Gap] = []
    for market in markets.values():
        if isinstance(market.mark, Failed):
            gaps.append(market_gap(venue, "quote", market.instrument, why(market.mark)))
        else:
            quotes.append(
                Quote(
                    subject=market.instrument,
                    kind="mark",
                    price=market.mark,
                    source=f"{venue.id}:AccountBalance",
                    chain_id=venue.chain_id,
                    observed_at_s=at.timestamp_s,
                )
            )
        if isinstance(market.index, Failed):
            gaps.append(market_gap(venue, "quote", market.underlying, why(market.index)))
        else:
            quotes.append(
                Quote(
                    subject=market.underlying,
                    kind="index",
                    price=market.index,
                    source=f"{venue.id}:BaseToken",
                    chain_id=venue.chain_id,
                    observed_at_s=at.timestamp_s,
                )
            )
    return tuple(quotes), tuple(gaps)


def ask_averages(asked: Asked, contracts: Contracts, ratios: Ratios, market: Market) -> None:
    """Add the averages that the market's funding comes from."""
    asked["market average", market.base] = contracts.exchange(
        "getSqrtMarketTwapX96", market.base, ratios.twap_s
    )
    asked["index average", market.base] = contracts.base(market.base, "getIndexPrice", ratios.twap_s)


def funding_from(
    venue: Venue, market: Market, ratios: Ratios, answers: Answers, at: BlockRef
) -> Funding | Gap:
    """Return the funding that accrues now, per day and as a fraction of the index, capped by the venue.

    rate = (market average - index average) / index average, over the venue's interval; a long pays it when
    positive. Source: `Exchange._getDeltaTwapX96`, and `Funding` for the period of one day.
    """
    if failed := unanswered(answers, ("market average", market.base), ("index average", market.base)):
        return market_gap(venue, "funding", market.instrument, why(failed))
    index = answers["index average", market.base]
    premium = price_from_sqrt(answers["market average", market.base]) - index
    rate = min(abs(premium) * ONE // index, ratios.max_funding)
    return Funding(
        instrument=market.instrument,
        rate_per_day=Wad(rate if premium >= 0 else -rate),
        source=f"{venue.id}:Exchange",
        chain_id=venue.chain_id,
        observed_at_s=at.timestamp_s,
    )


def price_from_sqrt(sqrt_x96: int) -> Wad:
    """Return the price whose square root has 96 binary places, rounding as the contract does.

    Source: `PerpMath.formatSqrtPriceX96ToPriceX96`, `formatX96ToX10_18`.
    """
    return Wad((sqrt_x96 * sqrt_x96 // _Q96) * ONE // _Q96)


def perp_of(market: Market, ratios: Ratios) -> Perp:
    """Return the market's instrument."""
    return Perp(
        id=market.instrument,
        underlying=market.underlying,
        settle=ratios.symbol,
        funding_interval_s=FUNDING_PERIOD_S,
    )
