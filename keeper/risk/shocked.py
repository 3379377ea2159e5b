"""Contracts as they stand after a scenario: what a requirement after the shock is asked of.

    spot     F' = F (1 + m)                      m spot move, b basis move
    perp     F' = F (1 + m)(1 + b_perp)
    future   F' = F (1 + m)(1 + b_future)
    option   the same forward as a future, and vol' of `scenarios.shocked_vol`

Time stands still, and so do discount factors. These are the moves of `revaluation.revalue`: the difference
of a book's value over both states is its P&L there, before the weight of the scenario.
"""

import dataclasses

import numpy as np

from keeper.risk.book import Instruments, Kind
from keeper.risk.inputs import positions_of, require
from keeper.risk.revaluation import DAYS_PER_YEAR
from keeper.risk.scenarios import Scenarios, restrict, shocked_vol


def shocked(instruments: Instruments, scenarios: Scenarios, row: int) -> Instruments:
    """Return the contracts after scenario `row`.

    Raises
    ------
    UnfitValueError
        An underlying has no column in `scenarios`, or a contract is coin-settled: its discount factor is
        spot over forward, which a basis move would change.
    """
    require("inverse", instruments.inverse, ~instruments.inverse, "possible: no coin-settled contracts here")
    one = restrict(scenarios, names=[scenarios.names[row]])
    column = np.array(
        positions_of("underlyings", instruments.underlyings, scenarios.underlyings), dtype=np.intp
    )[instruments.underlying]
    kind, option = instruments.kind, instruments.is_option
    basis = np.where(kind == Kind.PERP, one.perp_basis_move[0, column], one.future_basis_move[0, column])
    basis[kind == Kind.SPOT] = 0.0
    vol = instruments.vol.copy()
    if option.any():
        F, K, T = (c[option] for c in (instruments.forward_usd, instruments.strike_usd, instruments.expiry_y))
        sd = instruments.vol[option] * np.sqrt(T)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where((sd > 0.0) & (K > 0.0) & (F > 0.0), np.log(K / F) / sd, 0.0)
        vol[option] = shocked_vol(
            one, instruments.vol[option], DAYS_PER_YEAR * T, column[option], log_moneyness_sd=x
        )[0]
    return dataclasses.replace(
        instruments,
        forward_usd=instruments.forward_usd * (1.0 + one.spot_move[0, column]) * (1.0 + basis),
        vol=vol,
    )
