"""Lyra's market at one block: spot, boards, vols, parameters and pauses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keeper.model.instrument import Option, Right, instrument_id
from keeper.model.quote import Quote, VolSlice, VolSurface
from keeper.model.reads import Failed
from keeper.model.snapshot import BlockRef, Gap, VenueTerms
from keeper.model.units import Wad, mul
from keeper.model.venue import Venue
from keeper.protocols.answers import Answers, Asked, market_gap, unanswered, why
from keeper.protocols.lyra.contracts import Contracts


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One strike of a board; calls and puts share it."""

    id: int
    board_id: int
    expiry_s: int
    price: Wad
    frozen: bool
    settled_at: Wad | None
    """Spot that the board was settled at; None before."""

    base_per_short_call: Wad
    """Part of a base-collateralised short call that goes to the pool at settlement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What every account of the venue shares."""

    venue: Venue
    underlying: str
    quote_symbol: str
    base_symbol: str
    spot: Wad | Failed
    paused: bool | Failed
    """The market, or all markets."""

    at: BlockRef


def ask_market(asked: Asked, contracts: Contracts) -> None:
    """Add what is read of the market before anything is known of its boards."""
    market = contracts["OptionMarket"]
    asked["spot"] = contracts.oracle("getSpotPriceForMarket", market)
    asked["paused"] = contracts.oracle("isMarketPaused", market)
    asked["all paused"] = contracts.oracle("isGlobalPaused")
    asked["boards"] = contracts.market("getLiveBoards")
    asked["pricing"] = contracts.greeks("getGreekCacheParams")
    asked["margin"] = contracts.greeks("getMinCollatParams")
    asked["quote"] = contracts.quote("symbol")
    asked["base"] = contracts.base("symbol")


def ask_strikes(asked: Asked, contracts: Contracts, strike_ids: Sequence[int]) -> None:
    """Add what `strike_from` needs; live and settled boards alike."""
    for i in sorted(set(strike_ids)):
        asked["strike", i] = contracts.market("getStrikeAndBoard", i)
        asked["settlement", i] = contracts.market("getSettlementParameters", i)


def strike_from(answers: Answers, i: int) -> Strike | Failed:
    """Return a strike, or why it could not be read."""
    if failed := unanswered(answers, ("strike", i), ("settlement", i)):
        return failed
    strike, board = answers["strike", i]
    _, settled_at, base_returned = answers["settlement", i]
    return Strike(
        id=i,
        board_id=board["id"],
        expiry_s=board["expiry"],
        price=Wad(strike["strikePrice"]),
        frozen=board["frozen"],
        settled_at=Wad(settled_at) if settled_at else None,
        base_per_short_call=Wad(base_returned),
    )


def option_of(market: Market, strike: Strike, right: Right) -> Option:
    """Return the option: one per board, strike and right, whoever holds it."""
    venue = market.venue
    return Option(
        id=instrument_id(venue.protocol, venue.chain_id, f"{strike.board_id}-{strike.id}-{right}"),
        underlying=market.underlying,
        settle=market.quote_symbol,
        strike=strike.price,
        expiry_s=strike.expiry_s,
        right=right,
    )


def listed_options(market: Market, boards: Sequence[Any]) -> tuple[Option, ...]:
    """Return every option of the live boards, answers of `getBoardAndStrikeDetails`."""
    return tuple(
        option_of(
            market,
            Strike(
                id=s["id"],
                board_id=board["id"],
                expiry_s=board["expiry"],
                price=Wad(s["strikePrice"]),
                frozen=board["frozen"],
                settled_at=None,
                base_per_short_call=Wad(0),
            ),
            right,
        )
        for board, strikes, *_ in boards
        for s in strikes
        for right in Right
    )


def index_quote(market: Market) -> Quote | Gap:
    """Return the oracle's spot. It carries no time of its own: it is as of the block."""
    if isinstance(market.spot, Failed):
        return market_gap(market.venue, "quote", market.underlying, why(market.spot))
    return Quote(
        subject=market.underlying,
        kind="index",
        price=market.spot,
        source=f"{market.venue.id}:SynthetixAdapter",
        chain_id=market.venue.chain_id,
        observed_at_s=market.at.timestamp_s,
    )


def vol_surface(market: Market, pricing: Any, boards: Sequence[Any]) -> VolSurface | Gap | None:
    """Return the vols that the AMM trades at now, base IV times skew; None when no board is open.

    `boards` holds the answers of `getBoardAndStrikeDetails`. A surface that lacks one expiry would be
    interpolated over it, so one missing board is a gap of the whole.
    """
    for answer in (pricing, *boards):
        if isinstance(answer, Failed):
            return market_gap(market.venue, "surface", market.underlying, why(answer))
    vols: dict[int, dict[Wad, Wad]] = {}
    for board, strikes, *_ in boards:
        if board["expiry"] > market.at.timestamp_s:
            expiry = vols.setdefault(board["expiry"], {})
            for s in strikes:
                expiry[Wad(s["strikePrice"])] = mul(Wad(board["iv"]), Wad(s["skew"]))
    if not vols:
        return None
    return VolSurface(
        underlying=market.underlying,
        venue=market.venue.id,
        chain_id=market.venue.chain_id,
        rate=Wad(pricing["rateAndCarry"]),
        slices=tuple(
            VolSlice(expiry_s=e, strikes=tuple(sorted(v)), vols=tuple(v[k] for k in sorted(v)))
            for e, v in sorted(vols.items())
        ),
        source=f"{market.venue.id}:OptionMarket",
        observed_at_s=market.at.timestamp_s,
    )


def margin_terms(venue: Venue, answers: Answers) -> VenueTerms | Failed:
    """Return the parameters of `getMinCollateral`; times in plain seconds, the rest 1.0 = 10**18."""
    if failed := unanswered(answers, "pricing", "margin"):
        return failed
    margin = answers["margin"]
    values = {
        "min_static_quote": margin["minStaticQuoteCollateral"],
        "min_static_base": margin["minStaticBaseCollateral"],
        "shock_vol_a": margin["shockVolA"],
        "shock_vol_point_a_s": margin["shockVolPointA"],
        "shock_vol_b": margin["shockVolB"],
        "shock_vol_point_b_s": margin["shockVolPointB"],
        "call_spot_shock": margin["callSpotPriceShock"],
        "put_spot_shock": margin["putSpotPriceShock"],
        "rate": answers["pricing"]["rateAndCarry"],
    }
    return VenueTerms(
        venue=venue.id,
        chain_id=venue.chain_id,
        values=tuple((name, Wad(values[name])) for name in sorted(values)),
    )
