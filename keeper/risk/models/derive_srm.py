"""`derive-srm`: Derive's standard manager, a plain sum over markets with no netting between them.

    margin = cash + sum over markets [perp + options + base + depeg + perp cash]

Options are margined per expiry by max(sum of isolated margins, greatest loss at settlement); perps,
expiries and markets do not offset each other. Charges for weak feeds and for a weak stable coin
enter the initial margin only. All terms are negative where they cost something.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `StandardManager`,
`SRMPortfolioViewer`; rules written down in words and rebuilt here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from keeper.model.errors import UnfitValueError
from keeper.risk.models.derive_black76 import option_prices
from keeper.risk.models.fields import FieldError, Record
from keeper.risk.models.model import MarginResult, Model, finite_result


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionParams:
    """Isolated margin of short options. Fractions of spot, scales without unit."""

    max_spot: float
    min_spot: float
    mm_call_spot: float
    mm_put_spot: float
    mm_put_mtm: float
    """Of the short put's own value."""

    unpaired_im_scale: float
    unpaired_mm_scale: float
    """Of the forward, per net short call beyond the last strike."""

    mm_offset_scale: float
    """Least ratio of a short put's initial to its maintenance margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseParams:
    """What base collateral of one market counts for."""

    margin_factor: float
    im_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Parameters of the manager."""

    mm_perp: float
    im_perp: float
    option: OptionParams
    perp_threshold: float
    option_threshold: float
    base_threshold: float
    """Confidences strictly below these are charged for."""

    oracle_factor: float
    depeg_threshold: float
    depeg_factor: float
    base: Mapping[str, BaseParams]
    """By market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One position."""

    strike: float
    is_call: bool
    amount: float
    mtm: float
    """Undiscounted value of the whole position, signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The options of one market that expire together."""

    forward: float
    conf: float
    """Least confidence of spot, forward and vols."""

    options: tuple[Option, ...]

    @property
    def shorts(self) -> float:
        """Options sold, in units of the underlying."""
        return -sum(option.amount for option in self.options if option.amount < 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One underlying."""

    name: str
    spot: float
    spot_conf: float
    perp: float
    perp_price: float
    perp_conf: float
    perp_value: float
    """Unsettled and unrealised cash of the perp, 0 without a position."""

    base: float
    expiries: tuple[Expiry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account over all its markets."""

    id: str
    stable: float
    cash: float
    markets: tuple[Market, ...]


class Margins(NamedTuple):
    """Initial and maintenance margin of a part."""

    im: float
    mm: float


def params(document: Record) -> Params:
    """Read `params` of the vectors' format."""
    record = document.record("params")
    perp, oracle, depeg = record.record("perp"), record.record("oracle"), record.record("depeg")
    option, base = record.record("option"), record.record("base")
    return Params(
        mm_perp=perp.wad("mmPerpReq"),
        im_perp=perp.wad("imPerpReq"),
        option=OptionParams(
            max_spot=option.wad("maxSpotReq"),
            min_spot=option.wad("minSpotReq"),
            mm_call_spot=option.wad("mmCallSpotReq"),
            mm_put_spot=option.wad("mmPutSpotReq"),
            mm_put_mtm=option.wad("MMPutMtMReq"),
            unpaired_im_scale=option.wad("unpairedIMScale"),
            unpaired_mm_scale=option.wad("unpairedMMScale"),
            mm_offset_scale=option.wad("mmOffsetScale"),
        ),
        perp_threshold=oracle.wad("perpThreshold"),
        option_threshold=oracle.wad("optionThreshold"),
        base_threshold=oracle.wad("baseThreshold"),
        oracle_factor=oracle.wad("OCFactor"),
        depeg_threshold=depeg.wad("threshold"),
        depeg_factor=depeg.wad("depegFactor"),
        base={
            market: BaseParams(
                margin_factor=base.record(market).wad("marginFactor"),
                im_scale=base.record(market).wad("IMScale"),
            )
            for market in base.names()
        },
    )


def account(id_: str, case: Record) -> Account:
    """Read a case. Raises `FieldError` where a field is unfit or there is nothing in the account."""
    data = case.record("input") if "input" in case else case
    stable = data.wad("stable")
    if stable <= 0.0:
        raise data.unfit("stable", "a price above 0")
    markets = tuple(_market(market) for market in data.records("markets"))
    loaded = Account(id=id_, stable=stable, cash=data.wad("cash"), markets=markets)
    if not (loaded.cash or any(m.perp or m.base or m.expiries for m in markets)):
        raise FieldError(data.path.rstrip(":"), found="empty", expected="cash or at least one position")
    return loaded


@finite_result
def margin(p: Params, held: Account) -> MarginResult:
    """Return initial and maintenance margin of one account, by the rules of this module.

    Raises
    ------
    UnfitValueError
        Base collateral in a market for which the parameters say nothing.
    NoFiniteMarginError
        The parameters overflow on this account.
    """
    im = mm = mtm = held.cash
    for market in held.markets:
        parts = [
            perp_margin(p, market),
            *(expiry_margin(p, market, expiry) for expiry in market.expiries),
            base_margin(p, market),
            Margins(im=-_depeg_charge(p, market, held.stable), mm=0.0),
        ]
        im += sum(part.im for part in parts) + market.perp_value
        mm += sum(part.mm for part in parts) + market.perp_value
        options = sum(option.mtm for expiry in market.expiries for option in expiry.options)
        # The margin of base collateral ignores the stable coin's price, its value does not.
        mtm += options + market.perp_value + market.base * market.spot / held.stable
    return MarginResult(id=held.id, im=im, mm=mm, mtm=mtm, worst_im=None, worst_mm=None, scenario_pnl=())


def perp_margin(p: Params, market: Market) -> Margins:
    """Return -|size| price requirement, for initial margin also the charge on a weak feed."""
    size = abs(market.perp)
    conf = min(market.perp_conf, market.spot_conf)
    weak = _oracle_charge(p, conf, p.perp_threshold, market.spot * size)
    return Margins(im=-size * market.perp_price * p.im_perp - weak, mm=-size * market.perp_price * p.mm_perp)


def expiry_margin(p: Params, market: Market, expiry: Expiry) -> Margins:
    """Return max(sum of isolated margins, greatest loss) of one expiry, less the charge on weak feeds."""
    isolated = [isolated_margin(p.option, market.spot, option) for option in expiry.options]
    loss, unpaired = settlement_loss(expiry.options)
    beyond = unpaired * expiry.forward
    weak = _oracle_charge(p, expiry.conf, p.option_threshold, market.spot * expiry.shorts)
    im = max(sum(option.im for option in isolated), loss + beyond * p.option.unpaired_im_scale)
    mm = max(sum(option.mm for option in isolated), loss + beyond * p.option.unpaired_mm_scale)
    return Margins(im=im - weak, mm=mm)


def isolated_margin(p: OptionParams, spot: float, option: Option) -> Margins:
    """Return the margin of one position by itself: 0 for longs; value less a share of spot for shorts.

    With a < 0 the size, S spot, v the value, out = (K - S)+ / S of a call or (S - K)+ / S of a put:
    call  MM = v + mm_call S a,                       IM = v + max(min, max - out) S a
    put   MM = v + min(mm_put S a, mm_put_mtm v),     IM = min(v + max(min, max - out) S a, MM offset)
    """
    if option.amount >= 0.0:
        return Margins(im=0.0, mm=0.0)
    notional = spot * option.amount
    out = max(0.0, option.strike - spot if option.is_call else spot - option.strike)
    share = max(p.min_spot, p.max_spot - out / spot)
    im = option.mtm + share * notional
    if option.is_call:
        return Margins(im=im, mm=option.mtm + p.mm_call_spot * notional)
    mm = option.mtm + min(p.mm_put_spot * notional, p.mm_put_mtm * option.mtm)
    return Margins(im=min(im, mm * p.mm_offset_scale), mm=mm)


def settlement_loss(options: Sequence[Option]) -> tuple[float, float]:
    """Return the worst payoff over settlement at 0 and at every strike, at most 0, and net calls, at most 0.

    Beyond the last strike a book that is short calls on balance loses without limit: the second figure
    is what remains to be charged for.
    """
    if not options:
        return 0.0, 0.0
    strike = np.array([option.strike for option in options])
    amount = np.array([option.amount for option in options])
    sign = np.where([option.is_call for option in options], 1.0, -1.0)
    settled = np.concatenate([[0.0], strike])
    payoff = np.maximum(0.0, sign * np.subtract.outer(settled, strike)) @ amount
    return min(0.0, float(payoff.min())), min(0.0, float(amount[sign > 0.0].sum()))


def base_margin(p: Params, market: Market) -> Margins:
    """Return what base collateral counts for, positive. Its notional is not divided by the stable price."""
    if market.base == 0.0:
        return Margins(im=0.0, mm=0.0)
    if market.name not in p.base:
        known = ", ".join(p.base)
        problem = f"{market.base:g} is held, but params.base has only {known}"
        raise UnfitValueError("base", problem, row=market.name)
    factors = p.base[market.name]
    notional = market.base * market.spot
    weak = _oracle_charge(p, market.spot_conf, p.base_threshold, notional)
    mm = notional * factors.margin_factor
    return Margins(im=mm * factors.im_scale - weak, mm=mm)


def _oracle_charge(p: Params, conf: float, threshold: float, notional: float) -> float:
    return (1.0 - conf) * p.oracle_factor * notional if conf < threshold else 0.0


def _depeg_charge(p: Params, market: Market, stable: float) -> float:
    exposed = abs(market.perp) + sum(expiry.shorts for expiry in market.expiries)
    return max(0.0, p.depeg_threshold - stable) * p.depeg_factor * market.spot * exposed


def _market(record: Record) -> Market:
    perp = record.wad("perpPos")
    perp_value = record.wad("perpPnl")
    spot = record.wad("spot")
    if spot <= 0.0:
        raise record.unfit("spot", "a price above 0")
    spot_conf = record.wad("spotConf", low=0, high=1)
    return Market(
        name=record.text("name"),
        spot=spot,
        spot_conf=spot_conf,
        perp=perp,
        perp_price=record.wad("perpPrice", low=0),
        perp_conf=record.wad("perpConf", low=0, high=1),
        perp_value=perp_value if perp else 0.0,
        base=record.wad("base", default=0.0),
        expiries=_expiries(record, spot_conf),
    )


def _expiries(record: Record, spot_conf: float) -> tuple[Expiry, ...]:
    options: dict[int, list[Record]] = {}
    for option in record.records("options"):
        options.setdefault(option.whole("secToExpiry", low=0), []).append(option)
    listed: dict[int, Record] = {}
    for expiry in record.records("expiries"):
        seconds = expiry.whole("secToExpiry", low=0)
        if seconds in listed:
            raise expiry.unfit("secToExpiry", "each expiry once")
        listed[seconds] = expiry
    for seconds, rows in options.items():
        if seconds not in listed:
            raise rows[0].unfit("secToExpiry", f"one of the listed expiries {sorted(listed)}")
    return tuple(
        _expiry(expiry, seconds, options[seconds], spot_conf)
        for seconds, expiry in listed.items()
        if seconds in options
    )


def _expiry(expiry: Record, seconds: int, rows: Sequence[Record], spot_conf: float) -> Expiry:
    forward = expiry.wad("fwdVar", low=0) + expiry.wad("fwdFixed", low=0)
    strike = np.array([row.wad("strike", low=0) for row in rows])
    vol = np.array([row.wad("vol", low=0) for row in rows])
    call, put, _ = option_prices(
        np.full_like(vol, seconds), vol, np.full_like(vol, forward), strike, np.ones_like(vol)
    )
    confs = [expiry.wad("fwdConf", low=0, high=1), expiry.wad("volConf", low=0, high=1), spot_conf]
    confs += [row.wad("volConf", low=0, high=1, default=1.0) for row in rows]
    options = []
    for n, row in enumerate(rows):
        is_call, amount = row.flag("isCall"), row.wad("amount")
        price = float(call[n] if is_call else put[n])
        options.append(Option(strike=float(strike[n]), is_call=is_call, amount=amount, mtm=price * amount))
    return Expiry(forward=forward, conf=min(confs), options=tuple(options))


MODEL: Final = Model(
    name="derive-srm",
    summary="Derive standard margin: several markets, isolated option margins, no netting",
    units={"im": "quote", "mm": "quote", "mtm": "quote"},
    reading="im and mm are margin balances, 0 or more is healthy; mtm includes cash",
    params=params,
    case=account,
    requirement=margin,
)
