"""Small Deribit portfolios in the form of a file, made from plain numbers."""

from typing import Any, Final

from keeper.risk.models import deribit_pme
from keeper.risk.models.deribit_pme import PmeResult
from keeper.risk.models.documents import document, evaluate

# Parameters of BTC in June 2024, from the response example of docs.deribit.com private/pme/simulate.
PARAMS: Final[dict[str, Any]] = {
    "price_range": 0.16,
    "buckets_count": 4,
    "vol_scenarios_count": 3,
    "mm_factor": 0.8,
    "volatility_range_up": 0.5,
    "volatility_range_down": 0.25,
    "short_term_vega_power": 0.3,
    "long_term_vega_power": 0.13,
    "min_volatility_for_shock_up": 0.5,
    "extended_table_factor": 1,
    "extended_dampener_usd": 100_000,
    "min_annualised_move": 0.01,
    "annualised_move_risk": 0.075,
    "max_delta_shock": 0.1,
    "delta_total_liq_shock_threshold_usd": 20_000_000,
    "m_inc": 5e-5,
    "pnl_offset": 0,
    "haircut": 0,
    "max_offsetable_pnl": 0,
}
EXPIRY_MS: Final = 1_719_561_600_000  # 2024-06-28 08:00 UTC
CALL: Final = "BTC-28JUN24-70000-C"


def case(position: dict[str, float], days: float = 10.0, **over: Any) -> dict[str, Any]:
    market = {
        "contract": "inverse",
        "index_price": 65_000.0,
        "mark": {"BTC-PERPETUAL": 65_000.0, "BTC-28JUN24": 65_000.0},
        "iv": {CALL: 0.6},
        "timestamp_ms": EXPIRY_MS - round(days * 86_400_000),
        "model_params": PARAMS,
    }
    return {**market, "position": position, **over}


def result(position: dict[str, float], **over: Any) -> PmeResult:
    (found,) = evaluate(deribit_pme.MODEL, document([case(position, **over)]))
    assert isinstance(found, PmeResult)
    return found
