"""Parameters of Deribit's portfolio margin, as the venue's own answer writes them.

Source: docs.deribit.com `public/pme/get_params`; support.deribit.com, "Portfolio margin".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from keeper.model.errors import UnfitValueError
from keeper.risk.models.fields import Record

EXTENDED_MOVES: Final[tuple[float, ...]] = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Published with the model, not part of its parameters; `extended_moves` in the parameters replaces them."""

VOLS: Final = 3
"""Of each standard move: down, same, up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParams:
    """Parameters of one currency pair, as `get_params` reports them. Fractions, money in USD."""

    price_range: float
    buckets: int
    """Moves on each side."""

    vol_up: float
    vol_down: float
    power_short: float
    """Below 30 days."""

    power_long: float
    min_vol_up: float
    extended_factor: float
    extended_dampener_usd: float
    extended_moves: tuple[float, ...]
    min_annualised_move: float
    annualised_move_risk: float
    max_delta_shock: float
    delta_threshold_usd: float
    delta_increment: float
    """Growth of the delta shock per USD beyond the threshold."""

    mm_factor: float
    pnl_offset: float
    """Share of a pair's gains that may offset another pair's losses."""

    max_offset: float
    """Greatest offset in settlement currency; infinite where there is none."""

    max_offset_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One set of parameters, or one per pair."""

    by_pair: Mapping[str, PairParams]
    """The key `*` stands for every pair that is not named."""

    def pair(self, name: str) -> PairParams:
        """Return the parameters of a pair. Raises `UnfitValueError` where there are none."""
        found = self.by_pair.get(name, self.by_pair.get("*"))
        if found is None:
            raise UnfitValueError("model_params", f"has no pair {name!r}, only {', '.join(self.by_pair)}")
        return found


def params(document: Record) -> Params:
    """Read `model_params` (or `params`): one set, or one per pair by name."""
    record = document.record("model_params" if "model_params" in document else "params")
    if "price_range" in record:
        return Params(by_pair={"*": _pair_params(record)})
    return Params(by_pair={pair: _pair_params(record.record(pair)) for pair in record.names()})


def _pair_params(record: Record) -> PairParams:
    if "vol_scenarios_count" in record and record.whole("vol_scenarios_count", low=0) != VOLS:
        raise record.unfit("vol_scenarios_count", f"{VOLS}")
    if record.real("haircut", default=0.0):
        raise record.unfit("haircut", "0: what it applies to is not published")
    read = _reader(record)
    moves = EXTENDED_MOVES
    if "extended_moves" in record:
        moves = record.reals("extended_moves", low=-0.99)
        if not moves or 0.0 in moves:
            raise record.unfit("extended_moves", "at least one move, none of them 0")
    price_range = record.real("price_range", low=0.0, high=0.99)
    if price_range == 0.0:
        raise record.unfit("price_range", "above 0")
    return PairParams(
        price_range=price_range,
        buckets=record.whole("buckets_count", low=1, high=1000),
        vol_up=read("volatility_range_up"),
        vol_down=read("volatility_range_down"),
        power_short=read("short_term_vega_power"),
        power_long=read("long_term_vega_power"),
        min_vol_up=read("min_volatility_for_shock_up"),
        extended_factor=read("extended_table_factor"),
        extended_dampener_usd=read("extended_dampener_usd"),
        extended_moves=moves,
        min_annualised_move=read("min_annualised_move"),
        annualised_move_risk=read("annualised_move_risk"),
        max_delta_shock=read("max_delta_shock"),
        delta_threshold_usd=read("delta_total_liq_shock_threshold_usd"),
        delta_increment=read("m_inc"),
        mm_factor=read("mm_factor"),
        pnl_offset=read("pnl_offset"),
        max_offset=record.real("max_offsetable_pnl", low=0.0, default=math.inf),
        max_offset_usd=record.real("max_offsetable_pnl_usd", low=0.0, default=math.inf),
    )


def _reader(record: Record) -> Callable[[str], float]:
    def read(name: str) -> float:
        return record.real(name, low=0.0)

    return read
