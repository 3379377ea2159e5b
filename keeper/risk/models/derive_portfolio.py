"""What Derive's two portfolio managers share: the portfolio of one underlying, and its charges.

Portfolios are columnar: options in rows grouped by expiry, so that an expiry's value is a segment
sum. S counts scenarios, E expiries that hold options, N options.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `PMRM`, `PMRMLib`, `PMRM_2`,
`PMRMLib_2`; rules written down in words and rebuilt here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.models.derive_black76 import YEAR_S, option_prices
from keeper.risk.models.derive_params import BasisParams, OracleParams, VolParams
from keeper.risk.models.fields import FieldError, Record
from keeper.risk.models.model import MarginResult

UNITS: Final[Mapping[str, str]] = {
    "im": "quote",
    "mm": "quote",
    "mtm": "quote",
    "worst_im": "scenario",
    "worst_mm": "scenario",
}
READING: Final = "im and mm are margin balances, 0 or more is healthy; mtm includes cash"
_MONTH_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A balance of one collateral slot."""

    slot: int
    amount: float
    price: float
    conf: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """One account under a portfolio manager, with the market it is valued at."""

    id: str
    spot: float
    stable: float
    """Price of the stable coin in which cash is held."""

    cash: float
    base: float
    """Units of the underlying held as collateral, first version only."""

    perp: float
    """Size of the perp position, signed."""

    perp_price: float
    perp_value: float
    """Unsettled and unrealised cash of the perp, 0 without a position."""

    spot_conf: float
    min_conf: float
    """Least of the spot's and, where a perp is held, the perp's confidence."""

    collaterals: tuple[Collateral, ...]
    seconds: Floats
    """To expiry, at least 0, shape (E,)."""

    forward_fixed: Floats
    """Part of the forward that the settlement average has fixed, shape (E,)."""

    forward_variable: Floats
    """Part of the forward that moves with spot, shape (E,)."""

    rate: Floats
    """Per year, negative rates counted as 0, shape (E,)."""

    conf: Floats
    """Least confidence of the expiry's forward, rate and vols, shape (E,)."""

    starts: NDArray[np.int64]
    """First option row of each expiry, shape (E,)."""

    expiry: NDArray[np.int64]
    """Expiry of each option, shape (N,), never falling."""

    strike: Floats
    is_call: NDArray[np.bool_]
    amount: Floats
    """Signed, shape (N,)."""

    vol: Floats

    @property
    def tau(self) -> Floats:
        """Years to expiry, shape (E,)."""
        return self.seconds / YEAR_S

    def by_expiry(self, per_option: Floats) -> Floats:
        """Return sums over each expiry's options along the last axis, (..., N) to (..., E)."""
        if not len(self.starts):
            return np.zeros((*per_option.shape[:-1], 0))
        return np.add.reduceat(per_option, self.starts, axis=-1)


def portfolio(id_: str, case: Record) -> Portfolio:
    """Read a case of the portfolio managers.

    Expiries without options do not count. Raises `FieldError` where a field is unfit, two expiries
    are at the same time, an option stands in no listed expiry, or there is nothing in the account.
    """
    data = case.record("input") if "input" in case else case
    options = _options_by_expiry(data)
    expiries = _expiries(data)
    for seconds, rows in options.items():
        if seconds not in expiries:
            expected = f"one of the listed expiries {sorted(expiries)}"
            raise FieldError(rows[0].at("secToExpiry"), found=str(seconds), expected=expected)
    held = [(seconds, record, options[seconds]) for seconds, record in expiries.items() if seconds in options]
    legs = [(e, leg) for e, (_, _, rows) in enumerate(held) for leg in rows]
    perp = data.wad("perpPos")
    spot_conf = data.wad("spotConf", low=0, high=1)
    perp_conf = data.wad("perpConf", low=0, high=1)
    perp_value = data.wad("perpPnl")
    loaded = Portfolio(
        id=id_,
        spot=data.wad("spot", low=0),
        stable=_price(data, "stable"),
        cash=data.wad("cash"),
        base=data.wad("base", default=0.0),
        perp=perp,
        perp_price=data.wad("perpPrice", low=0),
        perp_value=perp_value if perp else 0.0,
        spot_conf=spot_conf,
        min_conf=min(spot_conf, perp_conf) if perp else spot_conf,
        collaterals=tuple(_collateral(row) for row in data.records("collaterals", optional=True)),
        seconds=_column(seconds for seconds, _, _ in held),
        forward_fixed=_column(record.wad("fwdFixed", low=0) for _, record, _ in held),
        forward_variable=_column(record.wad("fwdVar", low=0) for _, record, _ in held),
        rate=_column(max(0.0, record.wad("rate")) for _, record, _ in held),
        conf=_column(_confidence(record, rows) for _, record, rows in held),
        starts=np.array([0, *np.cumsum([len(rows) for _, _, rows in held])][: len(held)], dtype=np.int64),
        expiry=np.array([e for e, _ in legs], dtype=np.int64),
        strike=_column(leg.wad("strike", low=0) for _, leg in legs),
        is_call=np.array([leg.flag("isCall") for _, leg in legs], dtype=np.bool_),
        amount=_column(leg.wad("amount") for _, leg in legs),
        vol=_column(leg.wad("vol", low=0) for _, leg in legs),
    )
    if not (loaded.cash or loaded.base or loaded.perp or loaded.collaterals or legs):
        raise FieldError(data.path.rstrip(":"), found="empty", expected="cash or at least one position")
    return loaded


def vol_multipliers(book: Portfolio, vol: VolParams) -> tuple[Floats, Floats]:
    """Return the factors on vol in an up and a down scenario, each of shape (E,).

    m = (30 d / max(seconds, floor)) ** power;  up = 1 + range_up m;  down = max(0, 1 - range_down m).
    The power is the short one where seconds <= 30 d, by the time itself and not by the floor.
    """
    power = np.where(book.seconds <= _MONTH_S, vol.power_short, vol.power_long)
    m = (_MONTH_S / np.maximum(book.seconds, vol.floor_s)) ** power
    return 1.0 + vol.range_up * m, np.maximum(0.0, 1.0 - vol.range_down * m)


def forwards(book: Portfolio, spot_shock: Floats) -> Floats:
    """Return shocked forwards, shape (S, E): only the variable part moves."""
    return np.multiply.outer(spot_shock, book.forward_variable) + book.forward_fixed


def option_values(book: Portfolio, forward: Floats, vol: Floats, discount: Floats) -> Floats:
    """Return each expiry's value at forwards (S, E), vols (S, N) and discounts (E,), shape (S, E)."""
    call, put, _ = option_prices(
        book.seconds[book.expiry], vol, forward[:, book.expiry], book.strike, discount[book.expiry]
    )
    return book.by_expiry(book.amount * np.where(book.is_call, call, put))


def basis_contingency(now: Floats, up: Floats, down: Floats, *, tau: Floats, basis: BasisParams) -> float:
    """Return the charge, at most 0, from expiry values now and with forwards up and down, each (E,).

    sum over expiries of min(0, up - now, down - now) (add + mult tau).
    """
    loss = np.minimum(0.0, np.minimum(up - now, down - now))
    return float((loss * (basis.add + basis.mult * tau)).sum())


def naked_shorts(book: Portfolio) -> float:
    """Return options sold without cover, in units: sum over expiry and strike of max(0, shorts - longs).

    Calls and puts of one strike offset each other, strikes do not.
    """
    net: dict[tuple[int, float], float] = {}
    rows = zip(book.expiry.tolist(), book.strike.tolist(), book.amount.tolist(), strict=True)
    for expiry, strike, amount in rows:
        net[expiry, strike] = net.get((expiry, strike), 0.0) + amount
    return math.fsum(max(0.0, -amount) for amount in net.values())


def net_options(book: Portfolio) -> Floats:
    """Return the sum of |amount| per expiry, shape (E,)."""
    return book.by_expiry(np.abs(book.amount))


def confidence_charge(conf: float, notional: float, oracle: OracleParams) -> float:
    """Return (1 - conf) conf_margin notional where conf is strictly below the threshold, else 0."""
    return (1.0 - conf) * oracle.conf_margin * notional if conf < oracle.conf_threshold else 0.0


def option_confidence_charge(book: Portfolio, oracle: OracleParams) -> float:
    """Return the confidence charge on all options, each expiry on its own least confidence."""
    rows = zip(book.conf.tolist(), (net_options(book) * book.spot).tolist(), strict=True)
    return math.fsum(confidence_charge(min(book.min_conf, conf), value, oracle) for conf, value in rows)


def peg_loss(book: Portfolio, oracle: OracleParams) -> float:
    """Return what the loss factor grows by while the stable coin is below its threshold."""
    return max(0.0, oracle.peg_threshold - book.stable) * oracle.peg_factor


def worst(basis: float, pnl: Floats) -> tuple[float, int]:
    """Return the least of the basis contingency and all scenarios, and which it is.

    The basis contingency is number S and wins ties; among scenarios the first one does.
    """
    least = int(pnl.argmin())
    return (float(pnl[least]), least) if pnl[least] < basis else (basis, len(pnl))


def margin_result(
    book: Portfolio, *, im: float, mm: float, mtm: float, worst_at: int, pnl: Floats
) -> MarginResult:
    """Return the answer of either portfolio manager."""
    return MarginResult(
        id=book.id,
        im=im,
        mm=mm,
        mtm=mtm,
        worst_im=worst_at,
        worst_mm=worst_at,
        scenario_pnl=tuple(pnl.tolist()),
    )


def _options_by_expiry(data: Record) -> dict[int, list[Record]]:
    groups: dict[int, list[Record]] = {}
    for option in data.records("options"):
        groups.setdefault(option.whole("secToExpiry", low=0), []).append(option)
    return groups


def _expiries(data: Record) -> dict[int, Record]:
    found: dict[int, Record] = {}
    for expiry in data.records("expiries"):
        seconds = expiry.whole("secToExpiry", low=0)
        if seconds in found:
            raise expiry.unfit("secToExpiry", "each expiry once")
        found[seconds] = expiry
    return found


def _confidence(expiry: Record, options: Sequence[Record]) -> float:
    own = [expiry.wad(name, low=0, high=1) for name in ("fwdConf", "rateConf", "volConf")]
    return min(own + [option.wad("volConf", low=0, high=1, default=1.0) for option in options])


def _collateral(record: Record) -> Collateral:
    return Collateral(
        slot=record.whole("slot", low=0),
        amount=record.wad("amount"),
        price=record.wad("price", low=0),
        conf=record.wad("conf", low=0, high=1),
    )


def _price(record: Record, name: str) -> float:
    price = record.wad(name)
    if price <= 0.0:
        raise record.unfit(name, "a price above 0")
    return price


def _column(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)
