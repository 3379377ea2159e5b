"""Black-76 with the conventions of Derive's contracts at the edges. Elsewhere it is the textbook formula.

Source: derivexyz/v2-core @ 7736900d395703c4f675376caa4c315402943831, `Black76`; rules written down
in words and rebuilt here.
"""

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from keeper.model.units import SECONDS_PER_YEAR
from keeper.risk.inputs import Floats

YEAR_S: Final = SECONDS_PER_YEAR
"""Derive's year, in seconds."""

_LEAST_SD: Final = 1e-18
_MOST_SD: Final = 24.0


class OptionPrices(NamedTuple):
    """Both rights at once, arrays of the broadcast shape of the arguments."""

    call: Floats
    put: Floats
    call_delta: Floats
    """D N(d1), in units of the underlying per option: a delta to the forward."""


def option_prices(
    seconds: Floats, vol: Floats, forward: Floats, strike: Floats, discount: Floats
) -> OptionPrices:
    """Return undivided option prices. Arguments broadcast.

    With sd = max(vol sqrt(seconds / year), 1e-18), k = ln(K / F), d1 = sd / 2 - k / sd, d2 = d1 - sd:

        C = D (F N(d1) - K N(d2)) in 0..F D,      P = C + D (K - F) in 0..K D

    K = 0 or sd >= 24: C = F D, P = K D. F = 0: C = 0, P = K D.

    Parameters
    ----------
    seconds
        Time to expiry, at least 0.
    vol
        Per square root of a year, as a fraction, at least 0.
    forward, strike
        Same currency, at least 0.
    discount
        Discount factor, above 0.
    """
    sd = np.maximum(vol * np.sqrt(seconds / YEAR_S), _LEAST_SD)
    no_strike, no_forward = strike == 0.0, forward == 0.0
    edge = no_strike | no_forward
    k = np.log(np.where(edge, 1.0, strike) / np.where(edge, 1.0, forward))
    d1 = sd / 2.0 - k / sd
    n1, n2 = ndtr(d1), ndtr(d1 - sd)
    call_cap, put_cap = discount * forward, discount * strike
    certain = no_strike | (sd >= _MOST_SD)
    call = np.clip(discount * (forward * n1 - strike * n2), 0.0, call_cap)
    call = np.where(no_forward, 0.0, np.where(certain, call_cap, call))
    put = np.clip(call + discount * (strike - forward), 0.0, put_cap)
    put = np.where(certain | no_forward, put_cap, put)
    delta = discount * np.where(no_forward, 0.0, np.where(certain, 1.0, n1))
    return OptionPrices(call, put, delta)
