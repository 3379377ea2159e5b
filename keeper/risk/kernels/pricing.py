"""Compiled Black-76: price and greeks of many options, and P&L of many options in many scenarios.

The formulas are those of `risk.black76`, without its care for the relative accuracy of wings: a price
here is right to 1e-13 of the larger of forward and strike. Three divisions and one square root per
option remain, because divisions are what limits the loop: reciprocals that are needed together are
taken of their product.

Zero time and zero vol are computed as sd = 1e-12, a zero forward or strike as 1e-140 USD: the result is
the limit that `risk.black76` documents. Domain: forward and strike below 1e100, sd below 30.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from keeper.risk.kernels.signatures import F64, F64_TABLE, INDICES, REAL_TABLE, REALS, compiled
from keeper.risk.kernels.twins import BASIS, FORWARD, SKEW, VOL, VOL_FLOOR, WEIGHT
from keeper.risk.kernels.vector import FAST, exp_negative, log_positive, mills_times
from keeper.risk.scenarios import MONEYNESS_CAP

_INV_SQRT_2PI: Final = 0.3989422804014327
_NO_SPREAD: Final = 1e-12
_NO_PRICE: Final = 1e-140


@njit(inline="always", fastmath=FAST)
def _normal_cdfs(x1, x2, density1, density2):  # type: ignore[no-untyped-def]
    """Return N(x1) and N(x2) for two points whose densities are known."""
    y1, y2 = abs(x1) + 4.0, abs(x2) + 4.0
    both = 1.0 / (y1 * y2)
    inverse1, inverse2 = both * y2, both * y1
    tail1 = density1 * inverse1 * mills_times(1.0 - 8.0 * inverse1)
    tail2 = density2 * inverse2 * mills_times(1.0 - 8.0 * inverse2)
    return (1.0 - tail1 if x1 > 0.0 else tail1), (1.0 - tail2 if x2 > 0.0 else tail2)


@compiled(*[REALS] * 6, *[F64] * 4, fastmath=FAST)
def price_and_greeks(forward, strike, expiry, vol, discount, sign, price, delta, gamma, vega):  # type: ignore[no-untyped-def]
    """Write price and greeks of n options. Twin: `twins.price_and_greeks`."""
    for i in range(forward.size):
        root_t = math.sqrt(expiry[i])
        spread = vol[i] * root_t
        sd = max(spread, _NO_SPREAD)
        F, K = max(forward[i], _NO_PRICE), max(strike[i], _NO_PRICE)
        FK = F * K
        inverse = 1.0 / (FK * sd)
        ratio = F * F * sd * inverse
        inverse_sd = inverse * FK
        d1 = (log_positive(ratio) * inverse_sd if F != K else 0.0) + 0.5 * sd
        density = _INV_SQRT_2PI * exp_negative(-0.5 * d1 * d1)
        n1, n2 = _normal_cdfs(sign[i] * d1, sign[i] * (d1 - sd), density, density * ratio)
        D = discount[i]
        price[i] = D * sign[i] * (F * n1 - K * n2)
        delta[i] = D * sign[i] * n1
        gamma[i] = D * density * inverse_sd * (inverse * K * sd) if spread > 0.0 else 0.0
        vega[i] = D * density * F * root_t


@njit(inline="always", fastmath=FAST)
def _value(log_ratio, ratio, sd, sign):  # type: ignore[no-untyped-def]
    """Return the undiscounted price in units of the strike."""
    inverse_sd = 1.0 / sd
    d1 = log_ratio * inverse_sd + 0.5 * sd
    density = _INV_SQRT_2PI * exp_negative(-0.5 * d1 * d1)
    n1, n2 = _normal_cdfs(sign * d1, sign * (d1 - sd), density, density * ratio)
    return sign * (ratio * n1 - n2)


@compiled(INDICES, *[REALS] * 7, REAL_TABLE, INDICES, REAL_TABLE, F64_TABLE, fastmath=FAST)
def option_profit(  # type: ignore[no-untyped-def]
    rows, forward, strike, expiry, vol, discount, sign, coin, tenor, group, moves, profit
):
    """Write the P&L of the options `rows` in S scenarios. Twin: `twins.option_profit`."""
    forward_move, basis_move, vol_move = moves[FORWARD], moves[BASIS], moves[VOL]
    skew_move, vol_floor, weight = moves[SKEW], moves[VOL_FLOOR], moves[WEIGHT]
    scenarios = profit.shape[1]
    log_forward, coins_per, stretch = np.empty(scenarios), np.empty(scenarios), np.empty(scenarios)
    for s in range(scenarios):
        log_forward[s] = math.log(forward_move[s])
        coins_per[s] = 1.0 / basis_move[s] - 1.0
    for i in rows:
        F, K = max(forward[i], _NO_PRICE), max(strike[i], _NO_PRICE)
        base_vol, root_t, side, is_coin = vol[i], math.sqrt(expiry[i]), sign[i], coin[i]
        ratio = F / K
        log_ratio = log_positive(ratio)
        spread = max(base_vol * root_t, _NO_SPREAD)
        before = _value(log_ratio, ratio, spread, side)
        moneyness = min(max(-log_ratio / spread, -MONEYNESS_CAP), MONEYNESS_CAP)
        scale = discount[i] * K
        for s in range(scenarios):
            stretch[s] = tenor[i, group[s]]
        out = profit[i]
        for s in range(scenarios):
            shocked = base_vol * (1.0 + vol_move[s] * stretch[s] + skew_move[s] * moneyness)
            shocked = max(shocked, vol_floor[s] if vol_move[s] > 0.0 else 0.0)
            sd = max(shocked * root_t, _NO_SPREAD)
            after = _value(log_ratio + log_forward[s], ratio * forward_move[s], sd, side)
            coins_kept = 1.0 + is_coin * coins_per[s]
            out[s] = weight[s] * scale * (after * coins_kept - before)
