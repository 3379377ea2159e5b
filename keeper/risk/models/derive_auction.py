"""Derive's dutch auction of an account below maintenance: what a bid costs at each moment.

An account worth something is sold at a discount that grows with time (solvent auction, the bidder
pays); one worth less than nothing is given away with a payment that grows with time (insolvent
auction, the security module pays). Values are the account's own: mm is its maintenance margin
balance, mtm its mark-to-market, both for the scenario with which the auction was started.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `DutchAuction`; rules written
down in words and rebuilt here.
"""

from dataclasses import dataclass

from keeper.model.units import ONE, Wad, to_float
from keeper.risk.models.fields import FieldError, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionParams:
    """Parameters of the auction contract. Shares are fractions."""

    start: Wad
    """Share of the value that is asked at the start. Exact, as the discount is truncated on the way."""

    cutoff: Wad
    """Share at the end of the fast leg."""

    fast_s: int
    slow_s: int
    insolvent_s: int
    fee_rate: float
    buffer: float
    mtm_cutoff: float
    """Accounts worth less than this may be bought whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """What a bid comes to. Cash flows are at least 0."""

    share: float
    """Of the account, after the cap."""

    cash_from_bidder: float
    cash_to_bidder: float
    ongoing: bool
    """Whether the auction goes on afterwards."""


def auction_params(record: Record, *, mtm_cutoff: float | None = None) -> AuctionParams:
    """Read the parameters in the vectors' format. A record without `mtmCutoff` takes `mtm_cutoff`.

    Raises
    ------
    FieldError
        A field is missing or out of range, or the cutoff is above the start.
    """
    params = AuctionParams(
        start=_share(record, "startingMtMPercentage"),
        cutoff=_share(record, "fastAuctionCutoffPercentage"),
        fast_s=record.whole("fastAuctionLength", low=1),
        slow_s=record.whole("slowAuctionLength", low=1),
        insolvent_s=record.whole("insolventAuctionLength", low=1),
        fee_rate=record.wad("liquidatorFeeRate", low=0, high=1),
        buffer=record.wad("bufferMarginPercentage", low=0),
        mtm_cutoff=record.wad("mtmCutoff", low=0, default=mtm_cutoff),
    )
    if params.cutoff > params.start:
        path = record.at("fastAuctionCutoffPercentage")
        raise FieldError(path, found=str(params.cutoff), expected=f"at most the start, {params.start}")
    return params


def buffer_margin(p: AuctionParams, mm: float, mtm: float) -> float:
    """Return the margin balance up to which a solvent auction sells: mm + (mm - mtm) buffer."""
    return mm + (mm - mtm) * p.buffer


def discount(p: AuctionParams, elapsed_s: int) -> float:
    """Return the share of the value that is asked after `elapsed_s`, falling from start to 0.

    Fast leg: start - (start - cutoff) t / fast_s. Slow leg, with u = t - fast_s:
    cutoff - floor(cutoff u) / slow_s, in whole seconds as the contract truncates; 0 after both. In
    integers, since in floats the floor of 0.7 x 2700 is 1889.
    """
    if elapsed_s < p.fast_s:
        return to_float(Wad(p.start - (p.start - p.cutoff) * elapsed_s // p.fast_s))
    slow_s = elapsed_s - p.fast_s
    if slow_s >= p.slow_s:
        return 0.0
    return to_float(Wad(p.cutoff - (p.cutoff * slow_s // ONE) * ONE // p.slow_s))


def max_share(p: AuctionParams, mm: float, mtm: float, *, asked: float, reserved: float) -> float:
    """Return the greatest share of the account that one bid may take, 0..1.

    With b = min(buffer margin, 0), d the discount and R cash paid by earlier bidders:
    b / (b - mtm d - R (1 - d)); the whole where mtm is below `mtm_cutoff`.
    """
    if mtm < p.mtm_cutoff:
        return 1.0
    short = min(buffer_margin(p, mm, mtm), 0.0)
    return short / (short - mtm * asked - reserved * (1.0 - asked)) if short else 0.0


def start_fee(p: AuctionParams, mm: float, mtm: float) -> float:
    """Return what the security module takes when a solvent auction starts, at least 0."""
    if mtm <= 0.0:
        return 0.0
    return max_share(p, mm, mtm, asked=1.0, reserved=0.0) * mtm * p.fee_rate


def solvent_price(p: AuctionParams, mtm: float, *, elapsed_s: int, reserved: float) -> float:
    """Return what the whole account costs in a solvent auction: (mtm - R) discount."""
    return (mtm - reserved) * discount(p, elapsed_s)


def insolvent_price(p: AuctionParams, mm: float, mtm: float, *, elapsed_s: int) -> float:
    """Return the price of the whole in an insolvent auction, at most 0: the bidder is paid.

    From min(mtm, 0) at the start to mm after `insolvent_s`, linearly.
    """
    value = min(mtm, 0.0)
    return value + (mm - value) * min(1.0, elapsed_s / p.insolvent_s)


def solvent_bid(
    p: AuctionParams, mm: float, mtm: float, *, share: float, elapsed_s: int, reserved: float
) -> Bid:
    """Return what a bid for `share` of a solvent account comes to. A share at the cap ends the auction."""
    cap = max_share(p, mm, mtm, asked=discount(p, elapsed_s), reserved=reserved)
    taken = min(share, cap)
    price = solvent_price(p, mtm, elapsed_s=elapsed_s, reserved=reserved)
    return Bid(share=taken, cash_from_bidder=price * taken, cash_to_bidder=0.0, ongoing=share < cap)


def insolvent_bid(p: AuctionParams, mm: float, mtm: float, *, share: float, elapsed_s: int) -> Bid:
    """Return what a bid for `share` of an insolvent account comes to, before any socialised loss."""
    price = insolvent_price(p, mm, mtm, elapsed_s=elapsed_s)
    return Bid(share=share, cash_from_bidder=0.0, cash_to_bidder=-price * share, ongoing=share < 1.0)


def can_terminate(p: AuctionParams, mm: float, mtm: float, *, insolvent: bool, reserved: float) -> bool:
    """Return whether anyone may end the auction.

    Insolvent: mm is back at 0. Solvent: the buffer margin is, or nothing is left to sell (mtm < 0 or
    the reserved cash is all there is).
    """
    if insolvent:
        return mm >= 0.0
    return buffer_margin(p, mm, mtm) >= 0.0 or mtm < 0.0 or reserved >= mtm


def _share(record: Record, name: str) -> Wad:
    share = record.exact(name)
    if not 0 <= share <= ONE:
        raise record.unfit(name, "0 to 1, with 18 decimals")
    return share
